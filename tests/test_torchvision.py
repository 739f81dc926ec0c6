"""The same answers as torchvision from the same weights, stage by stage and end to end.

Where we depart from it on purpose, the departure is named here.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import pytest
import torch
from reference import (
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_of_the_same_layers,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
    settings_of,
    smooth_images,
)
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import box_iou

from mrcnn_edu.boxes import decode_boxes
from mrcnn_edu.config import Config
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.targets import mask_targets
from mrcnn_edu.trace import Trace
from mrcnn_edu.weights import load_torchvision
from mrcnn_edu.weights.published import V2
from mrcnn_edu.weights.torchvision import our_name

MODELS = {
    "v1": (maskrcnn_resnet50_fpn, Config()),
    "v2": (maskrcnn_resnet50_fpn_v2, V2),
    "boxes": (fasterrcnn_resnet50_fpn, Config(mask_head=None)),
    "keypoints": (
        keypointrcnn_resnet50_fpn,
        Config(n_classes=1, mask_head=None, n_keypoints=17),
    ),
}
SMALL = {"short_side": 160, "long_side": 256, "rpn_post_nms_top_n_test": 100, "max_detections": 30}
MANY = {"score_threshold": 0.005, "nms_iou": 0.8}  # for a model of a single class


def _pair(name: str, **changes) -> tuple[MaskRCNN, nn.Module]:
    """Our model and torchvision's with the same weights and settings."""
    if name.startswith("tiny"):
        n_keypoints = 5 if name == "tiny with keypoints" else 0
        config = Config.tiny(n_keypoints=n_keypoints, **changes)
        theirs = maskrcnn_of_the_same_layers(config)
    else:
        build, config = MODELS[name]
        config = replace(config, **changes)
        theirs = build(**settings_of(config)) if changes else build()  # the defaults are the same
    return load_torchvision(MaskRCNN(config), theirs.state_dict()).eval(), theirs


# Detection


class Stages(NamedTuple):
    """What torchvision computes on the way to its detections."""

    batch: ImageList
    features: list[Tensor]
    anchors: list[Tensor]  # of each image
    objectness: Tensor
    rpn_deltas: Tensor
    proposals: list[Tensor]
    class_logits: Tensor
    box_deltas: Tensor
    mask_probs: list[Tensor | None]
    detections: list[dict[str, Tensor]]


@torch.no_grad()
def _stages(model: nn.Module, images: list[Tensor]) -> Stages:
    inner = model.rpn.anchor_generator, model.rpn.head, model.roi_heads.box_predictor
    said = {}
    hooks = [m.register_forward_hook(lambda m, _, out: said.update({m: out})) for m in inner]
    batch, _ = model.transform(images)
    features = model.backbone(batch.tensors)
    proposals, _ = model.rpn(batch, features)
    found, _ = model.roi_heads(features, proposals, batch.image_sizes)
    for hook in hooks:
        hook.remove()
    mask_probs = [one.get("masks") for one in found]
    sizes = [tuple(image.shape[1:]) for image in images]
    found = model.transform.postprocess(found, batch.image_sizes, sizes)
    anchors, rpn, heads = (said[m] for m in inner)
    objectness, deltas = concat_box_prediction_layers(*rpn)
    rpn = objectness.view(len(images), -1), deltas.view(len(images), -1, 4)
    features = list(features.values())
    return Stages(batch, features, anchors, *rpn, proposals, *heads, mask_probs, found)


class Case(NamedTuple):
    ours: MaskRCNN
    theirs: nn.Module
    trace: Trace
    expected: Stages


@pytest.fixture(scope="module")
def pair():
    """`_pair`, which keeps the last one; cases of the same pair come one after the other."""
    return lru_cache(maxsize=1)(_pair)


def _case(name, changes, *sizes, marks=()):
    sizes_in_words = [f"{height}x{width}" for height, width in sizes]
    label = "-".join([name + " small" * bool(changes), *sizes_in_words])
    return pytest.param((name, changes, sizes), id=label, marks=marks)


@pytest.fixture(
    scope="module",
    params=[
        _case("v1", {}, (480, 640), marks=pytest.mark.slow),  # 800 x 1088, stride 61
        _case("v1", {}, (427, 640), marks=pytest.mark.slow),
        _case("v1", SMALL, (640, 427)),
        _case("v1", SMALL, (16, 16)),
        _case("v1", SMALL, (120, 1000)),  # the long side decides
        _case("v1", SMALL, (800, 1088)),
        _case("v1", SMALL, (333, 500), (500, 333), (60, 80)),
        _case("v2", SMALL, (96, 50), (480, 640)),
        _case("boxes", SMALL, (96, 50), (480, 640)),
        _case("keypoints", SMALL | MANY, (96, 50), (480, 640)),
        _case("tiny", {}, (96, 96)),
        _case("tiny", {}, (96, 50), (480, 640)),
        _case("tiny with keypoints", {}, (96, 50), (480, 640)),
    ],
)
def case(request, pair):
    """Two models with the same weights, and what each of them computes for the same images."""
    name, changes, sizes = request.param
    ours, theirs = pair(name, **changes)
    images = smooth_images(sizes)
    return Case(ours, theirs, ours.trace(images), _stages(theirs, images))


