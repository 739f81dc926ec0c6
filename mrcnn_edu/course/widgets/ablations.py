"""Lesson 12, ablations: its widget."""

from dataclasses import replace

from ipywidgets import Button, Dropdown, IntSlider

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

    Before that, it shows the results that come with the package. `train()` presses the button from
    code; `models` contains the two models trained last, by the names of their settings.
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
        button = Button(description="train both")
        button.on_click(lambda _button: self.train())
        *sliders, image = self.box.children
        self.box.children = *sliders, button, image

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
        switch, n_steps = self.values["switch"], self.values["steps"]
        table, setting = self.switches[switch]
        settings = table.settings[0], setting
        setup = Setup(val_data=replace(VAL_DATA, n=N_SCENES))
        jobs = {s.name: setup.job(table, s, 0, n_steps) for s in settings}
        val_data = open_data(jobs[setting.name].val_data)
        example = val_data[0]
        n_objects = len(example[1]["labels"])
        curves = {name: {} for name in jobs}
        for step, self.models in train_in_lockstep(jobs):
            if step % max(1, n_steps // N_EVALUATIONS) and step < n_steps:
                continue
            shown = {}
            for name, model in self.models.items():
                detections = detect_all(model, val_data, progress=False)
                scores = evaluate(val_data, detections, table.iou_type, progress=False)
                curves[name][step] = 100 * scores.ap
                shown[name] = detections[0][:n_objects]  # as many as there are objects
            self.history[switch, n_steps] = curves, shown, example, val_data.classes
            self.update()


def ablation_player(steps: int = 120) -> AblationPlayer:
    """The paper's ablations, each trained beside the setting it is compared with."""
    return AblationPlayer(steps)
