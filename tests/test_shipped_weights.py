"""The shipped weights are small, score what is recorded beside them, and are made by this code."""

import json
from dataclasses import asdict, replace

import make_shapes_tiny as make
import pytest

from mrcnn_edu import Config, evaluate, load
from mrcnn_edu.train import Training
from mrcnn_edu.weights import SHIPPED


def plain(settings) -> dict:
    """A dataclass as JSON gives it back."""
    return json.loads(json.dumps(asdict(settings)))


@pytest.fixture(params=make.MODELS)
def name(request):
    return request.param


@pytest.fixture
def record(name):
    return json.loads((SHIPPED / f"{name}.json").read_text())


def test_the_file_is_small_and_the_record_is_of_these_settings(name, record):
    assert (SHIPPED / f"{name}.pt").stat().st_size == record["bytes"] <= 3_000_000
    # A field of Training that came later had its default.
    assert plain(Training()) | record["training"] == plain(make.TRAINING)
    assert record["train_scenes"] == plain(make.TRAIN_SCENES)
    assert record["held_out_scenes"] == plain(make.VAL_SCENES)
    assert record["changes"] == make.MODELS[name]
    assert make.TRAIN_SCENES.seed != make.VAL_SCENES.seed
    assert load(name).config == replace(Config.tiny(), **make.MODELS[name])


def test_every_shipped_file_is_made_by_the_command():
    assert {path.stem for path in SHIPPED.glob("*.pt")} == set(make.MODELS)


@pytest.mark.slow
def test_the_model_scores_what_is_recorded(name, record):
    model, scenes = load(name), make.VAL_SCENES
    assert len(scenes) == 300 and model.classes == scenes.classes
    found = evaluate.detect_all(model, scenes)
    for kind, least in (("segm", 0.7), ("bbox", 0.75)):
        scores = evaluate.evaluate(scenes, found, kind)
        assert scores.ap >= least
        assert scores.ap == pytest.approx(record["scores"][kind]["ap"], abs=0.005)
