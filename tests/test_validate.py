"""What is normalized at the door, and what is refused."""

import pytest
import torch

from mrcnn_edu.validate import check_boxes, check_labels, check_masks, check_target, check_targets

BOXES = torch.tensor([[1, 2, 5, 6], [0, 0, 8, 8]])


def test_targets_get_the_dtypes_that_training_needs():
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    target = {"boxes": BOXES, "labels": torch.tensor([1, 2], dtype=torch.uint8), "masks": masks}
    (checked,) = check_targets([target | {"image_id": 7}], [(8, 8)], 2)
    assert checked["boxes"].dtype == torch.float32 and checked["boxes"].equal(BOXES.float())
    assert checked["labels"].dtype == torch.int64 and checked["masks"].dtype == torch.bool
    assert checked["image_id"] == 7
    assert target["labels"].dtype == torch.uint8  # the caller's own is left as it was


def test_doubles_stay_doubles():
    assert check_boxes(BOXES.double(), (8, 8), "x").dtype == torch.float64


@pytest.mark.parametrize(
    "boxes, kind, message",
    [
        (torch.rand(3, 5), ValueError, r"shape \[3, 5\]: expected \[M, 4\]"),
        (torch.rand(4), ValueError, r"shape \[4\]"),
        (BOXES > 1, TypeError, "boxes of torch.bool"),
        (BOXES + 8, ValueError, "object 0 has box .* outside of its image of 8 x 8 pixels"),
        (BOXES - 500, ValueError, "object 0 has box .* outside"),
        (BOXES[:, [2, 3, 0, 1]], ValueError, "object 0 .*no area"),
        (BOXES / 0, ValueError, "object 0 .*no area"),
    ],
)
def test_wrong_boxes(boxes, kind, message):
    with pytest.raises(kind, match=f"target 3.*{message}"):
        check_boxes(boxes, (8, 8), "target 3")


def test_boxes_may_reach_over_the_border():
    boxes = torch.tensor([[-3.0, -3, 4, 4], [6, 6, 15, 15]])
    assert check_boxes(boxes, (8, 8), "x").equal(boxes)


@pytest.mark.parametrize(
    "labels, kind, message",
    [
        (torch.tensor([True]), TypeError, "torch.bool: give whole numbers"),
        (torch.tensor([1.0]), TypeError, "torch.float32: give whole numbers"),
        (torch.tensor([[1]]), ValueError, r"shape \[1, 1\]: expected \[M\]"),
        (torch.tensor(1), ValueError, r"shape \[\]: expected \[M\]"),
        ([1], TypeError, "type list: give a tensor"),
        (None, ValueError, "give a tensor"),
        (torch.tensor([1, 0]), ValueError, "object 1 has label 0: labels run from 1 to 5"),
        (torch.tensor([1, 6]), ValueError, "object 1 has label 6"),
    ],
)
def test_wrong_labels(labels, kind, message):
    with pytest.raises(kind, match=f"target 3.*{message}" if labels is not None else "no labels"):
        check_labels(labels, 5, "target 3")


@pytest.mark.parametrize("value, remedy", [(0.7, "masks > 0.5"), (float("nan"), "masks > 0.5")])
def test_soft_masks_are_refused_with_the_remedy(value, remedy):
    masks = torch.zeros(1, 4, 4)
    masks[0, 1, 1] = value
    with pytest.raises(ValueError, match=f"target 3 has masks with the value .*{remedy}"):
        check_masks(masks, (1, 4, 4), "target 3")


def test_what_is_missing_or_no_tensor_is_named():
    target = {"boxes": BOXES, "labels": torch.tensor([1, 1])}
    assert check_target(target, (8, 8), 1, "x", with_masks=False)["labels"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="x has no masks"):
        check_target(target, (8, 8), 1, "x")
    with pytest.raises(TypeError, match=r"x has labels of .*list.*torch\.as_tensor"):
        check_target(target | {"labels": [1, 1]}, (8, 8), 1, "x", with_masks=False)
    with pytest.raises(ValueError, match=r"2 labels and iscrowd of shape \[1\]"):
        check_target(target | {"iscrowd": torch.zeros(1)}, (8, 8), 1, "x", with_masks=False)


def test_empty_targets_are_fine():
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    checked = check_target(target | {"masks": torch.zeros(0, 8, 8)}, (8, 8), 1, "x")
    assert checked["masks"].shape == (0, 8, 8) and checked["masks"].dtype == torch.bool
