"""The profiler's seconds, bytes and operators, compared with what is known about the code."""

import time

import pytest
import torch
from torch.profiler import profile

from mrcnn_edu.data import Shapes
from mrcnn_edu.speed.profiler import PARTS, bytes_written, profile_detect, seconds

IMAGES = [Shapes(2)[i][0] for i in range(2)]


def test_seconds_are_those_of_the_shortest_run():
    pauses = iter((0.2, 0.02, 0.2))
    assert 0.02 <= seconds(lambda: time.sleep(next(pauses)), times=3) < 0.2


def test_results_are_written_and_views_are_not():
    a, b = torch.rand(2, 8, 8)
    row = a[0].nbytes
    for run, n_rows in (
        (lambda: (a + b).relu(), 16),  # the sum is a result as well
        (lambda: a.T.reshape(2, 32)[:, ::2].expand(3, 2, 16), 8),  # the first needs a copy
        (lambda: a[2:4].add_(1), 2),
        (lambda: a.max(dim=0), 1 + 2),  # values, and indices of 8 bytes
        (lambda: a.unbind(), 0),
        (lambda: None, 0),
    ):
        assert bytes_written(run) == n_rows * row


@pytest.mark.parametrize("mask_head", ["fcn", None])
def test_detect_is_profiled_by_parts_and_left_unchanged(tiny_model, mask_head):
    model = tiny_model(mask_head=mask_head, score_threshold=0.0).eval()
    before = [d.boxes for d in model.detect(IMAGES)]
    costs = profile_detect(model, IMAGES)
    operators = costs["operators"]
    assert set(operators) == set(PARTS) and costs["GPU"].total() == 0
    assert all(operators[part] > 0 and costs["CPU"][part] > 0 for part in PARTS)
    assert all(a.equal(d.boxes) for a, d in zip(before, model.detect(IMAGES), strict=True))
    assert "features" not in vars(model) and "forward" not in vars(model.rpn_head)

    with torch.inference_mode():
        batch = model.preprocess(IMAGES)
        with profile() as profiler:
            model.features(batch)
    called = [e for e in profiler.events() if e.name.startswith("aten::") and e.cpu_parent is None]
    assert operators["backbone"] == len(called)


def test_nms_is_counted_where_it_is_called(tiny_model):
    """If no score is above the threshold, only the RPN needs NMS."""
    many, few = (
        profile_detect(tiny_model(score_threshold=threshold), IMAGES)["operators"]
        for threshold in (0.0, 1.0)
    )
    assert 0 < few["NMS"] < many["NMS"] and few["RPN"] == many["RPN"]
