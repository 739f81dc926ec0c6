"""RoI operations against torchvision's compiled ones, a loop over sample points, and gradients."""

import pytest
import torch
import torchvision
from torch.autograd import gradcheck
from torch.testing import assert_close
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from mrcnn_edu import roi_ops
from mrcnn_edu.roi_ops import (
    ON_TABLES,
    align_rois,
    feature_table,
    pool_pyramid,
    pool_rois,
    pyramid_level,
    roi_align,
    roi_pool,
    roi_warp,
)

STRIDES = (4, 8, 16)


@pytest.fixture
def random_case(random_boxes):
    """A function to features [B, C, H, W] of random size and rois [n, 5] in and around them."""

    def case(n, dtype=torch.float32, stride=4, whole=False):
        b, h, w = 1 + torch.randint(0, 3, ()), *torch.randint(1, 14, (2,))
        features = torch.randn(b, 3, h, w, dtype=dtype)
        image = torch.randint(0, int(b), (n, 1)).to(dtype)
        boxes = random_boxes(n, size=stride * int(max(h, w)), whole=whole, dtype=dtype)
        return features, torch.cat((image, boxes), dim=1)

    return case


# 60 maps of 40 RoIs for each setting
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3, -1])
def test_roi_align_equals_torchvisions(random_case, sampling_ratio, aligned):
    for case in range(60):
        dtype = (torch.float32, torch.float64)[case % 2]
        tolerance = (1e-5, 1e-12)[case % 2]  # features have a deviation of 1
        features, rois = random_case(40, dtype, whole=case % 3 == 0)
        arguments = features, rois, 1 + case % 7, 0.25, sampling_ratio, aligned
        expected = torchvision.ops.roi_align(*arguments)
        assert_close(roi_align(*arguments), expected, rtol=0, atol=tolerance)


def test_roi_pool_equals_torchvisions(random_case):
    for case in range(100):
        dtype = (torch.float32, torch.float64)[case % 2]
        # On whole pixels a quarter of the borders lie half-way between two cells.
        features, rois = random_case(40, dtype, whole=case % 4 > 1)
        arguments = features, rois, 1 + case % 7, 0.25
        assert torch.equal(roi_pool(*arguments), torchvision.ops.roi_pool(*arguments))


def test_roi_pool_rounds_halves_away_from_zero():
    features = torch.arange(36.0).view(1, 1, 6, 6)
    below_half = torch.nextafter(torch.tensor(0.5), torch.tensor(0.0)).item()
    for corner in (-2.5, -0.5, -below_half, below_half, 0.5, 1.5, 2.5):
        rois = torch.tensor([[0, corner, corner, 4, 4]])
        expected = torchvision.ops.roi_pool(features, rois, 2, 1.0)
        assert torch.equal(roi_pool(features, rois, 2, 1.0), expected), corner


def test_values_worked_out_by_hand():
    features = torch.arange(16.0).view(1, 1, 4, 4)  # cell (y, x) holds 4y + x
    roi = torch.tensor([[0, 0.5, 1.0, 2.5, 3.0]])
    # Interpolation of 4y + x is exact: each output is its center's value.
    centers = [[4 * 1.5 + 1, 4 * 1.5 + 2], [4 * 2.5 + 1, 4 * 2.5 + 2]]
    assert roi_align(features, roi, 2, 1.0)[0, 0].tolist() == centers
    shifted = [[v - 0.5 - 4 * 0.5 for v in row] for row in centers]  # cell i at i + 0.5
    assert roi_align(features, roi, 2, 1.0, aligned=True)[0, 0].tolist() == shifted
    # the farthest of the four points of each cell is 0.25 down and 0.25 right of its center
    farthest = [[v + 0.25 + 4 * 0.25 for v in row] for row in centers]
    assert roi_align(features, roi, 2, 1.0, reduce="max")[0, 0].tolist() == farthest
    # Rounded, the RoI is columns 1..3 and rows 1..3 (ends included); bins of 1.5 cells overlap.
    assert roi_pool(features, roi, 2, 1.0)[0, 0].tolist() == [[10, 11], [14, 15]]


