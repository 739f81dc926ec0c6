"""Widgets are drawn by one thread: the last wish counts, errors are seen, and nobody waits."""

import base64
import subprocess
import sys
from contextvars import ContextVar
from random import Random
from threading import Event, Thread, current_thread

import players
import pytest
import torch
from ipywidgets import IntSlider
from players import ends, moved

from mrcnn_edu import ancestors, load
from mrcnn_edu.course import widgets
from mrcnn_edu.course.widgets import player as player_module
from mrcnn_edu.course.widgets import touch
from mrcnn_edu.course.widgets.assembly import READINGS
from mrcnn_edu.course.widgets.background import DRAWING, Drawn
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.course.widgets.touch import Touchable
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.viz import Picture

N_UPDATES = 1000  # of each of two threads
PATIENCE = 60  # seconds


class Last(Drawn):
    """What is drawn after all that waited before it."""

    def __init__(self):
        self.is_drawn = Event()

    def redraw(self):
        self.is_drawn.set()


def let_the_thread_finish():
    last = Last()
    last.draw_soon()
    assert last.is_drawn.wait(PATIENCE)


def formula(n):
    """A picture with formulas, which Matplotlib sets with one parser for all threads."""
    picture = Picture(2, 1.5)
    axes = picture.subplots()
    axes.set(xscale="log", xlim=(1, 10 ** (1 + n % 3)), title=f"$x_{{{n}}}$")
    return picture


# ---- every widget of the course ----


def assembly():
    scene = Shapes(1, seed=1)[0]
    return widgets.assembly_player(ancestors.load("fcis-3x3"), *scene, label=2)


def confusion():
    scenes = Shapes(4, seed=1)
    return widgets.confusion_player(scenes, detect_all(load("shapes-tiny"), scenes))


def dragged_roi():
    values = torch.rand(1, 24, 20, generator=torch.Generator().manual_seed(0))
    return widgets.roi_player(values, torch.tensor([130.0, 58, 208, 150]), stride=16)


def average_precision():
    scenes = Shapes(4, seed=1)
    return widgets.average_precision_player(scenes, detect_all(load("shapes-tiny"), scenes))


class DetectsOnce:
    """A model that says of all images what it says of the first."""

    model = None

    def detect(self, images):
        self.model = self.model or load("shapes-tiny")
        return self.model.detect(images[:1]) * len(images)


def rpn():
    model, scenes = load("shapes-tiny"), Shapes(2, seed=1)
    return widgets.rpn_player(scenes, [model.trace([scenes[i][0]]) for i in range(2)])


def nms_steps():
    boxes = torch.tensor([[5.0 + 10 * i, 25, 35 + 10 * i, 55] for i in range(6)])
    return widgets.nms_steps_player(None, boxes, torch.linspace(0.9, 0.4, 6))


def polygons():
    corners = {"a": [(5, 5), (40, 8), (30, 60)], "b": [(50, 50), (80, 52), (70, 90), (55, 80)]}
    return widgets.polygon_player(Shapes(1, seed=1)[0][0], corners)


MAKE = {
    "Player": lambda: Player(formula, n=IntSlider(1, 0, 9)),
    "anchor_player": players.anchors,
    "ap_steps_player": lambda: widgets.ap_steps_player(threshold=0.7),
    "assembly_player": assembly,
    "average_precision_player": average_precision,
    "backbone_player": players.backbone,
    "confusion_player": confusion,
    "cost_player": players.cost,
    "fcis_player": lambda: widgets.fcis_player({"A": DetectsOnce(), "B": DetectsOnce()}),
    "gallery_player": players.gallery,
    "gpu_player": players.gpu,
    "gradient_player": lambda: widgets.gradient_player(
        load("shapes-tiny"), Shapes(100, seed=1)[3][0]
    ),
    "heads_player": players.heads,
    "history_player": players.history,
    "location_player": lambda: widgets.location_player(load("shapes-tiny"), *Shapes(1, seed=1)[0]),
    "mask_player": players.mask_loss,
    "nms_player": players.boxes,
    "nms_steps_player": nms_steps,
    "polygon_player": polygons,
    "queue_player": players.queue,
    "region_player": players.annotations,
    "roi_player": dragged_roi,
    "rpn_player": rpn,
    "scene_player": players.start_here,
    "training_player": players.training,
    "two_boxes_player": widgets.two_boxes_player,
    "two_objects_player": players.roi_align,
}
TOUCHES = {  # what the reader of a touchable can set, and some values of it
    "bin": [(0, 0), (3, 3), (6, 6)],
    "box": [[30.0, 20, 60, 50], [10.0, 16, 50, 80]],
    "boxes": [[[8.0, 10, 30, 30]] * 3, [[8.0, 10, 30, 30], [5.0, 6, 70, 80], [1.0, 2, 30, 40]]],
    "cell": [(0, 0), (1, 1), (0, 2)],
    "chosen": [0, 1],
    "detection": [0, 1],
    "operation": ["align", "pool", "warp"],
    "output": ["class score", "box", "mask"],
    "polygons": [[[[5.0, 5], [40.0, 8], [30.0, 60]], [[50.0, 50], [80.0, 52], [70.0, 90]]]],
    "reading": READINGS,
    "scores": [[0.1, 0.2, 0.3], [0.9, 0.5, 0.5]],
    "anchor": [[1.0, 2, 30, 40], [20.0, 10, 60, 90]],
    "gt": [[1.0, 2, 30, 40], [10.0, 20, 90, 60]],
    "level": [0, 1, 2],
    "location": [(0, 0), (2, 1), (9, 9)],
    "step": [0, 1, 5],
    "threshold": [0.1, 0.5, 1.0],
}


