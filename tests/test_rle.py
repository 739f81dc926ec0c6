"""Masks as runs against pixels and against pycocotools."""

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from mrcnn_edu.data.regions import decode_mask
from mrcnn_edu.data.rle import (
    RLEMasks,
    common_pixels,
    decode_masks,
    encode_masks,
)
from mrcnn_edu.data.rle_codec import compress, decompress
from mrcnn_edu.evaluate.encoded_masks import EncodedMasks


def _random_masks():
    """Masks [N, H, W] of all kinds: none at all, empty, full, noise, blocks, one pixel wide."""
    rng = np.random.default_rng(0)
    for i in range(200):
        n, height, width = rng.integers(0, 5), *rng.integers(1, 9 if i % 10 else 200, size=2)
        masks = rng.random((n, height, width)) < rng.choice([0, 0.05, 0.5, 0.95, 1])
        if i % 3 == 0:  # whole columns: runs that go on in the next one
            masks = masks[:, :1].repeat(height, axis=1)
        yield torch.from_numpy(masks)


def test_runs_hold_the_masks():
    for masks in _random_masks():
        runs = encode_masks(masks)
        assert torch.equal(decode_masks(runs), masks)
        assert runs.areas().tolist() == masks.sum(dim=(1, 2)).tolist()
        boxes = [[0, 0, 0, 0] for _ in masks]
        for n, mask in enumerate(masks):
            y, x = torch.where(mask)
            if len(x):
                boxes[n] = [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
        assert runs.boxes().tolist() == boxes


def test_rows_are_taken_in_any_order_and_several_times():
    rng = np.random.default_rng(1)
    for masks in _random_masks():
        if len(masks):
            rows = rng.integers(0, len(masks), size=rng.integers(0, 8))
            assert torch.equal(decode_masks(encode_masks(masks).take(rows)), masks[rows])


def test_common_pixels():
    generator = torch.Generator().manual_seed(0)
    for masks in _random_masks():
        others = torch.rand(masks.shape, generator=generator) < 0.5
        expected = (masks & others).sum(dim=(1, 2)).tolist()
        assert common_pixels(encode_masks(masks), encode_masks(others)).tolist() == expected


def test_masks_of_different_sizes_lie_on_one_strip():
    rng, cases = np.random.default_rng(2), list(_random_masks())
    for start in range(0, len(cases), 8):
        masks = cases[start : start + 8]
        others = [torch.from_numpy(rng.random(m.shape) < 0.5) for m in masks]
        runs, other_runs = (
            RLEMasks.join([encode_masks(m) for m in side]) for side in (masks, others)
        )
        packed = EncodedMasks.join([EncodedMasks.from_rle(encode_masks(m)) for m in masks])
        flat, flat_others = ([mask for m in side for mask in m] for side in (masks, others))
        rows = rng.integers(0, len(flat), size=rng.integers(0, 20))
        expected = [int((flat[row] & flat_others[row]).sum()) for row in rows]
        for joined in (runs, packed):
            assert len(joined) == len(flat)
            for name in ("areas", "boxes"):
                each = [getattr(encode_masks(m), name)() for m in masks]
                assert np.array_equal(getattr(joined, name)(), np.concatenate(each))
            common = common_pixels(joined.take(rows), other_runs.take(rows))
            assert common.tolist() == expected


def test_strings_equal_pycocotools_and_lead_back():
    for masks in _random_masks():
        runs = encode_masks(masks)
        strings = compress(runs)
        theirs = [rle.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks.numpy()]
        assert strings == [one["counts"] for one in theirs]
        back = decompress(strings, runs.size)
        assert np.array_equal(back.start, runs.start) and np.array_equal(back.end, runs.end)
        for mask, region in zip(masks, theirs, strict=True):
            assert torch.equal(decode_mask(region, *runs.size), mask)


def test_lengths_of_many_digits():
    masks = torch.zeros(2, 1500, 1500, dtype=torch.bool)
    masks[0, :, 3:1400] = True
    masks[1, 5, 7] = masks[1, 1490, 1490] = True
    strings = compress(encode_masks(masks))
    theirs = [rle.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks.numpy()]
    assert strings == [one["counts"] for one in theirs]
    assert torch.equal(decode_masks(decompress(strings, (1500, 1500))), masks)


def test_damaged_strings_are_refused():
    masks = torch.eye(20).bool()[None].repeat(2, 1, 1)
    good = compress(encode_masks(masks))
    assert decompress(good, (20, 20)).n == 2
    bad_ends = [good[0], b""], [good[0][:-2], good[1]], [good[0] + b"1", good[1]]
    unfinished = [good[0] + b"P", good[1]], [good[0], good[1] + b"P"], [b"P"]
    for bad in (*bad_ends, *unfinished, [b"~~~"]):
        with pytest.raises(ValueError, match="do not add up"):
            decompress(bad, (20, 20))
    with pytest.raises(ValueError, match="do not add up"):
        decompress(good, (20, 21))
