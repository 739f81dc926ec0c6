"""Choosing boxes against torchvision's RoIHeads, and pasting masks where the answer is known."""

import math

import paste_masks as benchmark
import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.roi_heads import RoIHeads

from mrcnn_edu.detections import (
    Detections,
    SelectedBoxes,
    interpolation_weights,
    paste_masks,
    predicted_masks,
    rescale_detections,
    select_detections,
)
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.kernels.paste import paste_on_gpu

SIZE = (48, 64)  # (height, width)


def _select(logits, deltas, proposals, threshold=0.05, most=100):
    return select_detections([logits], [deltas], [proposals], [SIZE], threshold, 0.5, most)[0]


def _select_with_torchvision(logits, deltas, proposals, threshold=0.05, most=100):
    sampler = 0.5, 0.5, 512, 0.25  # takes no part here
    heads = RoIHeads(None, None, None, *sampler, BOX_SCALE, threshold, 0.5, most)
    found = heads.postprocess_detections(logits, deltas.flatten(1), [proposals], [SIZE])
    return [part[0] for part in found]


def _random_predictions(random_boxes, n_rois, n_classes):
    logits = 2 * torch.randn(n_rois, n_classes + 1)
    return logits, torch.randn(n_rois, n_classes + 1, 4), random_boxes(n_rois)


def test_selection_equals_torchvisions(random_boxes):
    for case in range(100):
        n_rois, n_classes = torch.randint(1, 40, ()), torch.randint(1, 6, ())
        predictions = _random_predictions(random_boxes, n_rois, n_classes)
        threshold, most = (0.05, 0.3, 0.9)[case % 3], (100, 5)[case % 2]
        boxes, scores, labels = _select_with_torchvision(*predictions, threshold, most)
        ours = _select(*predictions, threshold, most)
        assert ours.labels.tolist() == labels.tolist(), f"case {case}"
        assert_close((ours.boxes, ours.scores), (boxes, scores))


def test_selection_from_a_thousand_rois_equals_torchvisions(random_boxes):
    predictions = _random_predictions(random_boxes, 1000, 4)
    boxes, scores, labels = _select_with_torchvision(*predictions)
    ours = _select(*predictions)
    assert len(labels) == 100 and ours.labels.tolist() == labels.tolist()
    assert_close((ours.boxes, ours.scores), (boxes, scores))


def test_a_selection_worked_out_by_hand():
    proposals = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [40, 20, 50, 90]])
    probs = torch.tensor([[0.05, 0.9, 0.05], [0.1, 0.6, 0.3], [0.15, 0.05, 0.8]])
    found = _select(probs.log(), torch.zeros(3, 3, 4), proposals, threshold=0.1)
    # The second RoI is a copy of the first for class 1 but not for class 2; the third is clipped.
    assert found.labels.tolist() == [1, 2, 2]
    assert_close(found.scores, torch.tensor([0.9, 0.8, 0.3]))
    assert found.boxes.tolist() == [[0, 0, 10, 10], [40, 20, 50, 48], [0, 0, 10, 9]]


def test_boxes_outside_the_image_are_dropped():
    proposals = torch.tensor([[-20.0, 0, -10, 10], [64, 10, 70, 20], [60, 40, 70, 50]])
    found = _select(torch.tensor([[0.0, 9]] * 3), torch.zeros(3, 2, 4), proposals)
    assert found.boxes.tolist() == [[60, 40, 64, 48]]


def test_nothing_selected():
    no_rois = torch.zeros(0, 4), torch.zeros(0, 4, 4), torch.zeros(0, 4)
    no_score = torch.zeros(2, 4), torch.zeros(2, 4, 4), torch.tensor([[0.0, 0, 9, 9]] * 2)
    for predictions in (no_rois, no_score):
        found = _select(*predictions, threshold=0.25)  # every score is 0.25: it must be more
        assert [part.shape for part in found] == [(0, 4), (0,), (0,)]