def knobs(widget):
    """What can be set: (object, name of its attribute, values)."""
    if isinstance(widget, Touchable):
        return [(widget, name, TOUCHES[name]) for name in widget.remembered]
    sliders = widget.sliders.values()
    return [(slider, "value", [slider.value, moved(slider), *ends(slider)]) for slider in sliders]


def turn(knobs, seed):
    random = Random(seed)
    for _ in range(N_UPDATES):
        knob, name, values = random.choice(knobs)
        setattr(knob, name, random.choice(values))


def test_every_widget_of_the_course_is_tried():
    assert sorted(MAKE) == sorted(widgets.__all__)


@pytest.mark.parametrize("name", MAKE)
def test_two_thousand_updates_from_two_threads(name, monkeypatch):
    shown, errors, drawn_by = [], [], set()
    for module in (player_module, touch):
        for function in ("display", "update_display"):
            monkeypatch.setattr(module, function, lambda data, **_options: shown.append(data))
    widget = MAKE[name]()
    widget._ipython_display_()
    redraw = widget.redraw
    widget.redraw = lambda: (drawn_by.add(current_thread().name), redraw())
    widget.show_error = errors.append
    hands = [Thread(target=turn, args=(knobs(widget), seed)) for seed in range(2)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(PATIENCE)
        assert not hand.is_alive()
    let_the_thread_finish()
    assert errors == [] and drawn_by == {"drawing of widgets"}
    if isinstance(widget, Touchable):
        picture = widget.still().encoded()
    else:
        picture = widget.draw(**widget.values)
        picture.set_positions(widget.positions)
        picture = picture.encoded()
        assert picture == widget.image.value
    assert base64.b64encode(picture).decode() in shown[-1]["text/html"]


def test_a_cell_draws_formulas_while_the_thread_does(monkeypatch):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # seconds, so that threads take turns often
    try:
        expected = [formula(n).encoded() for n in range(4)]
        player = Player(formula, n=IntSlider(1, 0, 9))
        for n in range(10):
            player.sliders["n"].value = n
            assert formula(n % 4).encoded() == expected[n % 4]
        assert player.picture.axes[0].get_title() == "$x_{9}$"
    finally:
        sys.setswitchinterval(interval)


# ---- the thread ----


class Blocked:
    """A player whose drawing waits for the test, if n is above 1."""

    def __init__(self):
        self.drawn, self.has_begun, self.go_on = [], Event(), Event()
        self.player = Player(self.draw, n=IntSlider(1, 0, 9))

    def draw(self, n):
        if n > 1:
            self.has_begun.set()
            assert self.go_on.wait(PATIENCE)
        self.drawn.append(n)
        return Picture(1 + n, 1)


def test_a_callback_returns_while_a_picture_is_drawn_and_the_last_wish_counts():
    blocked, others = Blocked(), []
    other = Player(lambda n: others.append(n) or Picture(1, 1), n=IntSlider(1, 0, 9))
    blocked.player.sliders["n"].value = 2
    assert blocked.has_begun.wait(PATIENCE)
    for n in range(3, 10):
        blocked.player.sliders["n"].value = n
        other.sliders["n"].value = n
    assert blocked.drawn == others == [1]
    blocked.go_on.set()
    let_the_thread_finish()
    assert blocked.drawn == [1, 2, 9] and others == [1, 9]
    assert blocked.player.image.layout.width == "720px"


def test_a_cell_sees_the_picture_of_the_values_that_it_has_set():
    drawn = []
    player = Player(lambda n: drawn.append(n) or Picture(n, 1), n=IntSlider(1, 1, 9))
    with DRAWING:  # the thread is busy
        player.sliders["n"].value = 2
        player.sliders["n"].value = 3
        assert player.picture.shown_size == (216, 72)
    let_the_thread_finish()
    assert drawn == [1, 3]


def test_the_thread_draws_in_the_context_of_the_callback():
    parent, seen = ContextVar("parent", default="none"), []
    player = Player(lambda n: seen.append(parent.get()) or Picture(1, 1), n=IntSlider(1, 1, 9))
    for n in (2, 3):
        parent.set(f"message {n}")
        player.sliders["n"].value = n
        let_the_thread_finish()
    assert seen == ["none", "message 2", "message 3"]


def fails_above_2(n):
    if n > 2:
        raise ValueError(f"n is <{n}>:\n  give 1 or 2")
    return Picture(n, 1)


def test_an_error_is_a_line_in_the_player_until_a_picture_is_drawn():
    player = Player(fails_above_2, n=IntSlider(1, 1, 9))
    line, picture = player.error_line, player.image.value
    assert line.layout.display == "none"
    player.sliders["n"].value = 3
    let_the_thread_finish()
    assert "Not drawn, because of ValueError: n is &lt;3&gt;: give 1 or 2<" in line.value
    assert line.layout.display is None and line in player.box.children
    assert player.image.value == picture
    for look in (lambda: player.picture, player._repr_mimebundle_, player._ipython_display_):
        with pytest.raises(ValueError, match="give 1 or 2"):  # no cell shows a wrong picture
            look()
    player.sliders["n"].value = 2
    let_the_thread_finish()
    assert line.layout.display == "none" and player.picture.shown_size == (144, 72)
    with pytest.raises(ValueError, match="give 1 or 2"):
        Player(fails_above_2, n=IntSlider(3, 1, 9))


def test_an_error_is_a_line_in_a_touchable(monkeypatch):
    monkeypatch.setattr(touch, "display", lambda *_, **__: None)
    monkeypatch.setattr(touch, "update_display", lambda *_, **__: None)
    widget = widgets.two_boxes_player()
    widget._ipython_display_()
    with monkeypatch.context() as broken:
        broken.setattr(type(widget), "picture", lambda _: 1 / 0)
        widget.anchor = [1.0, 2, 3, 4]
        let_the_thread_finish()
        expected = "Not drawn, because of ZeroDivisionError: division by zero"
        assert widget.error_line == expected
    widget.anchor = [1.0, 2, 3, 5]
    let_the_thread_finish()
    assert widget.error_line == ""


def test_a_change_that_comes_halfway_is_drawn_too(monkeypatch):
    shown = []
    monkeypatch.setattr(touch, "display", lambda *_, **__: None)
    monkeypatch.setattr(touch, "update_display", lambda data, **_: shown.append(data["text/html"]))
    widget = widgets.two_boxes_player()
    widget._ipython_display_()
    still, texts = widget._still, iter(["half", "whole"])

    def changes_halfway():
        text = next(texts)
        widget.gt = [1.0, 2, 3, 4]
        return still() | {"text/html": text}

    widget._still = changes_halfway
    widget.anchor = [1.0, 2, 3, 4]
    for _ in range(2):
        let_the_thread_finish()
    assert shown == ["whole"]


def test_an_interrupted_cell_draws_when_it_is_run_again():
    is_stopped = False

    def draw(n):
        if is_stopped:
            raise KeyboardInterrupt
        return Picture(n, 1)

    player = Player(draw, n=IntSlider(1, 1, 9))
    with DRAWING:
        player.sliders["n"].value = 2
        is_stopped = True
        with pytest.raises(KeyboardInterrupt):
            player.wait()
        is_stopped = False
        assert player.picture.shown_size == (144, 72)
        assert player.error_line.layout.display == "none"


PROGRAM = """
from threading import Event
from ipywidgets import IntSlider
from mrcnn_edu.course.widgets import Player
from mrcnn_edu.viz import Picture

def draw(n):
    if n > 1 and {blocks}:
        has_begun.set()
        Event().wait()
    return Picture(n, 1)

has_begun = Event()
player = Player(draw, n=IntSlider(1, 1, 9))
for n in range(2, 10):
    player.sliders["n"].value = n
if {blocks}:
    has_begun.wait()
print("the end")
"""


@pytest.mark.parametrize("blocks", [True, False])
def test_python_ends_while_the_thread_draws(blocks):
    code = PROGRAM.format(blocks=blocks)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "the end\n", "")
