"""The colors of synthetic scenes: sheets of paper, and what is cut out of paper and laid on them.

They say nothing about an object's class.
"""

import numpy as np

PAPERS = (  # light ones, most of them nearly white
    "#F7F2E8", "#F1F3F2", "#F5EFF2", "#EFF4EC", "#F6F1E1", "#EBF0F6", "#F6ECE6", "#EFEEE9",
)  # fmt: skip
TINTED_PAPERS = (  # sand, sage, fog, rose, lilac, sea, straw
    "#E3D3B8", "#CCD8C4", "#C9D5DE", "#E8CFC8", "#D8D0E3", "#C4DCDA", "#EBDDA8",
)  # fmt: skip
COLORS = (
    "#E4572E", "#F08A3C", "#F2B134", "#A3B86C", "#3BA07A", "#2A7F86", "#2E86AB", "#7FB3D5",
    "#5B6C8F", "#33476B", "#8E5EA2", "#C3A6D8", "#D8547E", "#F0A7A0", "#A63D40", "#B07D48",
    "#5A5350", "#F6E7C8",
)  # fmt: skip
SKINS = ("#F6DFC4", "#EBC09A", "#D9A074", "#B9784E", "#8C5A3C", "#63412E")  # of figures
PENCIL, COFFEE = "#55585F", "#8A5A33"


def rgb(color: str) -> np.ndarray:
    """The color [3, 1, 1] in 0..1 of a text such as "#ff8000"."""
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return np.array(channels, dtype=np.float32)[:, None, None] / 255


PAPER_COLORS = np.stack([rgb(color) for color in PAPERS])
TINTED_COLORS = np.stack([rgb(color) for color in TINTED_PAPERS])
OBJECT_COLORS = np.stack([rgb(color) for color in COLORS])
SKIN_COLORS = np.stack([rgb(color) for color in SKINS])


def paper_color(rng: np.random.Generator) -> np.ndarray:
    """The color [3, 1, 1] of a sheet: light for three of four, else tinted."""
    colors = PAPER_COLORS if rng.random() < 0.75 else TINTED_COLORS
    return colors[rng.integers(len(colors))] * np.float32(rng.uniform(0.95, 1))


def object_color(paper: np.ndarray, used: list[int], rng: np.random.Generator) -> np.ndarray:
    """A color [3, 1, 1] for an object on a paper of this color, near one of the palette's.

    One object in eight has nearly the paper's color, so that only its rim and its shadow show it;
    one in eight may have a color that the scene already has. used: the palette's colors in the
    scene so far, by index; the new one is appended.
    """
    chance, shade, jitter = rng.random(), rng.uniform(-0.06, 0.05), rng.normal(0, 0.025, (3, 1, 1))
    index = int(rng.integers(len(OBJECT_COLORS)))
    if chance < 0.125:
        return np.clip(paper + shade + 0.4 * jitter, 0, 1).astype(np.float32)
    if chance > 0.25 and len(used) < len(OBJECT_COLORS):
        while index in used:
            index = (index + 7) % len(OBJECT_COLORS)
    used.append(index)
    return np.clip(OBJECT_COLORS[index] + jitter, 0, 1).astype(np.float32)
