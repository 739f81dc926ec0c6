"""Fine-tuning copies what fits, says what was reinitialized, and refuses another network."""

from dataclasses import replace

import pytest
import torch

from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.fine_tune import init_from_model

OLD = ["ant", "bee", "cat", "dog", "eel", "fox"]
LAST = ("box_head.cls_score", "box_head.bbox_pred", "mask_head.mask_fcn_logits")


@pytest.fixture
def given(tiny_model):
    model = tiny_model()
    model.classes = OLD
    return model


def _new(given, n_classes, **changes):
    torch.manual_seed(7)
    return MaskRCNN(replace(given.config, n_classes=n_classes, **changes))


def _changed(model, given):
    """Layers whose parameters differ between the two models, in shape or in value."""
    theirs = given.state_dict()
    own = model.state_dict()
    return {
        n.rpartition(".")[0]
        for n, v in own.items()
        if n not in theirs or not torch.equal(v, theirs[n])
    }


def test_only_the_layers_that_know_the_classes_change(given):
    model = _new(given, 2)
    sentences = init_from_model(model, given, ["screw", "nut"])
    assert _changed(model, given) == set(LAST)
    for layer in LAST:
        n = {"box_head.bbox_pred": 4}.get(layer, 1)
        for kind in ("weight", "bias"):
            value = model.state_dict()[f"{layer}.{kind}"]
            old = given.state_dict()[f"{layer}.{kind}"]
            assert value[:n].equal(old[:n])  # background
            mean = old[n:].unflatten(0, (6, n)).mean(dim=0)
            assert value[n : 2 * n].equal(mean) and value[2 * n :].equal(mean)
    assert sentences == [
        "copied all layers but those named here",
        f"{', '.join(LAST)} were adapted to the new classes",
        "2 of 2 classes start as the mean of the 6 old ones",
    ]


@pytest.mark.parametrize("mask_head", ["fcn", "mlp"])
@torch.no_grad()
def test_a_class_of_the_same_name_is_recognized_as_before(given, random_targets, mask_head):
    old = _new(given, 6, mask_head=mask_head)
    old.classes = OLD
    model = _new(given, 3, mask_head=mask_head)
    sentences = init_from_model(model, old, ["Fox", "screw", "bee"])
    assert sentences[2:] == [
        "1 of 3 classes start as the mean of the 6 old ones",
        "classes copied by their names: Fox, bee",
    ]
    image, target = random_targets(3)
    new_logits, new_masks = model.predict_on_boxes(image, target["boxes"])
    old_logits, old_masks = old.predict_on_boxes(image, target["boxes"])
    torch.testing.assert_close(new_logits[:, [0, 1, 3]], old_logits[:, [0, 6, 2]])
    torch.testing.assert_close(new_masks[:, [0, 1, 3]], old_masks[:, [0, 6, 2]])
    torch.testing.assert_close(new_logits[:, 2], old_logits[:, 1:].mean(dim=1))
    torch.testing.assert_close(new_masks[:, 2], old_masks[:, 1:].mean(dim=1))


def test_the_same_classes_keep_everything_and_another_order_is_put_right(given):
    model = _new(given, 6)
    assert init_from_model(model, given, OLD) == ["copied all layers"]
    assert _changed(model, given) == set()
    turned = _new(given, 6)
    init_from_model(turned, given, OLD[::-1])
    weights = turned.box_head.cls_score.weight, given.box_head.cls_score.weight
    assert weights[0][1:].equal(weights[1][1:].flip(0)) and weights[0][0].equal(weights[1][0])


def test_one_mask_for_all_classes_knows_none_and_is_kept(given):
    old = _new(given, 6, class_agnostic_mask=True)
    old.classes = OLD
    model = _new(given, 2, class_agnostic_mask=True)
    init_from_model(model, old, ["screw", "nut"])
    assert _changed(model, old) == set(LAST[:2])
    for one, other, rows in [(old, False, [0, 1, 1, 1, 1, 1, 1]), (given, True, [0, None])]:
        model = _new(given, 6, class_agnostic_mask=other)
        init_from_model(model, one, OLD)
        mask, before = model.mask_head.mask_fcn_logits.bias, one.mask_head.mask_fcn_logits.bias
        expected = [before[1:].mean() if row is None else before[row] for row in rows]
        torch.testing.assert_close(mask, torch.stack(expected))
        assert model.box_head.bbox_pred.weight.equal(one.box_head.bbox_pred.weight)


