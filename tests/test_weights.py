"""Checkpoints: written whole or not at all, read without running code, refused with reasons."""

import errno
import os
import pickle
import random

import pytest
import torch

import mrcnn_edu
from mrcnn_edu import weights
from mrcnn_edu.model import Config

CLASSES = ["ant", "bee", "cat", "dog", "eel", "fox"]


@pytest.fixture
def checkpoint(tmp_path, tiny_model):
    path = tmp_path / "runs" / "model.pt"  # the folder is made
    weights.save(path, tiny_model(), CLASSES, note=["a", 1, {"b": torch.ones(2)}])
    return path


def _equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_a_saved_model_comes_back(checkpoint, tiny_model):
    model = mrcnn_edu.load(checkpoint)
    assert _equal(model, tiny_model())
    assert model.config == tiny_model().config and isinstance(model.config, Config)
    assert model.classes == CLASSES
    assert not model.training
    assert mrcnn_edu.load(str(checkpoint)).classes == CLASSES
    note = weights.read(checkpoint)["note"]
    assert note[:2] == ["a", 1] and note[2]["b"].tolist() == [1, 1]


def test_saved_settings_come_back(tmp_path, tiny_model):
    model = tiny_model(n_classes=2, roi_op="pool", mask_size=14)
    weights.save(tmp_path / "model.pt", model, ["yes", "no"])
    assert mrcnn_edu.load(tmp_path / "model.pt").config == model.config


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        mrcnn_edu.load(tmp_path / "nothing.pt")
    with pytest.raises(FileNotFoundError):
        mrcnn_edu.load(tmp_path)  # a folder


@pytest.mark.parametrize("share", [0, 1e-6, 1e-5, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, -1])
def test_a_file_cut_short_is_refused(checkpoint, share):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-1] if share < 0 else whole[: round(share * len(whole))])
    with pytest.raises(ValueError, match=r"model\.pt"):
        mrcnn_edu.load(checkpoint)


def test_other_files_are_refused(checkpoint):
    noise = [random.Random(seed).randbytes(200) for seed in range(100)]
    for contents in (b"hello", b"\0" * 1000, b"PK\x03\x04" + b"\1" * 1000, *noise):
        checkpoint.write_bytes(contents)
        with pytest.raises(ValueError, match=r"model\.pt"):
            mrcnn_edu.load(checkpoint)


class Trap:
    """Unpickled, it makes a folder: a stand-in for any program."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda o, path: path.write_bytes(pickle.dumps(o, protocol=2))]
)
def test_a_checkpoint_runs_no_code(tmp_path, write):
    caught, path = tmp_path / "caught", tmp_path / "model.pt"
    write({"config": {}, "classes": [], "model": Trap(caught)}, path)
    with pytest.raises(ValueError, match=r"(?s)model\.pt.*nothing else is ever loaded"):
        mrcnn_edu.load(path)
    assert not caught.exists()
    with pytest.raises(ValueError, match="nothing else is ever loaded"):
        weights.load_torchvision(None, path)
    assert not caught.exists()
    torch.load(path, weights_only=False) if write is torch.save else pickle.loads(path.read_bytes())
    assert caught.exists()  # so the trap was a real one


@pytest.mark.parametrize(
    "contents, message",
    [
        ({"model": {}}, "has no classes, config: it is not a checkpoint of mrcnn_edu"),
        ({"weight": torch.ones(1)}, "has no classes, config, model"),
        (torch.ones(2), "holds a Tensor"),
        ([1], "holds a list"),
    ],
)
def test_weights_of_something_else_are_refused(tmp_path, contents, message):
    torch.save(contents, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message):
        mrcnn_edu.load(tmp_path / "model.pt")


def test_settings_of_another_version_are_refused(checkpoint):
    contents = weights.read(checkpoint)
    contents["config"]["flux_capacitor"] = 1.21
    torch.save(contents, checkpoint)
    with pytest.raises(ValueError, match="flux_capacitor"):
        mrcnn_edu.load(checkpoint)


def test_a_wrong_number_of_classes_is_named(tiny_model):
    state = tiny_model().state_dict()
    with pytest.raises(ValueError, match=r"n_classes=2") as error:
        weights.load_state(tiny_model(n_classes=2), state, "here")
    message = str(error.value)
    assert "box_head.cls_score.weight is [7, 128] there, [3, 128] in the model" in message
    assert message.count("shape:") == 6  # scores, boxes and masks, weight and bias each


def test_every_missing_and_unknown_name_is_told(tiny_model):
    model = tiny_model()
    state = model.state_dict()
    before = model.neck.inner_blocks[1][0].bias.clone()
    gone = ["backbone.conv1.weight", "mask_head.conv5_mask.bias"]
    for name in gone:
        del state[name]
    state |= {"backbone.fc.weight": torch.ones(1), "extra": torch.ones(1)}
    state["neck.inner_blocks.1.0.bias"] = torch.ones(64)
    with pytest.raises(ValueError, match="4 problems") as error:
        weights.load_state(model, state, "here")
    for name in gone:
        assert f"missing: {name}" in str(error.value)
    for name in ("backbone.fc.weight", "extra"):
        assert f"unknown: {name}" in str(error.value)
    assert torch.equal(model.neck.inner_blocks[1][0].bias, before)  # and nothing was loaded


def test_a_place_that_cannot_be_written_is_named(tmp_path, tiny_model):
    (tmp_path / "file").write_text("I am no folder")
    for path in (tmp_path / "file" / "model.pt", tmp_path / "file" / "a" / "b" / "model.pt"):
        with pytest.raises(OSError, match=r"could not write the checkpoint .*model\.pt"):
            weights.save(path, tiny_model(), CLASSES)
    assert (tmp_path / "file").read_text() == "I am no folder"


@pytest.mark.parametrize(
    "failure, as_seen",
    [
        (PermissionError(errno.EACCES, "Permission denied"), OSError),
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (RuntimeError("PytorchStreamWriter failed writing file"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (pickle.PicklingError("cannot pickle it"), pickle.PicklingError),
    ],
)
def test_a_failing_write_leaves_the_old_file(checkpoint, tiny_model, monkeypatch, failure, as_seen):
    before = checkpoint.read_bytes()

    def half_written(contents, file):
        file.write(b"half of it")
        raise failure

    monkeypatch.setattr(torch, "save", half_written)
    with pytest.raises(as_seen):
        weights.save(checkpoint, tiny_model(), CLASSES)
    assert checkpoint.read_bytes() == before
    assert [file.name for file in checkpoint.parent.iterdir()] == ["model.pt"]


def test_the_new_file_takes_the_place_of_the_old_at_once(checkpoint, tiny_model, monkeypatch):
    before, seen = checkpoint.read_bytes(), []

    def replace(source, destination):  # the one moment in which the old file changes
        seen.append((weights.read(source)["classes"], checkpoint.read_bytes() == before))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="could not write"):
        weights.save(checkpoint, tiny_model(), ["new"])
    assert seen == [(["new"], True)]
    assert checkpoint.read_bytes() == before


def test_a_full_disk_leaves_the_old_file(checkpoint, tiny_model):
    resource = pytest.importorskip("resource")  # Windows has none
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # a file may have 100 kB
    try:
        with pytest.raises(OSError, match="could not write the checkpoint"):
            weights.save(checkpoint, tiny_model(), CLASSES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read_bytes() == before
    assert [file.name for file in checkpoint.parent.iterdir()] == ["model.pt"]
