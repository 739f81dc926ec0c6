"""Training: it learns, it is a function of its seed, and no interruption changes its result."""

import math
import re
from dataclasses import replace
from itertools import chain, pairwise

import pytest
import torch
from stopping import StopAfter
from torch import nn

import mrcnn_edu
from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.export import write_coco
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import (
    CHECKPOINT,
    Training,
    fit,
    learning_rate,
    loader,
    make_optimizer,
    step_indices,
)
from mrcnn_edu.train.batches import SeededDataset, order
from mrcnn_edu.train.checkpoints import PREVIOUS
from mrcnn_edu.weights import save

SCENES = Shapes(n=10, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
TRAINING = Training(steps=6, batch_size=3, checkpoint_every=2)


pytestmark = pytest.mark.usefixtures("one_thread")


def _model(**changes):
    torch.manual_seed(1)
    sizes = dict(short_side=48, long_side=48, anchor_sizes=((8,), (16,), (32,), (48,)))
    return MaskRCNN(Config.tiny(**sizes | changes))


def _fit(folder=None, dataset=SCENES, training=TRAINING):
    """The trained model and its losses."""
    model = _model()
    losses = fit(model, dataset, training, folder, progress=False)
    return model, losses


@pytest.fixture(scope="module")
def uninterrupted():
    torch.set_num_threads(1)
    return _fit()


def _same_bits(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_the_loss_falls():
    _, losses = _fit(training=Training(steps=20, batch_size=4))
    total = [sum(parts.values()) for parts in losses]
    assert sum(total[-10:]) / 10 < 0.6 * sum(total[:2]) / 2


def test_a_run_gives_its_losses_and_a_model_ready_to_detect(uninterrupted):
    model, losses = uninterrupted
    assert len(losses) == 6
    assert all(len(parts) == 5 and all(p > 0 for p in parts.values()) for parts in losses)
    assert not model.training and model.classes == SCENES.classes
    assert not _same_bits(model, _model())


class BoxesOnly(StopAfter):
    """The scenes without their masks."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, {"boxes": target["boxes"], "labels": target["labels"]}


def test_a_model_without_masks_is_trained_and_resumed(tmp_path):
    boxes_only = BoxesOnly(SCENES, 6)
    training = replace(TRAINING, steps=2)
    model = _model(mask_head=None)
    losses = fit(model, boxes_only, training, tmp_path, progress=False)
    assert all(len(parts) == 4 and "loss_mask" not in parts for parts in losses)
    again = _model(mask_head=None)
    assert fit(again, boxes_only, training, tmp_path, progress=False) == losses
    assert _same_bits(again, model) and mrcnn_edu.load(tmp_path / CHECKPOINT).mask_head is None
    with pytest.raises(ValueError, match="mask_head was None, and is 'fcn' now"):
        fit(_model(), SCENES, training, tmp_path, progress=False)


def test_the_same_seed_gives_the_same_bits(uninterrupted):
    model = _model()
    torch.manual_seed(5)  # the weights to start from are made, the rest must not depend on it
    losses = fit(model, SCENES, TRAINING, progress=False)
    assert losses == uninterrupted[1] and _same_bits(model, uninterrupted[0])
    _, losses = _fit(training=replace(TRAINING, seed=1, steps=2))
    assert losses[0] != uninterrupted[1][0]


@pytest.mark.parametrize("n_items", [4, 7, 17])  # before, after and well after a checkpoint
def test_a_stopped_run_resumes_as_if_nothing_had_happened(tmp_path, uninterrupted, n_items):
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path, StopAfter(SCENES, n_items))
    assert (tmp_path / CHECKPOINT).exists() == (n_items > 6)
    resumed = replace(TRAINING, checkpoint_every=1)  # how often it is saved may change
    model, losses = _fit(tmp_path, training=resumed)
    assert losses == uninterrupted[1] and _same_bits(model, uninterrupted[0])
    assert _same_bits(mrcnn_edu.load(tmp_path / CHECKPOINT), model)


def test_a_finished_run_is_only_read(tmp_path, uninterrupted):
    _fit(tmp_path)
    saved = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    model, losses = _fit(tmp_path, StopAfter(SCENES, 0))  # asks for no item
    assert losses == uninterrupted[1] and _same_bits(model, uninterrupted[0])
    assert set(saved) == {CHECKPOINT, PREVIOUS, "losses.csv"}
    assert saved == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_other_settings_are_refused(tmp_path):
    once = replace(TRAINING, steps=1)
    _fit(tmp_path, training=once)
    message = r"learning_rate was 0\.003, and is 0\.01 now; seed was 0, and is 3 now"
    with pytest.raises(ValueError, match=message):
        _fit(tmp_path, training=replace(once, learning_rate=0.01, seed=3))
    with pytest.raises(ValueError, match="roi_op was 'align', and is 'pool' now"):
        fit(_model(roi_op="pool"), SCENES, once, tmp_path, progress=False)
    with pytest.raises(ValueError, match="n_images was 10, and is 11 now"):
        _fit(tmp_path, replace(SCENES, n=11), once)
    with pytest.raises(ValueError, match=r"classes was \['triangle'.*, and is \['2 lobes'.* now"):
        _fit(tmp_path, replace(SCENES, outlines="lobes"), once)


def test_a_checkpoint_that_is_no_run_is_refused(tmp_path):
    save(tmp_path / CHECKPOINT, _model(), SCENES.classes)
    with pytest.raises(ValueError, match=r"checkpoint\.pt is a model, not a run to resume"):
        _fit(tmp_path)


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="the dataset is empty"):
        _fit(dataset=Shapes(n=0))


class OneWeight(nn.Module):
    """Two losses, of which one is infinite as soon as image 3 is seen."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seeds = []

    def forward(self, images, targets, generators=None):
        self.seeds.append(generators and generators[0].initial_seed())
        bad = any(target["image_id"] == 3 for target in targets)
        return {"loss_calm": self.weight, "loss_wild": self.weight * (torch.inf if bad else 1)}


def test_every_step_has_a_seed_of_its_own():
    seen = []
    for seed in (0, 1):
        model = OneWeight()
        fit(model, Shapes(n=3, size=16), Training(steps=50, seed=seed), progress=False)
        seen += model.seeds
    assert len(set(seen)) == 100


def test_a_loss_that_is_not_finite_is_named_with_its_image():
    model = OneWeight()
    with pytest.raises(FloatingPointError, match=r"loss_wild is not finite; image \[3\]") as error:
        fit(model, SCENES, Training(steps=9, batch_size=4), progress=False)
    assert "loss_calm" not in str(error.value)
    assert model.weight.isfinite()  # it was not learned from


def test_a_broken_model_is_named_by_its_loss():
    model = _model()
    with torch.no_grad():
        model.box_head.cls_score.bias[2] = torch.nan
    with pytest.raises(FloatingPointError, match="step 0: loss_classifier is not finite"):
        fit(model, SCENES, TRAINING, progress=False)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_what_is_to_be_trained_is_trained(name):
    model = _model()
    model.backbone.conv1.requires_grad_(False)
    frozen = model.backbone.conv1.weight.clone()
    optimizer = make_optimizer(model, Training(optimizer=name))
    n_trained = sum(len(group["params"]) for group in optimizer.param_groups)
    assert n_trained == len(list(model.parameters())) - 1
    fit(model, SCENES, Training(steps=1, batch_size=2, optimizer=name), progress=False)
    assert torch.equal(model.backbone.conv1.weight, frozen)


def test_the_rate_rises_and_falls():
    training = Training(steps=100, learning_rate=0.5, warmup_fraction=0.1)
    rates = [learning_rate(step, training) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * step for step in range(1, 11)])
    assert rates[10] == 0.5 and rates[55] == pytest.approx(0.25)  # half-way down
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.001
    assert learning_rate(0, Training(steps=1)) > 0


def test_batches_follow_from_seed_and_step():
    training = Training(steps=9, batch_size=4, seed=2)
    steps = list(step_indices(10, training))
    assert steps == list(step_indices(10, training))
    assert steps[:5] == list(step_indices(10, replace(training, steps=5)))
    assert steps != list(step_indices(10, replace(training, seed=3)))
    # All ten once, then all ten again.
    flat = list(chain(*steps))
    assert sorted(flat[:10]) == sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]
    assert [len(batch) for batch in step_indices(3, training)] == [4] * 9  # more than there are


