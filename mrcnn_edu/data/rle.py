"""Run-length encoding (RLE) of many masks at once; areas, boxes and overlaps without any pixels.

The N masks are flattened column by column and concatenated, and we store the start and the end of
every run of 1. All masks are handled by the same few array operations, and two masks are compared
in time that grows with the length of their outlines, not with their areas.

Letters: N masks, R runs of 1 in all of them, H and W the image's size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mrcnn_edu.images import Size


class RLEMasks(NamedTuple):
    """N run-length encoded masks; pixel (x, y) of a mask is x H + y pixels after its first one."""

    start: np.ndarray  # [R] int64, increasing: the first pixel of each run
    end: np.ndarray  # [R] the pixel after its last one
    n: int
    size: Size | np.ndarray  # (H, W) of all masks; or one column for each mask, [2, N]

    def __len__(self) -> int:
        return self.n

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W) of masks of one size."""
        return self.n, int(self.size[0]), int(self.size[1])

    @property
    def pixel_offsets(self) -> np.ndarray:
        """The first pixel of each mask, and the end of the last one: [N + 1]."""
        n_pixels = np.broadcast_to(self.size[0] * self.size[1], self.n)
        return np.concatenate(([0], n_pixels.cumsum()))

    @property
    def run_offsets(self) -> np.ndarray:
        """The index of each mask's first run, and the number of runs: [N + 1]."""
        return np.searchsorted(self.start, self.pixel_offsets)

    def areas(self) -> np.ndarray:
        """The number of pixels [N] in each mask."""
        return _sum_of_runs(self.end - self.start, self.run_offsets)

    def boxes(self) -> np.ndarray:
        """The smallest boxes [N, 4] around the masks; zeros around an empty one."""
        run_offsets = self.run_offsets
        n_runs = np.diff(run_offsets)
        height = np.broadcast_to(self.size[0], self.n).repeat(n_runs)
        offset = self.pixel_offsets[:-1].repeat(n_runs)
        x1, y1 = np.divmod(self.start - offset, height)  # the first pixel of each run
        x2, y2 = np.divmod(self.end - 1 - offset, height)  # and the last one
        one_column = x1 == x2  # other runs touch the top and the bottom
        y1, y2 = np.where(one_column, y1, 0), np.where(one_column, y2, height - 1)
        boxes = np.zeros((self.n, 4), dtype=np.int64)
        first = run_offsets[:-1][n_runs > 0]
        if len(first) > 0:
            boxes[n_runs > 0] = np.stack(
                (
                    np.minimum.reduceat(x1, first),
                    np.minimum.reduceat(y1, first),
                    np.maximum.reduceat(x2 + 1, first),
                    np.maximum.reduceat(y2 + 1, first),
                ),
                axis=1,
            )
        return boxes

    def resized(self, rows: Tensor, size: Size) -> Tensor:
        """The pixels [n, *size] bool of the masks where rows [N] bool is true, resized."""
        return resize_masks(self.take(rows.cpu().numpy().nonzero()[0]), size)

    def take(self, rows: np.ndarray) -> "RLEMasks":
        """The masks at some rows; a row may be taken several times."""
        pixel_offsets, run_offsets = self.pixel_offsets, self.run_offsets
        n_pixels, n_runs = np.diff(pixel_offsets)[rows], np.diff(run_offsets)[rows]
        first = n_runs.cumsum() - n_runs  # each mask's first run in the result
        runs = np.arange(n_runs.sum()) + (run_offsets[rows] - first).repeat(n_runs)
        shift = (n_pixels.cumsum() - n_pixels - pixel_offsets[rows]).repeat(n_runs)
        start, end = self.start[runs] + shift, self.end[runs] + shift
        return RLEMasks(start, end, len(rows), sizes_at(self.size, rows))

    @staticmethod
    def join(parts: Sequence["RLEMasks"]) -> "RLEMasks":
        """The masks of several images, whose sizes may differ."""
        n_pixels = [part.pixel_offsets[-1] for part in parts]
        shift = (np.cumsum(n_pixels) - n_pixels).repeat([len(part.start) for part in parts])
        start = np.concatenate([part.start for part in parts]) + shift
        end = np.concatenate([part.end for part in parts]) + shift
        return RLEMasks(start, end, sum(len(part) for part in parts), sizes_of(parts))


def sizes_of(parts: Sequence[Any]) -> np.ndarray:
    """H and W [2, N] of all masks of several images. parts: each has a length and one `size`."""
    return np.repeat([part.size for part in parts], [len(part) for part in parts], axis=0).T


def sizes_at(size: Size | np.ndarray, rows: Sequence[int] | np.ndarray) -> Size | np.ndarray:
    """The `size` of the masks at some rows."""
    return size[:, rows] if isinstance(size, np.ndarray) else size


