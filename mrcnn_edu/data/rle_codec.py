"""COCO's compressed strings for run-length encoded (RLE) masks: there and back, in two versions.

A mask's *counts* are the lengths of its runs of 0 and 1 in turn, down the columns, beginning with
0 (a length that may be 0). In the string, from the fourth on, each count is replaced by its
difference from the count two before it, which is a small number if neighboring columns are alike.
Each number is cut into pieces of 5 bits, the lowest first; the highest bit of the last piece is the
sign. A piece becomes the character 48 ("0") + piece, plus 32 if another piece follows.

The first four functions say this plainly, pixel by pixel, for one mask. `compress` and `decompress`
do the same with the runs of many masks at once, and so much faster; tests compare the results.

Letters: N masks, n runs or numbers of all of them.
"""

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.data.rle import RLEMasks
from mrcnn_edu.images import Size

FIRST_CHARACTER = ord("0")
MORE = 32  # added to every piece of a number but its last
MAX_PIECES = 7  # of 5 bits each: enough for any image that fits in memory


def mask_to_counts(mask: Tensor) -> list[int]:
    """The counts of a mask [H, W] bool."""
    counts, value = [0], False
    for pixel in mask.T.flatten().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def counts_to_mask(counts: list[int], size: Size) -> Tensor:
    """The mask [H, W] bool with these counts: the inverse of `mask_to_counts`."""
    pixels: list[bool] = []
    for i, count in enumerate(counts):
        pixels += [i % 2 == 1] * count
    return torch.tensor(pixels, dtype=torch.bool).reshape(size[1], size[0]).T


def counts_to_string(counts: list[int]) -> bytes:
    """COCO's string for a mask's counts."""
    string = bytearray()
    for i, count in enumerate(counts):
        number = count - counts[i - 2] if i > 2 else count
        while True:
            piece, number = number & 31, number >> 5
            # A piece can be the last if its sign bit stands for all bits that are left out.
            is_last = number == (-1 if piece & 16 else 0)
            string.append(FIRST_CHARACTER + piece + (0 if is_last else MORE))
            if is_last:
                break
    return bytes(string)


def string_to_counts(string: bytes) -> list[int]:
    """The counts in COCO's string: the inverse of `counts_to_string`."""
    counts: list[int] = []
    number = n_bits = 0
    for character in string:
        piece = character - FIRST_CHARACTER
        number += (piece & 31) << n_bits
        n_bits += 5
        if piece & MORE:
            continue
        if piece & 16:
            number -= 1 << n_bits  # it is negative
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number = n_bits = 0
    return counts


def compress(masks: RLEMasks) -> list[bytes]:
    """COCO's string for each of N masks of one size."""
    counts, n_counts = _counts(masks)
    position = _position_in_group(n_counts)
    numbers = np.where(position > 2, counts - np.roll(counts, 2), counts)
    characters, n_characters = _characters(numbers)
    mask = np.arange(len(masks)).repeat(n_counts)
    ends = np.bincount(mask, n_characters, len(masks)).astype(int).cumsum().tolist()
    text = characters.tobytes()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def decompress(strings: list[bytes], size: Size | np.ndarray) -> RLEMasks:
    """The masks in COCO's strings: the inverse of `compress`. size: as in `RLEMasks`.

    Raises ValueError if the counts of a string do not add up to the pixels of its image.
    """
    numbers, n_numbers = _numbers(strings)
    counts, n_pairs = _undo_differences(numbers, n_numbers)
    ends = counts.sum(axis=1).cumsum()  # of each run of 1, as if all masks were one
    n_pixels = np.broadcast_to(size[0] * size[1], len(strings))
    if (counts < 0).any() or (ends[n_pairs.cumsum() - 1] != n_pixels.cumsum()).any():
        raise _does_not_add_up()
    kept = counts[:, 1] > 0
    return RLEMasks((ends - counts[:, 1])[kept], ends[kept], len(strings), size)


