"""The results that come with the package: all tables, and what the paper found."""

import json

import check_ablations
import pytest

from mrcnn_edu.ablations import TABLES, precomputed
from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.precomputed import PRECOMPUTED, job_key
from mrcnn_edu.ablations.setup import TRAIN_DATA, VAL_DATA

RECORDS = json.loads(PRECOMPUTED.read_text())


def test_a_record_names_its_job_code_and_machine():
    for record in RECORDS:
        for name in ("job_hash", "code_version", "machine", "torch", "seconds", "parameters"):
            assert name in record
        assert 0 < record["scores"]["bbox"]["ap"] < 100
    assert len({record["job_hash"] for record in RECORDS}) == len(RECORDS)


def test_no_validation_scene_is_trained_on():
    assert VAL_DATA.seed != TRAIN_DATA.seed
    assert all(r["job"]["val_data"]["seed"] == VAL_DATA.seed for r in RECORDS)


@pytest.mark.parametrize("name", TABLES)
def test_every_setting_of_a_table_has_five_seeds(name):
    results = precomputed(name)
    assert all(results.difference(setting).n >= 5 for setting in results.table.settings)
    # The median: a resumed run has the seconds of its last part.
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
def test_the_papers_findings_are_significant(table, other):
    """The 95 % confidence interval of the difference lies below 0."""
    results = precomputed(table)
    assert results.difference(results.table.setting(other)).high < 0
    assert results.difference(results.table.setting(other), "ap75").high < 0


def test_the_pyramid_needs_time():
    """It is not pretrained: after 400 steps it is behind C4, after 800 ahead, as in the paper."""
    soon, later = (precomputed(name) for name in ("2a", "2a-longer"))
    assert soon.difference(soon.table.setting("FPN")).high < 0
    assert later.difference(later.table.setting("FPN")).low > 0


def test_rounding_costs_most_under_the_strict_measure_and_at_the_large_stride():
    """As in the paper: RoIAlign's gain relative to RoIPool's score."""
    gains = {}
    for name in ("2c", "2d"):
        results = precomputed(name)
        pool = results.table.setting("RoIPool")
        gains[name] = [results.relative_gain(pool, score)[0] for score in ("ap", "ap75")]
        assert gains[name][0] < gains[name][1]
    assert all(fine < coarse for fine, coarse in zip(*gains.values(), strict=True))


def test_the_check_compares_every_score(capsys):
    """`tools/check_ablations.py`, without the training."""
    jobs = {job_key(record["job"]): record["scores"] for record in RECORDS}
    for run in check_ablations.RUNS:
        scores = jobs[job_key(non_defaults(run.job()))]
        changed = scores | {"segm": scores["segm"] | {"ap75": 0.001}}
        n = sum(len(values) for values in scores.values())
        assert check_ablations.print_rows(run, scores, scores) == 0
        assert len(capsys.readouterr().out.splitlines()) == n
        assert check_ablations.print_rows(run, scores, changed) == 1
        (row,) = [r for r in capsys.readouterr().out.splitlines() if r.endswith("differs")]
        assert "ap75" in row and str(scores["segm"]["ap75"]) in row and "0.001" in row
