"""Lesson 10's gallery: each run has one fault, and a run is recognized as far as curves allow."""

import json
import math

import pytest
import torch

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.course import training_runs
from mrcnn_edu.course.training_runs import (
    CLOSE,
    FAR,
    HEALTHY,
    KINDS,
    LOSSES,
    SEEDS,
    STEPS,
    TRAIN_DATA,
    WINDOW,
    Changed,
    curves_of,
    distance,
    ranked,
    read_losses,
    recorded_runs,
    resembling,
    verdict,
)
from mrcnn_edu.data import check

GALLERY = {name: run["losses"] for name, run in recorded_runs().items()}


def steps_of(curves, factor=1.0):
    """Losses of every step whose means are the points of the curves, times a factor."""
    n = len(curves[LOSSES[0]])
    return [
        {name: factor * curves[name][i] for name in LOSSES} for i in range(n) for _ in range(WINDOW)
    ]


def test_the_shipped_runs_are_those_of_all_kinds_and_seeds():
    record = json.loads(training_runs.FILE.read_text())
    assert record["steps"] == STEPS and record["window"] == WINDOW and record["seconds"] <= 300
    assert record["command"] == "python tools/make_training_runs.py"
    assert tuple(record["runs"]) == tuple(KINDS)
    for seed in SEEDS:
        for run in recorded_runs(seed).values():
            assert tuple(run["losses"]) == LOSSES
            assert all(len(points) == STEPS // WINDOW for points in run["losses"].values())
            assert all(math.isfinite(v) for points in run["losses"].values() for v in points)
            assert list(run["validation"]) == ["recall", "mask IoU", "filled box", "class accuracy"]
            assert all(0 <= value <= 1 for value in run["validation"].values())
    assert recorded_runs(0) != recorded_runs(1)
    assert sorted(training_runs.LETTERS.values()) == sorted(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_run_of_the_gallery_resembles_itself_and_hardly_changes_if_it_is_cut_off(name):
    losses = steps_of(GALLERY[name])
    distances = resembling(losses)
    assert next(iter(distances)) == name and distances[name] == pytest.approx(1)
    assert list(distances.values()) == sorted(distances.values()) and set(distances) == set(KINDS)
    assert f"most like {name!r}" in verdict(distances)
    assert next(iter(resembling(losses[:40]))) == name  # only what both have is compared


def test_the_distance_is_a_factor_and_does_not_depend_on_the_order():
    doubled = {
        name: [2 * v + training_runs.SMALLEST for v in GALLERY[HEALTHY][name]] for name in LOSSES
    }
    assert distance(GALLERY[HEALTHY], doubled) == pytest.approx(2)
    assert distance(doubled, GALLERY[HEALTHY]) == pytest.approx(2)
    assert distance(doubled, doubled) == pytest.approx(1)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_losses_that_are_not_finite_are_far_from_healthy_ones(value):
    losses = steps_of(GALLERY[HEALTHY])
    losses = losses[:20] + [dict.fromkeys(LOSSES, value)] * 60
    distances = resembling(losses)
    assert all(math.isfinite(factor) for factor in distances.values())
    assert distances[HEALTHY] > 5 and "resembles none" in verdict(distances)


def test_a_run_with_other_losses_resembles_none():
    assert "resembles none of the runs; the closest, " in verdict(
        resembling([dict.fromkeys(LOSSES, 3.0)] * 80)
    )


def test_a_verdict_names_all_that_are_about_equally_close():
    assert verdict({"a": 1.2, "b": 1.2 * CLOSE - 0.01, "c": 1.5}) == (
        "most like 'a' or 'b'; differs by × 1.20"
    )
    assert verdict({"a": 1.0, "b": 2.0}) == "most like 'a'; differs by × 1.00"
    assert verdict({"a": FAR + 0.1, "b": 2.0}).startswith("resembles none of the runs; the closest")


def test_curves_are_means_of_windows_and_the_rest_is_dropped():
    losses = [{name: float(i) for name in LOSSES} | {"more": 0.0} for i in range(2 * WINDOW + 1)]
    assert curves_of(losses) == {name: [2.0, 7.0] for name in LOSSES}


def test_losses_that_cannot_be_compared_are_an_error():
    with pytest.raises(ValueError, match="there are 3 steps: give the losses of at least 5"):
        curves_of([dict.fromkeys(LOSSES, 1.0)] * 3)
    with pytest.raises(ValueError, match="there are 0 steps"):
        curves_of([])
    with pytest.raises(ValueError, match="there is no loss_mask: the gallery has runs of Mask R"):
        curves_of([dict.fromkeys(LOSSES[:-1], 1.0)] * 9)


def test_a_losses_csv_is_read_from_its_folder_or_by_its_name(tmp_path):
    rows = [f"{step},{','.join(['0.5'] * 5)},0.003,1.0" for step in (1, 2)]
    header = ",".join(("step", *LOSSES, "learning_rate", "seconds"))
    (tmp_path / "losses.csv").write_text("\n".join([header, *rows]) + "\n")
    expected = [dict.fromkeys(LOSSES, 0.5)] * 2
    assert read_losses(tmp_path) == read_losses(str(tmp_path / "losses.csv")) == expected


def test_the_second_run_of_each_kind_is_recognized_or_named_among_those_that_are_alike():
    named = {}
    for name, run in recorded_runs(1).items():
        text = verdict(ranked(run["losses"]))
        named[name] = repr(name) in text and "none" not in text
    assert all(named.values()), named


# ---- the faults ----


def test_each_fault_is_in_the_targets_or_in_the_learning_rate():
    _, target = TRAIN_DATA[1]
    for name, kind in KINDS.items():
        _, changed = Changed(TRAIN_DATA, kind.change)[1]
        differ = {
            key
            for key in ("boxes", "labels", "masks")
            if not torch.equal(changed[key], target[key])
        }
        expected = {
            "random class labels": {"labels"},
            "x and y of boxes swapped": {"boxes"},
            "half of the targets mirrored": {"boxes", "masks"},
            "masks of other objects": {"masks"},
        }
        assert differ == expected.get(name, set())
        is_other_rate = kind.training.learning_rate != KINDS[HEALTHY].training.learning_rate
        assert is_other_rate == name.startswith("learning rate")


def test_mirrored_targets_are_those_of_the_mirrored_image():
    _, target = Changed(TRAIN_DATA, KINDS["half of the targets mirrored"].change)[1]
    masks = TRAIN_DATA[1][1]["masks"].flip(-1)
    assert torch.equal(target["masks"], masks)
    for box, mask in zip(target["boxes"].long().tolist(), masks, strict=True):
        y, x = torch.where(mask)
        assert box[0] <= x.min() and x.max() < box[2] and box[1] <= y.min() and y.max() < box[3]
    assert torch.equal(
        Changed(TRAIN_DATA, KINDS["half of the targets mirrored"].change)[2][1]["boxes"],
        TRAIN_DATA[2][1]["boxes"],
    )


def test_which_faults_the_check_of_the_data_finds():
    few = training_runs.replace(TRAIN_DATA, n=8)
    found = {name for name, kind in KINDS.items() if check(Changed(few, kind.change))}
    assert found == {"x and y of boxes swapped", "masks of other objects"}


def test_a_run_is_trained_and_measured():
    model, losses = training_runs.train("random class labels", seed=0, n_steps=1)
    assert not model.training and len(losses) == 1 and tuple(losses[0]) == LOSSES
    values = training_runs.measure(model, [training_runs.VAL_DATA[0]])
    assert all(0 <= value <= 1 for value in values.values())
    with pytest.raises(ValueError, match="there is no run 'ill': choose one of healthy, learning"):
        training_runs.train("ill", seed=0)
    boxes_alone = MaskRCNN(training_runs.replace(Config.tiny(), mask_head=None)).eval()
    with pytest.raises(ValueError, match="the model has no mask head"):
        training_runs.measure(boxes_alone, [training_runs.VAL_DATA[0]])
