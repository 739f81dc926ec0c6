"""Synchronization points: counted in code with known ones, and few in detection and training."""

import sys

import pytest
import torch
from torch.overrides import TorchFunctionMode

pytest.importorskip("triton")

import mrcnn_edu.kernels.nms
import mrcnn_edu.kernels.roi_align
from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.data import Shapes
from mrcnn_edu.nms import nms
from mrcnn_edu.speed.count_syncs import count_syncs
from mrcnn_edu.train import steps
from mrcnn_edu.train.recipes import Training

# Before anything is copied to the GPU (comprehensions have names of their own up to Python 3.11).
ON_THE_HOST = (
    "data.",
    "validate.",
    "train.batches.",
    "images.scale_targets",
    "images.resize",
    "images.<dictcomp>",
)


@pytest.mark.parametrize(
    ("code", "n"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x[x > 0], 1),
        (lambda x: bool((x > 0).any()), 1),
        (lambda x: torch.where(x > 0), 1),
        (lambda x: torch.where(x > 0, x, 0), 0),
        (lambda x: x[[0, 1]], 1),
        (lambda x: x.new_tensor([1.0]), 1),
        (lambda x: torch.tensor([1.0], device=x.device), 1),
        (lambda x: torch.tensor([1.0]), 0),
        (lambda x: x.repeat_interleave(torch.tensor([1, 2, 3])), 1),
        (lambda x: x.repeat_interleave(torch.tensor([1, 2, 3]), output_size=6), 0),
        (lambda x: x[torch.tensor([0, 1])].sort().values.cumsum(0), 0),
    ],
)
def test_stops_are_found_where_they_are(code, n):
    with count_syncs() as found:
        code(torch.rand(3))
    assert sum(found.values()) == n
    assert all(place.startswith("test_count_syncs.<lambda>: ") for place in found)


def test_they_are_named_by_who_asks():
    with count_syncs() as found:
        nms(torch.rand(3, 4), torch.rand(3), 0.5)
    assert found["nms.nms_keep_mask: equal"] >= 1 and found["nms.batched_nms: __getitem__"] == 1


class OnAGPU(TorchFunctionMode):
    """Every tensor says that it is on a GPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function == torch.Tensor.is_cuda.__get__:
            return True
        return function(*args, **(kwargs or {}))


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Code runs as on a GPU; stand-ins for the kernels, which never synchronize, give values."""
    for module in ("mrcnn_edu.nms", "mrcnn_edu.roi_ops.roi_align"):
        monkeypatch.setattr(sys.modules[module], "TRITON", True)

    def triton_roi_align(table, level, image, boxes, size, points, min_size):
        return table.maps[0].mean(dim=0).sigmoid().expand(len(boxes) * size**2, -1)

    monkeypatch.setattr(mrcnn_edu.kernels.roi_align, "triton_roi_align", triton_roi_align)
    monkeypatch.setattr(mrcnn_edu.kernels.nms, "triton_nms", lambda boxes, *_: boxes[:, 0] >= 0)
    with OnAGPU():
        yield


IMAGES, TARGETS = zip(*(Shapes(3)[i] for i in range(3)), strict=True)


def on_the_device(found):
    """All but those in what is looked at, or made, before it goes up."""
    return {place: n for place, n in found.items() if not place.startswith(ON_THE_HOST)}


def test_detect_synchronizes_five_times_an_image(as_on_a_gpu):
    model = MaskRCNN(Config.tiny(6, score_threshold=0.0, rpn_post_nms_top_n_test=20))
    with count_syncs() as counts:
        detections = model.detect(list(IMAGES))
    assert all(len(d) > 0 for d in detections)
    n = len(IMAGES)
    assert on_the_device(counts) == {
        "images.<genexpr>: tensor": 2,  # mean and standard deviation
        "rpn.propose: where": n,
        "nms.batched_nms: __getitem__": 2 * n,
        "detections.select_detections: where": 2 * n,
    }


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_step_synchronizes_seven_times_an_image(as_on_a_gpu, optimizer):
    model = MaskRCNN(Config.tiny(6))
    run = steps(model, Shapes(6), Training(3, batch_size=3, optimizer=optimizer))
    losses = [next(run), next(run)][-1]
    with count_syncs() as counts:
        next(run)
    assert len(losses) == 2 and losses[-1]["loss_mask"] > 0
    n = 3
    assert on_the_device(counts) == {
        "images.<genexpr>: tensor": 2,  # mean and standard deviation
        "rpn.propose: where": n,
        "nms.batched_nms: __getitem__": n,
        "matching.sample: where": 4 * n,  # positive and negative anchors, and RoIs
        "targets.positive: where": n,
        "train.loop.backward: tolist": 1,
    }
