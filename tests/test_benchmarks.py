"""The benchmarks run, and their documents show the numbers of their committed results."""

import json
import time

import pytest
import versus_torchvision as versus


@pytest.mark.parametrize("file", sorted(versus.RESULTS.glob("versus_torchvision_*.json")), ids=str)
def test_the_tables_are_those_of_the_results(file):
    device, results = file.stem.rpartition("_")[2], json.loads(file.read_text())
    for document, works in versus.DOCUMENTS.items():
        text = document.read_text()
        assert versus.insert(results, text, device, works) == text


def test_there_are_results_of_every_work():
    results = json.loads((versus.RESULTS / "versus_torchvision_cpu.json").read_text())
    goals = {name: goal for name, (_, goal) in versus.WORK.items()}
    expected = goals | {versus.MEMORY: versus.MEMORY_GOAL}
    assert {r["work"]: r["goal"] for r in results["rows"]} == expected
    for document, works in versus.DOCUMENTS.items():
        assert versus.table(results, works) in document.read_text()


def test_the_two_run_in_turns_and_their_ratio_is_that_of_their_times():
    order = []
    pair = [lambda i=i: (order.append(i), time.sleep(0.004 * (i + 1))) for i in range(2)]
    row = versus.row("sleep", 1.0, *versus.compare(pair, "cpu", rounds=7, at_least=0))
    assert order == [0, 1] * 8  # once to warm up
    assert row["rounds"] == 7
    assert row["ours"] >= 0.004 and row["torchvision"] >= 0.008
    assert row["spread"][0] <= row["ratio"] * 1.2 and 0.2 < row["ratio"] < 0.9


@pytest.mark.parametrize("name", ["nms, 2,000", "100 RoIs 14"])
def test_work_is_measured_alone(name):
    rows = versus.measure("cpu", rounds=1, at_least=0, only=name)
    assert [r["work"] for r in rows] == [work for work in versus.WORK if name in work] != []
    assert all(r["ours"] > 0 and r["torchvision"] > 0 and r["rounds"] == 1 for r in rows)
