"""Lesson 12, ablations: its widget."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Any

from ipywidgets import Button, Dropdown, HBox, IntSlider, Label

from mrcnn_edu import viz
from mrcnn_edu.ablations import TABLES, Setup, precomputed, train_in_lockstep
from mrcnn_edu.ablations.job import open_data
from mrcnn_edu.ablations.setup import VAL_DATA
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture

N_EVALUATIONS = 6  # of both models while they train
N_SCENES = 24  # in each evaluation


class AblationPlayer(Player):
    """A table's first setting and another one, trained in lockstep when the button is pressed.

    Before that, it shows the results that come with the package. `train()` does in a cell what the
    button does beside the cells; `models` contains the two models trained last, by the names of
    their settings.
    """

    def __init__(self, steps: int = 120):
        self.history: dict[tuple[str, int], tuple] = {}  # (switch, steps) -> what `show` draws
        self.models: dict[str, MaskRCNN] = {}
        self.switches = {
            f"{table.name}: {setting.name}": (table, setting)
            for table in TABLES.values()
            for setting in table.settings[1:]
            if setting.changes.get("mask_decoding") is None  # it needs no training
        }
        super().__init__(
            self.show,
            switch=Dropdown(options=list(self.switches)),
            steps=IntSlider(steps, 20, 800, 20),
        )
        self.busy, self.stopping = Lock(), Event()
        self.button = Button(description="train both")
        self.button.on_click(self._start)
        self.stop_button = Button(description="stop", disabled=True)
        self.stop_button.on_click(self.stop)
        self.status = Label()
        *sliders, image = self.box.children
        self.box.children = *sliders, HBox([self.button, self.stop_button, self.status]), image

    def show(self, switch: str, steps: int) -> Picture:
        """The training runs of this switch and number of steps, or else the package's results."""
        self.positions = []  # its pictures differ in layout
        table, setting = self.switches[switch]
        if (switch, steps) in self.history:
            curves, detections, (image, target), classes = self.history[switch, steps]
            return viz.show_lockstep(curves, table.ap_name, image, target, detections, classes)
        results = precomputed(replace(table, settings=(table.settings[0], setting)))
        picture = viz.show_seeds(*results.by_seed(), table.ap_name)
        return picture.caption(
            f"Results that come with the package. The button trains both for {steps} steps."
        )

    def train(self) -> None:
        """Train both settings from the same initialization, and redraw at every evaluation."""
        if not self.busy.acquire(blocking=False):
            raise RuntimeError("a training run is in progress: wait for its end, or press stop")
        self._train(progress=True)

    def stop(self, _button: Any = None) -> None:
        """End the run in progress after its current step."""
        self.stopping.set()

    def _start(self, _button: Any) -> None:
        """Train in a thread, so that sliders, cells and `stop` work meanwhile.

        A click while a run is in progress does nothing: it was made before the button changed.
        """
        if self.busy.acquire(blocking=False):
            self.thread = Thread(target=self._train_in_thread, daemon=True)
            self.thread.start()

    def _train_in_thread(self) -> None:
        with suppress(Exception):  # the status tells
            self._train(progress=False)

    def _train(self, progress: bool) -> None:
        switch, n_steps = self.values["switch"], self.values["steps"]
        start, step, end = time.monotonic(), 0, "stopped"
        try:
            self.stopping.clear()
            self.button.description, self.button.disabled = "training ...", True
            self.stop_button.disabled = False
            self.status.value = f"{switch}: preparing the data"
            for step in self._steps(switch, n_steps, progress):
                if self.stopping.is_set():
                    break
                left = (time.monotonic() - start) / max(step, 1) * (n_steps - step)
                left = f", about {left // 60:.0f}:{left % 60:02.0f} left" if step else ""
                self.status.value = f"{switch}: {step} of {n_steps} steps{left}"
            else:
                end = "finished"
        except Exception as error:
            end = f"failed ({error})"
            raise
        finally:
            self.status.value = f"{switch}: {end} after {step} of {n_steps} steps"
            self.button.description, self.button.disabled = "train both", False
            self.stop_button.disabled = True
            self.busy.release()

    def _steps(self, switch: str, n_steps: int, progress: bool) -> Iterator[int]:
        """The number of steps taken, after each of them and during an evaluation."""
        table, setting = self.switches[switch]
        settings = table.settings[0], setting
        setup = Setup(val_data=replace(VAL_DATA, n=N_SCENES))
        jobs = {s.name: setup.job(table, s, 0, n_steps) for s in settings}
        val_data = open_data(jobs[setting.name].val_data)
        example = val_data[0]
        n_objects = len(example[1]["labels"])
        curves = {name: {} for name in jobs}
        for step, self.models in train_in_lockstep(jobs, progress):
            yield step
            if step % max(1, n_steps // N_EVALUATIONS) and step < n_steps:
                continue
            shown = {}
            for name, model in self.models.items():
                detections = detect_all(model, val_data, progress=False)
                scores = evaluate(val_data, detections, table.iou_type, progress=False)
                curves[name][step] = 100 * scores.ap
                shown[name] = detections[0][:n_objects]  # as many as there are objects
                yield step
            drawn = {name: dict(curve) for name, curve in curves.items()}  # by another thread
            self.history[switch, n_steps] = drawn, shown, example, val_data.classes
            self.update()


def ablation_player(steps: int = 120) -> AblationPlayer:
    """The paper's ablations, each trained beside the setting it is compared with."""
    return AblationPlayer(steps)
