"""Widgets need no kernel: a slider moved from code redraws the picture that a reader would see."""

import base64
import io
import time

import ipywidgets
import numpy as np
import pytest
import torch
from ipywidgets import IntSlider
from PIL import Image
from players import PLAYERS, ends, moved, start_here

from mrcnn_edu.course.training_runs import LOSSES, WINDOW, recorded_runs
from mrcnn_edu.course.widgets import gallery_player, heads_player, training_player
from mrcnn_edu.course.widgets import player as player_module
from mrcnn_edu.course.widgets.gpu import PYRAMID, roi_align_work
from mrcnn_edu.course.widgets.still import still_picture
from mrcnn_edu.data import Shapes
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz import Picture


@pytest.fixture(params=PLAYERS, ids=lambda make: make.__name__, scope="module")
def player(request):
    return request.param()


def test_every_slider_redraws_the_picture(player):
    for name, slider in player.sliders.items():
        before, slider.value = player.image.value, moved(slider)
        player.wait()
        assert player.image.value != before, name


def test_without_a_kernel_there_is_a_still_picture(player):
    bundle = player._repr_mimebundle_()
    (kind,) = [kind for kind in bundle if kind.startswith("image/")]
    assert base64.b64decode(bundle[kind]) == player.image.value
    assert bundle["text/plain"] == repr(player)
    assert all(f"{name}={slider.value}" in repr(player) for name, slider in player.sliders.items())


def test_no_blank_strip_below_the_picture(player):
    pixels = np.asarray(Image.open(io.BytesIO(player.image.value)).convert("L"))
    assert (pixels[-20:] < 250).any()  # there are two pixels for each one shown


def test_the_ends_of_every_slider_can_be_drawn(player):
    for slider in player.sliders.values():
        for value in ends(slider):
            slider.value = value
            player.wait()


def test_an_update_is_quick(player):
    """benchmarks/players.py measures seconds. Here it is CPU time, as the machine may be busy."""
    slider, seconds = next(iter(player.sliders.values())), []
    for _ in range(5):
        value = moved(slider)
        start = time.process_time()
        slider.value = value
        player.wait()
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[2] < 0.5


@pytest.fixture
def shown(monkeypatch):
    """A player, and the messages that it sends to a notebook: (data, metadata, display id)."""
    messages = []

    def send(data, raw, metadata=None, display_id=None):
        assert raw
        messages.append((data, metadata, display_id))

    monkeypatch.setattr(player_module, "display", send)
    monkeypatch.setattr(player_module, "update_display", send)

    def draw(n):
        picture = Picture(n, 1)
        picture.subplots().set_title(f"{n} inches")
        return picture

    player = player_module.Player(draw, n=IntSlider(2, 1, 9, description="</a>"))
    player.sliders["n"].value = 3
    player.wait()
    assert messages == []  # it is not shown yet
    player._ipython_display_()
    return player, messages


def test_a_player_sends_its_widget_and_the_picture_that_outlives_it(shown):
    player, (widget, still) = shown
    size = {"image/png": {"width": 216, "height": 72}}  # the picture itself has twice as many
    assert widget == (player._repr_mimebundle_(), size, None)
    assert widget[0][player_module.WIDGET_VIEW]["model_id"] == player.box.model_id
    data, metadata, display_id = still
    assert set(data) == {"text/html"} and metadata == LIVE_OUTPUT and display_id
    assert base64.b64encode(player.image.value).decode() in data["text/html"]
    assert "3 inches; \\u003c/a>: 3" in data["text/html"]


def test_the_picture_that_outlives_the_kernel_is_the_last_one(shown):
    player, messages = shown
    player.sliders["n"].value = 5
    player.wait()
    *_, (_, _, first_id), (data, metadata, display_id) = messages
    assert len(messages) == 3 and display_id == first_id and metadata == LIVE_OUTPUT
    assert base64.b64encode(player.image.value).decode() in data["text/html"]
    player._ipython_display_()  # a second view: one message updates both pictures
    player.sliders["n"].value = 6
    player.wait()
    assert len(messages) == 6 and {message[2] for message in messages} == {None, first_id}


