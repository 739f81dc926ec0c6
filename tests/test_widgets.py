"""Widgets need no kernel: a slider moved from code redraws the picture that a reader would see."""

import base64
import time

import pytest
from players import PLAYERS, moved, start_here


@pytest.fixture(params=PLAYERS, ids=lambda make: make.__name__, scope="module")
def player(request):
    return request.param()


def test_every_slider_redraws_the_picture(player):
    for name, slider in player.sliders.items():
        before, slider.value = player.image.value, min(moved(slider), slider.max)
        assert player.image.value != before, name


def test_where_nothing_runs_there_is_a_still_picture(player):
    bundle = player._repr_mimebundle_()
    (kind,) = [kind for kind in bundle if kind.startswith("image/")]
    assert base64.b64decode(bundle[kind]) == player.image.value
    assert bundle["text/plain"] == repr(player)
    assert all(f"{name}={slider.value}" in repr(player) for name, slider in player.sliders.items())


def test_the_ends_of_every_slider_can_be_drawn(player):
    for slider in player.sliders.values():
        for value in (slider.min, slider.max):
            slider.value = 2.0**value if hasattr(slider, "base") else value


def test_an_update_is_quick(player):
    """benchmarks/players.py measures it; here only what no busy machine explains is a failure."""
    slider, seconds = next(iter(player.sliders.values())), []
    for _ in range(5):
        value = min(moved(slider), slider.max)
        start = time.perf_counter()
        slider.value = value
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[2] < 0.5


def test_values_and_text_of_a_player():
    player = start_here()
    assert repr(player) == "Player(seed=4, number=4, size=30)"
    player.sliders["number"].value = 0
    assert player.values == {"seed": 4, "number": 0, "size": 30}
