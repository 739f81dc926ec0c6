"""What runs cost before they run, and minutes as a dial. No clock: the speeds are given."""

import json
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from mrcnn_edu.ablations import TABLES, Setup, ask, ask_table, costs, parse_setting
from mrcnn_edu.ablations.costs import Speed, cost_in_words, estimate_seconds, known_speeds
from mrcnn_edu.ablations.dial import (
    BEGINNING,
    expected_half_width,
    fit_minutes,
    outlook,
    typical_spread,
)  # fmt: skip
from mrcnn_edu.ablations.job_hash import job_hash, non_defaults
from mrcnn_edu.ablations.setup import C4_BASE, FPN_BASE
from mrcnn_edu.ablations.worlds import WORLDS


def speed(config=C4_BASE, train=0.05, detect=0.04) -> Speed:
    return Speed(json.loads(json.dumps(non_defaults(config))), train, detect)


def question(steps=400, seeds=2, *more):
    settings = [parse_setting("A", []), parse_setting("B", ["roi_op=pool"])]
    settings += [parse_setting(name, [switch]) for name, switch in more]
    return ask(settings, WORLDS["shapes"], steps, seeds)


def seconds(asked, folder, workers=1, speeds=None):
    return estimate_seconds(asked.jobs().values(), folder, workers, speeds or [speed()])


def finish(job, folder, **changes):
    record = {"job": non_defaults(job), "seconds": 80.0, "milliseconds_per_image": 40.0}
    folder.mkdir(exist_ok=True)
    (folder / f"{job_hash(job)}.json").write_text(json.dumps(record | changes))


# The cost


def test_the_cost_is_that_of_training_and_scoring(tmp_path):
    job = question().jobs()["A", 0]
    found = estimate_seconds([job], tmp_path, 1, [speed(train=1.0, detect=0.0)])
    looks = 4 * costs.WATCHED_IMAGES
    scoring = costs.SCORING * (200 + looks) + costs.FORWARD * looks
    expected = costs.START_UP + costs.BEFORE_AND_AFTER + 400 * 4 * 1.0 + scoring
    assert found == pytest.approx(expected)
    with_scoring = estimate_seconds([job], tmp_path, 1, [speed(train=1.0, detect=0.5)])
    assert with_scoring - found == pytest.approx(0.5 * (200 + looks))


def test_workers_share_the_jobs_and_each_job_counts_once(tmp_path):
    asked = question(seeds=2)
    one, two = seconds(asked, tmp_path), seconds(asked, tmp_path, 2)
    assert two - costs.START_UP == pytest.approx((one - costs.START_UP) / 2)
    jobs = list(asked.jobs().values())
    assert estimate_seconds(jobs * 3, tmp_path, 1, [speed()]) == one
    assert seconds(asked, tmp_path, 100) == pytest.approx(seconds(asked, tmp_path, 4))


def test_what_is_known_costs_nothing_and_what_has_begun_its_rest(tmp_path):
    asked = question(seeds=1)
    before = seconds(asked, tmp_path)
    job, other = asked.jobs()["A", 0], asked.jobs()["B", 0]
    losses = tmp_path / job_hash(job) / "losses.csv"
    losses.parent.mkdir()
    losses.write_text("step\n" + "1\n" * 200)
    half = seconds(asked, tmp_path)
    assert before - half == pytest.approx(
        0.05 * (200 * 4 + costs.FORWARD * 48) + (0.04 + costs.SCORING) * 48
    )
    finish(job, tmp_path)
    assert seconds(asked, tmp_path) == pytest.approx((before - 5) / 2 + 5, rel=0.05)
    finish(other, tmp_path)
    assert seconds(asked, tmp_path) == 0 == estimate_seconds([], tmp_path)
    assert cost_in_words(asked, tmp_path) == "2 runs of 400 steps, all known already"


def test_larger_models_batches_and_images_take_longer(tmp_path):
    wide = question(400, 1, ("C", "batch_size=8"), ("D", "short_side=192")).jobs()
    cost = {name: estimate_seconds([wide[name, 0]], tmp_path, 1, [speed()]) - 6 for name in "ACD"}
    assert 1.7 < cost["C"] / cost["A"] < 2 and 3 < cost["D"] / cost["A"] < 4
    softmax = question(400, 1, ("C", "mask_loss=softmax")).jobs()["C", 0]
    more = estimate_seconds([softmax], tmp_path, 1, [speed()]) - 6
    assert more - cost["A"] == pytest.approx(400 * (0.04 + costs.SCORING))  # two more decodings


def test_the_most_similar_model_gives_the_speed(tmp_path):
    pool = replace(C4_BASE, roi_op="pool")
    speeds = [speed(), speed(FPN_BASE, train=9), speed(pool, train=0.5)]
    fast, slow = (question().jobs()[name, 0] for name in "AB")
    assert estimate_seconds([slow], tmp_path, 1, speeds) > 500
    assert estimate_seconds([fast], tmp_path, 1, speeds) < 200
    unknown = ask_table(TABLES["2a"]).jobs()["C4, deeper", 0]
    assert estimate_seconds([unknown], tmp_path, 1, speeds) is None
    full_size = replace(ask_table(TABLES["2c"]), setup=Setup("r50", "c4"))
    assert "is not known" in cost_in_words(full_size, tmp_path, 1, speeds)