def _bilinear(feature, y, x):
    """The value [C] of one map [C, H, W] at a point, by the formula of the four neighbors."""
    height, width = feature.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros(len(feature), dtype=feature.dtype)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = feature[:, top, left] * (left + 1 - x) + feature[:, top, right] * (x - left)
    lower = feature[:, bottom, left] * (left + 1 - x) + feature[:, bottom, right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_roi_align_equals_a_loop_over_its_points(random_case, reduce):
    size, s = 2, 3
    for _ in range(5):
        features, rois = random_case(6, torch.float64)
        expected = torch.zeros(len(rois), features.shape[1], size, size, dtype=torch.float64)
        for r, (image, *box) in enumerate(rois.tolist()):
            x1, y1, x2, y2 = (0.25 * side for side in box)
            step_y, step_x = max(y2 - y1, 1) / size, max(x2 - x1, 1) / size
            for i in range(size):
                for j in range(size):
                    points = [
                        _bilinear(
                            features[int(image)],
                            y1 + (i + (a + 0.5) / s) * step_y,
                            x1 + (j + (b + 0.5) / s) * step_x,
                        )
                        for a in range(s)
                        for b in range(s)
                    ]
                    points = torch.stack(points)
                    expected[r, :, i, j] = points.mean(0) if reduce == "mean" else points.amax(0)
        assert_close(roi_align(features, rois, size, 0.25, s, reduce=reduce), expected)


def test_reduce_is_checked(random_case):
    with pytest.raises(ValueError, match=r"'median'.*'mean' or 'max'"):
        roi_align(*random_case(2), 2, 0.25, reduce="median")


@pytest.mark.parametrize("name, arguments", [("roi_align", (2,)), ("roi_pool", ())])
def test_gradients_of_the_features_equal_torchvisions(random_case, name, arguments):
    for _ in range(20):
        features, rois = random_case(30)
        gradients = []
        for module in (roi_ops, torchvision.ops):
            leaf = features.clone().requires_grad_()
            pooled = getattr(module, name)(leaf, rois, 3, 0.25, *arguments)
            slope = torch.linspace(-1, 1, pooled.numel()).view(pooled.shape)
            (pooled * slope).sum().backward()
            gradients.append(leaf.grad)
        assert_close(*gradients, rtol=0, atol=1e-4)  # a sum over up to 30 RoIs


@pytest.mark.parametrize("sampling_ratio, reduce", [(2, "mean"), (2, "max"), (-1, "mean")])
def test_gradients_equal_finite_differences(sampling_ratio, reduce):
    features = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    image = torch.tensor([[0.0], [1], [1]], dtype=torch.float64)
    boxes = torch.tensor([[2.1, 3.3, 13.7, 16.2], [-3.2, 4.9, 8.8, 30.3], [9.1, 2.6, 10.3, 4.4]])
    boxes = boxes.double().requires_grad_()  # inside, partly outside, smaller than a cell

    def pooled(features, boxes):
        rois = torch.cat((image, boxes), dim=1)
        return roi_align(features, rois, 2, 0.25, sampling_ratio, reduce=reduce)

    assert gradcheck(pooled, (features, boxes))


def test_gradients_of_roi_pool_equal_finite_differences():
    features = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 2.1, 3.3, 13.7, 16.2], [0, -9, 4, 8, 50]], dtype=torch.float64)
    assert gradcheck(lambda f: roi_pool(f, rois, 2, 0.25), (features,))


@pytest.mark.parametrize("sampling_ratio", [2, -1])
def test_no_rois_give_no_features_and_no_gradient(sampling_ratio):
    features, rois = torch.randn(2, 3, 4, 5, requires_grad=True), torch.zeros(0, 5)
    for pooled in (
        roi_align(features, rois, 7, 0.25, sampling_ratio),
        roi_align(features, rois, 7, 0.25, sampling_ratio, reduce="max"),
        roi_pool(features, rois, 7, 0.25),
    ):
        assert pooled.shape == (0, 3, 7, 7)
        (gradient,) = torch.autograd.grad(pooled.sum(), features)
        assert not gradient.any()


