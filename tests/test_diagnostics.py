"""What goes wrong is reported early, with the image and with advice."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.diagnostics import check_divergence

SCENES = Shapes(n=6, size=32)


class OneWeight(nn.Module):
    """A model whose loss is its weight times `factor(targets)`, which may also raise an error."""

    def __init__(self, factor):
        super().__init__()
        self.weight, self.factor = nn.Parameter(torch.ones(())), factor

    def forward(self, images, targets, generators=None):
        return {"loss_one": self.weight * self.factor(targets)}


def _fit(factor, folder=None, **changes):
    training = replace(Training(steps=9, batch_size=2, learning_rate=1e-6), **changes)
    return fit(OneWeight(factor), SCENES, training, folder, progress=False)


def test_the_batch_of_a_loss_that_is_not_finite_is_saved(tmp_path):
    def factor(targets):
        return float("nan") if any(target["image_id"] == 3 for target in targets) else 1.0

    with pytest.raises(FloatingPointError, match=r"loss_one is not finite; image \[3\]") as error:
        _fit(factor, tmp_path / "run", checkpoint_every=100)
    (file,) = (tmp_path / "run").glob("batch-of-step-*.pt")
    assert str(file) in str(error.value)
    saved = torch.load(file, weights_only=True)  # only tensors and plain values
    assert f"step {saved['step']}:" in str(error.value) and len(saved["images"]) == 2
    for image, target in zip(saved["images"], saved["targets"], strict=True):
        torch.testing.assert_close(image, SCENES[target["image_id"]][0])
        assert torch.equal(target["masks"], SCENES[target["image_id"]][1]["masks"])
    assert any(target["image_id"] == 3 for target in saved["targets"])


def test_labels_beyond_the_models_classes_are_named_before_the_first_step():
    model = MaskRCNN(Config.tiny(n_classes=2))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    first = next(i for i in range(6) if (SCENES[i][1]["labels"] > 2).any())
    label = SCENES[first][1]["labels"][SCENES[first][1]["labels"] > 2][0].item()
    words = f"6 classes, the model 2, and image {first} has label {label}: .* n_classes=6"
    with pytest.raises(ValueError, match=words):
        fit(model, SCENES, Training(steps=1), progress=False)
    assert all(torch.equal(value, start[name]) for name, value in model.state_dict().items())


class Mislabeled:
    """The scenes, but an object of image 4 has a label too many. named: with image ids."""

    classes = SCENES.classes

    def __init__(self, named):
        self.named = named

    def __len__(self):
        return len(SCENES)

    def __getitem__(self, index):
        image, target = SCENES[index]
        if index == 4:
            target["labels"][-1] = 7
        return image, {n: v for n, v in target.items() if self.named or n != "image_id"}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("augmented", [True, False])
def test_a_label_beyond_the_datasets_classes_is_named_when_its_image_comes(named, augmented):
    data, model = Mislabeled(named), MaskRCNN(Config.tiny(short_side=32))
    if augmented:
        data = Augmented(data, Augmentation(0.5).transform(), passes=5)
    words = r"image_id 4\), object \d has label 7: labels run from 1 to 6.*correct it.*n_classes"
    with pytest.raises(ValueError, match=words):
        fit(model, data, Training(steps=len(data), batch_size=1), progress=False)


def test_a_loss_that_diverges_is_reported_with_advice():
    seen = []

    def factor(targets):
        seen.append(len(targets))
        return 1.0 if len(seen) < 4 else 50.0

    with pytest.raises(
        FloatingPointError, match="step 5: the loss is 50, after 1 in the first"
    ) as e:
        _fit(factor)
    assert len(seen) == 6  # three in a row
    assert "learning rate (1e-06 for 2 images a step)" in str(e.value)
    assert "warm-up (0.1 of the steps)" in str(e.value)


def test_a_loss_that_is_high_now_and_then_or_late_is_no_divergence():
    def losses(*values):
        return [{"loss": value} for value in values]

    for values in ((1, 50, 50, 1, 50, 50), (1, 9, 9, 9, 9), (1, 50, 50), (), (0.0, 0.0, 0.0, 0.0)):
        for n in range(len(values) + 1):
            check_divergence(losses(*values[:n]), Training())
    check_divergence(losses(0.003, *[2] * 9), Training())  # the first images had no objects
    check_divergence(losses(1, *[50] * 1_001), Training())
    with pytest.raises(FloatingPointError, match="training diverges"):
        check_divergence(losses(1, *[50] * 500), Training())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_a_full_memory_is_reported_with_what_to_lower(error):
    def full(targets):
        raise error

    words = r"full with 2 images of up to 32 x 32.*grad_accumulation \(1\).*bfloat16"
    words += ".*activation_checkpointing"
    with pytest.raises(torch.OutOfMemoryError, match=words) as reported:
        _fit(full)
    assert "allocate" in str(reported.value) and "short_side" in str(reported.value)


def test_other_errors_are_left_as_they_are():
    def wrong(targets):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match=r"^shapes differ$"):
        _fit(wrong)
