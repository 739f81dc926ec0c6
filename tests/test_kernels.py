"""The Triton kernels, run by Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

pytest.importorskip("triton")

from torchvision.ops import nms as torchvision_nms

from mrcnn_edu import roi_ops
from mrcnn_edu.kernels.nms import triton_nms
from mrcnn_edu.kernels.roi_align import triton_roi_align
from mrcnn_edu.nms import batched_nms, nms_keep_mask
from mrcnn_edu.roi_ops import align_rois, feature_table, pool_pyramid, pyramid_level

MODULE = sys.modules["mrcnn_edu.roi_ops.roi_align"]  # the name alone is the function
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2, torch.float16: 2e-3}


@pytest.fixture(autouse=True)
def _the_oracle_is_the_embedding_bag(monkeypatch):
    """On a GPU `align` would be the kernel itself."""
    monkeypatch.setattr(MODULE, "use_triton", lambda *_: False)


@pytest.fixture
def pyramid(random_boxes):
    """A function to (maps, level, image, boxes in cells) of n RoIs on two levels of two images."""

    def case(n, channels=5):
        shapes = (2, channels, 9, 13), (2, channels, 5, 7)
        maps = [torch.randn(shape, dtype=torch.float64, device=DEVICE) for shape in shapes]
        boxes = random_boxes(n, size=13, dtype=torch.float64).to(DEVICE)  # in and around the map
        level = pyramid_level(boxes, (4, 8), canonical_size=24)
        image = torch.randint(0, 2, (n,), device=DEVICE)
        return maps, level, image, boxes

    return case


def bins(pooled):
    """What `triton_roi_align` gives, [R * P * P, C], of RoI features [R, C, P, P]."""
    return pooled.permute(0, 2, 3, 1).flatten(0, 2)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("size", "points", "channels"), [(3, (2, 2), 5), (1, (1, 3), 130)])
def test_it_gives_the_embedding_bags_numbers_and_gradients(pyramid, dtype, size, points, channels):
    maps, *rois = pyramid(4, channels)
    maps = [m.to(dtype).requires_grad_() for m in maps]
    exact = [m.detach().double().requires_grad_() for m in maps]
    ours = triton_roi_align(feature_table(maps), *rois, size, points, 1.0)
    expected = bins(align_rois(feature_table(exact), *rois, size, points))
    assert ours.dtype == dtype
    assert_close(ours.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    slope = torch.randn_like(expected)
    ours.backward(slope.to(dtype))
    expected.backward(slope.to(dtype).double())
    tolerance = {"rtol": TOLERANCE[dtype], "atol": 4 * TOLERANCE[dtype]}
    for own, other in zip(maps, exact, strict=True):
        assert_close(own.grad.double(), other.grad, **tolerance)


@pytest.mark.parametrize(
    "box",
    [
        [-9, -9, -3, -3],  # off the map
        [12, 8, 30, 30],  # mostly off it
        [2, 2, 2, 2],  # without area: one cell at least
        [-1e6, -1e6, 1e6, 1e6],
        [1e6, 1e6, 2e6, 2e6],
        [0, 0, 13, 9],
        [12.5, 8.5, 13, 9],
    ],
)
def test_boxes_off_the_map_huge_and_empty(pyramid, box):
    maps, level, image, _ = pyramid(1)
    boxes = torch.tensor([box], dtype=torch.float64, device=DEVICE)
    where = feature_table(maps), level, image, boxes
    for min_size in (0.0, 1.0):
        expected = bins(align_rois(*where, 2, 2, min_size=min_size))
        assert_close(triton_roi_align(*where, 2, (2, 2), min_size), expected)


@pytest.mark.parametrize("min_size", [0.0, 1.0])
def test_as_many_points_as_a_roi_has_cells(pyramid, min_size):
    maps, level, image, boxes = pyramid(6, channels=1)
    boxes[0, 2:] = boxes[0, :2]  # without area
    where = feature_table([m.requires_grad_() for m in maps]), level, image, boxes
    expected = bins(align_rois(*where, 2, -1, min_size=min_size))
    ours = triton_roi_align(*where, 2, (-1, -1), min_size)
    assert_close(ours, expected)
    slopes = (torch.autograd.grad(pooled.square().sum(), maps) for pooled in (expected, ours))
    for slope, own in zip(*slopes, strict=True):
        assert_close(own, slope)


def test_no_rois_and_no_channels(pyramid):
    maps, *rois = pyramid(0)
    pooled = triton_roi_align(
        feature_table([m.requires_grad_() for m in maps]), *rois, 7, (2, 2), 1.0
    )
    assert pooled.shape == (0, 5)
    pooled.sum().backward()
    assert all((m.grad == 0).all() for m in maps)
    maps, *rois = pyramid(3, channels=0)
    assert triton_roi_align(feature_table(maps), *rois, 2, (2, 2), 1.0).shape == (12, 0)


def test_a_pyramid_is_pooled_by_it_where_it_is_used(monkeypatch):
    table = feature_table([torch.randn(1, 4, side, side, device=DEVICE) for side in (8, 4)])
    boxes = [torch.tensor([[3.0, 4, 11, 17], [0, 0, 30, 30]], device=DEVICE)]
    pooled = []
    for use in (False, True):
        monkeypatch.setattr(MODULE, "use_triton", lambda *_, use=use: use)
        pooled.append(pool_pyramid(table, boxes, (4, 8), 2, align_rois, canonical_size=40))
    assert_close(*pooled)


@pytest.mark.parametrize("n", [0, 1, 40])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_nms_keeps_the_same_boxes(random_boxes, monkeypatch, n, threshold):
    boxes = random_boxes(n, size=20, dtype=torch.float32).to(DEVICE).round()  # so that some tie
    boxes[: n // 8] = 0
    scores = torch.randint(0, 9, (n,), device=DEVICE) / 8
    groups = torch.randint(0, 3, (n,), device=DEVICE) * 7
    expected = torch.zeros(n, dtype=torch.bool, device=DEVICE)
    for group in groups.unique():
        rows = torch.where(groups == group)[0]
        expected[rows[torchvision_nms(boxes[rows], scores[rows], threshold)]] = True
    expected = torch.where(expected)[0]
    assert batched_nms(boxes, scores, groups, threshold).sort().values.equal(expected)
    monkeypatch.setattr("mrcnn_edu.kernels.nms.BLOCK", 16)  # a group has several blocks
    monkeypatch.setattr("mrcnn_edu.nms.nms_keep_mask", triton_nms)
    assert batched_nms(boxes, scores, groups, threshold).sort().values.equal(expected)


def test_nms_uses_it_where_there_is_a_gpu_and_triton(monkeypatch):
    class OnGPU:
        is_cuda = True

    monkeypatch.setattr("mrcnn_edu.nms.TRITON", True)
    monkeypatch.setattr("mrcnn_edu.kernels.nms.triton_nms", lambda *arguments: arguments)
    assert nms_keep_mask(OnGPU, "groups", 0.5) == (OnGPU, "groups", 0.5)


def test_division_is_rounded_as_pytorchs(pyramid):
    """21 / 7 = 3 points, not 4, for a RoI of 21 cells: 21 times float32's 1 / 7 is more than 3."""
    for dtype in (torch.float32, torch.float64):
        maps, level, image, _ = pyramid(1, channels=1)
        boxes = torch.tensor([[-9, -9, 12, 12.0]], dtype=dtype, device=DEVICE)
        table = feature_table([m.to(dtype) for m in maps])
        expected = bins(align_rois(table, level, image, boxes, 7, (3, 3), min_size=0.0))
        assert_close(triton_roi_align(table, level, image, boxes, 7, (-1, -1), 0.0), expected)


