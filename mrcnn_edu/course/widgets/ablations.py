"""Lesson 12, ablations: its widget."""

from dataclasses import replace

from ipywidgets import Button, Dropdown, IntSlider

from mrcnn_edu import viz
from mrcnn_edu.ablations import TABLES, Setup, precomputed, train_in_lockstep
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.viz import Picture

LOOKS = 6  # at both models while they train
SCENES = 24  # that they are scored on at each look


class AblationPlayer(Player):
    """A table's first setting and another one, trained side by side when the button is pressed.

    Before that it shows what comes with the package. `train()` presses the button from code;
    `models` are the two models trained last, by the names of their settings.
    """

    def __init__(self, steps: int = 120):
        self.seen, self.models = {}, {}
        self.switches = {
            f"{table.name}: {setting.name}": (table, setting)
            for table in TABLES.values()
            for setting in table.settings[1:]
            if setting.changes.get("mask_decoding") is None  # a reading needs no training
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
        """What was seen of the training, if there was one; else the results of the package."""
        self.places = []  # its pictures have not all the same layout
        table, setting = self.switches[switch]
        ylabel = f"{table.what} AP"
        if (switch, steps) in self.seen:
            curves, found, (image, target), classes = self.seen[switch, steps]
            return viz.show_side_by_side(curves, ylabel, image, target, found, classes)
        results = precomputed(replace(table, settings=(table.settings[0], setting)))
        picture = viz.show_seeds(*results.by_seed(), ylabel)
        return picture.caption(f"Results of the package. The button trains both for {steps} steps.")

    def train(self) -> None:
        """Train both settings from the same start, and draw them at every look."""
        switch, n = self.values["switch"], self.values["steps"]
        table, setting = self.switches[switch]
        jobs = {s.name: Setup().job(table, s, 0, n) for s in (table.settings[0], setting)}
        val_data = replace(jobs[setting.name].val_data, n=SCENES)
        curves, example = {name: {} for name in jobs}, val_data[0]
        for step, self.models in train_in_lockstep(jobs):
            if step % max(1, n // LOOKS) and step < n:
                continue
            shown = {}
            for name, model in self.models.items():
                found = detect_all(model, val_data, progress=False)
                scores = evaluate(val_data, found, table.kind, progress=False)
                curves[name][step] = 100 * scores.ap
                shown[name] = found[0][: len(example[1]["labels"])]  # as many as there are objects
            self.seen[switch, n] = curves, shown, example, val_data.classes
            self.update()


def ablation_player(steps: int = 120) -> AblationPlayer:
    """The paper's switches, each trained beside the setting it is compared with."""
    return AblationPlayer(steps)