def test_runs_in_the_folder_say_how_fast_this_machine_is(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "machine_factor", lambda: 2.0)
    shipped = costs.shipped_speeds()
    assert [s.train for s in known_speeds(tmp_path)] == [2 * s.train for s in shipped]
    base = question().jobs()["A", 0]
    for seed, slow in enumerate([80, 160, 240]):
        job = replace(base, training=replace(base.training, seed=seed))
        finish(job, tmp_path, seconds=slow)
    finish(question().jobs()["B", 0], tmp_path, seconds=None)  # it was resumed
    (tmp_path / "notes.json").write_text("[1, 2]")
    (tmp_path / "broken.json").write_text("{")
    here, *others = known_speeds(tmp_path)
    assert here.train == 160 / 1600 and here.detect == 0.04
    (same,) = [s for s in shipped if costs._distance(s, here.config) == 0]
    assert others[0].train == pytest.approx(shipped[0].train * here.train / same.train)


def test_this_machines_speed_is_measured_without_a_trace():
    import torch

    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    assert 0.001 < costs.measured_speed() < 60
    assert torch.equal(before, torch.get_rng_state()) and threads == torch.get_num_threads()


def test_the_cost_in_words(tmp_path):
    asked = question(400, 2)
    finish(asked.jobs()["A", 0], tmp_path)
    words = cost_in_words(asked, tmp_path, 2, [speed()])
    assert words == "4 runs of 400 steps, 1 of them known: about 3 minutes here, 2 at a time"
    one = replace(asked, seeds=(1,), table=replace(asked.table, settings=asked.table.settings[:1]))
    words = cost_in_words(one, tmp_path, 2, [speed()])
    assert words.startswith("1 run of 400 steps: about ") and words.endswith(" here")


# The dial


@pytest.mark.parametrize(
    ("minutes", "steps", "seeds"),
    # A run of n steps takes 0.2 n + 20 seconds or so; two settings, one worker.
    [(2, 25, 2), (4, 100, 3), (6, 200, 3), (11, 400, 3), (30, 400, 9), (6000, 400, 20)],
)
def test_minutes_become_steps_and_seeds(minutes, steps, seeds, tmp_path):
    found = fit_minutes(question(), minutes, tmp_path, workers=1, speeds=[speed()])
    assert (found.steps, len(found.seeds)) == (steps, seeds)
    assert seconds(found, tmp_path) <= 60 * minutes
    assert found.table == question().table


def test_more_minutes_never_give_less(tmp_path):
    before = 0, 0
    for minutes in (2, 3, 5, 8, 13, 21, 34, 55, 89):
        found = fit_minutes(question(), minutes, tmp_path, workers=2, speeds=[speed()])
        now = len(found.seeds), found.steps
        assert now >= before and seconds(found, tmp_path, 2) <= 60 * minutes
        before = now


def test_too_few_minutes_say_how_many_are_needed(tmp_path):
    with pytest.raises(ValueError, match=r"25 steps with 2 seeds .* about 2 minutes .*give 2 min"):
        fit_minutes(question(), 0.5, tmp_path, workers=1, speeds=[speed()])
    found = fit_minutes(question(), 2, tmp_path, workers=1, speeds=[speed()])
    assert len(found.seeds) == 2


@pytest.mark.parametrize("minutes", [0, -1, nan, inf, -inf])
def test_minutes_that_are_none(minutes, tmp_path):
    with pytest.raises(ValueError, match=r"minutes is .*: give a number above 0, such as 2, 10"):
        fit_minutes(question(), minutes, tmp_path, speeds=[speed()])


def test_steps_or_seeds_can_be_fixed(tmp_path):
    given = {"workers": 1, "speeds": [speed()]}
    found = fit_minutes(question(), 30, tmp_path, steps=1000, **given)
    assert found.steps == 1000 and len(found.seeds) == 4
    found = fit_minutes(question(), 30, tmp_path, seeds=10, **given)
    assert len(found.seeds) == 10 and 200 <= found.steps <= 400
    found = fit_minutes(question(steps=3), 30, tmp_path, **given)
    assert found.steps == 3 and len(found.seeds) == 20
    with pytest.raises(ValueError, match="seeds is 1: an interval needs 2"):
        fit_minutes(question(), 30, tmp_path, seeds=1, **given)


def test_what_is_known_leaves_time_for_more(tmp_path):
    given = {"workers": 1, "speeds": [speed()]}
    for job in question(400, 3).jobs().values():
        finish(job, tmp_path)
    found = fit_minutes(question(), 4, tmp_path, **given)
    assert (found.steps, len(found.seeds)) == (400, 4)


def test_an_unknown_model_cannot_be_timed(tmp_path):
    with pytest.raises(ValueError, match="give steps and seeds instead"):
        fit_minutes(ask_table(TABLES["2a"]), 10, tmp_path, speeds=[speed()])


def test_the_outlook_says_what_an_answer_can_show():
    (both, few) = outlook(question(100, 3))
    assert f"± {expected_half_width(3):.1f} AP" in both and "After 100 steps" in few
    assert len(outlook(question(400, 3))) == 1
    assert "One seed" in outlook(question(400, 1))[0]


def test_the_expected_interval_is_the_median_spread_at_that_number_of_seeds():
    from scipy import stats

    assert 0.5 < typical_spread() < 3
    for n in (2, 3, 8):
        expected = stats.t.ppf(0.975, n - 1) * typical_spread() / n**0.5
        assert expected_half_width(n) == pytest.approx(expected)


def test_the_guide_has_the_expected_intervals():
    guide = " ".join((Path(__file__).parents[1] / "docs" / "ablations.md").read_text().split())
    two, three, five = map(expected_half_width, (2, 3, 5))
    assert f"± {two:.0f} AP with two seeds, ± {three:.1f} with three and ± {five:.1f} with" in guide
    assert f"trained for less than {BEGINNING} steps" in guide
