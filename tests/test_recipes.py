"""Recipes: learning rates, and training as far with another batch size."""

import math
from dataclasses import replace

import pytest
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from mrcnn_edu.ablations.measure import step_bytes
from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit, steps
from mrcnn_edu.train.recipes import RECIPES, Training, frozen, learning_rate, make_optimizer, scaled

SCENES = Shapes(n=4, size=48, n_objects=(2, 3), object_size=(0.3, 0.6))
FROZEN = Training(steps=2, batch_size=2, learning_rate=0.01, frozen_stages=1)
EARLY = "backbone.conv1.", "backbone.bn1.", "backbone.layer1."


def test_the_papers_rate_rises_then_falls_to_a_tenth():
    """Section 3.1: 0.02, divided by 10 at 120k of 160k steps; the rise is ours."""
    paper = RECIPES["paper-fpn"].training
    rates = {step: learning_rate(step, paper) for step in (0, 499, 999, 119_999, 120_000, 159_999)}
    assert rates == pytest.approx(
        {0: 0.00002, 499: 0.01, 999: 0.02, 119_999: 0.02, 120_000: 0.002, 159_999: 0.002}
    )
    assert (paper.steps, paper.batch_size, paper.weight_decay) == (160_000, 16, 1e-4)
    assert paper.optimizer == "sgd" and paper.clip_norm == math.inf


def test_the_papers_models():
    fpn, c4 = RECIPES["paper-fpn"].model, RECIPES["paper-c4"].model
    assert (fpn.roi_batch_per_image, c4.roi_batch_per_image, fpn.short_side) == (512, 64, 800)
    assert fpn.roi_positive_fraction == c4.roi_positive_fraction == 0.25
    assert (c4.neck, c4.mask_size, c4.rpn_post_nms_top_n_test) == ("c4", 14, 300)
    assert fpn == Config()


def test_detectron2s_and_torchvisions_rates_fall_twice():
    one_x = RECIPES["detectron2-1x"].training
    steps = (999, 59_999, 60_000, 79_999, 80_000)
    rates = [learning_rate(step, one_x) for step in steps]
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002, 0.0002])
    theirs = RECIPES["torchvision"].training
    passes = theirs.steps * theirs.batch_size / 117_266  # images of train2017 with objects
    assert passes == pytest.approx(26, abs=0.1)
    for n_passes, rate in ((15.9, 0.02), (16.1, 0.002), (21.9, 0.002), (22.1, 0.0002)):
        step = int(theirs.steps * n_passes / 26)
        assert learning_rate(step, theirs) == pytest.approx(rate)


@pytest.mark.parametrize("batch_size", [1, 2, 8, 16, 64])
def test_another_batch_goes_as_far(batch_size):
    paper = RECIPES["paper-fpn"].training
    other = scaled(paper, batch_size)
    assert other.batch_size == batch_size
    assert other.learning_rate / batch_size == pytest.approx(0.02 / 16)
    assert other.steps * batch_size == 160_000 * 16
    whole = sum(learning_rate(step, paper) for step in range(0, paper.steps, 40))
    stride = 40 * 16 // batch_size
    same = sum(learning_rate(step, other) for step in range(0, other.steps, stride))
    assert same / batch_size == pytest.approx(whole / 16, rel=1e-2)
    # The rise sees as many images, so that few at a time do not diverge.
    assert learning_rate(1000 * 16 // batch_size - 1, other) == pytest.approx(other.learning_rate)
    assert scaled(paper, 16) == paper


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="schedule is 'line': choose one of cosine, steps"):
        learning_rate(50, Training(schedule="line"))


def _changed(model, training):
    """The names of the parameters and running statistics that training changes."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, SCENES, training, progress=False)
    return {name for name, value in model.state_dict().items() if not value.equal(before[name])}


@pytest.mark.parametrize("changes", [dict(norm="batch"), dict(norm="frozen"), dict(neck="c4")])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_frozen_stages_do_not_move_and_all_else_does(tiny_model, changes, optimizer):
    model = tiny_model(**changes)
    names = {name for name, _ in model.named_parameters()}
    changed = _changed(model, replace(FROZEN, optimizer=optimizer))
    assert not any(name.startswith(EARLY) for name in changed)
    assert changed >= {name for name in names if not name.startswith(EARLY)}
    assert _changed(model, replace(FROZEN, optimizer=optimizer, frozen_stages=0)) >= names


def test_gradients_of_frozen_stages_are_not_computed(tiny_model):
    model, kept = tiny_model(), []
    for _ in steps(model, SCENES, FROZEN):
        for name, parameter in model.named_parameters():
            early = name.startswith(EARLY)
            assert parameter.requires_grad != early and (parameter.grad is None or not early)
    for n in range(3):
        with frozen(model, n):
            kept.append(step_bytes(model, SCENES, 2))
    assert kept[0] > kept[1] > kept[2]  # nor are their activations kept


def test_torchvision_freezes_the_same_layers():
    theirs = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=3).body
    model = MaskRCNN(Config())
    with frozen(model, RECIPES["torchvision"].training.frozen_stages):
        ours = {n for n, p in model.backbone.named_parameters() if not p.requires_grad}
        assert ours == {n for n, p in theirs.named_parameters() if not p.requires_grad} != set()
        groups = make_optimizer(model, Training()).param_groups
        assert sum(len(g["params"]) for g in groups) == len([*model.parameters()]) - len(ours)


def test_what_a_reader_froze_stays_frozen(tiny_model):
    model = tiny_model()
    model.backbone.conv1.requires_grad_(False)
    fit(model, SCENES, FROZEN, progress=False)
    asked = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert asked == {"backbone.conv1.weight"}


@pytest.mark.parametrize("n", [-1, 4])
def test_there_must_be_so_many_stages(tiny_model, n):
    words = f"frozen_stages is {n}: give 0 or more"
    if n > 0:
        words = f"frozen_stages is {n}, the backbone has 3: give 0 to 3"
    with pytest.raises(ValueError, match=words):
        fit(tiny_model(), SCENES, replace(FROZEN, frozen_stages=n), progress=False)
