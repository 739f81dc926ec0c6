"""Scenes are reproducible item by item, follow their settings, and have fitting masks and boxes."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, max_pool2d
from torch.utils.data import DataLoader

from mrcnn_edu.data import Dataset
from mrcnn_edu.data.drawing import draw
from mrcnn_edu.data.outlines import (
    CLASSES,
    TEMPLATES,
    circle,
    interpolate_outline,
    outline,
    template,
)
from mrcnn_edu.data.shapes import Shapes, morph


@pytest.fixture(scope="module", params=CLASSES)
def scenes(request):
    """A dataset of a hundred scenes for each kind of outline, and its items."""
    dataset = Shapes(n=100, size=64, seed=3, outlines=request.param)
    return dataset, [dataset[i] for i in range(100)]


def test_items_are_as_described(scenes):
    dataset, items = scenes
    for i, (image, target) in enumerate(items):
        n = len(target["labels"])
        assert image.shape == (3, 64, 64) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
        assert target["boxes"].shape == (n, 4) and target["boxes"].dtype == torch.float32
        assert target["masks"].shape == (n, 64, 64) and target["masks"].dtype == torch.bool
        assert target["labels"].shape == (n,) and target["labels"].dtype == torch.int64
        assert target["image_id"] == i
        assert all(1 <= label <= len(dataset.classes) for label in target["labels"])


def test_masks_are_disjoint_and_boxes_tight(scenes):
    for _, target in scenes[1]:
        assert target["masks"].sum(0).max() <= 1
        for mask, box in zip(target["masks"], target["boxes"].long().tolist(), strict=True):
            y, x = torch.where(mask)
            assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_all_classes_occur_about_equally(scenes):
    dataset, items = scenes
    counts = torch.cat([target["labels"] for _, target in items]).bincount()[1:]
    n_classes, fraction = len(dataset.classes), counts / counts.sum()
    assert len(fraction) == n_classes
    assert fraction.min() > 0.6 / n_classes and fraction.max() < 1.5 / n_classes


def test_scenes_are_a_dataset_whose_sizes_need_no_drawing(monkeypatch):
    scenes = Shapes(n=4, size=40, outlines="lobes")
    assert isinstance(scenes, Dataset) and scenes.image_size(3) == scenes[3][0].shape[1:]
    assert scenes.target(3)["boxes"].equal(scenes[3][1]["boxes"])
    assert scenes.category_ids == [1, 2, 3, 4] and scenes.passes == 1
    assert scenes.with_channels(1) is scenes and scenes.augmentation == "none"
    assert scenes.fingerprint != Shapes(n=4, size=40, outlines="lobes", seed=1).fingerprint
    monkeypatch.setattr(Shapes, "__getitem__", lambda *_: pytest.fail("a scene was drawn"))
    assert scenes.image_size(2) == (40, 40)


def test_an_item_depends_on_its_index_and_the_seed_alone():
    dataset = Shapes(n=10, size=32)
    expected = dataset[7]
    _ = dataset[3]
    torch.manual_seed(5)
    again, longer, other = dataset[7], Shapes(n=99, size=32)[7], Shapes(n=10, size=32, seed=1)[7]
    assert _digest(again) == _digest(longer) == _digest(expected)
    assert _digest(other) != _digest(expected) != _digest(dataset[6])


def _digest(item):
    image, target = item
    parts = image, target["boxes"], target["labels"], target["masks"]
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def test_an_item_is_the_same_in_another_process():
    code = "import test_shapes as t; print(t._digest(t.Shapes(n=9, size=32, seed=2)[4]))"
    folder = str(__file__).rpartition("/")[0]
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert run.stdout.strip() == _digest(Shapes(n=9, size=32, seed=2)[4])


def test_a_loader_with_workers_gives_the_same_items():
    dataset = Shapes(n=6, size=32)
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    assert [_digest(item) for item in loader] == [_digest(dataset[i]) for i in range(6)]


def test_a_dataset_ends():
    dataset = Shapes(n=3, size=32)
    assert len(dataset) == len(list(dataset)) == 3
    for index in (3, -1):
        with pytest.raises(IndexError, match="of 3"):
            dataset[index]


@pytest.mark.parametrize("n_objects", [(0, 0), (1, 1), (2, 3)])
def test_there_are_as_many_objects_as_requested(n_objects):
    items = Shapes(n=40, size=64, n_objects=n_objects, object_size=(0.1, 0.3))
    counts = {len(target["labels"]) for _, target in items}
    assert counts == set(range(n_objects[0], n_objects[1] + 1))


def test_objects_are_as_large_as_requested():
    # A single object is not occluded, so its box is that of its whole outline.
    sizes = 0.3, 0.5
    scenes = Shapes(n=60, size=100, n_objects=(1, 1), object_size=sizes, outlines="templates")
    for _, target in scenes:
        if scenes.classes[target["labels"].item() - 1] in ("circle", "ring"):
            width, height = (target["boxes"][0, 2:] - target["boxes"][0, :2]).tolist()
            assert 100 * sizes[0] - 2 <= min(width, height) <= max(width, height) <= 102 * sizes[1]
        box = target["boxes"][0]
        assert (box[2:] - box[:2]).max() <= 100 * sizes[1] + 2


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.6])
def test_no_more_of_an_object_is_hidden_than_allowed(overlap, monkeypatch):
    areas = []  # of all objects in a scene, before others hide parts of them
    place = Shapes.place

    def record_area(*args):
        cutout = place(*args)
        if cutout is not None:
            areas.append(cutout.mask.sum())
        return cutout

    monkeypatch.setattr(Shapes, "place", record_area)
    hidden = []
    for _, target in Shapes(n=60, size=64, n_objects=(5, 8), overlap=overlap):
        visible = target["masks"].flatten(1).sum(1).tolist()
        hidden += [1 - v / area for v, area in zip(visible, areas, strict=True)]
        areas.clear()
    assert max(hidden) <= overlap + 1e-6
    assert max(hidden) >= 0.8 * overlap  # and what is allowed happens


@pytest.mark.parametrize("outlines", CLASSES)
def test_a_scene_drawn_with_more_pixels_is_the_same_scene(outlines):
    small = Shapes(n=12, seed=5, outlines=outlines, noise=0)
    large = Shapes(n=12, seed=5, outlines=outlines, noise=0, render_size=4 * 96)
    differences, shifts, n_agree, n_pixels = [], [], 0, 0
    for (image, target), (fine, fine_target) in zip(small, large, strict=True):
        assert fine.shape == (3, 384, 384) and fine_target["masks"].shape[1:] == (384, 384)
        assert fine_target["labels"].equal(target["labels"])
        shifts.append((fine_target["boxes"] / 4 - target["boxes"]).abs().flatten())
        differences.append((avg_pool2d(fine, 4) - image).abs())
        majority = avg_pool2d(fine_target["masks"].float(), 4) >= 0.5
        union = majority | target["masks"]
        n_pixels += union.sum()
        n_agree += (majority & target["masks"]).sum()
    assert torch.stack(differences).mean() < 0.01
    assert torch.stack(differences).quantile(0.95) < 0.04
    assert torch.cat(shifts).quantile(0.95) <= 1  # a thin tip may end a few pixels earlier
    assert n_agree / n_pixels > 0.97


def test_a_scene_has_the_size_it_is_rendered_at():
    scenes = Shapes(n=2, size=32, render_size=64)
    assert scenes.image_size(0) == scenes[0][0].shape[1:] == (64, 64)
    assert scenes.fingerprint != Shapes(n=2, size=32).fingerprint
    assert _digest(Shapes(n=2, size=32, render_size=32)[1]) == _digest(Shapes(n=2, size=32)[1])


def test_noise_moves_no_object():
    quiet, noisy = Shapes(n=5, noise=0), Shapes(n=5, noise=0.1)
    for (image, target), (other, same) in zip(quiet, noisy, strict=True):
        assert target["masks"].equal(same["masks"]) and not image.equal(other)


def test_objects_of_every_scene_differ_from_the_paper_at_their_rim():
    """Even an object of the paper's color can be found: its rim and its shadow are darker."""
    contrast = []
    for image, target in Shapes(n=60, seed=2, noise=0, n_objects=(1, 1), object_size=(0.2, 0.4)):
        mask = target["masks"].float()
        outside = (max_pool2d(mask, 5, stride=1, padding=2) - mask).bool()[0]
        paper = (1 - max_pool2d(mask, 25, stride=1, padding=12)).bool()[0]
        inside = (mask * max_pool2d(1 - mask, 3, stride=1, padding=1)).bool()[0]
        gray = image.mean(0)
        rim = torch.minimum(gray[inside].mean(), gray[outside].mean())
        color = (image[:, inside].mean(1) - image[:, paper].mean(1)).abs().max()
        contrast.append(max(gray[paper].mean() - rim, color).item())
    assert min(contrast) > 0.02


