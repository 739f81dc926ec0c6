"""Every color stands out from every scene, and from the others of its palette, for all eyes."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from mrcnn_edu import viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.viz.style import MATCH_COLORS, contrast, luminance

# How people without one kind of cone see: Machado, Oliveira and Fernandes 2009, table 1, in full
# severity, of linear red, green and blue.
EYES = {
    "ordinary": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
CLASSES = {f"class {i}": color for i, color in enumerate(viz.CLASS_COLORS, 1)}
LINES = viz.ROLES | viz.OP_COLORS | MATCH_COLORS | CLASSES | viz.SIDES


def seen(rgb, eyes) -> np.ndarray:
    """Colors [n, 3] in 0..1 as such eyes see them."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = (linear @ EYES[eyes].T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def lab(colors, eyes) -> np.ndarray:
    """CIE L*a*b* [n, 3] of colors as such eyes see them; 10 apart, colors clearly differ."""
    rgb = seen([to_rgb(color) for color in colors], eyes)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz_of_rgb = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(xyz_of_rgb).T / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=1)


def smallest_distance(colors, eyes) -> float:
    points = lab(colors, eyes)
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    return distance[~np.eye(len(points), dtype=bool)].min()


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    "palette",
    [
        *map(dict.values, (viz.ROLES, viz.OP_COLORS, MATCH_COLORS, viz.SIDES)),
        viz.CLASS_COLORS,
        viz.OTHER_COLORS,
    ],
)
def test_color_blind_readers_tell_the_colors_apart(palette, eyes):
    assert smallest_distance(list(palette), eyes) > 15


def test_the_distance_between_colors_can_be_small():
    red_and_green = ["#c44e52", "#8c8c3c"]
    assert smallest_distance(red_and_green, "ordinary") > 40
    assert smallest_distance(red_and_green, "deuteranopia") < 25
    assert smallest_distance(["#222222", "#242424"], "ordinary") < 2


@pytest.fixture(scope="module", params=[{}, {"outlines": "blobs"}, {"n_objects": (3, 6)}])
def pixels(request):
    """Every seventh pixel [n, 3] of 100 scenes, paled, and whether it is of the background."""
    scenes = [Shapes(100, seed=7, **request.param)[i] for i in range(100)]
    images = torch.stack([image for image, _ in scenes]).permute(0, 2, 3, 1).reshape(-1, 3)
    objects = torch.stack([target["masks"].any(dim=0) for _, target in scenes]).flatten()
    return viz.paled(images[::7]).numpy(), ~objects[::7].numpy()


@pytest.mark.parametrize("eyes", EYES)
def test_lines_stand_out_from_scenes(pixels, eyes):
    """At least 3:1, as WCAG asks of graphics. On dark objects, lines also have their halo."""
    colors, is_background = pixels
    behind = luminance(seen(colors, eyes))
    for name, color in LINES.items():
        is_clear = contrast(luminance(seen([to_rgb(color)], eyes)), behind) >= 3
        assert is_clear[is_background].mean() >= 0.99 and is_clear.mean() >= 0.9, name


@pytest.mark.parametrize("eyes", EYES)
def test_halos_stand_out_where_lines_do_not(pixels, eyes):
    """What is too dark for a line is dark enough for its white halo."""
    behind = luminance(seen(pixels[0], eyes))
    is_clear = contrast(np.array(1.0), behind) >= 3
    for name, color in LINES.items():
        line = luminance(seen([to_rgb(color)], eyes))
        assert (is_clear | (contrast(line, behind) >= 2)).mean() >= 0.99, name


@pytest.mark.parametrize("eyes", EYES)
def test_names_are_legible_on_their_chips(eyes):
    """At least 4.5:1, as WCAG asks of text."""
    for color in viz.CLASS_COLORS:
        ink, chip = seen([to_rgb(viz.text_color(color)), to_rgb(color)], eyes)
        assert contrast(luminance(ink), luminance(chip)) >= 4.5, color


@pytest.mark.parametrize("eyes", EYES)
def test_curves_stand_out_from_a_white_page(eyes):
    white = np.array(1.0)
    for color in viz.OTHER_COLORS:
        assert contrast(luminance(seen([to_rgb(color)], eyes)), white) >= 3, color


def test_contrast_is_that_of_wcag():
    assert contrast(luminance([1, 1, 1]), luminance([0, 0, 0])) == pytest.approx(21)
    assert contrast(luminance(to_rgb("#777777")), luminance([1, 1, 1])) == pytest.approx(
        4.48, abs=0.01
    )
    assert viz.text_color("#ffffff") == "black" and viz.text_color("#222222") == "white"
