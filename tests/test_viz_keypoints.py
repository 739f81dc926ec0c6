"""Keypoints are drawn where they are, in their side's color, with the skeleton's lines."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from mrcnn_edu import Config, MaskRCNN, viz
from mrcnn_edu.data import Figures
from mrcnn_edu.detections import Detections
from mrcnn_edu.viz.draw import draw_image

SIZE = 40  # pixels of the image, each of which takes about 12 of the picture
NAMES = "nose", "left_eye", "Right_Eye", "left_ear", "right_ear"
SKELETON = viz.Skeleton(NAMES, ((0, 1), (0, 2), (1, 2), (1, 3)))
POINTS = torch.tensor(
    [[[20.0, 8, 2], [32, 20, 2], [8, 20, 1], [0, 0, 0], [20, 34, 1]]]  # one is not labeled
)
WHITE = (255, 255, 255)


def drawn(keypoints, **options):
    """The color [3] at each point (x, y) of a gray image with these keypoints, as a function."""
    picture = viz.Picture(3.4, 3.6)
    axes = picture.subplots()
    draw_image(axes, torch.full((3, SIZE, SIZE), 0.5))
    limits = axes.get_xlim(), axes.get_ylim()
    viz.draw_keypoints(axes, keypoints, **options)
    pixels = np.asarray(Image.open(BytesIO(picture.png())).convert("RGB")).astype(int)
    assert (axes.get_xlim(), axes.get_ylim()) == limits

    def at(x, y):
        column, row = axes.transData.transform((x, y))
        return pixels[len(pixels) - 1 - int(row), int(column)]

    return at


def is_color(pixel, color):
    return np.abs(pixel - 255 * np.array(to_rgb(color))).max() < 40


def test_a_dot_has_the_color_of_its_side_and_a_hidden_one_is_hollow():
    at = drawn(POINTS, skeleton=SKELETON)
    nose, left, hidden = (20, 8), (32, 20), (8, 20)
    assert is_color(at(*nose), viz.SIDES["middle"]) and is_color(at(*left), viz.SIDES["left"])
    assert is_color(at(*hidden), "white") and is_color(at(20, 34), "white")
    points_of_a_pixel = 72 * 3.4 / SIZE
    rim, edge = (2.2 + 0.9) / points_of_a_pixel, 2.2 / points_of_a_pixel
    assert is_color(at(8, 20 + edge), viz.SIDES["right"])  # the ring around the hole
    assert is_color(at(32 + rim, 20), "white")
    assert is_color(at(36, 36), "#808080") and is_color(at(1, 1), "#808080")  # not labeled


def test_a_line_has_the_side_of_its_ends_and_needs_both():
    at = drawn(POINTS, skeleton=SKELETON)
    assert is_color(at(26, 14), viz.SIDES["left"])
    assert is_color(at(14, 14), viz.SIDES["right"])
    assert is_color(at(20, 20), viz.SIDES["middle"])  # from left to right
    assert is_color(at(16, 10), "#808080")  # towards the ear that is not labeled, at (0, 0)
    without = drawn(POINTS, skeleton=viz.Skeleton(NAMES))
    assert is_color(without(26, 14), "#808080") and is_color(without(32, 20), viz.SIDES["left"])
    plain = drawn(POINTS)
    assert is_color(plain(32, 20), viz.SIDES["middle"])


def test_predicted_keypoints_are_all_drawn_whatever_their_score():
    keypoints = POINTS.clone()
    keypoints[0, :, 2] = torch.tensor([-3.0, 0, 1, 9, 0.5])
    keypoints[0, 3, :2] = torch.tensor([30.0, 34])
    at = drawn(keypoints, skeleton=SKELETON, predicted=True)
    for (x, y), side in zip(
        keypoints[0, :, :2].tolist(), ("middle", "left", "right", "left", "right"), strict=True
    ):
        assert is_color(at(x, y), viz.SIDES[side])


@pytest.mark.parametrize("shape", [(0, 5, 3), (0, 0, 3), (2, 0, 3)])
def test_where_there_is_no_keypoint_nothing_is_drawn(shape):
    skeleton = SKELETON if shape[1] else viz.Skeleton()
    at = drawn(torch.zeros(shape), skeleton=skeleton)
    assert all(is_color(at(x, y), "#808080") for x in (1, 20, 39) for y in (1, 20, 39))


def test_keypoints_may_be_on_any_device_and_of_any_type():
    for keypoints in (POINTS.double(), POINTS.half(), POINTS.int(), POINTS.requires_grad_()):
        assert is_color(drawn(keypoints, skeleton=SKELETON)(32, 20), viz.SIDES["left"])


@pytest.mark.parametrize("limb", [(0, 5), (-1, 2)])
def test_a_skeleton_of_other_keypoints_is_refused(limb):
    with pytest.raises(ValueError, match=r"joins others than 5 keypoints"):
        drawn(POINTS, skeleton=viz.Skeleton(NAMES, (limb,)))


def test_the_skeleton_is_that_of_the_data_or_of_the_model():
    scenes = Figures(n=1)
    assert viz.Skeleton.of(scenes) == (scenes.keypoints, scenes.skeleton)
    model = MaskRCNN(Config.tiny(n_keypoints=2))
    assert viz.Skeleton.of(model) == (["keypoint 0", "keypoint 1"], [])
    assert viz.Skeleton.of(MaskRCNN(Config.tiny())) == ((), ())
    assert viz.Skeleton().sides(2) == ["middle"] * 2


def test_every_picture_of_objects_shows_their_keypoints():
    scenes = replace(Figures(n=3, n_objects=(2, 2)), render_size=192)
    image, target = scenes[1]
    classes, of = scenes.classes, viz.Skeleton.of(scenes)
    plain_target = {name: value for name, value in target.items() if name != "keypoints"}
    scores = torch.tensor([0.9, 0.8])
    objects = target["boxes"], target["labels"], scores, target["masks"], None
    found, plain = Detections(*objects, target["keypoints"]), Detections(*objects)
    pairs = {
        "truth": [
            viz.show_ground_truth(image, t, classes, skeleton=s).png()
            for t, s in ((target, of), (target, viz.Skeleton()), (plain_target, of))
        ],
        "detections": [
            viz.show_detections(image, d, classes, skeleton=s).png()
            for d, s in ((found, of), (found, viz.Skeleton()), (plain, of))
        ],
        "beside": [
            viz.show_detections(image, plain, classes, t, skeleton=s).png()
            for t, s in ((target, of), (target, viz.Skeleton()), (plain_target, of))
        ],
        "comparison": [
            viz.show_comparison(image, {"a": d}, classes, plain_target, skeleton=s).png()
            for d, s in ((found, of), (found, viz.Skeleton()), (plain, of))
        ],
        "sheet": [
            viz.show_sheet({"a": (image, t)}, classes, s).png()
            for t, s in ((target, of), (target, viz.Skeleton()), (plain_target, of))
        ],
        "full size": [
            viz.full_size_png(image, d, classes, s)
            for d, s in ((found, of), (found, viz.Skeleton()), (plain, of))
        ],
    }
    for name, pngs in pairs.items():
        lines, dots, none = (
            np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int) for png in pngs
        )
        for more, fewer in ((lines, dots), (dots, none)):
            differing = (np.abs(more - fewer).max(axis=-1) > 60).mean()
            assert 0.0005 < differing < 0.2, name