def _pixel_centers():
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in SIZE), indexing="ij")
    return y.double(), x.double()


def _inside(box, y, x):
    return (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])


def test_a_full_mask_fills_its_box_but_for_corners(random_boxes):
    y, x = _pixel_centers()
    tiny = torch.tensor([[3.4, 5.4, 3.6, 5.6], [3.6, 5.4, 4.4, 5.6], [7.0, 7, 7.001, 9]])
    boxes = torch.cat((random_boxes(200), random_boxes(50, whole=True), tiny)).double()
    masks = paste_masks(torch.ones(len(boxes), 28, 28).double(), boxes, SIZE)
    side = (boxes[:, 2:] - boxes[:, :2]) / 56  # half a cell, within which masks fade to zero
    across, down = (
        side[:, :1] * torch.tensor([1, 0, -1, 0]),
        side[:, 1:] * torch.tensor([0, 1, 0, -1]),
    )
    for box, narrow, low, mask in zip(boxes, boxes + across, boxes + down, masks, strict=True):
        assert not mask[~_inside(box, y, x)].any()
        assert mask[_inside(narrow, y, x) | _inside(low, y, x)].all()  # one side is near, not two
    assert masks.flatten(1).sum(1)[-3:].tolist() == [1, 0, 0]


def test_an_empty_mask_and_a_box_outside_fill_nothing():
    box = torch.tensor([[5.0, 5, 40, 40]])
    assert not paste_masks(torch.full((1, 28, 28), 0.49), box, SIZE).any()
    outside = torch.tensor([[-20.0, 5, -1, 9], [64, 0, 80, 9], [0, 48, 9, 60], [-9, -9, 0, 0]])
    assert not paste_masks(torch.ones(4, 28, 28), outside, SIZE).any()


def test_a_gpu_pastes_the_same_masks(random_boxes):
    boxes, probs = torch.cat((random_boxes(40), torch.ones(1, 4))), torch.rand(41, 7, 7)
    expected = paste_masks(probs, boxes, SIZE)
    rows = interpolation_weights(boxes[:, 1], boxes[:, 3], SIZE[0], 7)
    columns = interpolation_weights(boxes[:, 0], boxes[:, 2], SIZE[1], 7)
    assert expected.any() and paste_on_gpu(rows, probs, columns, 0.5).equal(expected)
    assert paste_on_gpu(rows[:0], probs[:0], columns[:0], 0.5).shape == (0, *SIZE)


def test_one_index_gives_one_detection():
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    found = Detections(torch.rand(3, 4), torch.tensor([1, 2, 3]), torch.rand(3), masks, None)
    for index in (1, -2, torch.tensor(1)):
        one = found[index]
        assert len(one) == 1 and one.labels.tolist() == [2] and one.masks.shape == (1, 4, 4)
    assert [d.labels.tolist() for d in found] == [[1], [2], [3]]
    assert len(found[1:]) == len(found[[0, 2]]) == len(found[found.labels > 1]) == 2
    with pytest.raises(IndexError, match="detection 3 of 3"):
        found[3]


def test_a_box_without_area_fills_nothing():
    flat = torch.tensor([[5.0, 5, 5, 9], [5.5, 5.5, 5.5, 5.5]])
    assert not paste_masks(torch.ones(2, 28, 28), flat, SIZE).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_masks_may_have_another_precision_than_boxes(random_boxes, dtype):
    probs, boxes = (torch.rand(20, 28, 28) > 0.5).to(dtype), random_boxes(20)
    assert torch.equal(paste_masks(probs, boxes, SIZE), paste_masks(probs.float(), boxes, SIZE))