def _close(a: Tensor, b: Tensor, name: str = "") -> None:
    """Equal to a hundred-thousandth of the size of the numbers."""
    assert a.shape == b.shape
    assert 0 < b.norm() < torch.inf
    assert (a - b).norm() <= 1e-5 * b.norm(), name


def _fraction(same: Tensor) -> float:
    """Of the rows or columns, whichever are more, the share that pairs off one to one."""
    pairs = same & (same.sum(dim=0) == 1) & (same.sum(dim=1, keepdim=True) == 1)
    return pairs.sum().item() / max(same.shape)


def test_batches_are_the_same(case):
    assert case.trace.batch.sizes == case.expected.batch.image_sizes
    assert_close(case.trace.batch.images, case.expected.batch.tensors, rtol=0, atol=1e-5)


def test_features_are_the_same(case):
    for level, expected in zip(case.trace.features, case.expected.features, strict=True):
        _close(level, expected)


def test_anchors_are_the_same(case):
    for expected in case.expected.anchors:  # in every image
        assert torch.equal(torch.cat(case.trace.anchors), expected)


def test_the_rpn_says_the_same(case):
    _close(case.trace.objectness, case.expected.objectness)
    _close(case.trace.rpn_deltas, case.expected.rpn_deltas)


def test_proposals_are_the_same(case):
    for proposals, expected in zip(case.trace.proposals, case.expected.proposals, strict=True):
        distance = (proposals.boxes[:, None] - expected).abs().amax(dim=2)
        assert _fraction(distance < 0.01) >= 0.995  # pixels


@torch.no_grad()
def test_scores_and_boxes_of_the_same_proposals_are_the_same(case):
    model, expected = case.ours, case.expected
    table = feature_table(case.trace.features[: len(model.strides)])
    pooled = model.pool(table, expected.proposals, model.config.box_pool_size)
    logits, deltas = model.box_head(pooled)
    assert_close(logits.softmax(1), expected.class_logits.softmax(1), rtol=0, atol=1e-4)
    boxes = decode_boxes(deltas, torch.cat(expected.proposals)[:, None], BOX_SCALE)
    coder = case.theirs.roi_heads.box_coder
    _close(boxes, coder.decode(expected.box_deltas, expected.proposals))


def _same(found, expected) -> Tensor:
    """Which detection of ours (a row) has the class and the box of which of theirs (a column)."""
    same_class = found.labels[:, None] == expected["labels"]
    return same_class & (box_iou(found.boxes, expected["boxes"]) > 0.99)


def test_detections_are_the_same(case):
    for found, expected in zip(case.trace.detections, case.expected.detections, strict=True):
        labels, scores = expected["labels"], expected["scores"]
        n_classes = min(3, case.ours.config.n_classes)
        assert len(labels) >= 20 and len(labels.unique()) >= n_classes and scores.std() > 0.02
        same_score = (found.scores[:, None] - scores).abs() < 1e-4
        assert _fraction(_same(found, expected) & same_score) >= 0.99


def test_masks_are_the_same(case):
    stages = case.trace.detections, case.expected.detections, case.expected.mask_probs
    for found, expected, probs in zip(*stages, strict=True):
        if case.ours.mask_head is None:
            assert found.masks is found.mask_probs is probs is None
            continue
        i, j = torch.where(_same(found, expected))
        assert probs.std() > 0.1  # they show something
        assert_close(found.mask_probs[i], probs[j, 0], rtol=0, atol=1e-3)


def test_masks_of_large_objects_are_about_the_same_in_the_image(case):
    """We paste to fractions of a pixel, torchvision to whole ones, and random masks are ragged."""
    if case.ours.mask_head is None:
        return
    for found, expected in zip(case.trace.detections, case.expected.detections, strict=True):
        i, j = torch.where(_same(found, expected))
        large = (found.boxes[i, 2:] - found.boxes[i, :2] > 56).all(dim=1)  # 2 pixels a cell
        ours, theirs = found.masks[i[large]], expected["masks"][j[large], 0] >= 0.5
        assert (ours & theirs).sum() >= 0.6 * (ours | theirs).sum()


def test_keypoints_are_the_same(case):
    for found, expected in zip(case.trace.detections, case.expected.detections, strict=True):
        if case.ours.keypoint_head is None:
            assert found.keypoints is None and "keypoints" not in expected
            continue
        i, j = torch.where(_same(found, expected))
        keypoints, scores = expected["keypoints"][j], expected["keypoints_scores"][j]
        assert scores.std() > 0.1  # they show something
        distance = (found.keypoints[i, :, :2] - keypoints[..., :2]).abs().amax(dim=2)
        # Where two peaks are about equally high, or a box about a whole number of pixels wide, the
        # keypoint is elsewhere.
        assert (distance < 0.02).float().mean() >= 0.98
        assert_close(found.keypoints[i, :, 2], scores, rtol=0, atol=2e-3)


