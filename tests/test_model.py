"""The whole model: shapes; empty inputs; modes and settings; wrong inputs."""

from dataclasses import fields

import pytest
import torch
import torchvision
from torch.testing import assert_close
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from mrcnn_edu.backbone import conv_norm
from mrcnn_edu.backbone_choices import FrozenBatchNorm2d
from mrcnn_edu.config import Config
from mrcnn_edu.detections import SelectedBoxes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.roi_ops import boxes_to_rois
from mrcnn_edu.trace import Trace
from mrcnn_edu.weights import load_torchvision

LOSSES = ["loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"]


# Shapes


def test_every_field_of_the_trace_has_its_documented_shape():
    model = MaskRCNN(Config.tiny(n_keypoints=3))
    trace = model.trace([torch.rand(3, 96, 96), torch.rand(3, 60, 100)])
    anchors = [3 * 24 * 40, 3 * 12 * 20, 3 * 6 * 10, 3 * 3 * 5]  # the batch is 96 x 160
    r = [len(p.boxes) for p in trace.proposals]
    d = [len(s.boxes) for s in trace.selected]
    assert min(r) > 50 and min(d) > 50

    shapes = {
        "features": [(2, 64, 24, 40), (2, 64, 12, 20), (2, 64, 6, 10), (2, 64, 3, 5)],
        "anchors": [(a, 4) for a in anchors],
        "objectness": (2, sum(anchors)),
        "rpn_deltas": (2, sum(anchors), 4),
        "roi_features": (sum(r), 64, 7, 7),
        "class_logits": (sum(r), 7),
        "box_deltas": (sum(r), 7, 4),
        "mask_features": (sum(d), 64, 14, 14),
        "mask_logits": (sum(d), 7, 28, 28),
        "keypoint_features": (sum(d), 64, 14, 14),
        "keypoint_logits": (sum(d), 3, 56, 56),
    }
    for name, expected in shapes.items():
        value = getattr(trace, name)
        shape = [v.shape for v in value] if isinstance(value, list) else value.shape
        assert shape == expected, name

    assert trace.batch.images.shape == (2, 3, 96, 160)
    assert trace.batch.sizes == [(96, 96), (96, 160)]
    assert trace.batch.original_sizes == [(96, 96), (60, 100)]
    for i, (proposals, selected, found) in enumerate(
        zip(trace.proposals, trace.selected, trace.detections, strict=True)
    ):
        n = len(proposals.candidates)
        assert proposals.boxes.shape == (r[i], 4) and proposals.scores.shape == (r[i],)
        assert proposals.candidates.shape == (n, 4)
        assert proposals.candidate_scores.shape == proposals.candidate_levels.shape == (n,)
        assert [part.shape for part in selected] == [(d[i], 4), (d[i],), (d[i],)]
        assert found.boxes.shape == (d[i], 4) and len(found) == d[i] <= 100
        assert found.labels.shape == found.scores.shape == (d[i],)
        assert found.masks.shape == (d[i], *trace.batch.original_sizes[i])
        assert found.masks.dtype == torch.bool
        assert found.mask_probs.shape == (d[i], 28, 28)
        assert found.keypoints.shape == (d[i], 3, 3)

    lists = {"batch", "proposals", "selected", "detections"}
    assert {field.name for field in fields(Trace)} == set(shapes) | lists  # none is forgotten


def test_detections_are_in_order_and_in_the_image(tiny_model):
    image = torch.rand(3, 37, 61)
    (found,) = tiny_model().detect([image])
    assert (found.scores.diff() <= 0).all() and (found.scores > 0.05).all()
    assert found.labels.min() >= 1 and found.labels.max() <= 6
    assert (found.boxes >= 0).all() and (found.boxes <= torch.tensor([61, 37, 61, 37])).all()
    outside = found.masks & ~_boxes_as_masks(found.boxes, (37, 61))
    assert not outside.any()


def _boxes_as_masks(boxes, size):
    y, x = (torch.arange(side) + 0.5 for side in size)
    x1, y1, x2, y2 = (side[:, None, None] for side in boxes.unbind(1))
    return (x >= x1) & (x <= x2) & (y[:, None] >= y1) & (y[:, None] <= y2)


