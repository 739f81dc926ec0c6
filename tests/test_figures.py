"""Scenes of figures: reproducible, with masks and keypoints that belong together."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrcnn_edu.data import Augmented, Cached, Dataset, Figures, as_dataset, check
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.data.figure_parts import cut_parts, placed, random_figure
from mrcnn_edu.data.keypoints import swap_sides, twins, without_outside, without_twin
from mrcnn_edu.data.layers import empty_layers, keypoints_of, lay_on
from mrcnn_edu.data.poses import KEYPOINTS, hull, random_pose


@pytest.fixture(scope="module")
def items():
    dataset = Figures(n=60, size=64, seed=3, n_objects=(0, 4))
    return [dataset[i] for i in range(60)]


def test_items_are_as_described(items):
    for i, (image, target) in enumerate(items):
        n = len(target["labels"])
        assert image.shape == (3, 64, 64) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
        assert target["boxes"].shape == (n, 4) and target["boxes"].dtype == torch.float32
        assert target["masks"].shape == (n, 64, 64) and target["masks"].dtype == torch.bool
        assert target["labels"].equal(torch.ones(n, dtype=torch.int64)) and target["image_id"] == i
        assert target["keypoints"].shape == (n, 7, 3)
        assert target["keypoints"].dtype == torch.float32
        assert target["masks"].sum(0).max() <= 1 and target["masks"].any(dim=(1, 2)).all()
        for mask, box in zip(target["masks"], target["boxes"].long().tolist(), strict=True):
            y, x = torch.where(mask)
            assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert {len(target["labels"]) for _, target in items} == {0, 1, 2, 3, 4}


def test_a_dataset_of_figures_says_what_its_keypoints_are():
    dataset = Figures(n=3, size=48)
    assert isinstance(dataset, Dataset) and dataset.classes == ["figure"] and len(dataset) == 3
    assert dataset.keypoints == list(KEYPOINTS) and dataset.mirrored == [0, 2, 1, 4, 3, 6, 5]
    assert len(dataset.sigmas) == 7 and all(0 <= j < 7 for pair in dataset.skeleton for j in pair)
    assert dataset.image_size(1) == (48, 48) and check(dataset) == []
    with pytest.raises(IndexError, match="scene 3 of 3"):
        dataset[3]


def test_visible_keypoints_are_on_the_figure_and_hidden_ones_under_something(items):
    counts = torch.zeros(3, dtype=torch.int64)
    for _, target in items:
        anything = target["masks"].any(0) if len(target["masks"]) else None
        for mask, keypoints in zip(target["masks"], target["keypoints"], strict=True):
            counts += keypoints[:, 2].long().bincount(minlength=3)
            for x, y, visibility in keypoints.tolist():
                if visibility == 0:
                    assert (x, y) == (0, 0)
                    continue
                assert 0 <= x <= 64 and 0 <= y <= 64
                row, column = min(int(y), 63), min(int(x), 63)
                near = mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                if visibility == 2:
                    assert near.any()
                else:
                    assert anything[row, column]
    assert counts[2] > counts[1] > 0 and counts[0] > 0  # each kind occurs, visible ones most


def test_a_figure_under_another_has_hidden_joints_and_one_outside_unlabeled_ones():
    rng = np.random.default_rng(0)
    figure = placed(random_figure(rng), np.array([0.5, 0.5]), 0.5, 0)
    parts = cut_parts(figure, 64)
    layers = lay_on(lay_on(empty_layers(64), parts, 0), parts, 1)  # the same one on top of it
    below, above = (np.array(keypoints_of(figure, i, layers, 64)) for i in range(2))
    assert (below[:, 2] == 1).all() and (above[:, :2] == below[:, :2]).all()
    alone = np.array(keypoints_of(figure, 0, lay_on(empty_layers(64), parts, 0), 64))
    assert (above == alone).all() and (alone[:, 2] == 2).sum() >= 6
    np.testing.assert_allclose(alone[0, :2], 64 * figure.pose["head"])
    outside = placed(random_figure(rng), np.array([-2, 0.5]), 0.5, 0)
    assert np.array(keypoints_of(outside, 0, empty_layers(64), 64)).sum() == 0


def test_a_figure_faces_us_so_that_its_left_is_on_our_right():
    scenes = Figures(n=30, size=64, rotation=60.0)
    for i in range(30):
        for figure in scenes.layout(i)[0]:
            assert figure.pose["left_shoulder"][0] > figure.pose["right_shoulder"][0]
            assert figure.pose["head"][1] < figure.pose["neck"][1]
    poses = [random_pose(np.random.default_rng(i)) for i in range(400)]
    for joint in ("elbow", "hand", "knee", "foot"):
        left = np.array([pose[f"left_{joint}"] for pose in poses]).mean(axis=0)
        right = np.array([pose[f"right_{joint}"] for pose in poses]).mean(axis=0)
        assert left[0] > 0.05  # and the two sides differ by nothing else
        np.testing.assert_allclose(left * (-1, 1), right, atol=0.02)


def test_a_mirror_image_is_a_figure_whose_left_is_on_our_right():
    dataset = Figures(n=20, size=64, n_objects=(1, 1), rotation=0, overlap=0)
    flipped = Augmented(dataset, Augmentation(1.0).transform())
    for i in range(20):
        (image, target), (mirror, moved) = dataset[i], flipped[i]
        assert mirror.equal(image.flip(-1))
        x, y, v = target["keypoints"][:, dataset.mirrored].unbind(2)
        expected = torch.stack((torch.where(v > 0, 64 - x, 0), y, v), dim=2)
        torch.testing.assert_close(moved["keypoints"], expected)


def test_an_item_depends_on_its_index_and_the_seed_alone():
    dataset = Figures(n=10, size=32)
    expected = dataset[7]
    _ = dataset[3]
    torch.manual_seed(5)
    again, longer, other = dataset[7], Figures(n=99, size=32)[7], Figures(n=10, size=32, seed=1)[7]
    assert _digest(again) == _digest(longer) == _digest(expected)
    assert _digest(other) != _digest(expected) != _digest(dataset[6])
    assert dataset.fingerprint != Figures(n=10, size=32, seed=1).fingerprint


def _digest(item):
    image, target = item
    parts = image, *(target[name] for name in ("boxes", "labels", "masks", "keypoints"))
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def test_an_item_is_the_same_in_another_process():
    code = "import test_figures as t; print(t._digest(t.Figures(n=9, size=32, seed=2)[4]))"
    folder = str(__file__).rpartition("/")[0]
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert run.stdout.strip() == _digest(Figures(n=9, size=32, seed=2)[4])


def test_a_larger_picture_is_of_the_same_scene():
    scenes = Figures(n=8, size=64, noise=0)
    for (image, target), (large, large_target) in zip(
        scenes, replace(scenes, render_size=256), strict=True
    ):
        torch.testing.assert_close(
            large_target["keypoints"] * torch.tensor([0.25, 0.25, 1]), target["keypoints"]
        )
        assert large.shape == (3, 256, 256) and large_target["masks"].shape[1:] == (256, 256)
        small = torch.nn.functional.avg_pool2d(large, 4)
        assert (small - image).abs().mean() < 0.02
        assert (large_target["boxes"] / 4 - target["boxes"]).abs().max() <= 1.5


def test_no_more_of_a_figure_is_hidden_than_allowed():
    for overlap in (0.0, 0.3):
        scenes = Figures(n=15, size=64, n_objects=(4, 4), overlap=overlap)
        for i in range(15):
            _, cutouts, layers = scenes.layout(i)
            for figure, parts in enumerate(cutouts):
                alone = (lay_on(empty_layers(64), parts, 0).figure == 0).sum()
                assert (layers.figure == figure).sum() >= (1 - overlap) * alone


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"n_objects": (3, 2)}, "n_objects is .*: give the fewest and the most"),
        ({"object_size": (0, 0.5)}, "object_size is .*: give two fractions"),
        ({"overlap": 1}, "overlap is 1: give a fraction"),
        ({"rotation": 200.0}, "rotation is 200"),
        ({"size": 8}, "at least 16 pixels"),
        ({"render_size": 100}, "give a multiple of the size, 96"),
        ({"n": -1}, "give 0 or more"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Figures(**settings)


def test_extreme_settings_give_scenes():
    for settings in ({"size": 16}, {"n_objects": (0, 0)}, {"rotation": 180.0}, {"noise": 0.0}):
        for image, target in Figures(n=4, **settings):
            assert image.isfinite().all() and target["keypoints"].shape[1:] == (7, 3)


def test_a_hull_is_a_rubber_band_around_circles():
    centers, radii = [np.array((0.0, 0)), np.array((3.0, 1)), np.array((1.0, 1))], [1, 0.5, 0.1]
    outline = hull(centers, radii, n=360)
    distance = np.stack(
        [np.linalg.norm(outline - c, axis=1) - r for c, r in zip(centers, radii, strict=True)]
    )
    np.testing.assert_allclose(distance.min(axis=0), 0, atol=1e-12)  # on a circle, inside none
    np.testing.assert_allclose(hull(centers[:1], [2], n=8).sum(axis=0), 0, atol=1e-12)


def test_twins_are_found_by_their_names():
    names = ["nose", "left_eye", "Right_Eye", "hand left", "hand right", "right_ear", "bright spot"]
    assert twins(names) == [0, 2, 1, 4, 3, 5, 6] and without_twin(names) == ["right_ear"]
    assert twins([]) == [] and without_twin([]) == []
    coco = ["nose"] + [f"{side}_{part}" for part in ("eye", "ear") for side in ("left", "right")]
    assert twins(coco) == [0, 2, 1, 4, 3]


def test_sides_are_swapped_only_where_the_dataset_names_them():
    keypoints = torch.arange(9.0).view(1, 3, 3)
    assert swap_sides(keypoints, [0, 2, 1])[0, :, 0].tolist() == [0, 6, 3]
    assert swap_sides(keypoints[:0], [0, 2, 1]).shape == (0, 3, 3)
    with pytest.raises(ValueError, match="3 keypoints, but the dataset names 0: give it the attr"):
        swap_sides(keypoints, [])


def test_keypoints_outside_are_no_longer_labeled():
    keypoints = torch.tensor([[[0.0, 0, 2], [30, 20, 1], [30.1, 5, 2], [5, -0.1, 2], [7, 7, 0]]])
    kept = without_outside(keypoints, (20, 30))
    assert kept[0].tolist() == [[0, 0, 2], [30, 20, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert without_outside(keypoints[:0], (20, 30)).shape == (0, 5, 3)


def test_wrappers_pass_on_what_keypoints_are():
    scenes = Figures(n=4, size=32)
    chosen = torch.utils.data.Subset(scenes, [2, 0])
    both = torch.utils.data.ConcatDataset([scenes, chosen])
    for data in (Cached(scenes, 1e6), Augmented(scenes, None), chosen, both):
        data = as_dataset(data)
        for name in ("keypoints", "mirrored", "skeleton", "sigmas"):
            assert getattr(data, name) == getattr(scenes, name)
    assert as_dataset(chosen)[0][1]["keypoints"].equal(scenes[2][1]["keypoints"])

    class Items(list):
        classes = ("figure",)

    plain = as_dataset(Items([scenes[0]]))
    assert plain.keypoints == plain.mirrored == plain.skeleton == plain.sigmas == []
    with pytest.raises(ValueError, match="have other keypoints"):
        as_dataset(torch.utils.data.ConcatDataset([scenes, Items([scenes[0]])]))
    Items.keypoints = ["left_hand", "right_hand"]
    assert as_dataset(Items()).mirrored == [1, 0]  # by their names
    Items.mirrored = [0, 1]
    assert as_dataset(Items()).mirrored == [0, 1]