def test_a_caption_is_below_every_picture_of_a_player_and_in_its_alt_text(shown):
    player, messages = shown
    before = player.picture.shown_size
    assert player.caption("Figure 3. Wider and wider.") is player
    assert player.picture.shown_size[1] > before[1]
    player._ipython_display_()
    (size,) = messages[-2][1].values()
    assert size["alt"] == "Figure 3. Wider and wider."
    assert "Figure 3. Wider and wider.; 3 inches; " in messages[-1][0]["text/html"]
    (axes,) = player.picture.axes
    bottom = axes.get_position().y0
    player.sliders["n"].value = 4
    assert player.picture.alt and player.picture.axes[0].get_position().y0 == bottom


def test_nothing_ends_the_script_early():
    html = still_picture("data:image/png;base64,AAAA", alt='</script><b>"', width=72)
    assert html.count("</script>") == 1 and html.endswith("</script>")
    assert r'"\u003c/script>\u003cb>\""' in html


def test_players_do_without_what_ipywidgets_7_lacks(monkeypatch):
    monkeypatch.delattr(ipywidgets.Widget, "_repr_mimebundle_", raising=False)
    player = player_module.Player(lambda n: Picture(n, 1), n=IntSlider(2, 1, 9))
    view = player._repr_mimebundle_()[player_module.WIDGET_VIEW]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": player.box.model_id}


def test_values_and_text_of_a_player():
    player = start_here()
    assert repr(player) == "Player(seed=36, number=5, size=30)"
    player.sliders["number"].value = 0
    assert player.values == {"seed": 36, "number": 0, "size": 30}


def test_work_of_roi_align_by_hand():
    # 49 bins of two channels; four neighbors of one point, none of which is read twice.
    assert roi_align_work(1, 2, 1, 4) == (49 * 2 * 4 * 2, 49 * 4 * 2 * 4, 49 * 2 * 4)
    assert roi_align_work(2000, 1, 4, 2)[1] == 2 * PYRAMID  # never more than there are


def legend_of(player) -> list[str]:
    return [text.get_text() for text in player.picture.legends[0].get_texts()]


def test_the_gallery_says_which_run_the_given_one_resembles(tmp_path):
    healthy = recorded_runs(0)["healthy"]["losses"]
    losses = [{name: points[i // WINDOW] for name, points in healthy.items()} for i in range(60)]
    player = gallery_player(losses)
    kind = player.sliders["kind"]
    assert len(kind.options) == len(recorded_runs()) and kind.value == "healthy"
    text, shown = legend_of(player)
    assert text.startswith("your run: most like 'healthy'") and shown.startswith("healthy (differs")
    kind.value = "random class labels"
    assert legend_of(player)[0] == text  # it does not depend on what is shown
    assert legend_of(player)[1].startswith("random class labels (differs by × 1.")
    rows = [",".join([str(i + 1), *map(str, row.values())]) for i, row in enumerate(losses)]
    (tmp_path / "losses.csv").write_text("\n".join([",".join(["step", *healthy]), *rows]))
    from_file = gallery_player(tmp_path / "losses.csv")
    assert legend_of(from_file)[0] == text
    assert legend_of(gallery_player())[0] == "the gallery's healthy run"


def test_a_long_run_is_cut_off_where_the_gallery_ends():
    player = gallery_player([dict.fromkeys(LOSSES, 0.5)] * 1000)
    assert all(line.get_xdata().max() < 80 for axes in player.picture.axes for line in axes.lines)


def test_the_sampled_rois_are_counted_by_what_they_are():
    image, target = Shapes(1, seed=13)[0]
    far = torch.tensor([[0.0, 0, 3, 3], [90, 90, 96, 96]])
    player = training_player(image, target, torch.cat((far, target["boxes"])))
    n = len(target["boxes"])
    positive, negative = (axes.get_title() for axes in player.picture.axes)
    assert positive.endswith(f" of {2 * n} positive RoIs")
    assert negative == "2 of 2 negative RoIs"


@pytest.mark.parametrize("size", [16, 20, 300])
def test_a_frame_that_is_thinner_than_a_pixel_is_drawn(size):
    player = heads_player()
    player.sliders["size"].value = size
    player.sliders["thickness"].value = 5
    player.wait()
    assert player.failure is None
