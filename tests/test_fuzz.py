"""A few hundred wrong inputs of each kind, and every one that was ever found to slip through.

`python tools/fuzz.py NAME --minutes 60` tries more; a case that it prints belongs into FOUND.
"""

import random

import fuzz
import pytest
import torch

CASES = {"coco": 100, "check": 60, "model": 30, "weights": 40, "results": 100}
FOUND: dict[str, list[int]] = {}  # seeds


@pytest.mark.parametrize("name", fuzz.FUZZERS)
def test_wrong_inputs_give_documented_errors_alone(tmp_path, name):
    for seed in [*range(CASES[name]), *FOUND.get(name, [])]:
        try:
            fuzz.run(name, seed, tmp_path)
        except Exception as error:
            raise AssertionError(f"python tools/fuzz.py {name} --seed {seed}") from error


def test_cases_are_changed_and_made_from_their_seed_alone():
    document = {"a": [1, {"b": "text"}], "c": None}
    cases = [fuzz.changed(document, random.Random(seed)) for seed in range(50)]
    again = [fuzz.changed(document, random.Random(seed)) for seed in range(50)]
    assert str(cases) == str(again)  # NaN differs from itself
    assert sum(str(case) != str(document) for case in cases) > 40
    assert document == {"a": [1, {"b": "text"}], "c": None}
    contents = bytes(range(100))
    assert fuzz.damaged(contents, random.Random(0)) != contents


def test_what_should_not_be_raised_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(fuzz.FUZZERS, "coco", lambda rng, folder: 1 / 0)
    threads = torch.get_num_threads()
    fuzz.run_batch("coco", 7, 2)
    torch.set_num_threads(threads)
    out = capsys.readouterr().out
    assert "coco --seed 7: ZeroDivisionError" in out and "coco --seed 8" in out