def _counts(masks: RLEMasks) -> tuple[np.ndarray, np.ndarray]:
    """The counts [n] of all masks, and how many each mask [N] has."""
    n_pixels, run_offsets = masks.size[0] * masks.size[1], masks.run_offsets
    n_runs = np.diff(run_offsets)
    mask = np.arange(len(masks)).repeat(n_runs)
    edges = np.stack((masks.start, masks.end), axis=1) - (mask * n_pixels)[:, None]
    edges = np.insert(edges.ravel(), 2 * run_offsets[1:], n_pixels)  # where the last 0s end
    n_edges = 2 * n_runs + 1
    position = _position_in_group(n_edges)
    counts = edges - np.where(position > 0, np.roll(edges, 1), 0)
    # A mask whose last pixel is 1 has no last run of 0.
    exists = (counts > 0) | (position < n_edges.repeat(n_edges) - 1)
    return counts[exists], n_edges - (counts[n_edges.cumsum() - 1] == 0)


def _characters(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The characters of all numbers [n] in one array, and how many each number [n] has."""
    piece = np.arange(MAX_PIECES + 1)
    # What is left for a piece to say, with the sign bit of the piece before it.
    rest = numbers[:, None] >> (5 * piece - 1).clip(0)
    needed = (piece == 0) | ((rest != 0) & (rest != -1))  # [n, pieces + 1]
    values = (numbers[:, None] >> 5 * piece[:-1]) & 31
    characters = (FIRST_CHARACTER + values + MORE * needed[:, 1:]).astype(np.uint8)
    return characters[needed[:, :-1]], needed.sum(axis=1)


def _numbers(strings: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers [n] in all strings, and how many each string [N] has."""
    pieces = np.frombuffer(b"".join(strings), dtype=np.uint8) - np.uint8(FIRST_CHARACTER)
    last = np.flatnonzero(pieces & MORE == 0)  # each number's last piece
    n_pieces = np.diff(last, prepend=-1)
    numbers = (pieces[last].astype(np.int64) & 31 ^ 16) - 16  # with the sign
    for i in range(1, n_pieces.max(initial=1)):
        longer = np.flatnonzero(n_pieces > i)
        numbers[longer] = 32 * numbers[longer] + (pieces[last[longer] - i] & 31)

    string_ends = np.cumsum([len(string) for string in strings], dtype=np.int64)
    number_ends = np.searchsorted(last, string_ends)
    n_numbers = np.diff(number_ends, prepend=0)
    if (n_numbers == 0).any() or (last[number_ends - 1] != string_ends - 1).any():
        raise _does_not_add_up()  # a string is empty, or ends within a number
    return numbers, n_numbers


def _undo_differences(numbers: np.ndarray, n_numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The counts [pairs, 2] of all masks, in pairs of a run of 0 and a run of 1.

    Also, how many pairs each mask [N] has; where its last run of 1 is missing, it gets length 0.
    """
    is_odd = n_numbers % 2
    n_pairs = (n_numbers + is_odd) // 2
    after = n_pairs.cumsum()  # the row after each mask's last pair
    first = after - n_pairs
    padded = np.zeros(2 * n_pairs.sum(), dtype=np.int64)
    padded[np.arange(len(numbers)) + (is_odd.cumsum() - is_odd).repeat(n_numbers)] = numbers

    # Counts are sums of the differences, down the columns. Only a mask's very first is no summand.
    pairs = padded.reshape(-1, 2).T.copy()  # two long rows are summed faster
    first_counts = pairs[0, first]
    pairs[0, first] = 0
    sums = pairs.cumsum(axis=1)
    sums -= (sums[:, first] - pairs[:, first]).repeat(n_pairs, axis=1)  # of the masks before
    sums[0, first] = first_counts
    sums[1, after[is_odd == 1] - 1] = 0
    return sums.T, n_pairs


def _position_in_group(group_sizes: np.ndarray) -> np.ndarray:
    """0, 1, ... within each of several groups that lie one after another."""
    starts = group_sizes.cumsum() - group_sizes
    return np.arange(group_sizes.sum()) - starts.repeat(group_sizes)


def _does_not_add_up() -> ValueError:
    return ValueError("the mask's runs do not add up to the image's pixels")
