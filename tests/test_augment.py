"""Augmentation: boxes and masks move together, and (seed, pass, index) tells all."""

import pytest
import torch
from torchvision.transforms import v2

from mrcnn_edu.data import Shapes
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.check import check
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.transforms import ScaleJitter, transform_item
from mrcnn_edu.train import Training, loader

FLIP = v2.RandomHorizontalFlip(1.0)


class _Data(list):
    classes = ("a", "b", "c", "d", "e", "f")


def _equal(one, other):
    """Whether two items are the same."""
    (image, target), (image2, target2) = one, other
    same = [
        value.equal(target2[name]) if isinstance(value, torch.Tensor) else value == target2[name]
        for name, value in target.items()
    ]
    return torch.equal(image, image2) and list(target) == list(target2) and all(same)


def _tight(target):
    """The boxes [M, 4] around the masks."""
    return masks_to_boxes(target["masks"]).float()


@pytest.fixture
def item(random_targets):
    image, target = random_targets(5)
    target["boxes"] = _tight(target)
    target |= {"iscrowd": torch.tensor([False, True, False, False, True]), "image_id": "x"}
    return image, target | {"area": target["masks"].sum(dim=(1, 2)).float()}


def test_a_flip_is_the_mirror_image_and_two_are_none(item):
    image, target = item
    flipped, moved = transform_item(FLIP, image, target)
    assert flipped.equal(image.flip(-1)) and moved["masks"].equal(target["masks"].flip(-1))
    assert moved["boxes"].equal(_tight(moved)) and moved["area"].equal(target["area"])
    assert type(flipped) is type(moved["boxes"]) is type(moved["masks"]) is torch.Tensor
    assert _equal(transform_item(FLIP, flipped, moved), item)


@pytest.mark.parametrize("low, high", [(0.3, 0.9), (1.0, 1.0), (1.1, 3.0)])
def test_box_and_mask_stay_together_under_scaling(item, low, high):
    image, target = item
    for _ in range(10):
        seen, moved = transform_item(ScaleJitter(low, high), image, target)
        assert seen.shape == image.shape and len(moved["boxes"]) == len(moved["labels"])
        assert moved["masks"].any(dim=(1, 2)).all() and moved["masks"].shape[1:] == seen.shape[1:]
        assert (moved["boxes"] - _tight(moved)).abs().max() <= max(1, 0.7 * high)
        torch.testing.assert_close(moved["area"], moved["masks"].sum(dim=(1, 2)).float())
        assert moved["iscrowd"].dtype == torch.bool and moved["image_id"] == "x"
    if low == 1:
        assert _equal((seen, moved), item)


def test_a_scaled_mask_does_not_shift():
    """A square of whole blocks doubles and halves exactly, where 'nearest' would move it."""
    masks = torch.zeros(1, 40, 40, dtype=torch.bool)
    masks[:, 12:28, 8:24] = True
    boxes = torch.tensor([[8.0, 12, 24, 28]])
    target = {"boxes": boxes, "labels": torch.ones(1).long(), "masks": masks}
    for scale in (0.25, 0.5, 0.75, 1.5):
        _, moved = transform_item(ScaleJitter(scale, scale), masks.float(), target)
        assert moved["boxes"].equal(_tight(moved))
    seen, moved = transform_item(ScaleJitter(0.5, 0.5, (1.0,)), 0 * masks.float(), target)
    assert (seen == 0).sum() == 400 and (seen == 1).sum() == 1200  # the fill


