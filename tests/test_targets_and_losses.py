"""Targets in scenes worked out by hand, and losses against their plain formulas."""

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.ops import roi_align

from mrcnn_edu.boxes import decode_boxes
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.losses import SMOOTH_L1_BETA, box_loss, mask_loss, rpn_loss, smooth_l1
from mrcnn_edu.targets import mask_targets, roi_targets, rpn_targets

NO_BOXES = torch.zeros(0, 4)
# Against the object (0, 0, 10, 10) the anchors have IoU 1, 0.5, 0.2 and 0.
OBJECT = torch.tensor([[0.0, 0, 10, 10]])
ANCHORS = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 2], [20, 20, 30, 30]])


def _rpn_targets(anchors, boxes, count=256, generator=None):
    return rpn_targets(anchors, [boxes], 0.7, 0.3, count, 0.5, generator and [generator])[0]


def _roi_targets(proposals, boxes, labels, *numbers):
    return roi_targets([proposals], [boxes], [labels], 0.5, *numbers)[0]


def test_rpn_targets_worked_out_by_hand():
    targets = _rpn_targets(ANCHORS, OBJECT)
    assert targets.anchors.tolist() == [0, 2, 3]  # 0.5 is neither
    assert targets.labels.tolist() == [1, 0, 0]
    assert targets.positives.tolist() == [0]
    assert targets.deltas.tolist() == [[0, 0, 0, 0]]


def test_an_object_without_a_good_anchor_gets_its_best():
    targets = _rpn_targets(ANCHORS[1:], OBJECT)
    assert targets.positives.tolist() == [0]
    assert_close(decode_boxes(targets.deltas, ANCHORS[1:2]), OBJECT)


def test_rpn_targets_of_random_scenes_lead_to_the_objects(random_boxes):
    for _ in range(20):
        anchors, boxes = random_boxes(300), random_boxes(4)
        targets = _rpn_targets(anchors, boxes, count=64)
        assert len(targets.anchors) == len(targets.labels) == 64
        assert targets.anchors[: len(targets.positives)].equal(targets.positives)
        assert int(targets.labels.sum()) == len(targets.positives) <= 32
        reached = decode_boxes(targets.deltas, anchors[targets.positives])
        nearest = (reached[:, None] - boxes).abs().amax(-1).min(1).values
        assert (nearest < 1e-3).all()


def test_rpn_targets_without_objects_or_anchors():
    targets = _rpn_targets(ANCHORS, NO_BOXES, count=3)
    assert targets.labels.tolist() == [0, 0, 0]
    assert targets.positives.shape == (0,) and targets.deltas.shape == (0, 4)
    for boxes in (OBJECT, NO_BOXES):
        targets = _rpn_targets(NO_BOXES, boxes)
        assert [len(part) for part in targets] == [0, 0, 0, 0]


def test_roi_targets_worked_out_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    proposals = torch.tensor([[21.0, 20, 31, 30], [0, 0, 10, 5], [0, 0, 10, 4], [50, 50, 60, 60]])
    targets = _roi_targets(proposals, boxes, torch.tensor([3, 5]), 512, 0.9)
    assert targets.boxes.tolist() == torch.cat((proposals, boxes)).tolist()
    assert targets.labels.tolist() == [5, 3, 0, 0, 3, 5]  # IoU 0.82, 0.5, 0.4, 0, and themselves
    positive = targets.labels > 0
    assert targets.objects[positive].tolist() == [1, 0, 0, 1]
    reached = decode_boxes(targets.deltas[positive], targets.boxes[positive], BOX_SCALE)
    assert_close(reached, boxes[[1, 0, 0, 1]], rtol=0, atol=1e-4)
    assert_close(targets.deltas[0], torch.tensor([-1.0, 0, 0, 0]))  # a tenth of the width, times 10


def test_roi_targets_keep_the_share(random_boxes):
    boxes, labels = random_boxes(10), torch.randint(1, 4, (10,))
    targets = _roi_targets(random_boxes(300), boxes, labels, 40, 0.25)
    assert len(targets.labels) == 40 and 0 < int((targets.labels > 0).sum()) <= 10


