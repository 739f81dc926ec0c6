"""The ablation lab without a browser: its thread, its controls, its chart and its evidence."""

import threading
import time

import pytest
import torch

from mrcnn_edu import Detections
from mrcnn_edu.ablations import TABLES, Results, precomputed
from mrcnn_edu.course.lab import ablation_lab
from mrcnn_edu.course.lab.chart import chart_data
from mrcnn_edu.course.lab.choices import BASE, COMMON, YOURS, Choices
from mrcnn_edu.course.lab.errors import KINDS, error_kinds
from mrcnn_edu.course.lab.tasks import Tasks


@pytest.fixture
def tasks():
    looks, failures = [], []
    made = Tasks(lambda: looks.append(1), failures.append, pause=0.02)
    made.looks, made.failures = looks, failures
    yield made
    made.end()


# The thread


def test_of_tasks_with_one_name_the_newest_is_done(tasks):
    free, done = threading.Event(), []
    tasks.submit("first", free.wait)
    for n in range(100):
        tasks.submit("picture", lambda n=n: done.append(n))
    tasks.submit("other", lambda: done.append("other"))
    free.set()
    assert tasks.settle(10)
    assert done == [99, "other"]


def test_an_error_is_told_and_the_thread_lives_on(tasks):
    tasks.submit("wrong", lambda: 1 / 0)
    assert tasks.settle(10)
    assert [type(error) for error in tasks.failures] == [ZeroDivisionError]
    done = threading.Event()
    tasks.submit("right", done.set)
    assert done.wait(10)


def test_it_looks_around_by_itself_until_it_ends(tasks):
    n = len(tasks.looks)
    deadline = time.monotonic() + 20
    while len(tasks.looks) < n + 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    tasks.end()
    tasks.thread.join(10)
    assert not tasks.thread.is_alive()


# The controls


def test_what_is_chosen_is_asked():
    choices = Choices(lambda _: None, steps=50, seeds=3)
    asked = choices.question()
    assert [s.changes for s in asked.table.settings] == [{}, {"roi_op": "pool"}]
    assert asked.steps == 50 and asked.seeds == (0, 1, 2)
    choices.add.click()
    choices.settings[2].lists["mask_loss"].value = "softmax"
    choices.settings[2].more.value = "learning_rate=0.001; nms_iou=0.4"
    choices.world.value = "small"
    third = choices.question().table.settings[2]
    assert third.changes == {"mask_loss": "softmax", "nms_iou": 0.4}
    assert third.training == {"learning_rate": 0.001}
    assert choices.question().setup.train_data.object_size == (1 / 16, 1 / 6)
    choices.remove.click()
    assert len(choices.question().table.settings) == 2
    for _ in range(5):
        choices.add.click()
    with pytest.raises(ValueError, match="A and D are the same setting"):
        choices.question()


def test_every_value_of_every_list_is_one_that_can_be_read():
    choices = Choices(lambda _: None, steps=50, seeds=3)
    for name, values in COMMON.items():
        for value in values:
            switches = [f"{name}={value}"]
            choices.settings[0].switches = switches
            assert choices.settings[0].switches == switches


def test_the_lists_say_what_the_base_model_has():
    choices = Choices(lambda _: None, steps=50, seeds=3)
    mask_size = choices.settings[0].lists["mask_size"]
    assert mask_size.options[0] == ("14 (base)", BASE)
    mask_size.value = "56"
    choices.neck.value = "fpn"
    assert mask_size.options[0] == ("28 (base)", BASE) and mask_size.value == "56"
    choices.settings[0].lists["mask_head"].value = "none"
    assert choices.settings[0].switches == ["mask_head=none", "mask_size=56"]


def test_a_papers_table_brings_its_own_steps():
    choices = Choices(lambda _: None, steps=50, seeds=3)
    title = next(title for title in choices.kind.options if title.startswith("2d:"))
    choices.kind.value = title
    asked = choices.question()
    assert asked.table is TABLES["2d"] and asked.steps == 800 == choices.steps.value
    assert choices.of_yours.children == ()
    choices.kind.value = YOURS
    assert choices.of_yours.children


def test_a_question_is_remembered_and_nonsense_is_passed_over():
    choices = Choices(lambda _: None, steps=50, seeds=3)
    choices.add.click()
    choices.settings[2].switches = ["mask_size=56", "clip_norm=1.0"]
    choices.world.value = "crowded"
    again = Choices(lambda _: None, steps=1, seeds=1)
    again.restore(choices.state)
    assert again.state == choices.state
    again.restore({"kind": "?", "steps": "many", "settings": 3, "world": None})
    assert again.state == choices.state


# The chart