# Empty is ordinary


def _learns(model, images, targets):
    """The losses, after checking that they and all gradients are finite."""
    losses = model(images, targets)
    assert list(losses) == (LOSSES if model.mask_head is not None else LOSSES[:4])
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    model.zero_grad()
    sum(losses.values()).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    return losses


@pytest.mark.parametrize("n_objects", [(0, 0), (0, 3), (3, 2)])
def test_images_without_objects_are_learned_from(tiny_model, random_targets, n_objects):
    images, targets = zip(*(random_targets(n) for n in n_objects), strict=True)
    losses = _learns(tiny_model(), list(images), list(targets))
    assert losses["loss_classifier"] > 0 and losses["loss_objectness"] > 0
    for name in ("loss_rpn_box_reg", "loss_box_reg", "loss_mask"):
        assert (losses[name] > 0) == (sum(n_objects) > 0), name


@pytest.mark.parametrize(
    "changes, zero",
    [
        ({"roi_positive_fraction": 0.0}, {"loss_box_reg", "loss_mask"}),  # no RoI is positive,
        ({"roi_positive_fraction": 0.0}, {"loss_box_reg", "loss_mask"}),  # or none is drawn
        ({"roi_batch_per_image": 0}, {"loss_classifier", "loss_box_reg", "loss_mask"}),
        ({"rpn_positive_fraction": 0.0}, {"loss_rpn_box_reg"}),
        ({"rpn_batch_per_image": 0}, {"loss_objectness", "loss_rpn_box_reg"}),
        ({"rpn_post_nms_top_n_train": 0}, set()),  # only the objects' own boxes are left
        ({"canonical_size": 1e-3}, set()),  # every RoI is read from the coarsest level,
        ({"canonical_size": 1e6}, set()),  # or the finest, the others get none
    ],
)
def test_losses_of_nothing_are_zero(tiny_model, random_targets, changes, zero):
    images, targets = zip(*(random_targets(3) for _ in range(2)), strict=True)
    losses = _learns(tiny_model(**changes), list(images), list(targets))
    assert {name for name, loss in losses.items() if loss == 0} == zero


def test_no_object_and_no_proposal(tiny_model, random_targets):
    image, target = random_targets(0)
    losses = _learns(tiny_model(rpn_post_nms_top_n_train=0), [image], [target])
    assert losses["loss_classifier"] == 0


@pytest.mark.parametrize(
    "changes", [{"score_threshold": 1.0}, {"rpn_post_nms_top_n_test": 0}, {"max_detections": 0}]
)
def test_nothing_is_detected(tiny_model, changes):
    images = [torch.rand(3, 48, 64), torch.rand(3, 40, 30)]
    for image, found in zip(images, tiny_model(**changes).detect(images), strict=True):
        assert len(found) == 0
        assert found.boxes.shape == (0, 4) and found.labels.shape == found.scores.shape == (0,)
        assert found.masks.shape == (0, *image.shape[1:]) and found.masks.dtype == torch.bool
        assert found.mask_probs.shape == (0, 28, 28)


@pytest.mark.parametrize("canonical_size", [1e-3, 1e6])
def test_detections_with_an_empty_pyramid_level(tiny_model, canonical_size):
    (found,) = tiny_model(canonical_size=canonical_size).detect([torch.rand(3, 48, 64)])
    assert len(found) > 0 and found.mask_probs.isfinite().all()


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1)])
def test_images_of_one_row_or_column(tiny_model, size):
    image, target = torch.rand(3, *size), torch.tensor([[0.0, 0, size[1], size[0]]])
    masks = torch.ones(1, *size, dtype=torch.bool)
    _learns(tiny_model(), [image], [{"boxes": target, "labels": torch.tensor([1]), "masks": masks}])
    (found,) = tiny_model().detect([image])
    assert found.masks.shape == (len(found), *size)


# Modes, batches, other settings


