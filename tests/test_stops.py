"""Stops: counted in code with known ones, and as few as promised in detection and training."""

import pytest
import torch

pytest.importorskip("triton")

import mrcnn_edu.kernels.nms
import mrcnn_edu.kernels.roi_align  # noqa: F401
from mrcnn_edu import Config, MaskRCNN, boxes, detections, kernels, stops
from mrcnn_edu.data import Shapes
from mrcnn_edu.recipes import Training
from mrcnn_edu.stops import count_stops, read, rows_where, upload
from mrcnn_edu.train import steps

ON_THE_HOST = "images.", "batches."  # what still has to go up, is looked at


def test_rows_where_on_both_devices(monkeypatch):
    for n in (0, 1, 7, 200):
        for share in (0.0, 0.3, 1.0):
            mask = torch.rand(n) < share
            with monkeypatch.context() as patch:
                patch.setattr(stops, "on_gpu", lambda _: True)
                rows = rows_where(mask, int(mask.sum()))
            assert rows.equal(torch.where(mask)[0]) and rows.equal(rows_where(mask, len(rows)))


def test_read_and_upload():
    assert read([torch.tensor(3), torch.tensor(5)]) == [3, 5]
    assert read([torch.tensor([3, 4]), torch.tensor([5, 6])]) == [[3, 4], [5, 6]]
    assert upload([1, 2], "cpu", torch.float64).equal(torch.tensor([1.0, 2], dtype=torch.float64))
    values = torch.rand(3)
    assert upload(values, "cpu") is values


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
        (lambda x: stops.upload([1.0], x.device), 0),
    ],
)
def test_stops_are_found_where_they_are(code, n):
    with count_stops() as found:
        code(torch.rand(3))
    assert sum(found.values()) == n
    assert all(place.startswith("test_stops.<lambda>: ") for place in found)


def test_they_are_named_by_who_asks():
    with count_stops() as found:
        boxes.nms(torch.rand(3, 4), torch.rand(3), 0.5)
    assert found["boxes.survivors: equal"] >= 1 and found["boxes.batched_nms: where"] == 1


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Code runs as on a GPU; in place of the kernels, which know of no stops, others' numbers."""
    for module in (stops, kernels, detections):
        monkeypatch.setattr(module, "on_gpu", lambda _: True)
    monkeypatch.setattr(kernels, "TRITON", True)

    def align_cells(table, level, image, boxes, size, points, smallest):
        return table.maps[0].mean(dim=0).sigmoid().expand(len(boxes) * size**2, -1)

    monkeypatch.setattr(kernels.roi_align, "align_cells", align_cells)
    monkeypatch.setattr(kernels.nms, "walk", lambda boxes, *_: boxes[:, 0] >= 0)


IMAGES, TARGETS = zip(*(Shapes(3)[i] for i in range(3)), strict=True)


def on_the_device(found):
    """All but those in what is looked at, or made, before it goes up."""
    return {place: n for place, n in found.items() if not place.startswith(ON_THE_HOST)}


def test_detect_stops_three_times(as_on_a_gpu):
    model = MaskRCNN(Config.tiny(6, score_threshold=0.0, test_proposals=20))
    with count_stops() as found:
        found_ = model.detect(list(IMAGES))
    assert all(len(d) > 0 for d in found_)
    assert on_the_device(found) == {
        "rpn.without_zeros: tolist": 1, "detections.select_detections: tolist": 2,
    }  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_step_stops_three_times(as_on_a_gpu, optimizer):
    model = MaskRCNN(Config.tiny(6))
    run = steps(model, Shapes(6), Training(3, batch_size=3, optimizer=optimizer))
    losses = [next(run), next(run)][-1]
    with count_stops() as found:
        next(run)
    assert len(losses) == 2 and losses[-1]["loss_mask"] > 0
    assert on_the_device(found) == {"matching.sample: tolist": 2, "train.backward: tolist": 1}