def encode_masks(masks: Tensor) -> RLEMasks:
    """Masks [N, H, W] bool, run-length encoded."""
    pixels = masks.cpu().numpy()
    n, height, width = pixels.shape
    edges = [np.zeros(0, dtype=np.int64)]  # starts and ends in turn
    for i in range(n):
        columns = np.flatnonzero(pixels[i].any(axis=0))
        if len(columns) > 0:
            edges.append(_edges(pixels[i], columns) + i * height * width)
    flat = np.concatenate(edges)
    start, end = flat[0::2], flat[1::2]
    # Runs were found column by column. One that continues at the top of the next column is a single
    # run, unless that column belongs to the next mask.
    continues = (end[:-1] == start[1:]) & (end[:-1] % max(height * width, 1) != 0)
    is_start, is_end = np.append(True, ~continues), np.append(~continues, True)
    return RLEMasks(start[is_start[: len(start)]], end[is_end[: len(end)]], n, (height, width))


def _edges(mask: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Start and end, in turn, of each run within a column of a mask [H, W] that is not empty.

    columns: those with any 1. Only the part inside the mask's box is examined, as most are small.
    """
    part = mask[:, columns[0] : columns[-1] + 1]
    rows = np.flatnonzero(part.any(axis=1))
    part = part[rows[0] : rows[-1] + 1].T
    padded = np.zeros(
        (len(part), part.shape[1] + 2), dtype=bool
    )  # so that each run starts and ends
    padded[:, 1:-1] = part
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    column, row = np.divmod(changes, padded.shape[1] - 1)
    return (columns[0] + column) * len(mask) + rows[0] + row


def decode_masks(masks: RLEMasks) -> Tensor:
    """The pixels [N, H, W] bool of masks of one size: the inverse of `encode_masks`."""
    n, height, width = masks.shape
    edges = np.stack((masks.start, masks.end), axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=n * height * width)
    values = np.arange(len(counts)) % 2 == 1  # runs of 0 and 1 in turn
    pixels = values.repeat(counts).reshape(n, width, height)
    return torch.from_numpy(pixels).transpose(1, 2).contiguous()


def resize_masks(masks: RLEMasks, size: Size) -> Tensor:
    """The pixels [N, h, w] bool of masks resized to h x w, without those of their own size.

    Each pixel is the nearest one, exactly as in interpolate(mode="nearest-exact").
    """
    n, height, width = masks.shape
    rows, columns = _nearest(height, size[0]), _nearest(width, size[1])
    columns, repeats = np.unique(columns, return_counts=True)
    positions = (columns[:, None] * height + rows).ravel()  # [columns * h], increasing
    mask = np.arange(n).repeat(np.diff(masks.run_offsets))  # [R], that of each run
    offset = masks.pixel_offsets[:-1][mask]
    # A run covers the positions from its start to its end: +1 where it begins, -1 after it.
    changes = np.zeros((n, len(positions) + 1), dtype=np.int8)
    np.add.at(changes, (mask, np.searchsorted(positions, masks.start - offset)), 1)
    np.add.at(changes, (mask, np.searchsorted(positions, masks.end - offset)), -1)
    inside = changes[:, :-1].cumsum(axis=1, dtype=np.int8) > 0
    pixels = inside.reshape(n, len(columns), size[0]).repeat(repeats, axis=1)  # [N, w, h]
    return torch.from_numpy(pixels).transpose(1, 2).contiguous()


def _nearest(length: int, new_length: int) -> np.ndarray:
    """For each of the new positions along a side, the nearest of the old ones."""
    old = torch.arange(length, dtype=torch.float32)[None, None]
    return interpolate(old, size=new_length, mode="nearest-exact")[0, 0].long().numpy()


def with_pixels(target: dict) -> dict:
    """The target with the pixels [M, H, W] of its masks, if these are `RLEMasks`."""
    masks = target.get("masks")
    return target | {"masks": decode_masks(masks)} if isinstance(masks, RLEMasks) else target


def common_pixels(a: RLEMasks, b: RLEMasks) -> np.ndarray:
    """The number of pixels [N] that each mask of a shares with the mask of b in the same row."""
    if len(b.start) == 0:
        return np.zeros(len(a), dtype=np.int64)
    # How many pixels of b lie before a position is known at the edges of its runs. In between, the
    # count rises by 1 for each pixel or stays the same, so it can be interpolated linearly.
    edges = np.stack((b.start, b.end), axis=1)  # [R, 2]
    n_after = np.cumsum(b.end - b.start)
    n_before = n_after - (b.end - b.start)
    counts = np.stack((n_before, n_after), axis=1)
    at_edges_of_a = np.interp(np.stack((a.start, a.end), axis=1), edges.ravel(), counts.ravel())
    in_runs_of_a = np.diff(at_edges_of_a, axis=1)[:, 0]
    return _sum_of_runs(in_runs_of_a, a.run_offsets).astype(np.int64)


def _sum_of_runs(values: np.ndarray, run_offsets: np.ndarray) -> np.ndarray:
    """The sum [N] of values [R] over the runs of each mask."""
    return np.diff(np.concatenate(([0], np.cumsum(values)))[run_offsets])