def test_the_readings_of_a_softmax_mask():
    """One pixel a column: background and two classes; the mask asked for is that of class 1."""
    logits = torch.tensor([[0.0, 2, 0, 0], [1, 1, 1, 3], [-9, -9, 0.8, 4]]).view(1, 3, 1, 4)
    on = {
        reading: (predicted_masks(logits, torch.tensor([1]), "softmax", reading) >= 0.5).flatten()
        for reading in ("probability", "strongest", "background")
    }
    assert on["probability"].tolist() == [True, False, False, False]  # 1 of 1, 0, 0.8 is below half
    assert on["strongest"].tolist() == [True, False, True, False]  # but the most
    assert on["background"].tolist() == [True, False, True, True]  # 2 passed by
    sigmoid = predicted_masks(logits, torch.tensor([1]), "sigmoid", "background")
    assert torch.equal(sigmoid, logits[:, 1].sigmoid())


def test_no_masks():
    masks = paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), SIZE)
    assert masks.shape == (0, *SIZE) and masks.dtype == torch.bool


@pytest.mark.parametrize("seed", range(20))
def test_a_half_plane_is_cut_at_the_very_place(seed):
    generator = torch.Generator().manual_seed(seed)
    m, (y, x) = 28, _pixel_centers()
    numbers = torch.rand(6, generator=generator, dtype=torch.float64)
    box = torch.stack((30 * numbers[0] - 9, 30 * numbers[1] - 9, numbers[2], numbers[3]))
    box[2:] = box[:2] + 20 + 20 * box[2:]
    angle, (width, height) = 7 * numbers[4], box[2:] - box[:2]
    through = box[:2] + (0.3 + 0.4 * numbers[5]) * (box[2:] - box[:2])

    def distance(x, y):  # to a line through the inner part of the box, in pixels
        return angle.cos() * (x - through[0]) + angle.sin() * (y - through[1])

    cell = (torch.arange(m).double() + 0.5) / m
    probs = 0.5 + 0.001 * distance(box[0] + cell * width, box[1] + cell[:, None] * height)
    (mask,) = paste_masks(probs[None], box[None], SIZE)
    # Half a cell along the border of the box takes the border cells' value.
    margin = torch.stack((width, height, -width, -height)) / (2 * m)
    sure = _inside(box + margin, y, x)
    assert torch.equal(mask & sure, (distance(x, y) >= 0) & sure)
    assert 0 < mask[sure].double().mean() < 1


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.49, 0.9])
def test_a_sharp_edge_lies_between_its_cells(shift):
    box = torch.tensor([[10.0 + shift, 4, 38 + shift, 32]])  # a cell is a pixel
    probs = torch.zeros(1, 28, 28)
    probs[:, :, 14:] = 1  # so the edge is at 24 + shift, and pixel 24's center at 24.5
    first = paste_masks(probs, box, SIZE)[0, 10].nonzero()[0].item()
    assert first == (24 if shift <= 0.5 else 25)


# The measurement of benchmarks/paste_masks.py

AREAS = {  # of the templates, from their radius 1
    "rectangle": 4,
    "triangle": 3 * math.sqrt(3) / 4,
    "star": 5 * 0.42 * math.sin(math.pi / 5),
    "disc": math.pi,
    "ring": math.pi * (1 - 0.55**2),
}


@pytest.mark.parametrize("kind", benchmark.KINDS)
def test_the_exact_shapes_have_their_area_and_box(kind):
    matrix = torch.tensor([[16.0, -6], [12, 8]]).double()  # turned, 20 by 10 pixels
    shape = benchmark.Shape(kind, matrix, torch.tensor([30.3, 25.6]).double())
    mask, area = shape.pixels((60, 60)), 200 * AREAS[kind]
    share = benchmark.exact_cut(benchmark.Example(shape, mask, shape.box)).mean()
    width, height = shape.box[2:] - shape.box[:2]
    assert share * width * height == pytest.approx(area, rel=0.005)
    assert mask.sum() == pytest.approx(area, rel=0.03)
    outside = (shape.box - benchmark.mask_to_box(mask)) * torch.tensor([1, 1, -1, -1])
    assert outside.max() < 0.5 and outside.min() > -2  # no pixel's center; the tips are thin