def test_roi_targets_without_objects_or_proposals():
    no_labels = torch.zeros(0, dtype=torch.long)
    targets = _roi_targets(ANCHORS, NO_BOXES, no_labels, 3, 0.25)
    assert targets.boxes.shape == targets.deltas.shape == (3, 4)
    assert targets.labels.tolist() == [0, 0, 0]
    assert targets.deltas.isfinite().all()
    targets = _roi_targets(NO_BOXES, NO_BOXES, no_labels, 3, 0.25)
    assert [len(part) for part in targets] == [0, 0, 0, 0]
    targets = _roi_targets(NO_BOXES, OBJECT, torch.tensor([2]), 4, 0.25)
    assert targets.labels.tolist() == [2]


def test_mask_targets_worked_out_by_hand():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, :, 4:] = True  # the right half
    rois = torch.tensor([[0.0, 0, 8, 8], [5, 1, 7, 7], [0, 0, 2, 8]])
    arguments = [mask], [rois], [torch.zeros(3, dtype=torch.long)], 4
    whole, inside, outside = mask_targets(*arguments)
    assert whole.tolist() == [[0, 0, 1, 1]] * 4
    assert (inside == 1).all() and (outside == 0).all()
    whole, _, _ = mask_targets(*arguments, aligned=False)  # points lie half a pixel off
    assert whole.tolist() == [[0, 0.25, 1, 1]] * 4


def test_a_mask_is_cut_where_it_is():
    masks = torch.rand(20, 8, 8) > 0.5
    large = torch.nn.functional.interpolate(masks[None].float(), scale_factor=7)[0]
    image = torch.zeros(20, 80, 80)
    image[:, 5:61, 3:59] = large
    rois = torch.tensor([[3.0, 5, 59, 61]]).expand(20, 4)
    targets = mask_targets([image > 0.5], [rois], [torch.arange(20)], 8)
    assert torch.equal(targets > 0.5, masks)


def test_mask_targets_equal_torchvisions(random_boxes):
    for _ in range(10):
        masks, rois = torch.rand(5, 40, 60) > 0.5, random_boxes(30)
        objects = torch.randint(0, 5, (30,))
        ours = mask_targets([masks], [rois], [objects], 14, aligned=False)
        expected = project_masks_on_boxes(masks, rois, objects, 14)
        assert_close(ours, expected, rtol=0, atol=1e-5)

        ours = mask_targets([masks], [rois], [objects], 14)
        of_objects = torch.cat((objects[:, None].float(), rois), dim=1)
        expected = roi_align(masks[:, None].float(), of_objects, 14, aligned=True)[:, 0]
        assert_close(ours, expected, rtol=0, atol=1e-5)
        assert ours.min() >= 0 and ours.max() <= 1 + 1e-6


