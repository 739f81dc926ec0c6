"""Boxes against numbers worked out by hand and against torchvision's operators."""

import pytest
import torch
import torchvision
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder

from mrcnn_edu.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from mrcnn_edu.heads import BOX_SCALE

NO_BOXES = torch.zeros(0, 4)


def test_areas_and_overlaps_worked_out_by_hand():
    boxes = torch.tensor([[0.0, 0, 4, 2], [2, 1, 6, 3], [4, 0, 5, 5], [1, 1, 1, 1]])
    assert box_area(boxes).tolist() == [8, 8, 5, 0]
    # 1 and 2 share 2 x 1 of 14; 1 and 3 only touch; 2 and 3 share 1 x 2 of 11; a point shares none
    expected = [[1, 2 / 14, 0, 0], [2 / 14, 1, 2 / 11, 0], [0, 2 / 11, 1, 0], [0, 0, 0, 0]]
    assert_close(box_iou(boxes, boxes), torch.tensor(expected))


def test_iou_equals_torchvisions(random_boxes):
    for _ in range(50):
        a, b = random_boxes(20), random_boxes(30)
        assert_close(box_iou(a, b), torchvision.ops.box_iou(a, b))
    assert box_iou(NO_BOXES, b).shape == (0, 30)
    assert box_iou(a, NO_BOXES).shape == (20, 0)


def test_clip_keeps_the_part_inside(random_boxes):
    boxes = torch.tensor([[-5.0, -5, 5, 5], [3, 4, 30, 40], [11, 2, 15, 4], [-9, -9, -1, -1]])
    expected = [[0, 0, 5, 5], [3, 4, 10, 20], [10, 2, 10, 4], [0, 0, 0, 0]]  # height 20, width 10
    assert clip_boxes(boxes, (20, 10)).tolist() == expected
    boxes = random_boxes(1000)
    expected = torchvision.ops.clip_boxes_to_image(boxes, (40, 70))
    assert torch.equal(clip_boxes(boxes, (40, 70)), expected)
    assert clip_boxes(NO_BOXES, (20, 10)).shape == (0, 4)


def test_deltas_worked_out_by_hand():
    anchor = torch.tensor([[0.0, 0, 10, 20]])  # center (5, 10)
    box = torch.tensor([[5.0, 0, 25, 10]])  # center (15, 5), twice as wide, half as high
    log_2 = 0.6931472
    assert_close(encode_boxes(box, anchor), torch.tensor([[1, -0.25, log_2, -log_2]]))
    scaled = torch.tensor([[10, -2.5, 5 * log_2, -5 * log_2]])
    assert_close(encode_boxes(box, anchor, BOX_SCALE), scaled)
    assert_close(decode_boxes(scaled, anchor, BOX_SCALE), box)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0, 1.0), BOX_SCALE])
def test_decode_undoes_encode(random_boxes, scale):
    boxes, anchors = random_boxes(1000, dtype=torch.float64), random_boxes(1000)
    deltas = encode_boxes(boxes, anchors.double(), scale)
    assert_close(decode_boxes(deltas, anchors.double(), scale), boxes)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0, 1.0), BOX_SCALE])
def test_the_code_is_torchvisions(random_boxes, scale):
    coder = BoxCoder(scale)
    boxes, anchors = random_boxes(1000), random_boxes(1000)
    assert_close(encode_boxes(boxes, anchors, scale), coder.encode_single(boxes, anchors))
    deltas = 10 * torch.randn(1000, 4)  # far enough that widths reach the largest factor, 1000 / 16
    assert_close(decode_boxes(deltas, anchors, scale), coder.decode_single(deltas, anchors))


def test_wild_predictions_stay_finite():
    anchor = torch.tensor([[0.0, 0, 16, 16]])
    box = decode_boxes(torch.tensor([[0.0, 0, 1e6, 88]]), anchor)
    assert_close(box[:, 2:] - box[:, :2], torch.tensor([[1000.0, 1000.0]]))


def test_one_set_of_anchors_decodes_all_classes(random_boxes):
    deltas, anchors = torch.randn(7, 3, 4), random_boxes(7)
    all_classes = decode_boxes(deltas, anchors[:, None])
    for k in range(3):
        assert_close(all_classes[:, k], decode_boxes(deltas[:, k], anchors))
    assert (
        decode_boxes(NO_BOXES, NO_BOXES).shape == encode_boxes(NO_BOXES, NO_BOXES).shape == (0, 4)
    )
