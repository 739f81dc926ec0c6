"""Widgets need no kernel: a slider moved from code redraws the picture that a reader would see."""

import base64
import time

import pytest
from players import PLAYERS, ends, moved, start_here

from mrcnn_edu.course.widgets import ablations as ablations_widget
from mrcnn_edu.course.widgets.gpu import PYRAMID, roi_align_work


@pytest.fixture(params=PLAYERS, ids=lambda make: make.__name__, scope="module")
def player(request):
    return request.param()


def test_every_slider_redraws_the_picture(player):
    for name, slider in player.sliders.items():
        before, slider.value = player.image.value, moved(slider)
        assert player.image.value != before, name


def test_without_a_kernel_there_is_a_still_picture(player):
    bundle = player._repr_mimebundle_()
    (kind,) = [kind for kind in bundle if kind.startswith("image/")]
    assert base64.b64decode(bundle[kind]) == player.image.value
    assert bundle["text/plain"] == repr(player)
    assert all(f"{name}={slider.value}" in repr(player) for name, slider in player.sliders.items())


def test_the_ends_of_every_slider_can_be_drawn(player):
    for slider in player.sliders.values():
        for value in ends(slider):
            slider.value = value


def test_an_update_is_quick(player):
    """benchmarks/players.py measures seconds. Here it is CPU time, as the machine may be busy."""
    slider, seconds = next(iter(player.sliders.values())), []
    for _ in range(5):
        value = moved(slider)
        start = time.process_time()
        slider.value = value
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[2] < 0.5


def test_values_and_text_of_a_player():
    player = start_here()
    assert repr(player) == "Player(seed=4, number=4, size=30)"
    player.sliders["number"].value = 0
    assert player.values == {"seed": 4, "number": 0, "size": 30}


def test_a_switch_is_trained_beside_the_setting_it_is_compared_with(monkeypatch):
    monkeypatch.setattr(ablations_widget, "N_SCENES", 2)
    monkeypatch.setattr(ablations_widget, "N_EVALUATIONS", 1)
    player = ablations_widget.ablation_player()
    player.sliders["switch"].value, player.sliders["steps"].value = "3: boxes alone", 20
    before = player.image.value
    player.box.children[-2].click()  # the button
    assert list(player.models) == ["with the mask branch", "boxes alone"]
    assert player.models["boxes alone"].mask_head is None and player.image.value != before
    curves, *_ = player.history["3: boxes alone", 20]
    assert [list(curve) for curve in curves.values()] == [[0, 20], [0, 20]]
    player.sliders["steps"].value = 40  # not trained: the results of the package
    player.sliders["steps"].value = 20  # and back
    assert player.image.value != before


def test_work_of_roi_align_by_hand():
    # 49 bins of two channels; four neighbors of one point, none of which is read twice.
    assert roi_align_work(1, 2, 1, 4) == (49 * 2 * 4 * 2, 49 * 4 * 2 * 4, 49 * 2 * 4)
    assert roi_align_work(2000, 1, 4, 2)[1] == 2 * PYRAMID  # never more than there are
