"""The exact outline of a mask, along the borders of its pixels."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from torch import Tensor

from mrcnn_edu.viz.style import HALO, OUTLINE


def outline_segments(mask: np.ndarray) -> np.ndarray:
    """The straight pieces [n, 2, 2] of a mask's [H, W] outline, each from one (x, y) to another.

    They lie where a pixel of the mask has a neighbor that is none, or the picture ends.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return np.empty((0, 2, 2), dtype=int)
    y, x = rows[0], columns[0]  # only the mask's own box is looked at, as images may be large
    framed = np.pad(mask[y : rows[-1] + 1, x : columns[-1] + 1], 1)
    across = _runs((framed[1:] != framed[:-1])[:, 1:-1])  # [n, 3]: y, first x, last x
    down = _runs((framed[:, 1:] != framed[:, :-1])[1:-1].T)  # [n, 3]: x, first y, last y
    segments = np.concatenate((across[:, [1, 0, 2, 0]], down[:, [0, 1, 0, 2]]))
    return segments.reshape(-1, 2, 2) + np.array((x, y))


def _runs(border: np.ndarray) -> np.ndarray:
    """The runs of ones in each row [rows, n], as [runs, 3]: the row, the start and the end."""
    steps = np.diff(np.pad(border.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(steps == 1)
    return np.stack((rows, starts, np.nonzero(steps == -1)[1]), axis=1)


def draw_outlines(axes: Axes, masks: Tensor, colors: list[str]) -> None:
    """Draw the outlines of masks [N, H, W], each in its color, over white halos."""
    for mask, color in zip(masks.bool().cpu().numpy(), colors, strict=True):
        segments = outline_segments(mask)
        if len(segments) == 0:
            continue
        path = Path(segments.reshape(-1, 2), [Path.MOVETO, Path.LINETO] * len(segments))
        for width, shade, order in ((OUTLINE + HALO, "white", 2.0), (OUTLINE, color, 2.1)):
            patch = PathPatch(
                path, fill=False, edgecolor=shade, linewidth=width, capstyle="round", zorder=order
            )
            axes.add_artist(patch)
