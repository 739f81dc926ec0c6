"""The results that come with the package: of these settings, from these scenes, and in order."""

import json

import pytest

from mrcnn_edu.ablations import TABLES, precomputed
from mrcnn_edu.ablations.precomputed import PRECOMPUTED
from mrcnn_edu.ablations.setup import TRAIN_DATA, VAL_DATA

RECORDS = json.loads(PRECOMPUTED.read_text())


def test_a_record_says_what_it_is_of_and_what_it_was_made_on():
    for record in RECORDS:
        assert {"key", "code", "machine", "torch", "seconds", "parameters"} <= set(record)
        assert 0 < record["scores"]["bbox"]["ap"] < 100
    assert len({record["key"] for record in RECORDS}) == len(RECORDS)


def test_no_held_out_scene_is_trained_on():
    assert VAL_DATA.seed != TRAIN_DATA.seed
    assert all(r["job"]["val_data"]["seed"] == VAL_DATA.seed for r in RECORDS)


@pytest.mark.parametrize("name", TABLES)
def test_every_setting_of_a_table_has_five_seeds(name):
    results = precomputed(name)
    assert all(results.difference(setting).n >= 5 for setting in results.table.settings)
    # In the median: a run that was stopped and taken up has the seconds of its last part.
    assert all(results.cost(setting, "seconds") > 10 for setting in results.table.settings)


@pytest.mark.parametrize(
    ("table", "other"),
    [
        ("2b", "softmax"),
        ("2c", "RoIPool"),
        ("2c", "RoIWarp, mean"),
        ("2d", "RoIPool"),
        ("2e", "MLP, 2 layers"),
    ],
)
def test_what_the_paper_found_is_found_beyond_doubt(table, other):
    """The 95 % interval of the difference lies below 0."""
    results = precomputed(table)
    assert results.difference(results.table.setting(other)).high < 0
    assert results.difference(results.table.setting(other), "ap75").high < 0


def test_the_pyramid_needs_time():
    """It starts new: after 400 steps it is behind C4, after 800 ahead, as in the paper."""
    soon, later = (precomputed(name) for name in ("2a", "2a-longer"))
    assert soon.difference(soon.table.setting("FPN")).high < 0
    assert later.difference(later.table.setting("FPN")).low > 0


def test_rounding_costs_most_under_the_strict_measure_and_at_the_large_stride():
    """As in the paper: RoIAlign's gain as a share of RoIPool's score."""
    gains = {}
    for name in ("2c", "2d"):
        results = precomputed(name)
        pool = results.table.setting("RoIPool")
        gains[name] = [results.relative_gain(pool, score)[0] for score in ("ap", "ap75")]
        assert gains[name][0] < gains[name][1]
    assert all(fine < coarse for fine, coarse in zip(*gains.values(), strict=True))