def test_detect_is_the_same_in_every_mode_and_leaves_the_model_alone(tiny_model):
    images = [torch.rand(3, 48, 64), torch.rand(3, 64, 48)]
    model = tiny_model().eval()
    expected = model.detect(images)
    model.train()
    model.backbone.bn1.eval()  # a part may have a mode of its own
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = model.detect(images)
    modes = {name: module.training for name, module in model.named_modules()}
    assert [name for name, training in modes.items() if not training] == ["backbone.bn1"]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.boxes, b.boxes) and torch.equal(a.masks, b.masks)


def test_the_mode_comes_back_after_an_error(tiny_model):
    model = tiny_model().train()
    with pytest.raises(ValueError):
        model.detect([])
    assert all(module.training for module in model.modules())


def test_losses_come_in_every_mode(tiny_model, random_targets):
    images, targets = zip(*(random_targets(3) for _ in range(2)), strict=True)
    model = tiny_model().eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    seed = torch.Generator().manual_seed(0)
    losses = model(list(images), list(targets), [seed, seed])
    assert list(losses) == LOSSES
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    again = model(list(images), list(targets), [seed.manual_seed(0)] * 2)
    assert losses == again


def test_a_batch_gives_what_its_images_give_one_by_one(tiny_model):
    model = tiny_model()
    with torch.no_grad():
        model.box_head.cls_score.weight *= 20  # scores far enough apart to keep their order
        model.rpn_head.cls_logits.weight *= 20
    images = [torch.rand(3, 48, 64) for _ in range(3)]
    for together, image in zip(model.detect(images), images, strict=True):
        (alone,) = model.detect([image])
        assert together.labels.equal(alone.labels) and len(alone) > 10
        assert_close(together.scores, alone.scores, rtol=0, atol=1e-4)
        assert_close(together.boxes, alone.boxes, rtol=0, atol=1e-2)
        assert (together.masks == alone.masks).float().mean() > 0.999


def test_crowds_are_left_out(tiny_model, random_targets):
    image, target = random_targets(4)
    crowd = torch.tensor([0, 1, 0, 1])
    without = {name: value[crowd == 0] for name, value in target.items()}
    model = tiny_model().eval()
    seed = torch.Generator()
    losses = model([image], [target | {"iscrowd": crowd}], [seed.manual_seed(0)])
    assert losses == model([image], [without], [seed.manual_seed(0)])


@pytest.mark.parametrize(
    "changes", [{"in_channels": 1, "pixel_mean": (0.5,), "pixel_std": (0.2,)},
                {"roi_op": "pool"}, {"norm": "frozen"}, {"sampling_ratio": 0}, {"n_classes": 1},
                {"mask_size": 14}, {"anchor_ratios": (1.0,)}, {"head_norm": "batch"},
                {"rpn_convs": 2}, {"box_convs": 1}, {"box_layers": 1}, {"roi_op": "warp"},
                {"roi_aggregate": "max"}, {"mask_head": "mlp", "mask_hidden": 32, "mask_layers": 3},
                {"mask_loss": "softmax"}, {"class_agnostic_mask": True},
                {"class_agnostic_mask": True, "mask_loss": "softmax"},
                {"mask_loss": "softmax", "mask_decoding": "strongest"},
                {"mask_loss": "softmax", "mask_decoding": "background"},
                {"backbone": "tiny-deep"}, {"backbone": "tiny-next"}, {"neck": "c5"},
                {"neck": "c4", "mask_size": 14, "mask_convs": 0},
                {"neck": "c4", "roi_op": "pool", "mask_head": "mlp", "mask_hidden": 32}],
)  # fmt: skip
def test_other_settings(tiny_model, random_targets, changes):
    model = tiny_model(**changes)
    image, target = random_targets(3, n_classes=model.config.n_classes)
    image = image[: model.config.in_channels]
    _learns(model, [image], [target])
    (found,) = model.detect([image])
    size = model.config.mask_size
    assert found.mask_probs.shape == (len(found), size, size)


