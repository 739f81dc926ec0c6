"""The benchmarks run, and the guide shows the numbers of the stored results."""

import json
import sys

import pytest
import versus_torchvision as versus


@pytest.mark.parametrize("file", sorted(versus.RESULTS.glob("versus_torchvision_*.json")), ids=str)
def test_the_tables_are_those_of_the_results(file):
    device, results = file.stem.rpartition("_")[2], json.loads(file.read_text())
    text = versus.DOCUMENT.read_text()
    assert versus.insert(results, text, device) == text


def test_every_work_has_results():
    results = json.loads((versus.RESULTS / "versus_torchvision_cpu.json").read_text())
    goals = {name: goal for name, (_, goal) in versus.WORK.items()}
    expected = goals | {versus.MEMORY: versus.MEMORY_GOAL}
    assert {r["work"]: r["goal"] for r in results["rows"]} == expected
    assert versus.table(results) in versus.DOCUMENT.read_text()


class Clock:
    """Stands for the module time; seconds pass only while somebody sleeps."""

    now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now


def test_the_two_take_turns_and_their_ratio_is_that_of_their_times(monkeypatch):
    order, clock = [], Clock()
    monkeypatch.setattr(versus, "time", clock)
    pair = [lambda i=i: (order.append(i), clock.sleep(4 * (i + 1))) for i in range(2)]
    row = versus.row("sleep", 1.0, *versus.compare(pair, "cpu", rounds=7, min_seconds=0))
    assert order == [0, 1] * 8  # once to warm up
    assert row["rounds"] == 7
    assert row["ours"] == 4 and row["torchvision"] == 8
    assert row["spread"] == [0.5, 0.5] and row["ratio"] == 0.5


@pytest.mark.parametrize("name", ["nms, 2,000", "100 RoIs 14"])
def test_some_of_the_work_can_be_measured_alone(name):
    rows = versus.measure("cpu", rounds=1, min_seconds=0, only=name)
    assert [r["work"] for r in rows] == [work for work in versus.WORK if name in work] != []
    assert all(r["ours"] > 0 and r["torchvision"] > 0 and r["rounds"] == 1 for r in rows)


@pytest.fixture
def command(monkeypatch, tmp_path):
    """A function that runs the command, with its results and its document in a temporary folder."""
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- versus_torchvision cpu -->\n<!-- versus_torchvision cpu -->\n")
    monkeypatch.setattr(versus, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(versus, "DOCUMENT", document)
    monkeypatch.setattr(versus.torch, "set_num_threads", lambda n: None)

    def command(*options):
        arguments = ["--only", "nms, 2,000", "--rounds", "1", "--seconds", "0", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["versus_torchvision.py", *arguments, *options])
        versus.main()

    return command


def test_results_are_only_stored_with_write(command, tmp_path, capsys):
    before = (tmp_path / "benchmarks.md").read_text()
    command()
    assert "| nms, 2,000 boxes | " in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks.md"]
    assert (tmp_path / "benchmarks.md").read_text() == before
    command("--write")
    results = json.loads((tmp_path / "results" / "versus_torchvision_cpu.json").read_text())
    assert [row["work"] for row in results["rows"]] == ["nms, 2,000 boxes"]
    assert versus.table(results) in (tmp_path / "benchmarks.md").read_text()
