"""TensorBoard: what is written can be read back by TensorBoard itself."""

from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mrcnn_edu import board, viz
from mrcnn_edu.board import TensorBoard
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.progress import HeldOut, read_run
from mrcnn_edu.train import Training, fit

SCENES = Shapes(n=6, size=48, n_objects=(1, 2))


def test_a_run_is_written_for_tensorboard_and_as_tables(tmp_path):
    torch.manual_seed(0)
    model = MaskRCNN(Config.tiny(short_side=48))
    training, unseen = Training(steps=3, batch_size=1), replace(SCENES, n=3, seed=1)
    held_out = HeldOut(model, unseen, 2, tmp_path)
    images = [unseen[0], unseen[1]]
    watched = TensorBoard(model, images, training, 2, tmp_path, held_out)
    losses = fit(model, SCENES, training, tmp_path, False, (held_out, watched))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    written = events.Scalars("training/loss_mask")
    assert [event.step for event in written] == [1, 2, 3]
    assert [event.value for event in written] == pytest.approx([p["loss_mask"] for p in losses])
    tags = set(events.Tags()["scalars"])
    assert {"training/sum", "run/learning rate", "held out/segm ap", "held out/loss_mask"} <= tags
    assert [event.step for event in events.Scalars("held out/loss_mask")] == [2]
    assert [event.step for event in events.Images("image 1")] == [2, 3]

    read, measured = read_run(tmp_path)
    assert read == losses
    assert measured["segm ap"].keys() == {2} and "loss_mask" not in measured
    picture = viz.show_training(read, {"mask AP": measured["segm ap"]})
    assert len(picture.axes[0].lines) == 5 and len(picture.axes[1].lines) == 1


def test_without_tensorboard_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'mrcnn_edu\[tensorboard\]'"):
        TensorBoard(None, [], Training(), 1, tmp_path)