def test_without_a_mask_head_boxes_are_learned_and_found(tiny_model, random_targets):
    model = tiny_model(mask_head=None)
    images, targets = zip(*(random_targets(n) for n in (3, 0)), strict=True)
    _learns(model, list(images), list(targets))  # masks may come along,
    for target in targets:
        del target["masks"]  # or not
    losses = _learns(model, list(images), list(targets))
    assert all(loss > 0 for loss in losses.values())

    trace = model.trace(list(images))
    assert trace.mask_features is trace.mask_logits is None
    for found in trace.detections:
        best = found[found.scores > found.scores.median()]
        assert 0 < len(best) < len(found) and best.boxes.shape == (len(best), 4)
        assert found.masks is found.mask_probs is best.masks is best.mask_probs is None


def test_without_a_mask_head_the_boxes_are_the_same(tiny_model):
    model, images = tiny_model(), [torch.rand(3, 48, 64)]
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("mask_head.")}
    boxes_only = tiny_model(mask_head=None)
    boxes_only.load_state_dict(state)
    (found,), (expected,) = boxes_only.detect(images), model.detect(images)
    for name in ("boxes", "labels", "scores"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("backbone", ["resnet101", "resnext101"])
def test_deeper_backbones_have_torchvisions_parameters(backbone):
    with torch.device("meta"):
        model = MaskRCNN(Config(backbone=backbone))
        name = {"resnext101": "resnext101_32x8d"}.get(backbone, backbone)
        expected = resnet_fpn_backbone(backbone_name=name, weights=None).body.state_dict()
    own = model.backbone.state_dict()
    assert {n: v.shape for n, v in own.items()} == {n: v.shape for n, v in expected.items()}


@pytest.mark.parametrize("neck", ["c4", "c5"])
@pytest.mark.parametrize("n_objects", [(0, 0), (0, 3), (3, 2)])
def test_one_level_learns_from_images_without_objects(tiny_model, random_targets, neck, n_objects):
    images, targets = zip(*(random_targets(n) for n in n_objects), strict=True)
    _learns(tiny_model(neck=neck), list(images), list(targets))


@pytest.mark.parametrize("neck", ["c4", "c5"])
def test_one_level_has_all_anchors_and_stride(tiny_model, neck):
    model, stride = tiny_model(neck=neck), {"c4": 8, "c5": 16}[neck]
    trace = model.trace([torch.rand(3, 96, 96)])
    (features,), (anchors,) = trace.features, trace.anchors
    side = trace.batch.images.shape[-1] // stride
    assert features.shape == (1, {8: 96, 16: 128}[stride], side, side)
    assert anchors.shape == (side**2 * 3 * 4, 4) and trace.objectness.shape == (1, len(anchors))
    assert trace.roi_features.shape[1:] == (128, 7, 7)
    assert model.predict_on_boxes(torch.rand(3, 96, 96), torch.rand(0, 4))[1].shape == (
        0,
        7,
        28,
        28,
    )
    sides = (anchors[:, 2:] - anchors[:, :2]).prod(dim=1).sqrt().view(-1, 12)  # a row a cell
    assert_close(sides[0].sort().values, sides[-1].sort().values)
    sizes = [size for (size,) in model.config.anchor_sizes for _ in range(3)]
    assert_close(sides[0].sort().values, torch.tensor(sizes).float(), rtol=0.07, atol=0)


def test_the_c4_head_is_resnets_last_stage_without_its_stride():
    resnet = torchvision.models.resnet50(weights=None).eval().double()
    for module in resnet.modules():  # numbers that do not hide a mistake
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1), module.running_var.uniform_(0.5, 1.5)
    model = MaskRCNN(Config.c4(n_classes=3, rpn_post_nms_top_n_test=10, short_side=128))
    load_torchvision(model.double(), resnet.state_dict())
    trace = model.trace([torch.rand(3, 128, 160)])
    with torch.no_grad():
        layers = torch.nn.Sequential(*list(resnet.children())[:7])  # up to layer3
        assert_close(trace.features[0], layers(trace.batch.images), rtol=1e-4, atol=1e-3)
        assert model.strides == (16,) and trace.features[0].shape[1] == 1024
        resnet.layer4[0].conv2.stride = resnet.layer4[0].downsample[0].stride = (1, 1)
        boxes = boxes_to_rois(trace.proposals[0].boxes)
        expected = resnet.layer4(torchvision.ops.roi_align(trace.features[0], boxes, 7, 1 / 16, 2))
        assert_close(trace.roi_features, expected, rtol=1e-3, atol=1e-3)
        class_logits = model.box_head.cls_score(expected.mean(dim=(2, 3)))
        assert_close(trace.class_logits, class_logits, rtol=1e-3, atol=1e-3)
    assert trace.mask_logits.shape[1:] == (4, 14, 14)  # figure 4, left


