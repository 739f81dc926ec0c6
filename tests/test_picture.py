"""A picture: its caption, its alt text, and the forms in which a notebook stores it."""

import base64
import re
from io import BytesIO
from xml.dom import minidom

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from mrcnn_edu import viz
from mrcnn_edu.viz.caption import LONGEST_LINE, set_caption

TEXT = (
    "Figure 3. A dot is an object; the curve is at $s = 16$. Small objects fall between two "
    "levels, so that no anchor reaches an IoU of 0.7 with any of them, and are learned late."
)


def pixels(picture) -> np.ndarray:
    """The picture's pixels [height, width, 3]."""
    return np.asarray(Image.open(BytesIO(picture.png())).convert("RGB"))


def chart(n=20, width=5.0):
    picture = viz.Picture(width, 2)
    picture.subplots().plot(np.arange(n), np.sin(np.arange(n) * 7.3))
    return picture


@pytest.mark.parametrize("width", [1.5, 3, 5, 10])
def test_a_caption_is_cut_into_lines_that_fit(width):
    caption = set_caption(TEXT, width)
    assert caption.number == "Figure 3."
    assert f"{caption.number} {' '.join(caption.lines)}" == TEXT
    assert len(f"{caption.number} {caption.lines[0]}") <= LONGEST_LINE
    assert all(len(line) <= LONGEST_LINE for line in caption.lines)
    assert sum("$s = 16$" in line for line in caption.lines) == 1
    drawn = pixels(chart(width=width).caption(TEXT))
    margins = np.concatenate((drawn[-40:, :6], drawn[-40:, -6:]), axis=1)
    assert (margins > 250).all() and (drawn[-40:] < 128).any()  # no letter is cut off


@pytest.mark.parametrize("text", ["One word", "", "a" * 200, "Figure 12.", "10 % of $5", "Figure"])
def test_any_caption_can_be_drawn(text):
    picture = chart().caption(text)
    assert pixels(picture).shape[0] > 288 and picture.alt == text


def test_a_caption_begins_at_the_left_edge_with_its_number_in_bold():
    plain, numbered = (
        pixels(chart().caption("Figure 3 is")),
        pixels(chart().caption("Figure 3. is")),
    )
    for picture in (plain, numbered):
        columns = np.where((picture[-24:] < 128).any(axis=(0, 2)))[0]
        assert columns[0] < 12
    dark = [(picture[-24:] < 128).sum() for picture in (plain, numbered)]
    assert dark[1] > 1.15 * dark[0]


def test_a_caption_is_the_alt_text_and_is_given_once():
    picture = chart()
    _, metadata = picture._repr_mimebundle_()
    assert all("alt" not in shown for shown in metadata.values())
    _, metadata = picture.caption(f" {TEXT}\n")._repr_mimebundle_()
    assert [shown["alt"] for shown in metadata.values()] == [TEXT] * 2
    with pytest.raises(ValueError, match="has a caption already"):
        picture.caption("Another one.")


def test_a_caption_leaves_the_axes_as_large_as_they_were():
    plain, captioned = chart(), chart().caption(TEXT)
    for picture in (plain, captioned):
        picture.png()
    before, after = (picture.axes[0].get_window_extent() for picture in (plain, captioned))
    assert after.width == pytest.approx(before.width, abs=1)
    assert after.height == pytest.approx(before.height, abs=1)


def test_a_chart_is_stored_as_svg_beside_a_png_that_looks_the_same():
    picture = chart().caption(TEXT)
    bundle, metadata = picture._repr_mimebundle_()
    assert set(metadata) == {"image/svg+xml", "image/png"} == set(bundle) - {"text/plain"}
    svg = minidom.parseString(bundle["image/svg+xml"]).documentElement
    width, height = float(svg.getAttribute("width")), float(svg.getAttribute("height"))
    shown = metadata["image/svg+xml"]
    assert abs(width - shown["width"]) < 1 and abs(height - shown["height"]) < 1
    few = Image.open(BytesIO(base64.b64decode(bundle["image/png"]))).convert("RGB")
    assert np.abs(np.asarray(few).astype(int) - pixels(picture)).max() < 24


def test_an_svg_has_a_white_background_no_date_and_no_letters_of_a_font():
    svg = chart().caption(TEXT).svg()
    background = svg[svg.index("<path") : svg.index("/>", svg.index("<path"))]
    assert "fill: #ffffff" in background
    assert not re.search(r"<text|font-family|Date|dc:|<!--", svg)
    assert len(svg) < 30_000


def test_two_builds_of_a_chart_give_the_same_bytes():
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": None}):  # a user's settings
        first = chart().svg()
    assert chart().svg() == first != chart(21).svg()


def test_images_and_large_curves_are_not_stored_as_svg():
    curve = chart()
    curve.axes[0].plot(np.random.default_rng(0).random(9000), ".")
    assert curve.svg() is None and set(curve._repr_mimebundle_()[1]) == {"image/png"}
    assert viz.show_maps([torch.rand(4, 4)], ["a"]).svg() is None
    photo = viz.show_boxes(torch.rand(3, 8, 8), torch.zeros(0, 4), "gt")
    assert photo.svg() is None and set(photo._repr_mimebundle_()[1]) == {"image/jpeg"}
