"""Many masks as runs: found, compressed to COCO's strings and back, compared without their pixels.

N masks lie one after the other on a strip of pixels, each column by column, and of the strip we
keep where runs of 1 start and end. So all masks are handled by the same few array operations, and
two masks are compared in time that grows with their outlines, not their areas.

Letters: N masks, R runs of 1 of all of them, P pairs of masks, H and W the image's size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class RLEMasks(NamedTuple):
    """The runs of 1 of N masks; pixel (x, y) of a mask is at x·H + y from where the mask starts."""

    start: np.ndarray  # [R] int64, rising: the first pixel of each run
    end: np.ndarray  # [R] the pixel after its last
    n: int
    size: tuple[int, int] | np.ndarray  # H and W, or those of each mask [2, N]

    def __len__(self) -> int:
        return self.n

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W) of masks of one size."""
        return self.n, *self.size

    @property
    def offsets(self) -> np.ndarray:
        """Where each mask starts on the strip, and where the last one ends: [N + 1]."""
        pixels = np.broadcast_to(self.size[0] * self.size[1], self.n)
        return np.concatenate(([0], pixels.cumsum()))

    @property
    def borders(self) -> np.ndarray:
        """Between which runs a mask ends and the next one starts: [N + 1], from 0 to R."""
        return np.searchsorted(self.start, self.offsets)

    def areas(self) -> np.ndarray:
        """Pixels [N] of each mask."""
        before = np.concatenate(([0], np.cumsum(self.end - self.start)))
        return np.diff(before[self.borders])

    def boxes(self) -> np.ndarray:
        """The smallest boxes [N, 4] around the masks; zeros around an empty one."""
        borders = self.borders
        n_runs = borders[1:] - borders[:-1]
        height = np.broadcast_to(self.size[0], self.n).repeat(n_runs)
        offset = self.offsets[:-1].repeat(n_runs)
        x1, y1 = np.divmod(self.start - offset, height)
        x2, y2 = np.divmod(self.end - 1 - offset, height)
        one = x1 == x2  # a run that goes on in the next column touches top and bottom
        y1, y2 = np.where(one, y1, 0), np.where(one, y2, height - 1)
        boxes, full = np.zeros((self.n, 4), dtype=np.int64), n_runs > 0
        first = borders[:-1][full]
        if len(first):
            least = [np.minimum.reduceat(low, first) for low in (x1, y1)]
            most = [np.maximum.reduceat(high + 1, first) for high in (x2, y2)]
            boxes[full] = np.stack((*least, *most), axis=1)
        return boxes

    def take(self, rows: np.ndarray) -> "RLEMasks":
        """The runs of the masks at some rows, of which any may come several times."""
        offsets, borders = self.offsets, self.borders
        n_runs, pixels = np.diff(borders)[rows], np.diff(offsets)[rows]
        runs = np.arange(n_runs.sum()) + (borders[rows] - n_runs.cumsum() + n_runs).repeat(n_runs)
        shift = (pixels.cumsum() - pixels - offsets[rows]).repeat(n_runs)
        start, end = self.start[runs] + shift, self.end[runs] + shift
        return RLEMasks(start, end, len(rows), sizes_at(self.size, rows))

    @staticmethod
    def join(parts: Sequence["RLEMasks"]) -> "RLEMasks":
        """All masks of some images, whose sizes may differ."""
        pixels = [part.offsets[-1] for part in parts]
        shift = (np.cumsum(pixels) - pixels).repeat([len(part.start) for part in parts])
        start = np.concatenate([part.start for part in parts]) + shift
        end = np.concatenate([part.end for part in parts]) + shift
        return RLEMasks(start, end, sum(map(len, parts)), sizes_of(parts))


def sizes_of(parts: Sequence) -> np.ndarray:
    """H and W [2, N] of all masks of some images."""
    return np.repeat([part.size for part in parts], [len(part) for part in parts], axis=0).T


def sizes_at(size: tuple[int, int] | np.ndarray, rows: Sequence[int]) -> tuple | np.ndarray:
    """H and W of the masks at some rows."""
    return size if isinstance(size, tuple) else size[:, rows]


def encode_masks(masks: Tensor) -> RLEMasks:
    """The runs of masks [N, H, W] bool."""
    pixels = masks.cpu().numpy()
    n, height, width = pixels.shape
    places = [np.zeros(0, dtype=np.int64)]
    for i, x in enumerate(map(np.flatnonzero, pixels.any(axis=1))):
        if len(x):
            part = pixels[i, :, x[0] : x[-1] + 1]  # with any 1, as most masks are small
            y = np.flatnonzero(part.any(axis=1))
            part = part[y[0] : y[-1] + 1].T
            columns = np.zeros((len(part), part.shape[1] + 2), dtype=bool)
            columns[:, 1:-1] = part
            edges = np.flatnonzero(
                columns[:, 1:] != columns[:, :-1]
            )  # a start, an end, a start, ...
            column, row = np.divmod(edges, columns.shape[1] - 1)
            places.append((i * width + x[0] + column) * height + y[0] + row)
    place = np.concatenate(places)
    start, end = place[0::2], place[1::2]
    # A run that goes on at the top of the next column is one; but the next mask starts anew.
    joined = (end[:-1] == start[1:]) & (end[:-1] % max(height * width, 1) != 0)
    keep_start, keep_end = np.append(True, ~joined), np.append(~joined, True)
    return RLEMasks(start[keep_start[: len(start)]], end[keep_end[: len(end)]], n, (height, width))


