"""The ablation lab: choose, run, watch, look inside, and keep the evidence."""

import json
from contextlib import suppress
from html import escape
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4

import ipywidgets
from IPython.display import display
from ipywidgets import HTML, Button, Dropdown, HBox, IntSlider, Layout, VBox

from mrcnn_edu.ablations import Campaign, Job, Results, precomputed
from mrcnn_edu.ablations.costs import cost_in_words
from mrcnn_edu.ablations.dial import fit_minutes, outlook
from mrcnn_edu.ablations.estimate import more_seeds
from mrcnn_edu.ablations.measure import curves
from mrcnn_edu.ablations.precomputed import shipped_records
from mrcnn_edu.ablations.question import Question
from mrcnn_edu.ablations.report import write_report
from mrcnn_edu.ablations.run import DEFAULT_FOLDER
from mrcnn_edu.course.lab.chart import Chart, chart_data
from mrcnn_edu.course.lab.choices import Choices
from mrcnn_edu.course.lab.evidence import VIEWS, Evidence, Run
from mrcnn_edu.course.lab.tasks import Tasks
from mrcnn_edu.course.widgets.player import WIDGET_VIEW
from mrcnn_edu.course.widgets.still import still_picture
from mrcnn_edu.files import write_file
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz import show_seeds

STATE = "lab.json"  # what was chosen last, in the folder of the results
STILL_TABLE = "2c"  # whose shipped results the still picture shows
NOTE = "The kernel of the lab has stopped. To use it again, run the cells down to this one."
BUTTON = Layout(width="130px")
A_FEW = 2  # more seeds, where nobody knows how many are needed


