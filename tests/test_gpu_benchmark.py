"""benchmarks/gpu.py: every part runs with tiny sizes on a CPU, and reports what it measured."""

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
from gpu_measure import TINY, Case, medians, peaks, set_precision, with_ratio

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
SIZES = replace(TINY, detect_batches=(1,), step_batches=(1,), roi_batches=(2,), n_boxes=(50,))


def cases(part):
    return {case.work: case for case in gpu.PARTS[part](SIZES)}


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs the command and returns what it prints."""

    def command(*args):
        monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, args)])
        gpu.main()
        return capsys.readouterr().out

    return command


def test_it_prints_tables_and_writes_a_file(command, tmp_path):
    file = tmp_path / "results" / "gpu.json"
    out = command("--tiny", "--only", "copy", "nms", "paste", "--out", file)
    results = json.loads(file.read_text())
    assert results["machine"]["torch"] == torch.__version__
    assert {row["part"] for row in results["rows"]} == {"copy", "nms", "paste"}
    assert all(row["values"] for row in results["rows"]) and "failed" not in out
    for row in results["rows"]:
        assert f"| {row['work']} | " in out
    assert list(file.parent.iterdir()) == [file]


def test_rows_already_measured_are_kept(monkeypatch, command, tmp_path):
    """Whatever happens to a row; and no row starts when the time is up."""

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
    assert "no time left" in command("--tiny", "--only", "nms", "--minutes", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the refusal without a GPU")
def test_without_a_gpu_only_tiny_sizes_are_measured(command, capsys):
    with pytest.raises(SystemExit):
        command()
    assert "CUDA finds no GPU" in capsys.readouterr().err


def test_medians_and_ratio_are_those_of_the_runs():
    runs = {"ours": lambda: time.sleep(0.002), "torchvision": lambda: time.sleep(0.01)}
    values = with_ratio(medians(runs, replace(SIZES, min_rounds=3)))
    assert 2 <= values["ours, ms"] < 8 < values["torchvision, ms"]
    assert values["ratio"] == values["ours, ms"] / values["torchvision, ms"] < 0.9
    assert peaks(runs, SIZES) == {}


@pytest.mark.parametrize("dtype", gpu_operators.DTYPES)
def test_roi_align_is_equal_and_its_floor_is_the_bytes_that_must_be_moved(dtype):
    pyramid = gpu_operators.Pyramid(SIZES, 2, 3, dtype, backward=False)
    values = cases("roi_align")[f"2 x 16 RoIs 3 x 3, {dtype}"].measure()
    assert values["difference"] < {"float32": 1e-5, "bfloat16": 1e-2}[dtype]
    itemsize = pyramid.ours[0].element_size()
    output = 2 * 16 * 3 * 3 * SIZES.channels * itemsize
    maps = sum(level.numel() for level in pyramid.ours) * itemsize
    forward = pyramid.min_bytes(backward=False)
    assert output < forward <= output + maps
    assert pyramid.min_bytes(backward=True) == forward + output + maps


def test_the_embedding_bag_is_used_when_it_is_requested(monkeypatch):
    roi_align = gpu_operators.ROI_ALIGN
    monkeypatch.setattr(roi_align, "use_triton", lambda *_: True)
    run = gpu_operators.with_embedding_bag(lambda: roi_align.use_triton(0, 0, "mean"))
    assert run() is False
    assert roi_align.use_triton(0, 0, "mean")


def test_gradients_in_a_fixed_order_have_the_same_bits():
    for work, case in cases("roi_align").items():
        if "orders" in work:
            assert case.measure()["fixed order, same bits"] is True
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("precision", gpu_models.PRECISIONS)
def test_detect_and_step_run_in_every_precision(precision):
    detected = cases("detect")[f"batch 1, {precision}"].measure()
    assert detected["proposals"] == 100 == detected["detections"] == detected["torchvision's"]
    tolerance = {"float32": 1e-4, "tf32": 1e-4, "bfloat16": 0.03}[precision]
    assert detected["best score"] == pytest.approx(detected["its best"], abs=tolerance)
    step = cases("step")[f"batch 1, {precision}"].measure()
    assert step["ours, loss"] == pytest.approx(step["torchvision, loss"], rel=0.5)
    assert 0 < step["images/s"] == pytest.approx(1000 / step["ours, ms"])


def test_each_change_is_added_to_the_previous_ones(monkeypatch):
    """On a GPU, all changes of accelerate.py and the fused optimizer."""
    made, fused = [], []
    monkeypatch.setattr(gpu_models, "our_model", lambda sizes, changes: made.append(changes))
    monkeypatch.setattr(gpu_models, "our_step", lambda *_, **options: fused.append(options))
    for name in ("our_detect", "torchvision_detect", "torchvision_step"):
        monkeypatch.setattr(gpu_models, name, lambda *_: None)
    monkeypatch.setattr(gpu_models, "_compare", lambda *_: {"ours, ms": 1.0})
    rows = [case.measure() for case in gpu_models.options(replace(SIZES, device="cuda"))]
    assert ["of the previous row" in row for row in rows] == [False, *[True] * 4] * 2
    for changes in (made[:5], made[5:]):
        for fewer, more in pairwise(changes):
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


def test_precision_is_restored():
    with pytest.raises(ZeroDivisionError), set_precision("float32", "cuda"):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        with set_precision("tf32", "cuda"):
            assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        1 / 0  # noqa: B018
    assert torch.backends.cudnn.allow_tf32