def decode_masks(runs: RLEMasks) -> Tensor:
    """The masks [N, H, W] bool: encode_masks' inverse."""
    height, width = runs.size
    edges = np.stack((runs.start, runs.end), axis=1).ravel()
    lengths = np.diff(edges, prepend=0, append=len(runs) * height * width)
    strip = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)  # 0 first
    return torch.from_numpy(strip.reshape(-1, width, height)).transpose(1, 2).contiguous()


def common_pixels(a: RLEMasks, b: RLEMasks) -> np.ndarray:
    """How many pixels [N] each mask of a has in common with the mask of b in the same row."""
    edges = np.stack((b.start, b.end), axis=1)  # [R, 2]
    seen = np.cumsum(b.end - b.start)  # pixels of b up to the end of each run
    seen = np.stack((seen - (b.end - b.start), seen), axis=1)
    if edges.size == 0:
        return np.zeros(len(a), dtype=np.int64)
    # Up to any place: between two edges the count rises by 1 a pixel, or not at all.
    within = np.diff(np.interp(np.stack((a.start, a.end), axis=1), edges.ravel(), seen.ravel()))
    before = np.concatenate(([0], np.cumsum(within).astype(np.int64)))
    return np.diff(before[a.borders])


def compress(runs: RLEMasks) -> list[bytes]:
    """COCO's string for each mask: the lengths of its runs, of 0 and 1 in turn, in characters.

    From the fourth run on a length is replaced by its difference from the one before the last. Each
    number is cut into pieces of 5 bits, the lowest first; what is left out is all sign. A piece is
    a character from "0" on; 32 more says that another one follows.
    """
    pixels, borders = runs.size[0] * runs.size[1], runs.borders
    n_runs = np.diff(borders)
    mask = np.arange(len(runs)).repeat(n_runs)
    # To each mask's starts and ends comes the end of its last run of 0, unless it is empty.
    edges = np.stack((runs.start, runs.end), axis=1) - (mask * pixels)[:, None]
    edges = np.insert(edges.ravel(), 2 * borders[1:], pixels)
    count = 2 * n_runs + 1
    first = count.cumsum() - count
    place = np.arange(len(edges)) - first.repeat(count)  # 0 for each mask's first number
    length = edges - np.where(place > 0, np.roll(edges, 1), 0)
    # A mask that ends in a 1 has no last run of 0.
    exists = (length > 0) | (place < count.repeat(count) - 1)
    number = np.where(place > 2, length - np.roll(length, 2), length)[exists]

    piece = np.arange(8)
    rest = number[:, None] >> (5 * piece - 1).clip(0)  # what is left, with the sign of the last
    needed = (piece == 0) | ((rest != 0) & (rest != -1))  # [numbers, 8]
    character = ((number[:, None] >> 5 * piece[:-1]) & 31) + 32 * needed[:, 1:] + ord("0")
    text = character.astype(np.uint8)[needed[:, :-1]].tobytes()
    n_characters = np.bincount(np.arange(len(runs)).repeat(count)[exists], needed.sum(1), len(runs))
    ends = n_characters.astype(int).cumsum().tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def decompress(strings: list[bytes], size: tuple[int, int] | np.ndarray) -> RLEMasks:
    """The runs of masks from COCO's strings: compress' inverse. size: as `RLEMasks` have it."""
    text = np.frombuffer(b"".join(strings), dtype=np.uint8) - np.uint8(ord("0"))
    last = np.flatnonzero(text & 32 == 0)  # the last piece of each number
    n_pieces = np.diff(last, prepend=-1)
    number = (text[last].astype(np.int64) & 31 ^ 16) - 16  # the highest, with the sign
    for piece in range(1, n_pieces.max(initial=1)):
        longer = np.flatnonzero(n_pieces > piece)
        number[longer] = 32 * number[longer] + (text[last[longer] - piece] & 31)

    stop = np.cumsum([len(string) for string in strings], dtype=np.int64)
    ends = np.searchsorted(last, stop)
    count = np.diff(ends, prepend=0)  # numbers of each mask
    wrong = ValueError("the mask's runs do not add up to the image's pixels")
    if (count == 0).any() or (last[ends - 1] != stop - 1).any():
        raise wrong
    # Two rows: runs of 0, and the run of 1 after each. A mask that ends in a 0 lacks the last one.
    odd = count % 2
    after = (count + odd).cumsum() // 2  # the column after each mask's last
    first = after - (count + odd) // 2
    length = np.zeros((after[-1] if len(after) else 0, 2), dtype=np.int64)
    length.ravel()[np.arange(len(number)) + (odd.cumsum() - odd).repeat(count)] = number
    length = length.T.copy()
    alone, length[0, first] = length[0, first], 0  # all others are sums along their row
    length[:, first[1:]] -= np.add.reduceat(length, first, axis=1)[:, :-1]  # and of their mask
    length = length.cumsum(axis=1)
    length[0, first] = alone
    length[1, after[odd == 1] - 1] = 0
    end = length.sum(axis=0).cumsum()
    pixels = np.broadcast_to(size[0] * size[1], len(strings))
    if (length < 0).any() or (end[after - 1] != pixels.cumsum()).any():
        raise wrong
    some = length[1] > 0
    return RLEMasks((end - length[1])[some], end[some], len(strings), size)
