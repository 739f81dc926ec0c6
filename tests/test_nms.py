"""Non-maximum suppression by hand, and against torchvision's."""

import pytest
import torch
import torchvision

from mrcnn_edu.nms import batched_nms, nms

NO_BOXES = torch.zeros(0, 4)


def test_nms_worked_out_by_hand():
    # Each overlaps the next by 1/3, the others not at all.
    row = torch.tensor([[0.0, 0, 2, 1], [1, 0, 3, 1], [2, 0, 4, 1], [3, 0, 5, 1]])
    # The second falls to the first, so it cannot bring down the third, which brings down the last.
    assert nms(row, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.3).tolist() == [0, 2]
    assert nms(row, torch.tensor([0.6, 0.9, 0.7, 0.8]), 0.3).tolist() == [1, 3]
    assert nms(row, torch.tensor([0.6, 0.9, 0.7, 0.8]), 0.4).tolist() == [1, 3, 2, 0]


def test_nms_of_none_one_and_equals():
    assert nms(NO_BOXES, torch.zeros(0), 0.5).tolist() == []
    box = torch.tensor([[0.0, 0, 4, 4]])
    assert nms(box, torch.zeros(1), 0.5).tolist() == [0]
    assert nms(box.repeat(5, 1), torch.zeros(5), 0.5).tolist() == [0]  # equal score: first comes
    point = torch.tensor([[3.0, 3, 3, 3]])
    assert nms(point.repeat(2, 1), torch.zeros(2), 0.5).tolist() == [0, 1]  # no area, no overlap


@pytest.mark.parametrize("tenths", range(1, 10))
def test_an_overlap_of_exactly_the_threshold_is_kept(tenths):
    # torchvision compares a float32 with a float64 here: at 0.3 it drops the second, at 0.5 not.
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, tenths, 1]])
    assert nms(boxes, torch.tensor([1.0, 0.5]), tenths / 10).tolist() == [0, 1]


def test_nms_equals_torchvisions(random_boxes):
    for case in range(2000):
        n = int(torch.randint(0, 30, ()))
        boxes = random_boxes(n, size=12, whole=case % 2)  # whole: many equal boxes and overlaps
        scores = torch.rand(n) if case % 3 else torch.randint(0, 4, (n,)) / 4  # or many ties
        threshold = (0.25, 0.5, 0.7)[case % 3]
        expected = torchvision.ops.nms(boxes, scores, threshold)
        assert torch.equal(nms(boxes, scores, threshold), expected), f"case {case}"


def test_batched_nms_equals_torchvisions(random_boxes):
    for case in range(600):
        n = int(torch.randint(0, 30, ()))
        boxes = random_boxes(n, size=12, whole=True)
        scores = torch.rand(n) if case % 2 else torch.randint(0, 4, (n,)) / 4
        groups = torch.randint(-1, 3, (n,)) * 7
        expected = torchvision.ops.batched_nms(boxes, scores, groups, 0.5)
        assert torch.equal(batched_nms(boxes, scores, groups, 0.5), expected), f"case {case}"


def test_nms_of_many_boxes_equals_torchvisions(random_boxes):
    boxes, scores, groups = random_boxes(2000), torch.rand(2000), torch.randint(0, 5, (2000,))
    assert torch.equal(nms(boxes, scores, 0.7), torchvision.ops.nms(boxes, scores, 0.7))
    expected = torchvision.ops.batched_nms(boxes, scores, groups, 0.7)
    assert torch.equal(batched_nms(boxes, scores, groups, 0.7), expected)