@pytest.mark.parametrize("seed", range(30))
def test_any_image_and_its_boxes_are_scaled_alike(pair, seed):
    ours, theirs = pair("tiny with keypoints")
    torch.manual_seed(seed)
    height, width = torch.randint(20, 400, (2,)).tolist()
    image = torch.rand(3, height, width)
    target = {"boxes": torch.tensor([[3.0, 4, 15, 16]]), "labels": torch.tensor([1])}
    target["masks"] = torch.ones(1, height, width, dtype=torch.bool)
    target["keypoints"] = torch.rand(1, 5, 3).mul(torch.tensor([15.0, 16, 3])).floor()
    expected, (expected_target,) = theirs.transform([image], [target | {}])
    batch = ours.preprocess([image])
    assert batch.sizes == expected.image_sizes
    assert_close(batch.images, expected.tensors, rtol=0, atol=1e-5)
    (scaled,) = ours.scale_targets([target], batch)
    assert_close(scaled["boxes"], expected_target["boxes"])
    assert scaled["masks"].shape == expected_target["masks"].shape
    assert_close(scaled["keypoints"], expected_target["keypoints"])


# Training

ALL = {
    "rpn_batch_per_image": 10**6,
    "roi_batch_per_image": 10**4,
    "roi_positive_fraction": 0.5,
}  # so no draw differs
FEW = {
    "short_side": 96,
    "long_side": 128,
    "rpn_pre_nms_top_n_train": 10,
    "rpn_post_nms_top_n_train": 10,
}


def _targets(n_classes, n_keypoints):
    boxes = torch.tensor([[10.0, 20, 70, 80], [30, 40, 95, 90], [5, 5, 20, 25]])
    labels, masks = torch.tensor([1, n_classes, min(5, n_classes)]), torch.rand(3, 96, 128) > 0.5
    nothing = boxes[:0], labels[:0], torch.zeros(0, 128, 96)
    names = "boxes", "labels", "masks"
    targets = [dict(zip(names, t, strict=True)) for t in ((boxes, labels, masks), nothing)]
    if n_keypoints:
        size = boxes[:, None, 2:] - boxes[:, None, :2]  # and some keypoints are outside
        inside = boxes[:, None, :2] + size * (1.4 * torch.rand(3, n_keypoints, 2) - 0.2)
        visibility = torch.arange(3 * n_keypoints).view(3, n_keypoints, 1) % 3
        targets[0]["keypoints"] = torch.cat((inside, visibility), dim=2)
        targets[1]["keypoints"] = torch.zeros(0, n_keypoints, 3)
    return targets


@pytest.mark.parametrize(
    "name",
    [
        "v1", pytest.param("v2", marks=pytest.mark.slow), "boxes", "keypoints", "tiny",
        "tiny with keypoints",
    ],
)  # fmt: skip
def test_losses_and_all_gradients_are_the_same(pair, name, monkeypatch):
    """In float64: in float32 rounding switches some ReLUs, and gradients differ by up to 0.5 %."""
    # Where masks lie we depart from torchvision: so none is scaled, and they are cut out as by it.
    monkeypatch.setattr("mrcnn_edu.model.mask_targets", partial(mask_targets, aligned=False))
    ours, theirs = pair(name, **FEW, **ALL)
    images = smooth_images([(96, 128), (128, 96)])
    targets = _targets(ours.config.n_classes, ours.config.n_keypoints)
    for model in (ours, theirs):
        model.double().train()
    theirs.backbone.register_forward_pre_hook(lambda _, inputs: inputs[0].double())
    # Anchors stay in float32: in float64 fewer of them tie for an object's best IoU.
    theirs.rpn.anchor_generator.register_forward_hook(
        lambda *hooked: [a.float() for a in hooked[-1]]
    )

    losses, expected = ours(images, targets), theirs(images, targets)
    n_losses = {"boxes": 4, "tiny with keypoints": 6}.get(name, 5)
    assert losses.keys() == expected.keys() and len(losses) == n_losses
    for key, loss in expected.items():
        _close(losses[key], loss, key)
    sum(losses.values()).backward()
    sum(expected.values()).backward()
    gradients = {our_name(key): value.grad for key, value in theirs.named_parameters()}
    parameters = dict(ours.named_parameters())
    assert parameters.keys() == gradients.keys()
    for key, gradient in gradients.items():
        if key == "keypoint_head.kps_score_lowres.bias":  # a softmax does not change with it
            assert max(gradient.abs().max(), parameters[key].grad.abs().max()) < 1e-12
            continue
        _close(parameters[key].grad, gradient, key)
