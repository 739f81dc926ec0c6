"""Augmentation moves boxes and masks together, and depends on seed, pass and index alone."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from mrcnn_edu.data import Cached, Figures, Shapes
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.check import check
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.transforms import ScaleJitter, transform_item
from mrcnn_edu.train import Training, loader

FLIP = v2.RandomHorizontalFlip(1.0)


def _equal(one, other):
    """Whether two items are the same."""
    (image, target), (other_image, other_target) = one, other
    if not torch.equal(image, other_image) or list(target) != list(other_target):
        return False
    pairs = [(value, other_target[name]) for name, value in target.items()]
    return all(a.equal(b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def _mask_boxes(target):
    """The boxes [M, 4] around the masks."""
    return masks_to_boxes(target["masks"])


@pytest.fixture
def item(random_targets):
    image, target = random_targets(5)
    target["boxes"] = _mask_boxes(target)
    target |= {"iscrowd": torch.tensor([False, True, False, False, True]), "image_id": "x"}
    return image, target | {"area": target["masks"].sum(dim=(1, 2)).float()}


def test_a_flip_is_the_mirror_image_and_two_flips_change_nothing(item):
    image, target = item
    flipped, moved = transform_item(FLIP, image, target)
    assert flipped.equal(image.flip(-1)) and moved["masks"].equal(target["masks"].flip(-1))
    assert moved["boxes"].equal(_mask_boxes(moved)) and moved["area"].equal(target["area"])
    assert type(flipped) is type(moved["boxes"]) is type(moved["masks"]) is torch.Tensor
    assert _equal(transform_item(FLIP, flipped, moved), item)


@pytest.mark.parametrize("low, high", [(0.3, 0.9), (1.0, 1.0), (1.1, 3.0)])
def test_box_and_mask_stay_together_under_scaling(item, low, high):
    image, target = item
    for _ in range(10):
        scaled, moved = transform_item(ScaleJitter(low, high), image, target)
        assert scaled.shape == image.shape and len(moved["boxes"]) == len(moved["labels"])
        assert moved["masks"].any(dim=(1, 2)).all() and moved["masks"].shape[1:] == scaled.shape[1:]
        assert (moved["boxes"] - _mask_boxes(moved)).abs().max() <= max(1, 0.7 * high)
        torch.testing.assert_close(moved["area"], moved["masks"].sum(dim=(1, 2)).float())
        assert moved["iscrowd"].dtype == torch.bool and moved["image_id"] == "x"
    if low == 1:
        assert _equal((scaled, moved), item)


def test_a_scaled_mask_does_not_shift():
    """A square of whole blocks doubles and halves exactly, where 'nearest' would move it."""
    masks = torch.zeros(1, 40, 40, dtype=torch.bool)
    masks[:, 12:28, 8:24] = True
    boxes = torch.tensor([[8.0, 12, 24, 28]])
    target = {"boxes": boxes, "labels": torch.ones(1).long(), "masks": masks}
    for scale in (0.25, 0.5, 0.75, 1.5):
        _, moved = transform_item(ScaleJitter(scale, scale), masks.float(), target)
        assert moved["boxes"].equal(_mask_boxes(moved))
    scaled, moved = transform_item(ScaleJitter(0.5, 0.5, (1.0,)), 0 * masks.float(), target)
    assert (scaled == 0).sum() == 400 and (scaled == 1).sum() == 1200  # the fill


def test_a_cut_box_fits_the_rest_of_its_mask_and_objects_outside_the_frame_are_dropped():
    masks = torch.zeros(3, 20, 40, dtype=torch.bool)
    masks[0, 4:8, 2:12] = True
    masks[0, 8:18, 2:4] = True  # an L: without its leg it is 4 pixels high
    masks[1, 2:6, 0:3] = True  # entirely left of the cut
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
    assert all(_equal(data[i], again[i]) for i in reversed(range(15)))
    assert not all(_equal(data[i], data[i + 5]) for i in range(5))  # another pass
    assert not all(_equal(data[i], other[i]) for i in range(5))
    assert {data[i][1]["short_side"] for i in range(15)} == {24, 32, 40}
    assert check(make()) == []
    with pytest.raises(IndexError):
        data[-1]


def test_items_are_drawn_without_touching_the_global_generators(monkeypatch):
    scenes, settings = Shapes(3, size=32), Augmentation(0.5, (0.5, 1.5), (24, 32))
    data = Augmented(scenes, settings.transform(), settings.short_sides, seed=4, passes=2)
    expected = []
    for index in range(6):
        (seed,) = np.random.SeedSequence((4, index)).generate_state(1, np.uint64)
        torch.manual_seed(int(seed))
        image, target = scenes[index % 3]
        target["short_side"] = (24, 32)[int(torch.randint(2, ()))]
        expected.append(transform_item(settings.transform(), image, target))

    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    # It would seed the generators of all GPUs, too, which nothing restores.
    monkeypatch.setattr(torch, "manual_seed", lambda _: pytest.fail("torch.manual_seed was called"))
    assert all(_equal(data[index], expected[index]) for index in range(6))
    assert before.equal(torch.random.get_rng_state())


def test_wrappers_in_any_order_pass_everything_on():
    scenes = Shapes(4, size=32, seed=2, outlines="lobes")
    transform = Augmentation(1.0).transform()
    words = "RandomHorizontalFlip(p=1.0), short sides [], seed 0"
    augmented = Augmented(scenes, transform, passes=3)
    for data in (
        augmented,
        Cached(augmented, 1e6),
        Augmented(Cached(scenes, 1e6), transform, (), 0, 3),
    ):
        assert len(data) == 12 and data.passes == 3 and data.augmentation == words
        assert data.classes == scenes.classes and data.category_ids == [1, 2, 3, 4]
        assert data.fingerprint == scenes.fingerprint and data.image_size(9) == (32, 32)
        assert data[9][0].equal(scenes[1][0].flip(-1))
        assert data.target(9)["masks"].equal(scenes[1][1]["masks"].flip(-1))
    twice = Augmented(augmented, transform, seed=5, passes=2)
    assert len(twice) == 24 and twice.passes == 6
    assert twice.augmentation == f"{words}, then {words.replace('seed 0', 'seed 5')}"
    assert twice[14][0].equal(scenes[2][0])  # flipped twice
    with pytest.raises(NotImplementedError, match="choose the channels before Augmented wraps"):
        augmented.with_channels(1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_sees_the_same_images(workers):
    data = Augmented(Shapes(5, size=32), Augmentation(0.5, (0.5, 1.5)).transform(), passes=3)
    training = Training(steps=7, batch_size=2, workers=workers)
    whole = list(loader(data, training))
    for step, rest in enumerate(loader(data, training, first_step=4), start=4):
        then, now = (list(zip(*batch, strict=True)) for batch in (whole[step], rest))
        assert all(_equal(*pair) for pair in zip(then, now, strict=True))
    assert step == 6


def test_the_model_resizes_an_image_to_its_own_short_side(tiny_model, random_targets):
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


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="scale is 2 to 1"):
        Augmentation(scale=(2, 1)).transform()


def _dots(points, size=(48, 64)):
    """An item whose keypoints are dots of 5 x 5 pixels in an image: where a dot goes, they go.

    points: (x, y) of each keypoint of the one object, the middles of pixels.
    """
    image = torch.zeros(len(points), *size)
    for channel, (x, y) in zip(image, points, strict=True):
        channel[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 1
    keypoints = torch.tensor([[(x, y, 2) for x, y in points]])
    boxes = torch.tensor([[1.0, 1, size[1] - 1, size[0] - 1]])
    return image, {"boxes": boxes, "labels": torch.ones(1).long(), "keypoints": keypoints}


def _middles(image):
    """The middle (x, y) of what each channel [H, W] of an image shows, in pixels."""
    height, width = image.shape[1:]
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    total = image.sum(dim=(1, 2))
    return torch.stack(((image.sum(1) * x).sum(1) / total, (image.sum(2) * y).sum(1) / total), 1)


TRANSFORMS = {  # and whether the picture is mirrored
    "flip": (FLIP, True),
    "upside down": (v2.RandomVerticalFlip(1.0), True),
    "turned by a half": (v2.Compose([FLIP, v2.RandomVerticalFlip(1.0)]), False),
    "smaller": (ScaleJitter(0.6, 0.9, (0.0,)), False),
    "larger": (ScaleJitter(1.05, 1.15), False),
    "flip and scale": (v2.Compose([FLIP, ScaleJitter(0.7, 1.1, (0.0,))]), True),
    "rotated": (v2.RandomRotation((20, 20), v2.InterpolationMode.BILINEAR), False),
    "shifted": (v2.RandomAffine(0, translate=(0.1, 0.1)), False),
    "resized": (v2.Resize((96, 128)), False),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_keypoints_go_where_the_pixels_go_and_swap_names_in_a_mirror(name):
    transform, is_mirrored = TRANSFORMS[name]
    image, target = _dots([(30.5, 20.5), (22.5, 16.5), (40.5, 30.5)])
    mirrored = [0, 2, 1]
    for seed in range(5):
        torch.manual_seed(seed)
        moved_image, moved = transform_item(transform, image, target, mirrored)
        expected = _middles(moved_image)
        if is_mirrored:
            expected = expected[mirrored]
        points, visibility = moved["keypoints"][0, :, :2], moved["keypoints"][0, :, 2]
        assert visibility.tolist() == [2, 2, 2] and moved["keypoints"].dtype == torch.float32
        torch.testing.assert_close(points, expected, rtol=0, atol=0.26)


def test_a_flip_of_keypoints_is_exact_and_two_change_nothing():
    image, target = _dots([(30.5, 20.5), (22.5, 16.5), (40.5, 30.5)])
    target["keypoints"][0, 0, 2] = 1
    once = transform_item(FLIP, image, target, [0, 2, 1])
    assert once[1]["keypoints"].tolist() == [[[33.5, 20.5, 1], [23.5, 30.5, 2], [41.5, 16.5, 2]]]
    assert _equal(transform_item(FLIP, *once, [0, 2, 1]), (image, target))
    with pytest.raises(ValueError, match="objects have 3 keypoints, but the dataset names 0"):
        transform_item(FLIP, image, target)
    same = transform_item(ScaleJitter(1.0, 1.0), image, target)  # no mirror, no names needed
    assert _equal(same, (image, target))


def test_keypoints_that_leave_the_frame_and_unlabeled_ones_are_zero():
    image, target = _dots([(30.5, 20.5), (2.5, 16.5), (40.5, 30.5)])
    target["keypoints"][0, 2] = 0

    class Crop(v2.Transform):
        def transform(self, inpt, params):
            return v2.functional.crop(inpt, 0, 5, 48, 59)

    for transform in (Crop(), v2.Compose([FLIP, Crop(), FLIP])):
        moved = transform_item(transform, image, target, [0, 2, 1])[1]["keypoints"]
        assert moved[0, 2].tolist() == [0, 0, 0]
    assert transform_item(Crop(), image, target)[1]["keypoints"].tolist() == [
        [[25.5, 20.5, 2], [0, 0, 0], [0, 0, 0]]
    ]


def test_augmented_figures_are_figures():
    scenes = Figures(6, size=48, n_objects=(0, 3))
    data = Augmented(scenes, Augmentation(0.5, (0.5, 1.6)).transform(), passes=4)
    n_whole = 0
    for index in range(len(data)):
        _, target = data[index]
        assert target["keypoints"].shape == (len(target["boxes"]), 7, 3)
        for mask, keypoints in zip(target["masks"], target["keypoints"], strict=True):
            for x, y, _ in keypoints[keypoints[:, 2] == 2].tolist():
                row, column = min(int(y), 47), min(int(x), 47)
                near = mask[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
                assert near.any()
        for keypoints in target["keypoints"]:
            if (keypoints[:, 2] > 0).all():
                n_whole += 1
    assert n_whole > 5 and check(Augmented(scenes, data.transform)) == []
    assert _equal(data[7], Augmented(Cached(scenes, 1e7), data.transform, passes=4)[7])