@torch.no_grad()
def test_gray_images_are_seen_as_gray_in_three_channels_was(given):
    color = _new(given, 6, pixel_std=(0.2, 0.25, 0.3))
    color.classes = OLD
    config = color.config.with_channels(1)
    assert config.pixel_mean == (0.5,) and config.pixel_std == (0.25,)
    model = MaskRCNN(config)
    sentences = init_from_model(model, color, OLD)
    assert len(sentences) == 2 and "sums over its 3 channels" in sentences[1]
    gray = torch.rand(1, 40, 56)
    one = model.features(model.preprocess([gray]))
    three = color.features(color.preprocess([gray.expand(3, -1, -1)]))
    for a, b in zip(one, three, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_further_channels_change_nothing_before_they_are_trained(given):
    model = MaskRCNN(given.config.with_channels(5))
    assert "the others start at 0" in init_from_model(model, given, OLD)[1]
    image = torch.rand(5, 40, 56)
    many = model.features(model.preprocess([image]))
    three = given.features(given.preprocess([image[:3]]))
    for a, b in zip(many, three, strict=True):
        torch.testing.assert_close(a, b)
    two = MaskRCNN(given.config.with_channels(2))
    assert "conv1 is reinitialized" in init_from_model(two, given, OLD)[1]
    assert _changed(two, given) == {"backbone.conv1"}


@torch.no_grad()
def test_norms_may_be_frozen(given, random_targets):
    for parameter in given.buffers():
        if parameter.is_floating_point():
            parameter.uniform_(0.5, 1.5)
    given.eval()
    model = _new(given, 6, norm="frozen")
    assert "norms were batch and are now frozen" in init_from_model(model, given, OLD)[1]
    image, _ = random_targets(1)
    ours, theirs = (m.features(m.preprocess([image])) for m in (model, given))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    back = _new(given, 6)
    model.classes = OLD
    init_from_model(back, model, OLD)
    back.eval()
    for a, b in zip(back.features(back.preprocess([image])), theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_parts_of_the_heads_that_do_not_fit_are_reinitialized_and_named(given):
    ratios = _new(given, 6, anchor_ratios=(0.5, 1.0))
    note = init_from_model(ratios, given, OLD)[1]
    reason, _, layers = note.partition(": ")
    assert reason == "reinitialized, as no layer of this shape was given"
    assert layers == "rpn_head.bbox_pred, rpn_head.cls_logits"
    assert _changed(ratios, given) == {"rpn_head.bbox_pred", "rpn_head.cls_logits"}
    boxes = _new(given, 6, mask_head=None)
    assert (
        "not used, as this model lacks them: mask_head.conv5_mask, mask_head.convs.0.0"
        in init_from_model(boxes, given, OLD)[1]
    )
    boxes.classes = OLD
    masks = _new(given, 6)
    note = init_from_model(masks, boxes, OLD)[1]
    assert note.startswith("reinitialized") and "mask_head.mask_fcn_logits" in note


def test_another_backbone_is_refused_and_nothing_is_loaded(given):
    model = MaskRCNN(Config.tiny(2, backbone="tiny-deep"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"my.pt does not fit this model .*'tiny-deep'"):
        init_from_model(model, given, ["screw", "nut"], "my.pt")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("n, mean", [(1, (0.2,)), (2, (0.2, 0.2)), (5, (0.1, 0.2, 0.3, 0.2, 0.2))])
def test_settings_for_other_channels(n, mean):
    config = Config(pixel_mean=(0.1, 0.2, 0.3)).with_channels(n)
    assert config.in_channels == n and config.pixel_mean == mean and len(config.pixel_std) == n
