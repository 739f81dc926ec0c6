"""Run-length encoded masks against their pixels, and their strings against pycocotools."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from torch.nn.functional import interpolate

from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.regions import decode_mask
from mrcnn_edu.data.rle import RLEMasks, common_pixels, decode_masks, encode_masks, resize_masks
from mrcnn_edu.data.rle_codec import (
    compress,
    counts_to_mask,
    counts_to_string,
    decompress,
    mask_to_counts,
    string_to_counts,
)
from mrcnn_edu.evaluate.encoded_masks import EncodedMasks


def _random_masks():
    """Masks [N, H, W] of all kinds: N may be 0; empty, full, noise, stripes, one pixel wide."""
    rng = np.random.default_rng(0)
    for i in range(200):
        n, height, width = rng.integers(0, 5), *rng.integers(1, 9 if i % 10 else 200, size=2)
        masks = rng.random((n, height, width)) < rng.choice([0, 0.05, 0.5, 0.95, 1])
        if i % 3 == 0:  # whole columns: runs that continue in the next one
            masks = masks[:, :1].repeat(height, axis=1)
        yield torch.from_numpy(masks)


def _strings_of_pycocotools(masks):
    pixels = masks.numpy().astype(np.uint8)
    return [coco.encode(np.asfortranarray(mask))["counts"] for mask in pixels]


def test_encoded_masks_have_the_pixels_areas_and_boxes_of_the_masks():
    for masks in _random_masks():
        encoded = encode_masks(masks)
        assert torch.equal(decode_masks(encoded), masks)
        assert encoded.areas().tolist() == masks.sum(dim=(1, 2)).tolist()
        boxes = [[0, 0, 0, 0] for _ in masks]
        for box, mask in zip(boxes, masks, strict=True):
            y, x = torch.where(mask)
            if len(x) > 0:
                box[:] = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
        assert encoded.boxes().tolist() == masks_to_boxes(masks).tolist() == boxes


def test_rows_are_taken_in_any_order_and_several_times():
    rng = np.random.default_rng(1)
    for masks in _random_masks():
        if len(masks) > 0:
            rows = rng.integers(0, len(masks), size=rng.integers(0, 8))
            assert torch.equal(decode_masks(encode_masks(masks).take(rows)), masks[rows])


def test_common_pixels():
    generator = torch.Generator().manual_seed(0)
    for masks in _random_masks():
        others = torch.rand(masks.shape, generator=generator) < 0.5
        expected = (masks & others).sum(dim=(1, 2)).tolist()
        assert common_pixels(encode_masks(masks), encode_masks(others)).tolist() == expected


def test_masks_of_different_sizes_can_be_joined():
    rng, cases = np.random.default_rng(2), list(_random_masks())
    for start in range(0, len(cases), 8):
        masks = cases[start : start + 8]
        others = [torch.from_numpy(rng.random(m.shape) < 0.5) for m in masks]
        joined = RLEMasks.join([encode_masks(m) for m in masks])
        joined_others = RLEMasks.join([encode_masks(m) for m in others])
        compressed = EncodedMasks.join([EncodedMasks.from_rle(encode_masks(m)) for m in masks])
        flat = [mask for m in masks for mask in m]
        flat_others = [mask for m in others for mask in m]
        rows = rng.integers(0, len(flat), size=rng.integers(0, 20))
        expected = [int((flat[row] & flat_others[row]).sum()) for row in rows]
        for all_masks in (joined, compressed):
            assert len(all_masks) == len(flat)
            areas = [encode_masks(m).areas() for m in masks]
            boxes = [encode_masks(m).boxes() for m in masks]
            assert np.array_equal(all_masks.areas(), np.concatenate(areas))
            assert np.array_equal(all_masks.boxes(), np.concatenate(boxes))
            common = common_pixels(all_masks.take(rows), joined_others.take(rows))
            assert common.tolist() == expected


def test_counts_and_string_of_a_small_mask():
    mask = torch.tensor([[0, 1, 1], [0, 1, 0]]).bool()
    assert mask_to_counts(mask) == [2, 3, 1]  # down the columns: 0 0, 1 1, 1 0
    assert counts_to_mask([2, 3, 1], (2, 3)).equal(mask)
    assert mask_to_counts(~mask) == [0, 2, 3, 1]
    assert counts_to_string([2, 3, 1]) == b"231"
    # The fourth is 1 - 2 = -1, in 5 bits 11111, and "0" + 31 = "O".
    assert counts_to_string([0, 2, 3, 1]) == b"023O"
    # 100 is 00011 00100 in binary: the lower piece first, plus 32 as another follows.
    assert counts_to_string([100]) == bytes([48 + 0b00100 + 32, 48 + 0b00011])


def test_the_readable_codec_equals_the_fast_one():
    for masks in _random_masks():
        strings = compress(encode_masks(masks))
        counts = [mask_to_counts(mask) for mask in masks]
        assert [counts_to_string(c) for c in counts] == strings
        assert [string_to_counts(string) for string in strings] == counts
        for mask, c in zip(masks, counts, strict=True):
            assert counts_to_mask(c, tuple(mask.shape)).equal(mask)


def test_strings_equal_those_of_pycocotools_and_are_decompressed():
    for masks in _random_masks():
        encoded = encode_masks(masks)
        strings = compress(encoded)
        assert strings == _strings_of_pycocotools(masks)
        again = decompress(strings, encoded.size)
        assert np.array_equal(again.start, encoded.start)
        assert np.array_equal(again.end, encoded.end)
        height, width = masks.shape[1:]
        for mask, string in zip(masks, strings, strict=True):
            region = {"size": [height, width], "counts": string}
            assert torch.equal(decode_mask(region, height, width), mask)


def test_counts_of_many_digits():
    masks = torch.zeros(2, 1500, 1500, dtype=torch.bool)
    masks[0, :, 3:1400] = True
    masks[1, 5, 7] = masks[1, 1490, 1490] = True
    strings = compress(encode_masks(masks))
    assert strings == _strings_of_pycocotools(masks)
    assert [counts_to_string(string_to_counts(string)) for string in strings] == strings
    assert torch.equal(decode_masks(decompress(strings, (1500, 1500))), masks)


def test_damaged_strings_are_refused():
    masks = torch.eye(20).bool()[None].repeat(2, 1, 1)
    good = compress(encode_masks(masks))
    assert decompress(good, (20, 20)).n == 2
    wrong_ends = [good[0], b""], [good[0][:-2], good[1]], [good[0] + b"1", good[1]]
    unfinished = [good[0] + b"P", good[1]], [good[0], good[1] + b"P"], [b"P"]
    for strings in (*wrong_ends, *unfinished, [b"~~~"]):
        with pytest.raises(ValueError, match="do not add up"):
            decompress(strings, (20, 20))
    with pytest.raises(ValueError, match="do not add up"):
        decompress(good, (20, 21))


def test_masks_are_resized_as_their_pixels_would_be():
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        n, *sides = torch.randint(0, 60, (5,), generator=generator).tolist()
        height, width, new_height, new_width = (max(side, 1) for side in sides)
        pixels = torch.rand(n % 5, height, width, generator=generator) < 0.1 * (n % 9)
        size = new_height, new_width
        expected = torch.zeros(0, *size, dtype=torch.bool)
        if len(pixels):
            expected = interpolate(pixels[:, None].byte(), size=size, mode="nearest-exact")
            expected = expected[:, 0].bool()
        assert torch.equal(resize_masks(encode_masks(pixels), size), expected)
    two = encode_masks(torch.ones(2, 4, 6, dtype=torch.bool))
    assert two.resized(torch.tensor([False, True]), (2, 3)).tolist() == [[[True] * 3] * 2]