def test_masks_are_of_the_predicted_class_or_of_all_classes_alike(tiny_model, random_targets):
    image, _ = random_targets(1)
    labels = torch.tensor([1, 3, 6])
    for changes, channels in (({}, [1, 3, 6]), ({"class_agnostic_mask": True}, [1, 1, 1])):
        for kind in ("sigmoid", "softmax"):
            model = tiny_model(mask_loss=kind, **changes)
            logits = torch.randn(3, 2 if changes else 7, 28, 28)
            boxes = torch.tensor([[4.0, 4, 20, 20]]).repeat(3, 1)
            selected = [SelectedBoxes(boxes, labels, torch.ones(3))]
            (found,) = model.paste(logits, selected, model.preprocess([image]))
            probs = logits.sigmoid() if kind == "sigmoid" else logits.softmax(dim=1)
            assert torch.equal(found.mask_probs, probs[range(3), channels])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"backbone": "vgg"}, "backbone is 'vgg': choose one of resnet50, .*tiny, tiny-deep"),
        ({"norm": "group"}, "norm is 'group': choose one of frozen, batch"),
        ({"head_norm": "group"}, "head_norm is 'group': choose one of batch, frozen"),
        ({"roi_op": "aling"}, "roi_op is 'aling': choose one of align, warp, pool"),
        ({"roi_aggregate": "median"}, "roi_aggregate is 'median': choose one of mean, max"),
        ({"n_classes": 0}, "n_classes is 0: give 1 or more"),
        ({"n_classes": 2.5}, "n_classes is 2.5: give a whole number"),
        ({"rpn_batch_per_image": -1}, "rpn_batch_per_image is -1: give 0 or more"),
        ({"score_threshold": float("nan")}, "score_threshold is nan: give a number"),
        ({"nms_iou": "half"}, "nms_iou is 'half': give a number"),
        ({"pixel_std": (1, 0, 1)}, r"pixel_std is \(1, 0, 1\): give positive numbers"),
        ({"mask_head": "x"}, "mask_head is 'x': choose one of fcn, mlp"),
        ({"mask_loss": "hinge"}, "mask_loss is 'hinge': choose one of sigmoid, softmax"),
    ],
)
def test_wrong_settings_are_named(tiny_model, changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(**changes)


# Wrong inputs are told apart, with the remedy


def _with(image, y=5, x=5, value=float("nan")):
    image = image.clone()
    image[0, y, x] = value
    return image


@pytest.mark.parametrize(
    "spoil, kind, message",
    [
        (lambda i: (255 * i).to(torch.uint8), TypeError, "image 1 has dtype torch.uint8.*/ 255"),
        (lambda i: 255 * i, ValueError, "image 1 has values up to 25.*/ 255"),
        (_with, ValueError, "image 1 has pixels that are NaN or infinite"),
        (lambda i: _with(i, value=float("-inf")), ValueError, "image 1.*NaN or infinite"),
        (lambda i: i[:1], ValueError, r"image 1 has shape \[1, 48, 64\].*\[3, H, W\]"),
        (lambda i: i.permute(1, 2, 0), ValueError, r"image 1 has shape \[48, 64, 3\]"),
        (lambda i: i[None], ValueError, r"image 1 has shape \[1, 3, 48, 64\]"),
        (lambda i: i[:, :0], ValueError, r"image 1 has shape \[3, 0, 64\]"),
        (lambda i: i.numpy(), TypeError, "must be a list of tensors"),
    ],
)
def test_wrong_images_are_refused(tiny_model, random_targets, spoil, kind, message):
    (first, second), targets = zip(*(random_targets(2) for _ in range(2)), strict=True)
    images = [first, spoil(second)]
    with pytest.raises(kind, match=message):
        tiny_model().detect(images)
    with pytest.raises(kind, match=message):
        tiny_model()(images, list(targets))


def test_looking_at_the_proposals_gives_what_the_trace_has(tiny_model):
    model, image = tiny_model(), torch.rand(3, 70, 90)  # scaled to 48 x 61
    trace = model.trace([image])
    (height, width), boxes = trace.batch.sizes[0], trace.proposals[0].boxes
    zoom = torch.tensor([90 / width, 70 / height] * 2)
    class_logits, _ = model.predict_on_boxes(image, boxes * zoom)
    torch.testing.assert_close(class_logits, trace.class_logits, rtol=1e-4, atol=1e-5)
    _, mask_logits = model.predict_on_boxes(image, trace.selected[0].boxes * zoom)
    torch.testing.assert_close(mask_logits, trace.mask_logits, rtol=1e-3, atol=1e-4)
    assert [len(logits) for logits in model.predict_on_boxes(image, torch.zeros(0, 4))] == [0, 0]
    assert tiny_model(mask_head=None).predict_on_boxes(image, boxes * zoom)[1] is None


def test_images_come_as_a_list(tiny_model):
    with pytest.raises(TypeError, match="must be a list of tensors"):
        tiny_model().detect(torch.rand(2, 3, 48, 64))
    with pytest.raises(ValueError, match="images is empty"):
        tiny_model().detect([])


def _label(value):
    return lambda t: t["labels"].__setitem__(1, value)


def _box(*values):
    return lambda t: t["boxes"].__setitem__(1, torch.tensor(values, dtype=torch.float32))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (_label(0), "target 1, object 1 has label 0: labels run from 1 to 6, 0 is background"),
        (_label(7), "target 1, object 1 has label 7: labels run from 1 to 6"),
        (_box(5, 5, 5, 9), r"target 1, object 1 has box \[5.0, 5.0, 5.0, 9.0\].*no area"),
        (_box(9, 9, 5, 5), "target 1, object 1 has box.*no area"),
        (_box(0, 0, float("nan"), 5), "target 1, object 1 has box.*no area"),
        (lambda t: t.update(masks=t["masks"][:, 1:]), r"masks of shape \[2, 47, 64\].*\[2, 48, 64"),
        (lambda t: t.update(masks=t["masks"][:1]), r"target 1 has 2 labels.*\[1, 48, 64\]"),
        (
            lambda t: t.update(boxes=t["boxes"][:1]),
            r"target 1 has 2 labels and boxes.*\[1, 4\].*\[2, 4\]",
        ),
        (lambda t: t.pop("masks"), "target 1 has no masks"),
        (
            lambda t: t.update(masks=255 * t["masks"].byte()),
            "target 1 has masks with the value 255: .*masks > 0",
        ),
        (lambda t: t.update(labels=t["labels"].float()), "target 1 has labels of torch.float32"),
        (lambda t: (t.update(image_id=77), _label(0)(t)), r"target 1 \(image_id 77\), object 1"),
    ],
)
def test_wrong_targets_are_refused(tiny_model, random_targets, spoil, message):
    images, targets = zip(*(random_targets(2) for _ in range(2)), strict=True)
    spoil(targets[1])
    with pytest.raises((TypeError, ValueError), match=message):
        tiny_model()(list(images), list(targets))