def test_mask_targets_of_several_images_are_those_of_each(random_boxes):
    masks = [torch.rand(n, *size) > 0.5 for n, size in ((2, (40, 60)), (0, (9, 9)), (3, (50, 30)))]
    rois = [random_boxes(n) for n in (4, 0, 5)]
    objects = [
        torch.randint(0, max(len(m), 1), (len(r),)) for m, r in zip(masks, rois, strict=True)
    ]
    together = mask_targets(masks, rois, objects, 14)
    alone = [mask_targets([m], [r], [o], 14) for m, r, o in zip(masks, rois, objects, strict=True)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("n_objects", [0, 2])
def test_mask_targets_of_no_rois(n_objects):
    masks = torch.zeros(n_objects, 8, 8, dtype=torch.bool)
    targets = mask_targets([masks], [NO_BOXES], [torch.zeros(0, dtype=torch.long)], 28)
    assert targets.shape == (0, 28, 28)


def _smooth_l1(difference):
    difference = difference.abs()
    quadratic = 0.5 * difference**2 / SMOOTH_L1_BETA
    return torch.where(difference < SMOOTH_L1_BETA, quadratic, difference - SMOOTH_L1_BETA / 2)


def _binary_cross_entropy(logits, targets):
    p = logits.sigmoid()
    return -(targets * p.log() + (1 - targets) * (1 - p).log())


def test_softmax_mask_loss_is_its_formula():
    logits, targets = torch.randn(3, 5, 4, 4).double(), torch.rand(3, 4, 4).double()
    labels = torch.tensor([2, 4, 1])
    expected = 0
    for r, label in enumerate(labels.tolist()):
        p = logits[r].exp() / logits[r].exp().sum(dim=0)
        expected -= (targets[r] * p[label].log() + (1 - targets[r]) * p[0].log()).sum()
    assert_close(mask_loss(logits, labels, targets, "softmax"), expected / targets.numel())


def test_classes_compete_for_a_pixel_with_softmax_alone():
    for kind in ("sigmoid", "softmax"):
        logits = torch.zeros(1, 4, 2, 2, requires_grad=True)
        mask_loss(logits, torch.tensor([2]), torch.ones(1, 2, 2), kind).backward()
        touched = logits.grad.abs().sum(dim=(0, 2, 3)) > 0
        assert touched.tolist() == ([False, False, True, False], [True] * 4)[kind == "softmax"]


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_mask_loss_of_no_rois_is_zero(kind):
    logits = torch.zeros(0, 5, 4, 4, requires_grad=True)
    loss = mask_loss(logits, torch.zeros(0, dtype=torch.long), torch.zeros(0, 4, 4), kind)
    loss.backward()
    assert loss == 0 and logits.grad.shape == logits.shape


def test_smooth_l1_worked_out_by_hand():
    predictions = torch.tensor([0.0, 1 / 18, 1.0, -1.0])
    expected = 0 + 0.5 * 9 / 18**2 + 2 * (1 - 1 / 18)
    assert_close(smooth_l1(predictions, torch.zeros(4)), torch.tensor(expected))


def test_rpn_loss_is_its_formula():
    logits, labels = torch.randn(9).double(), torch.tensor([1, 1, 0, 0, 0, 0, 0, 0, 0])
    deltas, targets = torch.randn(2, 4).double(), torch.randn(2, 4).double()
    objectness, box = rpn_loss(logits, deltas, labels, targets)
    assert_close(objectness, _binary_cross_entropy(logits, labels).mean())
    assert_close(box, _smooth_l1(deltas - targets).sum() / 9)  # by all sampled, not by positives


def test_box_loss_is_its_formula():
    logits, deltas = torch.randn(5, 4).double(), torch.randn(5, 4, 4).double().requires_grad_()
    labels, targets = torch.tensor([0, 3, 1, 0, 3]), torch.randn(5, 4).double()
    class_loss, box = box_loss(logits, deltas, labels, targets)
    assert_close(class_loss, -logits.log_softmax(1)[range(5), labels].mean())
    expected = sum(_smooth_l1(deltas[r, labels[r]] - targets[r]).sum() for r in (1, 2, 4)) / 5
    assert_close(box, expected)
    box.backward()
    used = deltas.grad.abs().sum(-1) > 0
    assert used.nonzero().tolist() == [[1, 3], [2, 1], [4, 3]]  # only the true class's box learns


def test_mask_loss_is_its_formula_and_reaches_only_the_true_class():
    logits = torch.randn(3, 5, 4, 4).double().requires_grad_()
    labels, targets = torch.tensor([2, 4, 2]), torch.rand(3, 4, 4).double()
    loss = mask_loss(logits, labels, targets)
    expected = _binary_cross_entropy(logits[range(3), labels], targets).mean()
    assert_close(loss, expected)
    loss.backward()
    used = logits.grad.abs().sum((2, 3)) > 0
    assert used.nonzero().tolist() == [[0, 2], [1, 4], [2, 2]]


def test_losses_of_nothing_are_zero_with_finite_gradients():
    none = torch.zeros(0, dtype=torch.long)
    leaves = [
        torch.zeros(shape, requires_grad=True)
        for shape in ((0,), (0, 4), (0, 3), (0, 3, 4), (0, 3, 28, 28))
    ]
    logits, deltas, class_logits, class_deltas, mask_logits = leaves
    losses = (
        *rpn_loss(logits, deltas, none, NO_BOXES),
        *box_loss(class_logits, class_deltas, none, NO_BOXES),
        mask_loss(mask_logits, none, torch.zeros(0, 28, 28)),
    )
    assert [loss.item() for loss in losses] == [0] * 5
    sum(losses).backward()
    assert [leaf.grad.shape for leaf in leaves] == [leaf.shape for leaf in leaves]


def test_without_positives_only_the_classes_learn():
    class_logits, deltas = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, 4)
    deltas.requires_grad_()
    class_loss, box = box_loss(class_logits, deltas, torch.zeros(4).long(), torch.zeros(4, 4))
    (class_loss + box).backward()
    assert box == 0 and not deltas.grad.any()
    assert class_logits.grad.any() and class_logits.grad.isfinite().all()
