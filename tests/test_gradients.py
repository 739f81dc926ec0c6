"""Input gradients: they are derivatives, and they say which pixels matter."""

import pytest
import torch

from mrcnn_edu import Config, MaskRCNN, load
from mrcnn_edu.course.gradients import OUTPUTS, fraction_within, input_gradients
from mrcnn_edu.data import Shapes


@pytest.fixture(scope="module")
def model():
    return load("shapes-tiny")


@pytest.fixture(scope="module")
def scene():
    return Shapes(100, seed=1)[3]


def test_a_gradient_says_what_a_small_change_does(model, scene):
    image, target = scene
    box, label = target["boxes"][0], int(target["labels"][0])
    double = load("shapes-tiny").double()
    values = input_gradients(double, image.double(), box.double(), label)["class score"]
    row, column = divmod(int(values.argmax()), values.shape[1])

    def score(pixels):
        logits, _ = double.predict_on_boxes(pixels, box[None].double())
        return logits[0, label] - logits[0, 0]

    slopes = []
    for channel in range(3):
        more, less = image.double().clone(), image.double().clone()
        more[channel, row, column] += 1e-5
        less[channel, row, column] -= 1e-5
        slopes.append((score(more) - score(less)) / 2e-5)
    assert torch.stack(slopes).norm().item() == pytest.approx(values.max().item(), rel=1e-4)


def test_maps_are_as_large_as_the_image_and_largest_near_the_object(model, scene):
    image, target = scene
    for box, label in zip(target["boxes"], target["labels"].tolist(), strict=True):
        maps = input_gradients(model, image, box, label)
        assert tuple(maps) == OUTPUTS
        for values in maps.values():
            assert values.shape == image.shape[1:] and (values >= 0).all() and values.max() > 0
            area = (box[2] - box[0]) * (box[3] - box[1]) / values.numel()
            assert fraction_within(values, box) > area  # more than by chance


def test_nothing_is_left_behind_in_the_model_and_the_image(model, scene):
    image, target = scene
    model.train()
    try:
        before = {name: values.clone() for name, values in model.state_dict().items()}
        input_gradients(model, image, target["boxes"][0], 1)
        assert model.training and not image.requires_grad
        assert all(values.equal(before[name]) for name, values in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        model.eval()


def test_without_a_mask_head_there_is_no_map_of_the_mask():
    torch.manual_seed(0)
    boxes_only = MaskRCNN(Config.tiny(mask_head=None))
    maps = input_gradients(boxes_only, torch.rand(3, 96, 96), torch.tensor([10.0, 10, 50, 60]), 2)
    assert tuple(maps) == OUTPUTS[:2]


def test_a_box_outside_of_the_image_is_refused(model):
    with pytest.raises(ValueError, match="input_gradients"):
        input_gradients(model, torch.rand(3, 96, 96), torch.tensor([50.0, 10, 20, 60]), 1)


def test_the_fraction_within_a_box():
    values = torch.ones(10, 20)
    assert fraction_within(values, torch.tensor([0.0, 0, 20, 5])) == pytest.approx(0.5)
    assert fraction_within(values, torch.tensor([-3.0, 0, 40, 10])) == 1
    assert fraction_within(0 * values, torch.tensor([0.0, 0, 20, 5])) == 0