def test_other_dtypes_are_learned_like_the_usual_ones(tiny_model, random_targets):
    """Integer boxes once scaled to zeros, and taught a model nothing."""
    image, target = random_targets(3)  # 48 x 64, resized to 36 x 48
    target["boxes"] = torch.tensor([[3, 4, 30, 40], [20, 10, 60, 44], [0, 0, 9, 9]])
    usual = target | {"boxes": target["boxes"].float()}
    model = tiny_model(short_side=36).eval()
    expected = model([image], [usual], [torch.Generator().manual_seed(0)])
    assert all(loss > 0 for loss in expected.values())
    for changes in (
        {"boxes": target["boxes"]},
        {"boxes": target["boxes"].to(torch.int16)},
        {"boxes": target["boxes"].half()},
        {"labels": target["labels"].int()},
        {"labels": target["labels"].byte()},
        {"masks": target["masks"].byte()},
        {"masks": target["masks"].float()},
    ):
        assert model([image], [usual | changes], [torch.Generator().manual_seed(0)]) == expected
    logits = [
        model.predict_on_boxes(image, boxes)[0] for boxes in (target["boxes"], usual["boxes"])
    ]
    assert torch.equal(*logits)


def test_every_image_needs_a_generator_if_there_is_one(tiny_model, random_targets):
    image, target = random_targets(2)
    with pytest.raises(ValueError, match="1 generators for 2 images: give one for each"):
        tiny_model()([image, image], [target, target], [torch.Generator()])
    with pytest.raises(TypeError, match="generators must be a list of"):
        tiny_model()([image, image], [target, target], [1, 2])


