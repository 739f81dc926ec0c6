"""The family's benchmark: it measures every system with weights; a guide shows its results."""

import json

import family
import pytest
from make_ancestors import SYSTEMS, VAL_SCENES

from mrcnn_edu import weights
from mrcnn_edu.ancestors import load


def test_the_document_shows_the_results():
    document, results = family.DOCUMENT.read_text(), json.loads(family.RESULTS.read_text())
    assert set(results["systems"]) == set(family.NAMES)
    assert document.count(family.MARK) == 2 and "| R-CNN |" in document
    assert family.insert(results, document) == document


def test_their_scores_are_those_of_the_records():
    for name, r in json.loads(family.RESULTS.read_text())["systems"].items():
        record = json.loads((family.FOLDER / f"{name}.json").read_text())
        for kind, scores in r["scores"].items():
            assert scores["ap"] == pytest.approx(100 * record["scores"][kind]["ap"], abs=0.2)
        assert r["parameters"] == record["parameters"]


def test_every_system_has_a_name_and_is_measured_on_held_out_scenes():
    assert set(SYSTEMS) <= set(family.NAMES)
    assert family.VAL_SCENES == VAL_SCENES


@pytest.fixture
def folder(tmp_path):
    """A folder with the initial weights of two of the systems."""
    for name in ("rcnn", "faster-rcnn"):
        model_class, config = SYSTEMS[name]
        system = model_class.__name__
        weights.save(tmp_path / f"{name}.pt", model_class(config), list("abcdef"), system=system)
    return tmp_path


def test_it_measures_what_is_there(folder, monkeypatch):
    monkeypatch.setattr(family, "N_PROPOSALS", (5, 20))
    results = family.measure(folder, n_scenes=2, rounds=1)
    assert list(results["systems"]) == ["rcnn", "faster-rcnn"]
    rcnn, faster = results["systems"].values()
    assert rcnn["passes"] > 20 and faster["passes"] == 1
    assert [row["passes"] for row in rcnn["many"]] == [5, 20]
    assert [row["passes"] for row in faster["many"]] == [1, 1]
    assert all(min(r["seconds"].values()) > 0 for r in (rcnn, faster))
    assert json.loads(json.dumps(results)) == results
    marked = "a\n<!-- family -->\nb\n<!-- family -->\nc"
    filled = family.insert(results, marked)
    assert filled.count("| R-CNN |") == 2 and "Mask R-CNN, R101" in filled
    assert "Mask R-CNN, FPN |" not in filled
    assert len(family.proposals_picture(results).encoded()) > 1000


def test_as_many_proposals_as_asked_for(folder, monkeypatch):
    model, seen = load(folder / "faster-rcnn.pt"), []
    config = model.config
    model.box_head.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    monkeypatch.setattr(family, "N_PROPOSALS", (10, 300))
    family.cost_by_proposals(model, family.VAL_SCENES[0][0], rounds=1)
    assert seen == [10, 10, 300, 300] and model.config == config