def test_a_box_that_is_cut_fits_what_is_left_and_what_left_the_frame_is_dropped():
    masks = torch.zeros(3, 20, 40, dtype=torch.bool)
    masks[0, 4:8, 2:12] = True
    masks[0, 8:18, 2:4] = True  # an L: without its leg it is 4 pixels high
    masks[1, 2:6, 0:3] = True  # wholly left of the cut
    boxes = torch.tensor([[2.0, 4, 12, 18], [0, 2, 3, 6], [2, 4, 12, 18]])  # the last without mask
    crowd = torch.tensor([True, False, False])
    target = {"boxes": boxes, "labels": torch.tensor([1, 2, 3]), "masks": masks, "iscrowd": crowd}

    class Crop(v2.Transform):
        def transform(self, inpt, params):
            return v2.functional.crop(inpt, 0, 5, 20, 35)

    image, moved = transform_item(Crop(), torch.rand(3, 20, 40), target)
    assert image.shape == (3, 20, 35)
    assert moved["boxes"].tolist() == [[0, 4, 7, 8], [0, 4, 7, 18]]
    assert moved["labels"].tolist() == [1, 3] and moved["iscrowd"].tolist() == [True, False]


def test_images_without_objects_and_targets_without_masks():
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()}
    masks = {"masks": torch.zeros(0, 20, 30).bool(), "area": torch.zeros(0)}
    transform = Augmentation(0.5, (0.5, 2)).transform()
    for target in (empty, empty | masks):
        for _ in range(5):
            image, moved = transform_item(transform, torch.rand(3, 20, 30), target)
            assert image.shape == (3, 20, 30) and moved["boxes"].shape == (0, 4)
    assert moved["masks"].shape == (0, 20, 30)
    boxes = {"boxes": torch.tensor([[2.0, 3, 12, 9]]), "labels": torch.ones(1).long()}
    _, moved = transform_item(FLIP, torch.rand(1, 20, 30), boxes)
    assert moved["boxes"].tolist() == [[18, 3, 28, 9]] and "masks" not in moved


def test_an_item_is_a_function_of_seed_pass_and_index():
    scenes = Shapes(5, size=32)
    settings = Augmentation(0.5, (0.5, 1.5), (24, 32, 40))

    def make(**other):
        return Augmented(scenes, settings.transform(), settings.short_sides, **other)

    data, again, other = make(passes=3), make(passes=3), make(seed=1, passes=3)
    assert len(data) == 15 and data.classes == scenes.classes
    before = torch.random.get_rng_state()
    assert all(_equal(data[i], again[i]) for i in reversed(range(15)))
    assert before.equal(torch.random.get_rng_state())
    assert not all(_equal(data[i], data[i + 5]) for i in range(5))  # another pass
    assert not all(_equal(data[i], other[i]) for i in range(5))
    assert {data[i][1]["short_side"] for i in range(15)} == {24, 32, 40}
    assert check(make()) == []
    with pytest.raises(IndexError):
        data[-1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_taken_up_sees_the_same_images(workers):
    data = Augmented(Shapes(5, size=32), Augmentation(0.5, (0.5, 1.5)).transform(), passes=3)
    training = Training(steps=7, batch_size=2, workers=workers)
    whole = list(loader(data, training))
    for step, rest in enumerate(loader(data, training, first_step=4), start=4):
        then, now = (list(zip(*batch, strict=True)) for batch in (whole[step], rest))
        assert all(_equal(*pair) for pair in zip(then, now, strict=True))
    assert step == 6


def test_the_model_scales_an_image_to_the_short_side_that_was_drawn(tiny_model, random_targets):
    model = tiny_model()
    items = [random_targets(2, (48, 64)) for _ in range(2)]
    images, targets = zip(*items, strict=True)
    sizes = model.preprocess(list(images), [{"short_side": 24}, {}]).sizes
    assert sizes == [(24, 32), (48, 64)]
    small, plain = targets[0] | {"short_side": 24}, targets[0]

    def losses(target):
        return sum(model([images[0]], [target], [torch.Generator().manual_seed(0)]).values())

    assert losses(small) != losses(plain) == losses(plain | {"short_side": 48})
    with pytest.raises(ValueError, match="1 targets for 2 images"):
        model(list(images), [small])


def test_settings_that_cannot_be(item):
    with pytest.raises(ValueError, match="scale is 2 to 1"):
        Augmentation(scale=(2, 1)).transform()
