"""Several processes learn what one learns from the whole batch, and end together."""

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
from torch import distributed, nn

from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.losses import Losses
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.batches import local_slots
from mrcnn_edu.train.checkpoints import CHECKPOINT
from mrcnn_edu.train.distributed import (
    LostProcess,
    detect_shared,
    init_distributed,
    is_lost_process,
    rank,
    share_losses,
    world_size,
)
from mrcnn_edu.train.metrics import validation_losses
from mrcnn_edu.weights import read

SCENES = Shapes(n=10, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
FEW = replace(SCENES, n=5)  # not a multiple of two
TRAINING = Training(
    steps=2, batch_size=4, rng_scope="image", optimizer="sgd", learning_rate=0.01, clip_norm=1e9
)
PARTS = replace(TRAINING, grad_accumulation=2, steps=1)
PATIENCE = 300  # seconds, for slow and busy machines too


pytestmark = pytest.mark.usefixtures("one_thread")


def _model():
    """In float64, where the order of a sum does not change the digits that are compared."""
    torch.manual_seed(1)
    sizes = dict(short_side=48, long_side=48, anchor_sizes=((8,), (16,), (32,), (48,)))
    return MaskRCNN(Config.tiny(norm="frozen", **sizes)).double()


class PlainLosses(nn.Module):
    """A model whose losses are an ordinary dictionary of means over images, without `n_rows`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, images, targets, generators=None):
        values = torch.stack([image.double().mean() for image in images])
        return {"loss_mean": self.weight * values.mean(), "loss_square": (self.weight - 3) ** 2}


def measured(folder=None):
    """Losses, gradients of the last step and weights of two runs, and what the model detects."""
    results = {}
    for name, training in (("whole", TRAINING), ("parts", PARTS)):
        model = _model()
        losses = fit(model, SCENES, training, folder and folder / name, progress=False)
        gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
        results[name] = {"losses": losses, "gradients": gradients, "weights": model.state_dict()}
    plain = PlainLosses()
    losses = fit(plain, SCENES, TRAINING, progress=False)
    results["plain"] = {"losses": losses, "gradients": {"weight": plain.weight.grad.clone()}}
    results["plain"]["weights"] = plain.state_dict()
    results["validation"] = validation_losses(model, FEW)
    results["one image"] = validation_losses(model, replace(FEW, n=1))  # fewer than processes
    detections = detect_shared(model, FEW, progress=False)
    results["boxes"] = [image_detections.boxes for image_detections in detections]
    results["masks"] = [int(image_detections.masks.sum()) for image_detections in detections]
    return results


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
def two_processes(tmp_path_factory):
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
def one_process():
    torch.set_num_threads(1)
    return measured()


@pytest.mark.parametrize("name", ["whole", "parts", "plain"])
def test_two_processes_learn_what_one_learns(two_processes, one_process, name):
    folder, _ = two_processes
    for i in range(2):
        two, one = torch.load(folder / f"{i}.pt", weights_only=True)[name], one_process[name]
        for losses, expected in zip(two["losses"], one["losses"], strict=True):
            assert losses == pytest.approx(expected, rel=1e-6)
        for kind in ("gradients", "weights"):
            for key, value in one[kind].items():
                torch.testing.assert_close(two[kind][key], value, rtol=1e-6, atol=1e-9)


def test_each_image_is_processed_once_in_detection(two_processes, one_process):
    folder, _ = two_processes
    model = _model()
    fit(model, SCENES, PARTS, progress=False)
    expected = detect_all(model, FEW, progress=False)
    assert sum(len(detections.boxes) for detections in expected) > 0
    for i in range(2):
        two = torch.load(folder / f"{i}.pt", weights_only=True)
        assert len(two["boxes"]) == len(FEW) == 5
        for boxes, n_pixels, image in zip(two["boxes"], two["masks"], expected, strict=True):
            torch.testing.assert_close(boxes, image.boxes, rtol=1e-3, atol=1e-3)
            assert n_pixels == pytest.approx(int(image.masks.sum()), rel=0.02)
        for name in ("validation", "one image"):
            assert two[name] == pytest.approx(one_process[name], rel=1e-4)


def test_one_process_prints_and_writes(two_processes):
    folder, printed = two_processes
    assert printed == ["process 0 prints\n", ""]
    assert len(read(folder / "whole" / CHECKPOINT)["losses"]) == 2
    lines = (folder / "whole" / "losses.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2"]


def test_a_run_of_two_processes_resumes_in_one(two_processes, one_process):
    """The number of processes is no setting of a run. This one is complete, so it is only read."""
    model = _model()
    losses = fit(model, SCENES, TRAINING, two_processes[0] / "whole", progress=False)
    assert losses[1] == pytest.approx(one_process["whole"]["losses"][1], rel=1e-6)


def test_images_must_be_split_evenly(monkeypatch):
    monkeypatch.setattr("mrcnn_edu.train.batches.world_size", lambda: 4)
    monkeypatch.setattr("mrcnn_edu.train.batches.rank", lambda: 3)
    assert list(local_slots(Training(batch_size=8))) == [3, 7]
    with pytest.raises(
        ValueError, match=r"batch_size is 8.* 4 processes in 4 parts.* multiple of 16"
    ):
        local_slots(Training(batch_size=8, grad_accumulation=4))


@pytest.mark.parametrize(
    "error, is_lost",
    [
        (
            RuntimeError("[/x/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed"),
            True,
        ),
        (RuntimeError("[enforce fail at ../gloo/transport/tcp/pair.cc:9] op.nbytes. Peer"), True),
        (distributed.DistBackendError("NCCL communicator was aborted on rank 0"), True),
        (distributed.DistNetworkError("The client socket has timed out after 60000ms"), True),
        (RuntimeError("DataLoader timed out after 5 seconds"), False),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed"), False),
        (RuntimeError("connection of residuals: peer sizes differ"), False),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_only_failed_communication_means_a_lost_process(error, is_lost):
    assert is_lost_process(error) == is_lost


@pytest.fixture
def one_of_torchruns(monkeypatch):
    """The variables of a process that torchrun has started, alone."""
    variables = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": free_port()}
    for name, value in {**variables, "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, str(value))


def test_a_slow_dataset_is_no_lost_process(one_of_torchruns):
    """An error of one process alone is passed on with its own message."""
    words = "DataLoader timed out after 5 seconds"
    with pytest.raises(RuntimeError, match=words) as error, init_distributed():
        raise RuntimeError(words)
    assert not isinstance(error.value, LostProcess)


def test_a_lost_process_is_reported_with_advice(one_of_torchruns):
    gloo = "[/x/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:56538"
    with pytest.raises(LostProcess, match="process 0 of 1 has lost another"), init_distributed():
        raise RuntimeError(gloo)


def test_losses_of_a_process_are_weighted_by_its_rows(monkeypatch):
    """This process has 2 of 3 rows of one loss, and none of another that has none at all."""
    monkeypatch.setattr("mrcnn_edu.train.distributed.world_size", lambda: 2)
    monkeypatch.setattr(
        "mrcnn_edu.train.distributed._sum", lambda values: torch.tensor([3.0, 0.0]).double()
    )
    losses = Losses({"a": torch.tensor(6.0), "b": torch.tensor(0.0)}, n_rows=2)
    losses.n_rows["b"] = 0
    shared = share_losses(losses)
    assert shared["a"].item() == pytest.approx(2 * 2 / 3 * 6) and shared["b"].item() == 0
    plain = {"a": torch.tensor(6.0)}
    assert share_losses(plain) == plain


def test_without_torchrun_there_is_one_process():
    with init_distributed():
        assert (rank(), world_size()) == (0, 1)


def _wait_until(condition, what, seconds=PATIENCE):
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
def test_a_process_that_ends_ends_all_and_the_run_can_be_resumed(tmp_path, how):
    abort = "atexit.register(os.abort)"  # as background threads do when Python cleans up
    runs = _train(str(tmp_path), abort if how == signal.SIGKILL else "pass")
    try:
        _wait_until((tmp_path / CHECKPOINT).exists, "the first checkpoint")
        runs[1].send_signal(how)
        printed = [run.communicate(timeout=PATIENCE) for run in runs]
    finally:
        for run in runs:
            run.kill()
    if how == signal.SIGKILL:
        assert [run.returncode for run in runs] == [2, -9], printed
        assert "process 0 of 2 has lost another one" in printed[0][1]
        assert "resume from the last checkpoint" in printed[0][1]
    else:
        assert [run.returncode for run in runs] == [143, 143], printed
        assert "has the last step" in printed[0][1]
    assert len(read(tmp_path / CHECKPOINT)["losses"]) >= 2
