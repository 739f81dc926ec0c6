"""Lesson 04's experiment on levels: its models differ in nothing but the maps they read."""

import json
from dataclasses import replace

import pytest
import torch

from mrcnn_edu import roi_ops
from mrcnn_edu.backbone import FPN
from mrcnn_edu.course import level_runs
from mrcnn_edu.course.level_runs import NAMES, SEEDS, STEPS, VAL_DATA, SeparateMaps, untrained


def test_the_shipped_scores_are_those_of_all_models_seeds_and_sizes():
    record = json.loads(level_runs.FILE.read_text())
    scores = level_runs.recorded_scores()
    assert record["steps"] == STEPS and record["command"] == "python tools/make_level_runs.py"
    assert tuple(scores) == NAMES
    for runs in scores.values():
        assert len(runs) == len(SEEDS)
        assert all(list(run) == list(VAL_DATA) for run in runs)
        assert all(0 <= value <= 100 for run in runs for value in run.values())
        assert len({tuple(run.values()) for run in runs}) == len(SEEDS)  # no run twice


@pytest.mark.parametrize(
    ("name", "levels"),
    [("level by size", [0, 0, 1, 2]), ("all from P2", [0] * 4), ("all from P4", [2] * 4)],
)
def test_regions_are_read_from_the_levels_that_the_name_says(name, levels):
    model = untrained(name)
    sizes = torch.tensor([4.0, 39, 40, 160])
    boxes = torch.stack((0 * sizes, 0 * sizes, sizes, sizes), dim=1)
    canonical_size = model.config.canonical_size
    found = roi_ops.pyramid_level(boxes, model.backbone.strides, canonical_size)
    assert found.tolist() == levels


def test_a_model_of_one_map_has_one_map():
    (only,) = untrained("C4 alone").neck([torch.rand(1, 2, 8, 8), torch.rand(1, 3, 4, 4)])
    assert only.shape == (1, 3, 4, 4)


def test_the_models_have_the_same_parameters_apart_from_the_one_with_one_map():
    shapes = [
        {name: p.shape for name, p in untrained(name).named_parameters()}
        for name in NAMES
        if name != "C4 alone"
    ]
    assert all(other == shapes[0] for other in shapes)


def test_without_the_top_down_pathway_a_level_knows_nothing_of_coarser_maps():
    torch.manual_seed(0)
    maps = [torch.rand(1, c, size, size) for c, size in ((3, 8), (5, 4), (7, 2))]
    changed = [*maps[:2], torch.rand(1, 7, 2, 2)]
    separate, pyramid = SeparateMaps((3, 5, 7), 6), FPN((3, 5, 7), 6)
    pyramid.load_state_dict(separate.state_dict())
    before, after = separate(maps), separate(changed)
    assert [a.equal(b) for a, b in zip(before, after, strict=True)] == [True, True, False, False]
    assert not pyramid(maps)[0].equal(pyramid(changed)[0])
    assert [p.shape for p in separate(maps)] == [p.shape for p in pyramid(maps)]
    assert separate(maps)[2].equal(pyramid(maps)[2])  # the coarsest has nothing above it


def test_an_unknown_model_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"'P3': choose one of level by size, all from P2"):
        untrained("P3")


def test_a_model_is_trained_and_scored_for_each_range_of_sizes(monkeypatch):
    few = {sizes: replace(scenes, n=1) for sizes, scenes in VAL_DATA.items()}
    monkeypatch.setattr(level_runs, "VAL_DATA", few)
    model = level_runs.train("no top-down", seed=0, steps=1)
    assert isinstance(model.neck, SeparateMaps) and not model.training
    assert list(level_runs.score(model)) == list(VAL_DATA)


def test_each_level_gets_objects_of_its_size():
    for sizes, level in zip(list(VAL_DATA)[1:], range(3), strict=True):
        boxes = torch.cat([VAL_DATA[sizes][i][1]["boxes"] for i in range(20)])
        found = roi_ops.pyramid_level(boxes, (4, 8, 16), level_runs.BASE.canonical_size)
        assert (found == level).float().mean() > 0.6
