"""What a run shows and writes about itself is what happened."""

import csv
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from stopping import StopAfter

from mrcnn_edu.config import Config
from mrcnn_edu.data import Figures, Wrapper
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit, learning_rate
from mrcnn_edu.train.metrics import (
    Validation,
    format_losses,
    load_history,
    peak_memory,
    validation_losses,
)

SCENES = Shapes(n=6, size=48, n_objects=(1, 2))
UNSEEN = replace(SCENES, n=3, seed=1)
TRAINING = Training(steps=4, batch_size=1, checkpoint_every=2)


def _model():
    torch.manual_seed(0)
    return MaskRCNN(Config.tiny(short_side=48))


def _rows(folder):
    with open(folder / "losses.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_each_step_is_a_line_also_in_a_resumed_run(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(_model(), StopAfter(SCENES, 3), TRAINING, tmp_path, progress=False)
    assert [row["step"] for row in _rows(tmp_path)] == ["1", "2", "3"]  # and the checkpoint has two
    with open(tmp_path / "losses.csv", "a") as file:
        file.write("4,0.1,0.2")  # a line that a kill has cut short
    losses = fit(_model(), SCENES, TRAINING, tmp_path, progress=False)
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert list(rows[0]) == ["step", *losses[0], "learning_rate", "seconds"]
    for step, (row, parts) in enumerate(zip(rows, losses, strict=True)):
        assert {name: float(row[name]) for name in parts} == parts
        assert float(row["learning_rate"]) == learning_rate(step, TRAINING)
        assert 0 < float(row["seconds"]) < 60
    assert load_history(tmp_path) == (losses, {})
    (tmp_path / "losses.csv").unlink()  # it is written again from the checkpoint, without seconds
    fit(_model(), SCENES, TRAINING, tmp_path, progress=False)
    assert load_history(tmp_path)[0] == losses and _rows(tmp_path)[0]["seconds"] == ""


def test_the_table_belongs_to_its_run(tmp_path):
    (tmp_path / "losses.csv").write_text("step,loss\n1,7\n2,7\n")
    losses = fit(_model(), SCENES, replace(TRAINING, steps=1), tmp_path, progress=False)
    assert load_history(tmp_path)[0] == losses


def test_validation_scores_are_those_of_evaluate(tmp_path):
    model = _model()
    val_data = Validation(model, UNSEEN, 2, tmp_path)
    plain = fit(_model(), SCENES, TRAINING, progress=False)
    assert fit(model, SCENES, TRAINING, None, False, (val_data,)) == plain  # it changes nothing
    assert set(val_data.measured) == {2, 4}
    last = val_data.measured[4]
    scores = evaluate(UNSEEN, detect_all(model, UNSEEN, progress=False), progress=False)
    assert last["segm ap"] == scores.ap and last["segm ap50"] == scores.ap50
    by_hand = [
        model([image], [target], [torch.Generator().manual_seed(i)])["loss_mask"].item()
        for i, (image, target) in enumerate(UNSEEN[j] for j in range(3))
    ]
    assert last["loss_mask"] == pytest.approx(sum(by_hand) / 3)
    in_the_file = _measured(tmp_path)
    assert (
        in_the_file
        == {name: {n: m[name] for n, m in val_data.measured.items()} for name in in_the_file}
        and "segm ap" in in_the_file
    )


def test_keypoints_are_scored_where_it_is_known_how_far_off_they_may_be(tmp_path):
    class Unknown(Wrapper):
        sigmas: ClassVar[list] = []

    torch.manual_seed(0)
    model = MaskRCNN(Config.tiny(1, n_keypoints=7, mask_head=None, short_side=48))
    scenes = Figures(n=2, size=48, seed=1)
    for data in (Unknown(scenes), scenes):
        validation = Validation(model, data, 1)
        validation([{}])
        names = list(validation.measured[1])
        assert ("keypoints ap" in names) == (data is scenes) and "loss_keypoint" in names
    expected = evaluate(scenes, detect_all(model, scenes, progress=False), "keypoints")
    assert validation.measured[1]["keypoints ap50"] == expected.ap50
    without = MaskRCNN(Config.tiny(1, short_side=48))  # the same data, and no keypoint head
    validation = Validation(without, scenes, 1, tmp_path)
    validation([{}])
    assert not any("keypoint" in name for name in validation.measured[1])


def test_the_last_step_is_evaluated_in_any_case():
    val_data = Validation(_model(), UNSEEN, 3, last=4)
    for n in range(1, 5):
        val_data([{}] * n)
    assert set(val_data.measured) == {3, 4}


def test_a_complete_run_is_evaluated_if_it_was_not(tmp_path):
    for n in (1, 2):  # the second time it is in the file
        val_data = Validation(_model(), UNSEEN, 3, tmp_path)
        val_data.catch_up([{}] * 4)
        assert len(val_data.measured) == 2 - n
    lines = (tmp_path / "validation.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "4"]


def test_a_step_that_is_evaluated_again_is_in_the_file_once(tmp_path):
    model = _model()
    again = None
    for _ in range(2):  # as after a kill, once from the start and once from step 3 on
        again = Validation(model, UNSEEN, 1, tmp_path)
        for n in (1, 2, 3) if not (tmp_path / "validation.csv").exists() else (3, 4):
            again([{}] * n)
    lines = (tmp_path / "validation.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2", "3", "4"]
    assert set(_measured(tmp_path)["bbox ap"]) == {1, 2, 3, 4}


def _measured(folder):
    (folder / "losses.csv").write_text("step,loss_mask\n")
    return load_history(folder)[1]


def test_evaluation_leaves_the_mode_as_it_was():
    model = _model().train()
    model.mask_head.eval()
    first = validation_losses(model, UNSEEN)
    assert model.training and model.backbone.training and not model.mask_head.training
    assert validation_losses(model, UNSEEN) == first and len(first) == 5


def test_the_text_beside_the_progress_bar():
    losses = {"loss_rpn_box_reg": 0.25, "loss_mask": 1.0, "loss_own": 2.0}
    words = format_losses(losses, 12.345)
    assert words.startswith("loss 3.250: rpn box 0.25, mask 1.00, own 2.00; 12.3 images/s, ")
    assert words.endswith(f"{peak_memory() / 1e9:.1f} GB") and peak_memory() > 1e8
