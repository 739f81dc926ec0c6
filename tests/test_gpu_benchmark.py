"""benchmarks/gpu.py: every part runs, with tiny sizes on a CPU, and what it says is what it saw."""

import json
import sys
import time
from dataclasses import replace
from itertools import pairwise

import gpu
import gpu_models
import gpu_operators
import pytest
import torch
from gpu_measure import TINY, Case, beside, medians, peaks, precision

from mrcnn_edu.roi_ops import bilinear

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
SIZES = replace(TINY, detect_batches=(1,), step_batches=(1,), roi_batches=(2,), n_boxes=(50,))


def cases(part):
    return {case.work: case for case in gpu.PARTS[part](SIZES)}


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command: what it prints."""

    def command(*args):
        monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, args)])
        gpu.main()
        return capsys.readouterr().out

    return command


def test_a_table_and_a_file_come_of_it(command, tmp_path):
    file = tmp_path / "results" / "gpu.json"
    out = command("--tiny", "--only", "copy", "nms", "paste", "--out", file)
    results = json.loads(file.read_text())
    assert results["machine"]["torch"] == torch.__version__
    assert {row["part"] for row in results["rows"]} == {"copy", "nms", "paste"}
    assert all(row["values"] for row in results["rows"]) and "failed" not in out
    for row in results["rows"]:
        assert f"| {row['work']} | " in out
    assert list(file.parent.iterdir()) == [file]


def test_what_is_measured_before_a_row_is_kept(monkeypatch, command, tmp_path):
    """Whatever happens to a row; and nothing begins when time is over."""

    def rows(sizes):
        yield Case("first", lambda: {"ours, ms": 1.5}, {"ours, ms": ("at most", 1)})
        yield Case("second", lambda: torch.zeros(2) @ torch.zeros(3), {})

    def stopped(sizes):
        raise KeyboardInterrupt
        yield

    for name, part in (("nms", rows), ("paste", stopped)):
        monkeypatch.setitem(gpu.PARTS, name, part)
    file = tmp_path / "gpu.json"
    with pytest.raises(KeyboardInterrupt):
        command("--tiny", "--only", "nms", "paste", "--out", file)
    first, second = json.loads(file.read_text())["rows"]
    assert first["values"] == {"ours, ms": 1.5} and "RuntimeError" in second["failed"]
    table = gpu.table([first, second])
    assert "| first | 1.5 (at most 1: missed) |" in table and "| second | RuntimeError" in table
    assert "no time was left" in command("--tiny", "--only", "nms", "--minutes", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="is refused where there is none")
def test_without_a_gpu_only_tiny_sizes_are_measured(command, capsys):
    with pytest.raises(SystemExit):
        command()
    assert "there is no GPU" in capsys.readouterr().err


def test_medians_and_ratio_are_those_of_the_runs():
    runs = {"ours": lambda: time.sleep(0.002), "torchvision": lambda: time.sleep(0.01)}
    values = beside(medians(runs, replace(SIZES, rounds=3)))
    assert 2 <= values["ours, ms"] < 8 < values["torchvision, ms"]
    assert values["ratio"] == values["ours, ms"] / values["torchvision, ms"] < 0.9
    assert peaks(runs, SIZES) == {}


@pytest.mark.parametrize("dtype", gpu_operators.DTYPES)
def test_roi_align_is_the_same_and_its_floor_is_what_must_be_moved(dtype):
    pyramid = gpu_operators.Pyramid(SIZES, 2, 3, dtype, backward=False)
    values = cases("roi_align")[f"2 x 16 RoIs 3 x 3, {dtype}"].measure()
    assert values["difference"] < {"float32": 1e-5, "bfloat16": 1e-2}[dtype]
    itemsize = pyramid.ours[0].element_size()
    output = 2 * 16 * 3 * 3 * SIZES.channels * itemsize
    all_cells = sum(level.numel() for level in pyramid.ours) * itemsize
    assert output < pyramid.floor(backward=False) <= output + all_cells
    assert pyramid.floor(backward=True) == pyramid.floor(backward=False) + output + all_cells


def test_the_embedding_bag_is_taken_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(bilinear, "use_triton", lambda *_: True)
    assert gpu_operators.in_a_bag(lambda: bilinear.use_triton(0, 0, "mean"))() is False
    assert bilinear.use_triton(0, 0, "mean")


def test_gradients_in_a_fixed_order_have_the_same_bits():
    for work, case in cases("roi_align").items():
        if "orders" in work:
            assert case.measure()["fixed order, same bits"] is True
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("kind", gpu_models.PRECISIONS)
def test_detect_and_step_run_in_every_precision(kind):
    found = cases("detect")[f"batch 1, {kind}"].measure()
    assert found["proposals"] == 100 == found["detections"] == found["torchvision's"]
    near = {"float32": 1e-4, "tf32": 1e-4, "bfloat16": 0.03}[kind]
    assert found["best score"] == pytest.approx(found["its best"], abs=near)
    learned = cases("step")[f"batch 1, {kind}"].measure()
    assert learned["ours, loss"] == pytest.approx(learned["torchvision, loss"], rel=0.5)
    assert 0 < learned["images/s"] == pytest.approx(1000 / learned["ours, ms"])


def test_each_change_adds_to_those_before(monkeypatch):
    """On a GPU all of faster.py's, and the optimizer's kernel."""
    made, fused = [], []
    monkeypatch.setattr(gpu_models, "our_model", lambda sizes, changes: made.append(changes))
    monkeypatch.setattr(gpu_models, "our_step", lambda *_, **options: fused.append(options))
    for name in ("our_detect", "torchvision_detect", "torchvision_step"):
        monkeypatch.setattr(gpu_models, name, lambda *_: None)
    monkeypatch.setattr(gpu_models, "_compare", lambda *_: {"ours, ms": 1.0})
    rows = [case.measure() for case in gpu_models.options(replace(SIZES, device="cuda"))]
    assert ["of the row before" in row for row in rows] == [False, *[True] * 4] * 2
    for ladder in (made[:5], made[5:]):
        for fewer, more in pairwise(ladder):
            assert more[:-1] == fewer
    assert set(made[4]) == set(gpu_models.CHANGES)
    assert fused == [{}, {}, {}, {}, {"fused": True}]


def test_options_run():
    values = [case.measure() for case in gpu_models.options(SIZES)]
    assert len(values) == 4 + 5 and all(v["ours, ms"] > 0 for v in values)


def test_the_timeline_adds_up():
    for case in cases("timeline").values():
        values = case.measure()
        assert 0 < values["busy"] <= 1 and values["gaps"] == pytest.approx(1 - values["busy"])
        assert len(values["longest"]) == 10 <= values["kernels"]
        milliseconds = [ms for _, ms, _ in values["longest"]]
        assert milliseconds == sorted(milliseconds, reverse=True)
        assert sum(milliseconds) <= 1.01 * values["span, ms"]


def test_precision_is_put_back():
    with pytest.raises(ZeroDivisionError), precision("float32", "cuda"):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        with precision("tf32", "cuda"):
            assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        1 / 0  # noqa: B018
    assert torch.backends.cudnn.allow_tf32