def test_a_pyramid_is_one_table():
    features = [torch.randn(2, 3, 4, 5), torch.randn(2, 3, 2, 3)]
    table = feature_table(features)
    assert table.rows.shape == (2 * 4 * 5 + 2 * 2 * 3, 3)
    first, height, width = table.map_offsets(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]))
    assert first.tolist() == [20, 40, 46]
    assert height.tolist() == [4, 2, 2] and width.tolist() == [5, 3, 3]
    assert torch.equal(table.rows[46 + 1 * 3 + 2], features[1][1, :, 1, 2])


def test_levels_at_the_borders():
    sides = torch.tensor([0.0, 1, 111.9, 112, 223.9, 224, 447.9, 448, 5000])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), dim=1)
    assert pyramid_level(boxes, (4, 8, 16, 32)).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    wide = torch.tensor([[10.0, 10, 10 + 4 * 112, 10 + 28]])  # the area counts: side 112
    assert pyramid_level(wide, (4, 8, 16, 32)).tolist() == [1]
    assert pyramid_level(boxes, (8, 16), canonical_size=112).tolist() == [0] * 3 + [1] * 6


def test_levels_equal_torchvisions(random_boxes):
    at_the_border = torch.rand(200, 2) * 100  # corners at which 112 pixels are rounded up or down
    at_the_border = torch.cat((at_the_border, at_the_border + 112), dim=1)
    boxes = torch.cat((random_boxes(500, size=800), at_the_border))
    expected = LevelMapper(2, 5)([boxes])
    assert torch.equal(pyramid_level(boxes, (4, 8, 16, 32)), expected)
    assert expected.unique().tolist() == [0, 1, 2, 3]


