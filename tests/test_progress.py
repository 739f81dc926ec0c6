"""Progress bars: text in a terminal, and in a notebook plain outputs that outlive the kernel."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbclient
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from tqdm import tqdm

from mrcnn_edu import progress
from mrcnn_edu.progress import LIVE_OUTPUT, NotebookBar, progress_bar
from mrcnn_edu.train import with_progress


class Notebook:
    """IPython's shell in a kernel, as far as bars know it, with a clock that they read."""

    def __init__(self):
        self.outputs, self.n_messages, self.seconds, self.at_end = [], 0, 0.0, []
        self.kernel = self.events = self

    def register(self, event, function):
        assert event == "post_run_cell"
        self.at_end.append(function)

    def unregister(self, event, function):
        self.at_end.remove(function)

    def end_cell(self):
        for function in list(self.at_end):
            function(None)

    def display(self, data, raw, metadata, display_id):
        assert raw and display_id and metadata == LIVE_OUTPUT
        self.outputs.append(data)
        self.n_messages += 1
        place = len(self.outputs) - 1

        def update(data, raw, metadata):
            assert raw and metadata == LIVE_OUTPUT
            self.outputs[place] = data
            self.n_messages += 1

        return SimpleNamespace(update=update)

    @property
    def texts(self):
        return [output["text/plain"] for output in self.outputs]


@pytest.fixture
def notebook(monkeypatch):
    notebook = Notebook()
    monkeypatch.setattr(progress, "notebook_shell", lambda: notebook)
    monkeypatch.setattr(progress, "time", lambda: notebook.seconds)
    monkeypatch.setattr("IPython.display.display", notebook.display)
    monkeypatch.setattr("tqdm.std.time", lambda: notebook.seconds)
    return notebook


def test_a_running_bar_says_how_far_it_is_and_how_long_it_will_take(notebook):
    for i in progress_bar(range(40), "train <b>"):
        notebook.seconds += 3
        if i == 9:
            break
    (output,) = notebook.outputs  # nine steps are finished
    assert output["text/plain"].startswith("train <b>: stopped at 9 of 40 after 00:30")
    bar = progress_bar(range(40), "train <b>")
    for i in bar:
        notebook.seconds += 3
        if i == 10:
            assert notebook.texts[1] == "train <b>: 10 of 40 · 00:30, about 01:30 left"
            html = notebook.outputs[1]["text/html"]
            assert '<progress value="10" max="40">' in html
            assert "train &lt;b&gt;" in html and "01:30 left" in html
    assert notebook.texts[1] == "train <b>: 40 of 40 in 02:00"
    assert "progress" not in notebook.outputs[1]["text/html"] and notebook.at_end == []


def test_a_notebook_gets_at_most_five_messages_a_second(notebook):
    bar = progress_bar(range(1000), "train")
    for _ in bar:
        notebook.seconds += 0.01
        bar.set_postfix_str(f"loss {notebook.seconds:.2f}")
    assert 40 <= notebook.n_messages <= 52
    assert notebook.texts[0].startswith("train: 1,000 of 1,000 in ")
    assert notebook.texts[0].endswith(" · loss 10.00")


def test_a_bar_that_is_not_left_vanishes(notebook):
    for _ in progress_bar(range(3), "detect", leave=False):
        notebook.seconds += 1
    assert notebook.n_messages > 1 and notebook.outputs == [{"text/plain": "", "text/html": ""}]
    for _ in progress_bar(range(3), "quick", leave=False):
        notebook.seconds += 0.1
    assert len(notebook.outputs) == 1


def test_an_interrupted_bar_says_where_it_stopped(notebook):
    def train():
        for i in progress_bar(range(9), "train", leave=False):
            notebook.seconds += 1
            if i == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:  # with its frames, and the bar in them
        train()
    notebook.end_cell()
    assert notebook.texts == ["train: stopped at 4 of 9 after 00:05"]
    del kept
    notebook.end_cell()
    assert notebook.texts == ["train: stopped at 4 of 9 after 00:05"]


def test_a_resumed_run_counts_from_where_it_was(notebook):
    with progress_bar(total=10, description="runs", initial=6) as bar:
        assert notebook.texts == ["runs: 6 of 10 · 00:00"]
        notebook.seconds += 5
        bar.update()
        assert notebook.texts == ["runs: 7 of 10 · 00:05, about 00:15 left"]
        assert bar.format_dict["rate"] == pytest.approx(0.2)
        bar.update(3)
    assert notebook.texts == ["runs: 10 of 10 in 00:05"]


def test_a_run_is_counted_by_its_steps(notebook):
    lengths = []
    for losses in with_progress(([{}] * n for n in range(9)), 20, "train both"):
        notebook.seconds += 1
        lengths.append(len(losses))
        if len(losses) == 8:
            assert notebook.texts == ["train both: 8 of 20 · 00:08, about 00:12 left"]
    assert lengths == list(range(9))
    assert notebook.texts == ["train both: stopped at 8 of 20 after 00:09"]


def test_bars_of_unknown_length_of_nothing_and_disabled_ones(notebook):
    assert list(progress_bar(iter("abc"), "read")) == ["a", "b", "c"]
    assert list(progress_bar([])) == []
    assert notebook.texts == ["read: 3 in 00:00", "progress: 0 of 0 in 00:00"]
    assert list(progress_bar("abc", disable=True)) == ["a", "b", "c"]
    assert len(notebook.outputs) == 2


def test_a_worker_process_has_no_cell(notebook, monkeypatch):
    monkeypatch.setattr(progress, "parent_process", lambda: "a kernel")
    assert list(progress_bar("abc")) == ["a", "b", "c"] and notebook.outputs == []


def test_no_other_module_makes_bars():
    package = Path(progress.__file__).parent
    importing = [path for path in package.rglob("*.py") if "import tqdm" in path.read_text()]
    assert importing == [Path(progress.__file__)]


def test_in_a_terminal_it_is_the_bar_of_tqdm():
    assert type(progress_bar("abc", disable=True)) is tqdm
    code = "import sys\nsys.modules['IPython'] = None\n"
    code += "from mrcnn_edu.progress import progress_bar\nlist(progress_bar('abc', 'read'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "read: 100%|██████████| 3/3 [00:00" in run.stderr and run.stdout == ""


IN_A_KERNEL = [
    "import threading, time\nfrom mrcnn_edu.progress import progress_bar\n"
    "def wait(title, leave=True):\n"
    "    for _ in progress_bar(range(3), title, leave=leave):\n        time.sleep(0.3)\n"
    "wait('cell')",
    "wait('gone', leave=False)",
    "thread = threading.Thread(target=wait, args=('thread',))\nthread.start()\nthread.join()",
    "for step in progress_bar(range(9), 'stopped'):\n    assert step < 4",
    "type(progress_bar('abc', disable=True)).__name__",
]


def test_in_a_real_kernel():
    cells = [new_code_cell(source) for source in IN_A_KERNEL]
    notebook = new_notebook(cells=cells)
    nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", allow_errors=True
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    for cell in outputs[:4]:
        assert set(cell[0].data) == {"text/plain", "text/html"} and cell[0].metadata == LIVE_OUTPUT
    texts = [cell[0].data["text/plain"] for cell in outputs]
    assert [text.rpartition(" 0")[0] for text in texts[:4]] == [  # without the time
        "cell: 3 of 3 in",
        "",
        "thread: 3 of 3 in",
        "stopped: stopped at 4 of 9 after",
    ]
    assert [output.output_type for output in outputs[3]] == ["display_data", "error"]
    assert texts[4] == repr(NotebookBar.__name__)
    assert "widgets" not in notebook.metadata