def test_one_generator_serves_all_images(tiny_model, random_targets):
    image, target = random_targets(2)
    model, losses = tiny_model(), []
    for n in (1, 2):
        generator = torch.Generator().manual_seed(0)
        losses.append(model([image] * 2, [target] * 2, generator if n == 1 else [generator] * n))
    assert losses[0] == losses[1]


def test_every_image_needs_a_target(tiny_model, random_targets):
    image, target = random_targets(2)
    with pytest.raises(ValueError, match="1 targets for 2 images"):
        tiny_model()([image, image], [target])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"in_channels": 1}, "in_channels is 1, but pixel_mean has 3 values"),
        ({"anchor_sizes": ((8,), (16,))}, "has 4 levels"),
        ({"anchor_sizes": ((8,), (16,), (32, 48), (64,))}, "all of the same length"),
        ({"mask_size": 15}, "mask_size is 15"),
        ({"norm": "none"}, "norm is 'none': choose one of frozen, batch"),
        ({"neck": "c3"}, "neck is 'c3': choose one of fpn, c4, c5"),
        ({"mask_decoding": "best"}, "mask_decoding is 'best': choose one of probability"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MaskRCNN(Config.tiny(**settings))


@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_other_channels(random_targets, channels):
    numbers = (0.5,) * channels
    model = MaskRCNN(Config.tiny(in_channels=channels, pixel_mean=numbers, pixel_std=numbers))
    image, target = random_targets(2)
    image = image[:1].repeat(channels, 1, 1)
    assert torch.isfinite(sum(model([image], [target]).values()))
    assert len(model.detect([image])) == 1


# What a student may do with it


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_forward_hooks_fire_on_every_convolution_and_norm(tiny_model, norm):
    model = tiny_model(norm=norm, head_norm=norm).eval()
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d | FrozenBatchNorm2d)
    ]
    image = torch.rand(3, 96, 96)
    expected, fired = model.detect([image])[0], set()
    handles = [
        module.register_forward_hook(lambda *_, name=name: fired.add(name))
        for name, module in layers
    ]
    found = model.detect([image])[0]
    assert fired == {name for name, _ in layers} and len(fired) > 20
    assert_close(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    for handle in handles:
        handle.remove()
    assert torch.equal(model.detect([image])[0].scores, expected.scores)


def test_norms_are_folded_into_convolutions_of_any_kind():
    torch.manual_seed(0)
    x = torch.rand(1, 4, 9, 9)
    conv = torch.nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False)
    for norm in (torch.nn.BatchNorm2d(6), FrozenBatchNorm2d(6)):
        norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 1.5)
        with torch.no_grad():
            norm.weight.normal_(), norm.bias.normal_()
            norm.eval()
            folded = conv_norm(x, conv, norm)
        both = conv_norm(x, conv, norm)  # with gradients: one after the other
        assert folded.shape == both.shape == (1, 6, 9, 9) and both.requires_grad
        assert_close(folded, both.detach(), rtol=1e-5, atol=1e-5)


def test_detections_are_ordinary_tensors(tiny_model):
    model = tiny_model(score_threshold=0.0)
    (found,) = model.detect([torch.rand(3, 48, 64)])
    found.boxes[:, 0] += 1
    found.scores.mul_(2)
    weight = torch.ones(4, requires_grad=True)
    (found.boxes * weight).sum().backward()
    assert torch.equal(weight.grad, found.boxes.sum(dim=0))