def _n_regions(mask):
    """The number of connected regions: in each, the largest number spreads until it fills it."""
    mask = torch.from_numpy(mask)
    number = torch.arange(1.0, mask.numel() + 1).view(mask.shape) * mask
    while True:
        spread = max_pool2d(number[None], 3, stride=1, padding=1)[0] * mask
        if torch.equal(spread, number):
            return len(number[mask].unique())
        number = spread


def test_only_the_ring_has_a_hole():
    for name in CLASSES["templates"]:
        filled = draw([32 + 24 * ring for ring in template(name)], 64) >= 0.5
        assert _n_regions(filled) == 1
        assert _n_regions(~filled) == (2 if name == "ring" else 1), name


def test_a_rendered_disc_has_the_area_and_the_center_of_the_disc():
    coverage = draw([np.array([30.0, 20.0]) + 12 * circle(200)], 64)
    assert abs(coverage.sum() / (np.pi * 12**2) - 1) < 0.02
    y, x = np.indices(coverage.shape) + 0.5
    assert abs((coverage * x).sum() / coverage.sum() - 30) < 0.02
    assert abs((coverage * y).sum() / coverage.sum() - 20) < 0.02


@pytest.mark.parametrize("kind", CLASSES)
def test_outlines_reach_radius_one(kind):
    rng = np.random.default_rng(0)
    for label in range(1, len(CLASSES[kind]) + 1):
        for _ in range(20):
            radii = np.linalg.norm(outline(kind, label, rng)[0], axis=1)
            assert radii.max() == pytest.approx(1)