class AblationLab:
    """Two to four settings, trained with the same seeds on a world of the reader's choice.

    The runs are made by worker processes; their results are in the folder, and a lab that is opened
    later, or `mrcnn-edu ablate`, finds them there.
    """

    def __init__(self, folder: str | Path = DEFAULT_FOLDER, steps: int = 100, seeds: int = 2):
        self.folder = Path(folder)
        self.campaign = Campaign(self.folder, shipped_records())
        self.evidence = Evidence(self.folder)
        self.question: Question | None = None
        self.seeds_shown: dict[str, int] = {}  # by setting: whose model is looked at
        self.report: Path | None = None
        self.lock = RLock()  # guards `question` and `seeds_shown`
        self.choices = Choices(self._choose, steps, seeds)
        self._make_widgets()
        self.tasks = Tasks(self._look, self._failed)
        with suppress(OSError, ValueError, TypeError):
            self.choices.restore(json.loads((self.folder / STATE).read_text()))
        self._choose(None)

    def _make_widgets(self) -> None:
        self.message, self.status, self.trouble = HTML(), HTML(), HTML()
        self.bar = ipywidgets.FloatProgress(min=0, max=1, layout=Layout(width="300px"))
        self.buttons = {
            name: Button(description=name, layout=BUTTON)
            for name in ("run", "pause", "stop", "more seeds", "report")
        }
        self.buttons["run"].on_click(lambda _: self.tasks.submit("run", self._run))
        self.buttons["pause"].on_click(lambda _: self.campaign.pause())
        self.buttons["stop"].on_click(lambda _: self.campaign.stop())
        self.buttons["more seeds"].on_click(lambda _: self._add_seeds())
        self.buttons["report"].on_click(lambda _: self.tasks.submit("report", self._write_report))
        for minutes, button in self.choices.minutes.items():
            button.on_click(lambda _, m=minutes: self.tasks.submit("fit", lambda: self._fit(m)))
        self.chart = Chart()
        self.chart.observe(self._pick, "picked")
        self.view = Dropdown(options=VIEWS, description="see why", layout=Layout(width="400px"))
        self.scene = IntSlider(0, 0, 199, description="scene")
        for control in (self.view, self.scene):
            control.observe(self._look_inside, "value")
        self.image = ipywidgets.Image(layout=Layout(display="none"))
        self.about = HTML()
        self.box = VBox(
            [
                self.choices.box,
                self.message,
                HBox(list(self.buttons.values()), layout=Layout(flex_flow="row wrap")),
                HBox([self.bar, self.status]),
                self.trouble,
                self.chart,
                HBox([self.view, self.scene], layout=Layout(flex_flow="row wrap")),
                self.about,
                self.image,
            ]
        )
        self.box.add_class("mrcnn-lab")
        self.box.add_class("mrcnn-player")

    @property
    def results(self) -> Results | None:
        """The results so far of what is chosen now; None while that is impossible."""
        with self.lock:
            question = self.question
        return None if question is None else question.results(self._records(question))

    def close(self) -> None:
        """Pause the runs, and end the lab's thread."""
        self.campaign.pause()
        self.tasks.end()

    # Callbacks: they only say what is wanted.

    def _choose(self, _change: Any) -> None:
        if hasattr(self, "tasks"):
            self.tasks.submit("question", self._ask)

    def _add_seeds(self) -> None:
        self.choices.seeds.value = min(self.choices.seeds.value + self._n_more(), 100)
        self.tasks.submit("run", self._run)

    def _pick(self, change: dict) -> None:
        with self.lock:
            self.seeds_shown[change["new"]["setting"]] = change["new"]["seed"]
        self._look_inside(None)

    def _look_inside(self, _change: Any) -> None:
        self.tasks.submit("evidence", self._show_evidence)

    # Tasks, in the lab's thread.

    def _ask(self) -> None:
        """Find out whether what is chosen is possible, what it costs, and what is known of it."""
        try:
            question = self.choices.question()
        except (ValueError, OSError) as error:
            with self.lock:
                self.question = None
            self.message.value = f"<b>Not possible.</b> {escape(str(error))}"
            return
        with self.lock:
            self.question = question
            self.seeds_shown = {}
        cost = cost_in_words(question, self.folder, known=self._records(question))
        lines = [question.table.question, f"{cost}.", *outlook(question)]
        self.message.value = "<br>".join(map(escape, lines))
        self._look_inside(None)

    def _fit(self, minutes: int) -> None:
        """Choose the steps and seeds that fit into that many minutes."""
        try:
            question = fit_minutes(self.choices.full_question(), minutes, self.folder)
        except (ValueError, OSError) as error:
            self.message.value = f"<b>Not possible.</b> {escape(str(error))}"
            return
        self.choices.steps.value, self.choices.seeds.value = question.steps, len(question.seeds)

    def _run(self) -> None:
        self._ask()
        if self.question is not None:
            write_file(self.folder / STATE, json.dumps(self.choices.state, indent=1).encode())
            self.campaign.add(self.question.jobs().values())
            self.campaign.run()

    def _write_report(self) -> None:
        results = self.results
        if results is None or self.question is None or not results.records:
            self.trouble.value = "There is nothing to report yet: run something first."
            return
        folder = self.folder / "reports" / uuid4().hex[:8]
        self.report = write_report(results, folder, self.question)
        self.trouble.value = f"The report is in <code>{escape(str(self.report))}</code>."

    def _show_evidence(self) -> None:
        with self.lock:
            question, shown = self.question, dict(self.seeds_shown)
        runs = [] if question is None else self._runs_shown(question, shown)
        if not runs:
            self.about.value = "As soon as a run has ended, you can look at what its model does."
            self.image.layout.display = "none"
            return
        self.about.value = "computing ..."
        try:
            picture = self.evidence.show(str(self.view.value), runs, self.scene.value)
        except (ValueError, OSError) as error:
            self.about.value = escape(str(error))
            return
        self.image.format, self.image.value = picture.format, picture.encoded()
        self.image.layout.width = f"{picture.shown_size[0]}px"
        self.image.layout.display = None
        names = ", ".join(f"{setting.name} with seed {seed}" for setting, seed, _ in runs)
        self.about.value = f"The models of {escape(names)}. Click a dot to look at another one."

    def _look(self) -> None:
        """Show how far the runs are."""
        progress = self.campaign.progress()
        is_starting = progress.state == "running" and progress.seconds_left is None
        self.status.value = escape(str(progress)) + "; the workers are starting" * is_starting
        total = sum(job.training.steps for job in self.campaign.jobs)
        done = sum(job.training.steps for job in self.campaign.jobs if job in self.campaign.records)
        self.bar.value = (done + sum(progress.steps.values())) / max(1, total)
        with self.lock:
            question = self.question
        is_running = progress.state == "running"
        self.buttons["run"].disabled = question is None or is_running
        self.buttons["run"].description = "resume" if progress.state == "paused" else "run"
        self.buttons["pause"].disabled = not is_running
        self.buttons["stop"].disabled = progress.state not in ("running", "paused")
        n_more = self._n_more()
        self.buttons["more seeds"].description = f"{n_more} more seed{'s' * (n_more > 1)}"
        self.buttons["more seeds"].disabled = question is None or is_running
        self.buttons["report"].disabled = question is None
        if question is None:
            return
        records = self._records(question)
        results = question.results(records)
        data = chart_data(results, self._curves(question, records))
        if data != self.chart.data:
            had_dots = sum(len(row["dots"]) for row in self.chart.data.get("rows", []))
            self.chart.data = data
            if sum(len(row["dots"]) for row in data["rows"]) > had_dots:
                self._look_inside(None)
        failed = [f"{name}, seed {seed}: {why}" for (name, seed), why in results.failed.items()]
        if failed:
            self.trouble.value = "Failed: " + "; ".join(map(escape, failed))

    def _failed(self, error: Exception) -> None:
        self.trouble.value = f"<b>{type(error).__name__}</b>: {escape(str(error))}"

    # What is known

    def _records(self, question: Question) -> dict[Job, dict]:
        found = {job: self.campaign.record(job) for job in question.jobs().values()}
        return {job: record for job, record in found.items() if record is not None}

    def _curves(self, question: Question, records: dict[Job, dict]) -> dict[tuple[str, int], dict]:
        """The curves of finished runs and of those under way."""
        found = {}
        for run, job in question.jobs().items():
            if job in records:
                if "curves" in records[job]:
                    found[run] = records[job]["curves"]
            else:  # a run under way, perhaps before its first step
                with suppress(OSError, ValueError, IndexError, KeyError, TypeError):
                    found[run] = curves(self.campaign.run_folder(job))
        return found

    def _runs_shown(self, question: Question, shown: dict[str, int]) -> list[Run]:
        """Of each setting the run that was clicked, or else the first whose model is kept."""
        runs = []
        for setting in question.table.settings:
            jobs = {
                seed: job
                for (name, seed), job in question.jobs().items()
                if name == setting.name and "scores" in (self.campaign.record(job) or {})
            }
            kept = [seed for seed, job in jobs.items() if self.evidence.has_model(job)]
            seed = shown.get(setting.name, kept[0] if kept else None)
            if seed in jobs:
                runs.append((setting, seed, jobs[seed]))
        return runs

    def _n_more(self) -> int:
        """How many more seeds the first undecided comparison needs, about."""
        results = self.results
        for setting in results.table.settings[1:] if results else ():
            n = more_seeds(list(results.paired(setting).values())) if results else 0
            if n != 0:
                return min(n or A_FEW, 20)
        return A_FEW

    # In a notebook

    def _ipython_display_(self) -> None:
        results = precomputed(STILL_TABLE)
        picture = show_seeds(*results.by_seed(), results.table.ap_name).caption(
            "The lab needs a kernel. Until it runs, this is what the package has measured of table "
            f"{STILL_TABLE}. Every dot is a seed, and every bar is the mean of its row."
        )
        data, metadata = picture._repr_mimebundle_()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display({WIDGET_VIEW: view, **data, "text/plain": repr(self)}, raw=True, metadata=metadata)
        source = f"data:image/png;base64,{data['image/png']}"
        html = still_picture(source, picture.alt, picture.shown_size[0], NOTE)
        display({"text/html": html}, raw=True, metadata=LIVE_OUTPUT)

    def __repr__(self) -> str:
        return "AblationLab()"


def ablation_lab(folder: str | Path = DEFAULT_FOLDER, **options: int) -> AblationLab:
    """The ablation lab. folder: where results are kept. options: the first steps and seeds."""
    return AblationLab(folder, **options)