@pytest.mark.slow
def test_they_compile_for_a_gpu(tmp_path):
    """The interpreter takes all of Python; and it does not tell what stops the whole GPU."""
    own = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "compile_kernels.py"],
        cwd=Path(__file__).parent,
        env=os.environ | own,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    kernels = dict(line.split(":") for line in run.stdout.splitlines())
    assert len(kernels) == 18
    for name, kinds in kernels.items():
        adds = [kind for kind in kinds.split() if kind.startswith(("atom", "red"))]
        assert ("_backward" in name) == bool(adds) and all(".relaxed." in kind for kind in adds)
        assert "div.rn" in kinds and "div.full" not in kinds  # which rounds otherwise
        assert "membar" not in kinds and "fence" not in kinds


def test_when_it_is_used(pyramid, monkeypatch):
    monkeypatch.undo()

    class OnGPU:
        is_cuda, requires_grad = True, True

    boxes = torch.zeros(1, 4)
    monkeypatch.setattr(MODULE, "TRITON", True)
    assert roi_ops.use_triton(OnGPU, boxes, "mean")
    assert not roi_ops.use_triton(OnGPU, boxes, "max")
    assert not roi_ops.use_triton(OnGPU, boxes.clone().requires_grad_(), "mean")
    assert not roi_ops.use_triton(torch.zeros(1, 1), boxes, "mean")
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert not roi_ops.use_triton(OnGPU, boxes, "mean")
    monkeypatch.setattr(MODULE, "TRITON", False)
    assert not roi_ops.use_triton(OnGPU, boxes, "mean")