def test_a_square_returns_as_it_was_and_torchvisions_is_a_pixel_larger():
    box = torch.tensor([[10.0, 10, 38, 38]])  # a cell is a pixel
    for name, end in (("ours", 38), ("detectron2", 38), ("torchvision", 39)):
        square = torch.zeros(SIZE, dtype=torch.bool)
        square[10:end, 10:end] = True
        (mask,) = benchmark.PASTES[name](torch.ones(1, 28, 28), box, SIZE)
        assert torch.equal(mask, square), name


@pytest.mark.parametrize("name", ["ours", "detectron2"])
def test_any_mask_returns_as_it_was_where_a_cell_is_a_pixel(name):
    mask, box = torch.zeros(SIZE, dtype=torch.bool), torch.tensor([10.0, 10, 38, 38])
    mask[10:38, 10:38] = torch.rand(28, 28) > 0.5
    probs = benchmark.training_cut(benchmark.Example(None, mask, box))
    assert torch.equal(probs, mask[10:38, 10:38].float())
    assert torch.equal(benchmark.PASTES[name](probs[None], box[None], SIZE)[0], mask)


def test_detectron2s_way_differs_in_the_outer_half_cell_alone():
    y, x = _pixel_centers()
    corner, side = 10 * torch.rand(50, 2), 8 + 30 * torch.rand(50, 2)
    boxes, probs = torch.cat((corner, corner + side), dim=1), torch.rand(50, 28, 28)
    half = torch.cat((side, -side), dim=1) / 56 * 1.001
    inner = torch.stack([_inside(box, y, x) for box in boxes + half])
    ours, theirs = paste_masks(probs, boxes, SIZE), benchmark.detectron2_paste(probs, boxes, SIZE)
    assert torch.equal(ours & inner, theirs & inner)
    assert 0.3 < ours[inner].double().mean() < 0.7


@pytest.mark.parametrize(("condition", "gain"), [((8, 32), 0.09), ((32, 96), 0.02)])
def test_shapes_come_back_better_than_by_torchvisions_way(condition, gain):
    results = benchmark.measure(benchmark.Condition(*condition), 40, cuts=("exact",))
    ours, torchvisions, detectron2s = (results["exact", name] for name in benchmark.PASTES)
    assert ours.iou > 0.98 and ours.iou > torchvisions.iou + gain
    assert ours.iou > detectron2s.iou - 0.001
    assert abs(ours.offset) < 0.05


def test_detections_return_to_the_original_image():
    selected = SelectedBoxes(
        torch.tensor([[10.0, 20, 30, 40]]), torch.tensor([2]), torch.tensor([0.7])
    )
    found = rescale_detections(selected, torch.ones(1, 28, 28), size=(100, 100), original=(50, 200))
    assert found.boxes.tolist() == [[20, 10, 60, 20]]
    assert found.masks.shape == (1, 50, 200)
    assert found.masks.nonzero().amin(0).tolist() == [0, 10, 20]
    assert found.masks.nonzero().amax(0).tolist() == [0, 19, 59]
    assert (found.labels.tolist(), len(found)) == ([2], 1)


def test_rows_of_detections():
    boxes = torch.arange(12.0).view(3, 4)
    scores = torch.tensor([0.9, 0.6, 0.2])
    masks, probs = torch.rand(3, 5, 5) > 0.5, torch.rand(3, 28, 28)
    found = Detections(boxes, torch.tensor([1, 2, 3]), scores, masks, probs)
    best = found[scores > 0.5]
    assert len(best) == 2 and best.labels.tolist() == [1, 2]
    assert best.boxes.equal(boxes[:2]) and best.masks.equal(masks[:2])
    assert found[[2]].mask_probs.equal(probs[2:])
    assert len(found[:0]) == 0 and found[:0].masks.shape == (0, 5, 5)