def test_the_chart_has_the_numbers_of_the_results():
    results = precomputed("2c")
    curve = {"every": 10, "losses": {"a": [2.0, 1.0], "b": [0.5, 0.25]}, "scores": {"segm ap": []}}
    data = chart_data(results, {("RoIPool", 0): curve})
    assert data["lines"] == [
        {"setting": "RoIPool", "seed": 0, "loss": [[10, 2.5], [20, 1.25]], "score": []}
    ]
    first, *others = data["rows"]
    assert "verdict" not in first and len({row["color"] for row in data["rows"]}) == 5
    pool = results.table.setting("RoIPool")
    row = next(row for row in others if row["setting"] == "RoIPool")
    found = results.difference(pool)
    assert row["paired"] == [found.low, found.mean, found.high]
    assert row["verdict"] == results.verdict(pool)
    assert dict(row["dots"]) == results.scores(pool)


def test_a_chart_without_runs_has_rows_alone():
    data = chart_data(Results(TABLES["2b"], {}), {})
    assert data["lines"] == [] and all(row["dots"] == [] for row in data["rows"])
    assert all("paired" not in row for row in data["rows"])


# The evidence


def squares(*corners):
    masks = torch.zeros(len(corners), 20, 20, dtype=torch.bool)
    for mask, (x, y) in zip(masks, corners, strict=True):
        mask[y : y + 4, x : x + 4] = True
    boxes = torch.tensor([[x, y, x + 4, y + 4] for x, y in corners]).float().reshape(-1, 4)
    return boxes, masks


@pytest.mark.parametrize("with_masks", [True, False])
def test_each_kind_of_error_is_counted_once(with_masks):
    """Two objects, of classes 1 and 2, and a third that nobody finds."""
    boxes, masks = squares((0, 0), (10, 0), (0, 12))
    target = {"boxes": boxes, "masks": masks, "labels": torch.tensor([1, 2, 1])}
    found, found_masks = squares(
        (0, 0), (0, 0), (10, 0), (12, 0), (2, 0), (15, 15), (12, 0), (0, 0)
    )
    labels = torch.tensor([1, 1, 1, 2, 2, 1, 1, 1])
    scores = torch.tensor([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.4])
    d = Detections(found, labels, scores, found_masks if with_masks else None, None)
    counts = error_kinds(d, target)
    assert dict(counts) == {
        "correct": 1, "duplicate": 1, "wrong class": 1, "badly placed": 1, "both": 2,
        "background": 1, "missed": 2,
    }  # fmt: skip
    assert sum(counts[kind] for kind in KINDS[:-1]) == 7  # the last one scores too little


def test_without_objects_or_detections_there_is_little_to_count():
    boxes, masks = squares((0, 0))
    none, no_masks = squares()
    nothing = torch.zeros(0, dtype=torch.long)
    nobody = Detections(none, nothing, torch.zeros(0), no_masks, None)
    somebody = Detections(boxes, torch.tensor([1]), torch.tensor([0.9]), masks, None)
    empty = {"boxes": none, "masks": no_masks, "labels": nothing}
    full = {"boxes": boxes, "masks": masks, "labels": torch.tensor([1])}
    assert sum(error_kinds(nobody, empty).values()) == 0
    assert error_kinds(somebody, empty)["background"] == 1
    assert error_kinds(nobody, full)["missed"] == 1


# The whole, without a run


def test_the_lab_says_what_is_impossible_and_what_is_known(tmp_path):
    lab = ablation_lab(tmp_path, steps=7)
    try:
        assert lab.tasks.settle()
        assert "4 runs of 7 steps" in lab.message.value and lab.trouble.value == ""
        assert not lab.buttons["run"].disabled and lab.buttons["stop"].disabled
        lab.choices.settings[1].more.value = "roi_op=<b>"
        assert lab.tasks.settle()
        assert "roi_op twice" in lab.message.value
        lab.choices.settings[1].switches = ["nms_iou=<b>"]
        assert lab.tasks.settle()
        assert "&lt;b&gt;" in lab.message.value and lab.buttons["run"].disabled
        lab.buttons["report"].click()
        assert lab.tasks.settle()
        assert "nothing to report" in lab.trouble.value
        assert lab.results is None
        lab.choices.settings[1].switches = ["nms_iou=0.4"]
        lab.choices.steps.value = 3
        lab.choices.minutes[60].click()
        assert lab.tasks.settle()
        steps, seeds = lab.choices.steps.value, lab.choices.seeds.value
        assert seeds >= 3 and 3 < steps <= 400
        assert f"{2 * seeds} runs of {steps} steps: about" in lab.message.value
        assert f"With {seeds} seeds, expect" in lab.message.value
    finally:
        lab.close()
    assert not list(tmp_path.iterdir())  # who has not run anything has left nothing