def test_every_pass_over_augmented_images_shows_each_once():
    training = Training(steps=9, batch_size=4)
    flat = list(chain(*step_indices(10, training, passes=3)))
    assert sorted(flat[:10]) == list(range(10)) and sorted(flat[10:20]) == list(range(10, 20))
    assert sorted(i % 10 for i in flat[20:30]) == list(range(10)) and min(flat[20:30]) == 20
    assert flat[:10] == list(chain(*step_indices(10, training)))[:10]
    augmented = Augmented(SCENES, Augmentation(0.5).transform(), passes=2)
    seen = [t["image_id"] for _, ts in loader(augmented, Training(steps=5)) for t in ts]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))


@pytest.mark.parametrize("name", ["steps", "batch_size", "checkpoint_every", "grad_accumulation"])
def test_counts_are_at_least_one(name):
    for value in (0, -3):
        with pytest.raises(ValueError, match=f"^{name} is {value}: give 1 or more"):
            Training(**{name: value})
    with pytest.raises(ValueError, match=f"^{name} is 1.5: give a whole number"):
        Training(**{name: 1.5})


@pytest.mark.parametrize(
    "name, choices",
    [
        ("optimizer", "adamw, sgd"),
        ("schedule", "cosine, steps"),
        ("precision", "float32, bfloat16"),
        ("rng_scope", "step, image"),
    ],
)
def test_a_misspelled_choice_is_refused_with_the_choices(name, choices):
    with pytest.raises(ValueError, match=f"^{name} is 'typo': choose one of {choices}$"):
        Training(**{name: "typo"})
    for choice in choices.split(", "):
        assert getattr(Training(**{name: choice}), name) == choice