@pytest.fixture
def random_pyramid(random_boxes):
    """Features of two images of 96 x 128 pixels at strides 4, 8, 16, and the images' boxes."""

    def pyramid(n, size=120):
        features = [torch.randn(2, 3, 96 // s, 128 // s) for s in STRIDES]
        return features, [random_boxes(n, size), random_boxes(n // 3, size)]

    return pyramid


def _pool_with_torchvision(features, boxes, output_size):
    pooler = MultiScaleRoIAlign(["0", "1", "2"], output_size, 2, canonical_scale=56)
    names = dict(zip(pooler.featmap_names, features, strict=True))
    return pooler(names, boxes, [(96, 128)] * len(boxes))


# 20: no box is large enough for the coarsest level
@pytest.mark.parametrize("n, size", [(60, 120), (1, 120), (0, 120), (60, 20)])
def test_pool_pyramid_equals_torchvisions(random_pyramid, n, size):
    features, boxes = random_pyramid(n, size)
    levels = pyramid_level(torch.cat(boxes), STRIDES, 56).unique().tolist()
    if n == 60:
        assert levels == ([0, 1, 2] if size == 120 else [0])
    gradients = []
    for pool in (
        lambda f: pool_pyramid(feature_table(f), boxes, STRIDES, 7, align_rois, canonical_size=56),
        lambda f: _pool_with_torchvision(f, boxes, 7),
    ):
        leaves = [level.clone().requires_grad_() for level in features]
        pooled = pool(leaves)
        gradients.append((pooled.detach(), *torch.autograd.grad(pooled.square().sum(), leaves)))
    assert_close(*gradients, rtol=0, atol=1e-4)


def test_pool_pyramid_by_roi_pool(random_pyramid):
    features, boxes = random_pyramid(30)
    pooled = pool_pyramid(feature_table(features), boxes, STRIDES, 7, pool_rois, canonical_size=56)
    image = torch.tensor([[0.0]] * 30 + [[1.0]] * 10)
    rois = torch.cat((image, torch.cat(boxes)), dim=1)
    levels = pyramid_level(rois[:, 1:], STRIDES, 56)
    for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
        expected = torchvision.ops.roi_pool(feature, rois[levels == level], 7, 1 / stride)
        assert torch.equal(pooled[levels == level], expected)


def _rois(boxes):
    return torch.cat((torch.zeros(len(boxes), 1), boxes), dim=1)


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_roi_warp_is_roi_align_of_the_rounded_roi(random_boxes, reduce):
    features = torch.rand(1, 5, 16, 16)
    boxes = random_boxes(50)
    warped = roi_warp(features, _rois(boxes), 7, 1 / 4, reduce=reduce)
    at_whole_cells = torch.floor(boxes / 4 + 0.5) * 4  # no half is negative here, or it is rare
    same = (boxes >= 0).all(dim=1)
    aligned = roi_align(features, _rois(at_whole_cells), 7, 1 / 4, reduce=reduce)
    assert same.sum() > 20
    assert_close(warped[same], aligned[same])
    assert not torch.allclose(warped, roi_align(features, _rois(boxes), 7, 1 / 4, reduce=reduce))


def test_roi_warp_rounds_once_roi_pool_twice_and_roi_align_never():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)  # a cell's value is its column
    shifts = torch.arange(0, 8, 0.25)  # pixels, of a stride of 16
    boxes = torch.tensor([80.0, 80, 192, 192]) + shifts[:, None]
    center = {
        op.__name__: op(ramp, _rois(boxes), 7, 1 / 16).mean(dim=(1, 2, 3))
        for op in (roi_align, roi_warp, roi_pool)
    }
    steps = {name: values.diff() for name, values in center.items()}
    assert_close(steps["roi_align"], torch.full((31,), 0.25 / 16))
    assert (steps["roi_warp"] == 0).all() and (steps["roi_pool"] == 0).all()


def test_only_roi_align_tells_the_box_where_to_go():
    features = torch.rand(1, 3, 16, 16, requires_grad=True)
    for op in (roi_align, roi_warp, roi_pool):
        rois = _rois(torch.tensor([[8.5, 9.5, 40, 50]])).requires_grad_()  # 50 is half a cell
        op(features, rois, 7, 1 / 4).square().sum().backward()
        assert (rois.grad is not None and (rois.grad[:, 1:] != 0).all()) == (op is roi_align)


def test_a_pyramid_is_pooled_by_every_operation(random_boxes):
    features = [torch.rand(1, 4, 32 // 2**i, 32 // 2**i) for i in range(2)]
    boxes = random_boxes(40, size=128)
    level = pyramid_level(boxes, (4, 8), 60)
    for name, op in (("align", roi_align), ("warp", roi_warp), ("pool", roi_pool)):
        on_table = ON_TABLES[name]
        pooled = pool_pyramid(feature_table(features), [boxes], (4, 8), 7, on_table, 60)
        for i, stride in enumerate((4, 8)):
            here = level == i
            assert here.any()
            assert_close(pooled[here], op(features[i], _rois(boxes[here]), 7, 1 / stride))


def test_what_aggregates_points_is_checked():
    for op in (roi_align, roi_warp):
        with pytest.raises(ValueError, match=r"'median'.*'mean' or 'max'"):
            op(torch.rand(1, 3, 8, 8), torch.zeros(1, 5), 7, 0.25, reduce="median")


def test_rois_of_boxes_on_an_image():
    boxes = torch.rand(3, 4, dtype=torch.float64)
    rois = roi_ops.boxes_to_rois(boxes, 2)
    assert rois.dtype == torch.float64 and rois[:, 0].tolist() == [2, 2, 2]
    assert torch.equal(rois[:, 1:], boxes)
    assert torch.equal(roi_ops.boxes_to_rois(boxes[0]), torch.cat((torch.zeros(1), boxes[0]))[None])
    assert roi_ops.boxes_to_rois(boxes[:0]).shape == (0, 5)
