"""The shipped weights are small, score what is recorded beside them, and are made by this code."""

import json
from dataclasses import asdict

import pytest

from mrcnn_edu import Config, evaluate, load
from mrcnn_edu.pretrained import make
from mrcnn_edu.weights import PRETRAINED

RECORD = json.loads((PRETRAINED / "shapes-tiny.json").read_text())


def plain(settings) -> dict:
    """A dataclass as JSON gives it back."""
    return json.loads(json.dumps(asdict(settings)))


def test_the_file_is_small_and_the_record_is_of_these_settings():
    assert (PRETRAINED / "shapes-tiny.pt").stat().st_size == RECORD["bytes"] <= 3_000_000
    assert RECORD["training"] == plain(make.TRAINING)
    assert RECORD["train_scenes"] == plain(make.TRAIN_SCENES)
    assert RECORD["held_out_scenes"] == plain(make.HELD_OUT)
    assert make.TRAIN_SCENES.seed != make.HELD_OUT.seed
    assert load("shapes-tiny").config == Config.tiny()


@pytest.mark.slow
def test_the_model_scores_what_is_recorded():
    model, scenes = load("shapes-tiny"), make.HELD_OUT
    assert len(scenes) == 300 and model.classes == scenes.classes
    found = [model.detect([scenes[i][0]])[0] for i in range(len(scenes))]
    for kind, least in (("segm", 0.75), ("bbox", 0.75)):
        scores = evaluate.evaluate(scenes, found, kind)
        assert scores.ap >= least
        assert scores.ap == pytest.approx(RECORD["scores"][kind]["ap"], abs=0.005)