@pytest.mark.parametrize(
    "name, value, advice",
    [
        ("workers", -1, "give 0 or more"),
        ("frozen_stages", -1, "give 0 or more"),
        ("weight_decay", -1e-4, "give 0 or more"),
        ("weight_decay", math.inf, "give a finite number"),
        ("learning_rate", 0.0, "give a number above 0"),
        ("learning_rate", -1.0, "give a number above 0"),
        ("learning_rate", math.inf, "give a finite number"),
        ("learning_rate", math.nan, "give a number"),
        ("clip_norm", 0.0, "give a number above 0"),
        ("clip_norm", -5.0, "give a number above 0"),
        ("warmup_fraction", -0.1, "give 0 or more"),
        ("warmup_fraction", 5.0, "give a fraction of the steps, 0..1"),
        ("milestones", (0.5, 1.5), "give fractions of the steps, 0..1"),
        ("milestones", (-0.5,), "give fractions of the steps, 0..1"),
    ],
)
def test_a_number_that_cannot_be_used_is_refused(name, value, advice):
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} is {value}')}: {advice}"):
        Training(**{name: value})


def test_extreme_settings_that_make_sense_are_accepted():
    Training(clip_norm=math.inf, warmup_fraction=1, milestones=(0, 1.0), weight_decay=0, workers=0)
    Training(milestones=(), warmup_fraction=0, learning_rate=1)


class Photographs(Dataset):
    """Black images, wide and tall in turns."""

    classes, sizes = ["thing"], [(3, 4), (4, 3)] * 6

    def __len__(self):
        return len(self.sizes)

    def image_size(self, index):
        return self.sizes[index]

    def __getitem__(self, index):
        return torch.zeros(3, *self.sizes[index]), {}


GROUPED = Training(steps=12, batch_size=2, group_by_shape=True)


def test_images_are_batched_with_images_of_their_shape_if_asked():
    batches = [{image.shape for image in images} for images, _ in loader(Photographs(), GROUPED)]
    assert len(batches) == 12 and all(len(shapes) == 1 for shapes in batches)
    assert set().union(*batches) == {(3, 3, 4), (3, 4, 3)}


def test_any_dataset_can_be_grouped_by_shape():
    """Whether it knows its images' sizes, or passes them on, or they have to be read."""

    class Plain:
        classes, items = ["thing"], [Photographs()[i] for i in range(12)]

        def __len__(self):
            return len(self.items)

        def __getitem__(self, index):
            return self.items[index]

    expected = list(order(Photographs(), GROUPED))
    assert list(order(Plain(), GROUPED)) == list(order(Cached(Plain(), 1e6), GROUPED)) == expected
    for scenes in (SCENES, Cached(SCENES, 1e6), Augmented(SCENES, Augmentation().transform())):
        assert len(list(loader(scenes, GROUPED))) == 12


def test_an_error_in_image_size_is_passed_on():
    class Broken(Photographs):
        def image_size(self, index):
            return self.width, self.height

    with pytest.raises(AttributeError, match="'Broken' object has no attribute 'width'"):
        loader(Broken(), GROUPED)


def test_items_are_drawn_with_a_seed_and_named():
    class Noise(Photographs):
        def __getitem__(self, index):
            return torch.rand(2), {"image_id": "named"} if index == 1 else {}

    before = torch.get_rng_state()
    data = SeededDataset(Noise())
    assert torch.equal(data[0, 5][0], data[0, 5][0]) and not data[0, 5][0].equal(data[0, 6][0])
    assert data[0, 5][1] == {"image_id": 0} and data[1, 5][1] == {"image_id": "named"}
    assert torch.equal(torch.get_rng_state(), before) and len(data) == 12
    assert data.image_size(1) == (4, 3) and data.classes == ["thing"]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_starts_at_a_step(workers):
    training = Training(steps=4, batch_size=3, workers=workers)
    expected = list(step_indices(10, training))[1:]
    found = list(loader(SCENES, training, first_step=1))
    assert [[target["image_id"] for target in targets] for _, targets in found] == expected
    image, target = found[0][0][0], found[0][1][0]
    assert torch.equal(image, SCENES[target["image_id"]][0])


def test_encoded_masks_train_to_the_same_bits_as_their_pixels(tmp_path):
    """A COCO folder hands its masks to training run-length encoded, other data as pixels."""
    write_coco(Shapes(n=4, size=70, n_objects=(1, 3)), tmp_path)
    folder = CocoFolder(tmp_path / "images", tmp_path / "annotations.json")
    pixels = Augmented(folder, lambda image, objects: (image, objects))  # changes nothing
    assert not isinstance(folder.encoded_item(0)[1]["masks"], torch.Tensor)
    assert isinstance(pixels.encoded_item(0)[1]["masks"], torch.Tensor)
    cached = Cached(folder, 1e8)
    dense, losses = _fit(dataset=pixels)
    for dataset in (folder, cached):
        encoded, others = _fit(dataset=dataset)
        assert losses == others and losses[0]["loss_mask"] > 0 and _same_bits(encoded, dense)
    assert cached.n_kept == 4
