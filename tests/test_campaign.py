"""Campaigns: runs in the background, which are paused, resumed, stopped, and killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mrcnn_edu import load
from mrcnn_edu.ablations import Campaign, Setting, ask, campaign, parse_setting
from mrcnn_edu.ablations.job_hash import job_hash
from mrcnn_edu.ablations.models import keep_model, model_file
from mrcnn_edu.ablations.question import Question
from mrcnn_edu.ablations.run import run_job
from mrcnn_edu.ablations.worlds import World
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate

TINY_WORLD = World("a few scenes", Shapes(4, n_objects=(1, 2)), Shapes(2, seed=1, n_objects=(1, 2)))


def question(steps=2, seeds=1) -> Question:
    settings = [Setting("A"), parse_setting("B", ["roi_op=pool"])]
    return ask(settings, TINY_WORLD, steps, seeds, neck="c5")


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def threads(monkeypatch):
    """Workers that are threads of this process, which cannot be ended."""

    class Threads(ThreadPoolExecutor):
        def end(self):
            self.shutdown(cancel_futures=True)

    monkeypatch.setattr(campaign, "local_workers", lambda n: Threads(1))


# What a run leaves


def test_a_run_leaves_its_curves_scores_by_class_and_model(tmp_path):
    job = question(steps=5).jobs()["A", 0]
    record = run_job(job, tmp_path)
    curves = record["curves"]
    assert curves["every"] == 1 and len(curves["losses"]["loss_mask"]) == 5
    assert [step for step, _ in curves["scores"]["segm ap"]] == [1, 2, 3, 4, 5]
    assert set(record["per_class"]["segm"]) <= set(job.train_data.classes)
    assert json.loads((tmp_path / f"{job_hash(job)}.json").read_text()) == record
    model = load(model_file(job_hash(job), tmp_path))
    assert model.config == job.config and model.classes == job.train_data.classes
    scores = evaluate(job.val_data, detect_all(model, job.val_data, progress=False), "bbox")
    # In 16 bits, a model's scores may change a little, those of an untrained one hardly.
    assert abs(100 * scores.ap - record["scores"]["bbox"]["ap"]) < 5


def test_long_curves_are_means_of_a_hundred_parts(tmp_path):
    from mrcnn_edu.ablations.measure import curves

    lines = [f"{i + 1},{i},0.001,0.1" for i in range(250)]
    (tmp_path / "losses.csv").write_text(
        "\n".join(["step,loss_mask,learning_rate,seconds", *lines])
    )
    found = curves(tmp_path)
    assert found["every"] == 3 and len(found["losses"]["loss_mask"]) == 84
    assert found["losses"]["loss_mask"][:2] == [1.0, 4.0]
    assert found["losses"]["loss_mask"][-1] == 249.0  # the last part is shorter


def test_watching_does_not_change_what_is_learned(tmp_path, monkeypatch):
    from mrcnn_edu.ablations import measure

    job = question(steps=6).jobs()["A", 0]
    watched = run_job(job, tmp_path / "a")
    monkeypatch.setattr(measure.Watch, "__call__", lambda self, losses: None)
    alone = run_job(job, tmp_path / "b")
    assert watched["last_losses"] == alone["last_losses"] and watched["scores"] == alone["scores"]


def test_models_go_when_they_are_too_many_the_oldest_first(tmp_path):
    for age, name in enumerate(["new", "old", "older"]):
        written = tmp_path / "written.pt"
        written.write_bytes(b"x" * 100)
        keep_model(written, name, tmp_path, limit=1000)
        os.utime(model_file(name, tmp_path), (1e9 - age, 1e9 - age))
    written.write_bytes(b"x" * 100)
    keep_model(written, "newest", tmp_path, limit=300)
    kept = {file.stem for file in (tmp_path / "models").iterdir()}
    assert kept == {"newest", "new", "old"}
    written.write_bytes(b"x" * 1000)
    keep_model(written, "huge", tmp_path, limit=300)
    assert [file.stem for file in (tmp_path / "models").iterdir()] == ["huge"]
    keep_model(tmp_path / "not there", "none", tmp_path)
    assert not model_file("none", tmp_path).exists()


# In the background


def test_a_campaign_computes_its_jobs_and_knows_them_the_next_time(tmp_path, threads):
    asked = question(seeds=2)
    first = Campaign(tmp_path)
    first.add(asked.jobs().values())
    assert str(first.progress()) == "waiting: 0 of 4 runs"
    first.run()
    first.wait(300)
    assert first.progress().state == "finished" and len(first.records) == 4
    results = asked.results(first.records)
    assert results.difference(asked.table.settings[1]).n == 2
    again = Campaign(tmp_path)
    again.add(asked.jobs().values())
    assert again.records == first.records and again.progress().state == "finished"
    again.add(asked.with_seeds(3).jobs().values())
    progress = again.progress()
    assert (progress.n_finished, progress.n_jobs) == (4, 6)


def test_jobs_can_be_added_while_others_run(tmp_path, threads):
    asked = question()
    running = Campaign(tmp_path)
    running.add(asked.jobs().values())
    running.run()
    running.add(asked.with_seeds(2).jobs().values())
    running.wait(300)
    assert len(running.records) == 4 and running.progress().n_jobs == 4


def test_a_failed_run_is_reported_and_tried_again(tmp_path, threads, monkeypatch):
    from mrcnn_edu.ablations import run as _  # noqa: F401

    module = sys.modules["mrcnn_edu.ablations.run"]
    real = module.measure
    monkeypatch.setattr(module, "measure", lambda job, folder: 1 / 0)
    trying = Campaign(tmp_path)
    trying.add(question().jobs().values())
    trying.run()
    trying.wait(300)
    assert all(r["failed"].startswith("ZeroDivisionError") for r in trying.records.values())
    monkeypatch.setattr(module, "measure", real)
    trying.run()
    trying.wait(300)
    assert not any("failed" in record for record in trying.records.values())


def test_nothing_is_computed_when_all_is_known_or_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "local_workers", None)
    empty = Campaign(tmp_path)
    empty.run()
    empty.wait(5)
    assert str(empty.progress()) == "nothing runs" and not empty.is_busy


@pytest.mark.slow
def test_a_run_is_paused_resumed_and_stopped(tmp_path):
    asked = question(steps=400)
    running = Campaign(tmp_path)
    running.add(asked.jobs().values())
    running.run()
    until(lambda: sum(running.progress().steps.values()) > 20)
    running.pause()
    running.wait(30)
    assert not running.is_busy and running.progress().state == "paused"
    before = running.progress().steps
    assert any((tmp_path / job_hash(job) / "checkpoint.pt").exists() for job in before)
    time.sleep(1)
    assert running.progress().steps == before  # nobody works
    running.run()
    until(lambda: sum(running.progress().steps.values()) > sum(before.values()) + 10)
    running.stop()
    running.wait(30)
    assert running.progress().n_jobs == 0 and not running.is_busy


def test_the_time_left_needs_some_steps(tmp_path, monkeypatch):
    asked = question(steps=100)
    running = Campaign(tmp_path)
    running.add(asked.jobs().values())
    assert running.progress().seconds_left is None
    job = asked.jobs()["A", 0]
    losses = tmp_path / job_hash(job) / "losses.csv"
    losses.parent.mkdir()
    losses.write_text("step\n" + "1\n" * 50)
    running.started = time.monotonic() - 10
    left = running.progress().seconds_left
    # 50 steps took 10 seconds; 50 and 100 are left, and half a step's worth of scoring each.
    assert left == pytest.approx(30.2, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "5 seconds"), (42, "40 seconds"), (89, "90 seconds"), (100, "2 minutes"),
     (3600, "60 minutes"), (9000, "2.5 hours")],
)  # fmt: skip
def test_times_in_words(seconds, words):
    assert campaign.in_words(seconds) == words


# Kills

CODE = """
import test_campaign as t, sys
from mrcnn_edu.ablations import Campaign
c = Campaign(sys.argv[1]); c.add(t.question(steps=12, seeds=2).jobs().values()); c.run(); c.wait()
"""
N_KILLS = 20


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("MRCNN_EDU_MORNING") != "1", reason="takes minutes: make test-morning"
)
def test_whatever_is_killed_no_finished_run_is_lost_and_none_is_counted_twice(tmp_path):
    """A worker alone, the kernel alone, or everything at once (a power cut), at random moments."""
    import psutil

    chance = random.Random(0)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    jobs = question(steps=12, seeds=2).jobs()
    finished: dict[str, str] = {}
    for n in range(N_KILLS):
        command = [sys.executable, "-c", CODE, str(tmp_path)]
        process = subprocess.Popen(command, cwd=Path(__file__).parent, env=env)
        time.sleep(chance.uniform(1, 12))
        kernel = psutil.Process(process.pid)
        workers = kernel.children(recursive=True)
        victims = [workers[-1:], [kernel], [kernel, *workers]][n % 3]
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        if n % 3 == 0:
            process.wait(120)  # it goes on with new workers
        process.kill()
        process.wait()
        psutil.wait_procs(workers, timeout=30)
        now = {file.name: file.read_text() for file in tmp_path.glob("*.json")}
        assert finished.items() <= now.items()  # none is lost, and none was computed again
        finished = now
        assert all("scores" in json.loads(text) for text in now.values())
    last = Campaign(tmp_path)
    last.add(jobs.values())
    last.run()
    last.wait(300)
    assert len(last.records) == len(jobs) == 4
    assert {file.stem for file in tmp_path.glob("*.json")} == {job_hash(j) for j in jobs.values()}
    assert all("scores" in record for record in last.records.values())


@pytest.mark.slow
def test_workers_that_break_again_and_again_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "run_job_or_exit", os._exit)
    broken = Campaign(tmp_path)
    broken.add(list(question().jobs().values())[:1])
    monkeypatch.setattr(campaign, "run_job_or_exit", _die)
    broken.run()
    broken.wait(120)
    (record,) = broken.records.values()
    assert "ended from outside" in record["failed"]


def _die(job, folder):
    os._exit(3)