def _radii(blob):
    """Radii [72] around a blob's center, largest first, so that rotation changes nothing."""
    radii = np.linalg.norm(blob, axis=1)
    return np.roll(radii, -radii.argmax())


def test_no_two_blobs_are_alike():
    rng = np.random.default_rng(0)
    radii = np.array([_radii(outline("blobs", 1, rng)[0]) for _ in range(50)])
    difference = np.abs(radii[:, None] - radii).max(-1) + np.eye(50)
    assert difference.min() > 0.05


def test_lobes_can_be_counted():
    rng = np.random.default_rng(0)
    right = 0
    for label, name in enumerate(CLASSES["lobes"], start=1):
        for _ in range(50):
            waves = np.abs(np.fft.rfft(_radii(outline("lobes", label, rng)[0])))
            right += f"{waves[1:].argmax() + 1} lobes" == name
    assert right >= 190  # of 200


@pytest.mark.parametrize("name", ["triangle", "square", "circle", "star", "cross"])
def test_a_morph_starts_and_ends_at_the_templates(name):
    for first, second, fraction in ((name, "circle", 0.0), ("circle", name, 1.0)):
        expected = draw([50 + 40 * template(name)[0]], 100)
        coverage = draw([50 + 40 * interpolate_outline(first, second, fraction)], 100)
        assert (np.abs(expected - coverage) > 0.5).sum() <= 0.02 * (expected > 0.5).sum()


def test_a_morph_of_two_circles_is_a_circle_and_half_way_lies_between():
    radius = np.linalg.norm(interpolate_outline("circle", "circle", 0.3), axis=1)
    assert np.allclose(radius, 1, atol=3e-3)
    areas = [morph("star", "square", f)[1]["masks"].sum() for f in (0, 0.5, 1)]
    assert areas[0] < areas[1] < areas[2]


def test_a_morphed_scene_is_an_item_like_others():
    image, target = morph("star", "cross", 0.4, size=64)
    assert image.shape == (3, 64, 64) and target["masks"].shape == (1, 64, 64)
    assert target["labels"].tolist() == [TEMPLATES.index("star") + 1]
    assert morph("star", "cross", 0.6)[1]["labels"].tolist() == [TEMPLATES.index("cross") + 1]
    assert torch.equal(image, morph("star", "cross", 0.4, size=64)[0])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"outlines": "cubes"}, "outlines is 'cubes': choose one of templates, blobs, lobes"),
        ({"n_objects": (3, 1)}, r"n_objects is \(3, 1\)"),
        ({"n_objects": (-1, 1)}, "n_objects"),
        ({"object_size": (0.5, 0.2)}, r"object_size is \(0.5, 0.2\)"),
        ({"object_size": (0, 0.2)}, "object_size"),
        ({"object_size": (0.5, 1.2)}, "object_size"),
        ({"size": 8}, "size is 8"),
        ({"n": -1}, "n is -1"),
        ({"overlap": 1.0}, "overlap is 1.0"),
        ({"overlap": -0.1}, "overlap"),
        ({"noise": -0.1}, "noise -0.1"),
        ({"render_size": 48}, "render_size is 48: give a multiple of the size, 96"),
        ({"render_size": 100}, "render_size is 100"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Shapes(**settings)


def test_an_unknown_template_is_refused():
    with pytest.raises(ValueError, match="no template 'cube': choose one of triangle, square"):
        template("cube")
