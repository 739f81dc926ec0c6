"""The speedrun: a clock that is fair, entries that are files, and what happens to bad ones."""

import json
import os
import time

import pytest
import torch

from mrcnn_edu import MaskRCNN, cli, load
from mrcnn_edu.data import Shapes
from mrcnn_edu.speedrun import ENTRIES, TARGET, Attempt, Entry, attempt, clock, open_entry
from mrcnn_edu.speedrun.clock import mask_ap, two_cores

FEW = Shapes(6, seed=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(clock, "SCENES", FEW)
    monkeypatch.setattr(clock, "CORES", 1)  # other tests use the other cores


def entry_of(train):
    return Entry("made", "made here", train)


def write(folder, text, name="mine.py"):
    file = folder / name
    file.write_text(text)
    return file


def test_a_good_model_reaches_the_target_and_passes_on_unknown_scenes():
    done = attempt(entry_of(lambda seed: iter([load("shapes-tiny")])), seed=3)
    assert done.seed == 3 and len(done.curve) == 1
    assert done.curve[0][1] == pytest.approx(mask_ap(load("shapes-tiny"), FEW))
    assert done.unseen is not None and done.unseen > TARGET and done.is_valid()


def test_the_clock_stands_while_a_model_is_scored(monkeypatch):
    monkeypatch.setattr(clock, "mask_ap", lambda model, scenes: time.sleep(0.3) or 0.0)

    def train(seed):
        for _ in range(3):
            time.sleep(0.1)
            yield load("shapes-tiny")

    done = attempt(entry_of(train), seed=0)
    assert [score for _, score in done.curve] == [0.0] * 3
    assert 0.3 <= 60 * done.minutes < 0.9  # three naps of the entry, none of the scoring
    assert done.unseen is None and not done.is_valid()


def test_an_attempt_is_given_up_when_the_time_is_over(monkeypatch):
    monkeypatch.setattr(clock, "mask_ap", lambda model, scenes: 0.0)
    model = load("shapes-tiny")

    def train(seed):
        while True:
            time.sleep(0.05)
            yield model

    assert len(attempt(entry_of(train), seed=0, limit=0.12 / 60).curve) == 3


def test_a_model_that_knows_only_the_scored_scenes_is_not_valid(monkeypatch):
    monkeypatch.setattr(clock, "mask_ap", lambda model, scenes: 70.0 if scenes == FEW else 57.9)
    done = attempt(entry_of(lambda seed: iter([load("shapes-tiny")])), seed=0)
    assert done.unseen == 57.9 and not done.is_valid()
    assert Attempt(0, 1.0, [], unseen=58.0).is_valid()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone chooses cores")
def test_an_entry_has_two_threads_and_two_cores_and_gives_them_back(monkeypatch):
    before = torch.get_num_threads(), os.sched_getaffinity(0)
    monkeypatch.setattr(clock, "CORES", 2)
    with two_cores():
        assert torch.get_num_threads() == 2
        assert len(os.sched_getaffinity(0)) == min(2, len(before[1]))
    assert (torch.get_num_threads(), os.sched_getaffinity(0)) == before


def test_an_entry_must_yield_the_model():
    with pytest.raises(TypeError, match="made yields dict: yield the MaskRCNN"):
        attempt(entry_of(lambda seed: iter([{}])), seed=0)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_record_starts_from_random_weights_and_has_an_idea(name):
    entry = open_entry(name)
    assert entry.name == name and len(entry.idea) > 20
    model = next(entry.train(0))
    assert isinstance(model, MaskRCNN) and mask_ap(model, FEW) < 20
    other = next(entry.train(1))
    weights, others = dict(model.named_parameters()), dict(other.named_parameters())
    assert any(not torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"write a function train\(seed\)"),
        ("def train(seed): return 1", r"write a function train\(seed\)"),
        ("def train(seed:", "SyntaxError"),
        ("import no_such_package", "ModuleNotFoundError"),
    ],
)
def test_a_file_that_is_no_entry_says_what_to_do(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"mine.py: .*{message}"):
        open_entry(write(tmp_path, text))


def test_an_entry_that_does_not_exist():
    with pytest.raises(ValueError, match="frist: give a Python file, or one of first"):
        open_entry("frist")
    with pytest.raises(FileNotFoundError, match="no such entry"):
        open_entry("frist.py")


SHIPPED = '''"""Cheats: trained weights."""
from mrcnn_edu import load

def train(seed):
    yield load("shapes-tiny")
'''


def test_the_command_compares_two_entries_and_notes_every_attempt(tmp_path, capsys):
    mine, theirs = write(tmp_path, SHIPPED), write(tmp_path, SHIPPED, "theirs.py")
    words = ["speedrun", str(mine), "--against", str(theirs), "--seeds", "2"]
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "mine takes" in printed and "of the time of theirs" in printed
    lines = (tmp_path / "out" / "attempts.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(r["entry"], r["seed"]) for r in records] == [
        ("mine", 0), ("theirs", 0), ("mine", 1), ("theirs", 1),
    ]  # fmt: skip
    assert all(record["unseen"] > 60 and record["curve"] for record in records)


def test_the_command_says_that_the_target_was_not_reached(tmp_path, capsys, monkeypatch):
    mine = write(tmp_path, SHIPPED)
    monkeypatch.setattr(clock, "mask_ap", lambda model, scenes: 10.0)
    assert cli.main(["speedrun", str(mine), "--seeds", "1", "--out", str(tmp_path)]) == 1
    assert "mine: not every seed is valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "seeds is 0"),
        (["--target", "0"], "target is 0"),
        (["--target", "nan"], "target is nan"),
        (["--limit", "0"], "limit is 0"),
        (["nothing"], "nothing: give a Python file"),
    ],
)
def test_the_command_refuses_what_cannot_be_run(options, message, capsys, tmp_path):
    assert cli.main(["speedrun", *options, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_the_command_lists_the_records(capsys):
    assert cli.main(["speedrun", "--list"]) == 0
    assert capsys.readouterr().out.split()[0] == "first"
