"""Several processes learn what one learns from all the images, and end together."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ports import free_port

from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.batches import local_slots
from mrcnn_edu.train.checkpoints import CHECKPOINT
from mrcnn_edu.train.distributed import detect_shared, init_distributed, rank, world_size
from mrcnn_edu.train.metrics import validation_losses
from mrcnn_edu.weights import read

SCENES = Shapes(n=10, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
FEW = replace(SCENES, n=5)  # not a multiple of two
TRAINING = Training(
    steps=2, batch_size=4, rng_scope="image", optimizer="sgd", learning_rate=0.01, clip_norm=1e9
)
PARTS = replace(TRAINING, grad_accumulation=2, steps=1)
PATIENCE = 300  # seconds, also for a slow machine with other work


pytestmark = pytest.mark.usefixtures("one_thread")


def _model():
    """In float64, where sums in another order do not differ in the digits that are compared."""
    torch.manual_seed(1)
    numbers = dict(short_side=48, long_side=48, anchor_sizes=((8,), (16,), (32,), (48,)))
    return MaskRCNN(Config.tiny(norm="frozen", **numbers)).double()


def measured(folder=None):
    """Losses, gradients of the last step and weights of two runs, and what the model detects."""
    results = {}
    for name, training in (("whole", TRAINING), ("parts", PARTS)):
        model = _model()
        losses = fit(model, SCENES, training, folder and folder / name, progress=False)
        gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
        results[name] = {"losses": losses, "gradients": gradients, "weights": model.state_dict()}
    results["held out"] = validation_losses(model, FEW)
    results["of one image"] = validation_losses(model, replace(FEW, n=1))  # fewer than processes
    results["boxes"] = [found.boxes for found in _all(detect_shared(model, FEW, progress=False))]
    results["masks"] = [
        int(found.masks.sum()) for found in _all(detect_shared(model, FEW, progress=False))
    ]
    return results


def _all(found):
    return [found[i] for i in range(len(found))]


def one_of_several(folder):
    """What each of the processes does."""
    torch.set_num_threads(1)
    with init_distributed():
        print(f"process {rank()} prints")
        results = measured(Path(folder))
        torch.save(results, Path(folder) / f"{rank()}.pt")


def _start(code, world_size=2, **more):
    """The processes that run the code, with the variables that torchrun sets."""
    more |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    more |= {"WORLD_SIZE": str(world_size)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env=os.environ | more | {"RANK": str(i), "LOCAL_RANK": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(world_size)
    ]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """The folder of a run of two processes, and what each of them printed."""
    folder = tmp_path_factory.mktemp("two")
    runs = _start(f"import test_distributed as t; t.one_of_several({str(folder)!r})")
    try:
        printed = [run.communicate(timeout=PATIENCE) for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0, 0], printed
    return folder, [out for out, _ in printed]


@pytest.fixture(scope="module")
def of_one():
    torch.set_num_threads(1)
    return measured()


@pytest.mark.parametrize("name", ["whole", "parts"])
def test_two_processes_learn_what_one_learns(of_two, of_one, name):
    folder, _ = of_two
    for i in range(2):
        two, one = torch.load(folder / f"{i}.pt", weights_only=True)[name], of_one[name]
        for there, here in zip(two["losses"], one["losses"], strict=True):
            assert there == pytest.approx(here, rel=1e-6)
        for kind in ("gradients", "weights"):
            for key, value in one[kind].items():
                torch.testing.assert_close(two[kind][key], value, rtol=1e-6, atol=1e-9)


def test_each_image_is_detected_in_once(of_two, of_one):
    folder, _ = of_two
    plain = _model()
    fit(plain, SCENES, PARTS, progress=False)
    alone = _all(detect_all(plain, FEW, progress=False))
    assert sum(len(found.boxes) for found in alone) > 0
    for i in range(2):
        two = torch.load(folder / f"{i}.pt", weights_only=True)
        assert len(two["boxes"]) == len(FEW) == 5
        for boxes, masks, found in zip(two["boxes"], two["masks"], alone, strict=True):
            torch.testing.assert_close(boxes, found.boxes, rtol=1e-3, atol=1e-3)
            assert masks == pytest.approx(int(found.masks.sum()), rel=0.02)
        for name in ("held out", "of one image"):
            assert two[name] == pytest.approx(of_one[name], rel=1e-4)


def test_one_process_prints_and_writes(of_two):
    folder, printed = of_two
    assert printed == ["process 0 prints\n", ""]
    assert len(read(folder / "whole" / CHECKPOINT)["losses"]) == 2
    lines = (folder / "whole" / "losses.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2"]


def test_a_run_of_two_processes_goes_on_in_one(of_two, of_one):
    """Finished there, so only read here: the settings do not name the number of processes."""
    model = _model()
    losses = fit(model, SCENES, TRAINING, of_two[0] / "whole", progress=False)
    assert losses[1] == pytest.approx(of_one["whole"]["losses"][1], rel=1e-6)


def test_images_must_be_dealt_out_evenly(monkeypatch):
    monkeypatch.setattr("mrcnn_edu.train.batches.world_size", lambda: 4)
    monkeypatch.setattr("mrcnn_edu.train.batches.rank", lambda: 3)
    assert list(local_slots(Training(batch_size=8))) == [3, 7]
    with pytest.raises(
        ValueError, match=r"batch_size is 8.* 4 processes in 4 parts.* multiple of 16"
    ):
        local_slots(Training(batch_size=8, grad_accumulation=4))


def test_without_torchrun_there_is_one_process():
    with init_distributed():
        assert (rank(), world_size()) == (0, 1)


def _until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        time.sleep(0.05)


def _train(folder, at_exit="pass"):
    """Two processes that train from the command line until they are stopped."""
    options = ["--steps", "5000", "--batch-size", "2", "--checkpoint-every", "2", "--out", folder]
    options += ["--model.short-side", "48", "--scenes.size", "48", "--scenes.n", "50"]
    return _start(
        f"import atexit, os, sys; {at_exit}; "
        f"from mrcnn_edu.cli import main; sys.exit(main(['train', *{options}]))"
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ends_ends_all_and_the_run_can_go_on(tmp_path, how):
    abort = "atexit.register(os.abort)"  # as a thread does that cleaning up at the end disturbs
    runs = _train(str(tmp_path), abort if how == signal.SIGKILL else "pass")
    try:
        _until((tmp_path / CHECKPOINT).exists, "the first checkpoint")
        runs[1].send_signal(how)
        printed = [run.communicate(timeout=PATIENCE) for run in runs]
    finally:
        for run in runs:
            run.kill()
    if how == signal.SIGKILL:
        assert [run.returncode for run in runs] == [2, -9], printed
        assert "process 0 of 2 has lost another one" in printed[0][1]
        assert "goes on from the last checkpoint" in printed[0][1]
    else:
        assert [run.returncode for run in runs] == [143, 143], printed
        assert "has the last step" in printed[0][1]
    assert len(read(tmp_path / CHECKPOINT)["losses"]) >= 2
