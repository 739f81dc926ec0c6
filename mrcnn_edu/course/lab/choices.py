"""The lab's controls: one of the paper's tables, or two to four settings of the reader's own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from ipywidgets import (
    HTML,
    BoundedIntText,
    Button,
    Combobox,
    Dropdown,
    GridBox,
    HBox,
    Label,
    Layout,
    Text,
    VBox,
)

from mrcnn_edu.ablations import TABLES, ask, ask_table, open_world, parse_setting
from mrcnn_edu.ablations.question import NAMES, Question
from mrcnn_edu.ablations.setup import BASE_CONFIGS
from mrcnn_edu.ablations.switches import CONFIG_FIELDS
from mrcnn_edu.ablations.tables import Table
from mrcnn_edu.ablations.worlds import WORLDS
from mrcnn_edu.viz.style import OTHER_COLORS

YOURS = "a question of yours"
BASE = "-"  # a switch that is left as it is
COMMON = {  # the switches with a list of their own, and the values it offers
    "roi_op": ("align", "warp", "pool"),
    "roi_aggregate": ("mean", "max"),
    "sampling_ratio": ("1", "2", "3", "4"),
    "mask_loss": ("sigmoid", "softmax"),
    "mask_decoding": ("probability", "strongest", "background"),
    "mask_head": ("fcn", "mlp", "none"),
    "mask_size": ("14", "28", "56"),
    "class_agnostic_mask": ("True", "False"),
    "neck": ("c4", "c5", "fpn"),
    "backbone": ("tiny", "tiny-deep", "tiny-next"),
}
FULL_STEPS = 400  # of a question of the reader's own, if there is time
MINUTES = {2: "2 minutes", 10: "10 minutes", 60: "an hour"}
WIDE, NARROW, CELL = Layout(width="250px"), Layout(width="140px"), Layout(width="auto")
STYLE = {"description_width": "90px"}


class SettingChoice:
    """The switches of one setting: lists for the common ones, a line of text for all others."""

    def __init__(self, name: str, color: str, changed: Callable[[Any], None]):
        self.name = name
        self.title = HTML(f'<b style="color: {color}; filter: var(--mrcnn-lift)">{name}</b>')
        self.lists = {
            field: Dropdown(options=[BASE, *values], layout=CELL)
            for field, values in COMMON.items()
        }
        self.more = Text(placeholder="nms_iou=0.3 ...", layout=CELL, continuous_update=False)
        for control in (*self.lists.values(), self.more):
            control.observe(changed, "value")
        self.column = [self.title, *self.lists.values(), self.more]
        for control in self.column:
            control.add_class(f"mrcnn-setting-{name}")

    def show_base(self, neck: str) -> None:
        """Say in each list what the base model with this neck has."""
        for field, control in self.lists.items():
            value = getattr(BASE_CONFIGS["tiny"][neck], field)
            words = "none" if value is None else str(value)
            chosen = control.value
            control.options = [(f"{words} (base)", BASE), *((v, v) for v in COMMON[field])]
            control.value = chosen

    @property
    def switches(self) -> list[str]:
        """As `parse_setting` reads them."""
        chosen = [f"{name}={c.value}" for name, c in self.lists.items() if c.value != BASE]
        return chosen + self.more.value.replace(";", " ").split()

    @switches.setter
    def switches(self, switches: list[str]) -> None:
        rest = []
        for control in self.lists.values():
            control.value = BASE
        for switch in switches:
            name, _, value = switch.partition("=")
            if name in self.lists and value in COMMON[name]:
                self.lists[name].value = value
            else:
                rest.append(switch)
        self.more.value = " ".join(rest)


class Choices:
    """Everything that makes a question. changed: called after every change."""

    def __init__(self, changed: Callable[[Any], None], steps: int, seeds: int):
        self.changed = changed
        titles = {f"{table.name}: {table.question}": table.name for table in TABLES.values()}
        self.kind = Dropdown(
            options=[YOURS, *titles], description="ask", layout=Layout(width="480px"), style=STYLE
        )
        self.titles = titles
        self.world = Combobox(
            value="shapes", options=list(WORLDS), description="world", ensure_option=False,
            layout=WIDE, style=STYLE, continuous_update=False,
        )  # fmt: skip
        self.val = Text(
            placeholder="COCO folder to score on", description="scored on", layout=WIDE,
            style=STYLE, continuous_update=False,
        )  # fmt: skip
        necks = get_args(CONFIG_FIELDS["neck"].type)
        self.neck = Dropdown(
            options=sorted(necks), value="c4", description="base model", layout=WIDE, style=STYLE
        )
        self.steps = BoundedIntText(
            steps, min=1, max=1_000_000, description="steps", layout=Layout(width="190px"),
            style=STYLE,
        )  # fmt: skip
        self.seeds = BoundedIntText(
            seeds, min=1, max=100, description="seeds", layout=NARROW,
            style={"description_width": "50px"},
        )  # fmt: skip
        self.minutes = {n: Button(description=words, layout=Layout(width="100px"))
                        for n, words in MINUTES.items()}  # fmt: skip
        self.settings = [
            SettingChoice(name, color, changed)
            for name, color in zip(NAMES, OTHER_COLORS, strict=False)
        ]
        self.settings[1].switches = ["roi_op=pool"]
        self.n_settings = 2
        self.add = Button(description="add a setting", layout=NARROW)
        self.remove = Button(description="remove the last", layout=NARROW)
        self.add.on_click(lambda _: self._show(self.n_settings + 1))
        self.remove.on_click(lambda _: self._show(self.n_settings - 1))
        for control in (self.kind, self.world, self.val, self.neck, self.steps, self.seeds):
            control.observe(self._changed, "value")
        self.world.add_class("mrcnn-world")
        self.grid = GridBox()
        self.of_yours = VBox()
        size = [self.steps, self.seeds, Label("or as many as fit into"), *self.minutes.values()]
        size_box = HBox(size, layout=Layout(flex_flow="row wrap"))
        self.box = VBox([self.kind, self.of_yours, size_box])
        self._show(2)

    def question(self) -> Question:
        """What is asked. Raises ValueError that says what is impossible, and why."""
        steps, seeds = self.steps.value, self.seeds.value
        if self.kind.value != YOURS:
            return ask_table(self._table(), seeds, steps)
        chosen = self.settings[: self.n_settings]
        settings = [parse_setting(choice.name, choice.switches) for choice in chosen]
        world = open_world(self.world.value.strip(), self.val.value.strip() or None)
        return ask(settings, world, steps, seeds, str(self.neck.value))

    def full_question(self) -> Question:
        """What is asked, with as many steps as there would be with time enough."""
        question = self.question()
        steps = FULL_STEPS if self.kind.value == YOURS else question.table.steps
        return replace(question, steps=steps)

    def _table(self) -> Table:
        """The paper's table that is chosen."""
        return TABLES[self.titles[str(self.kind.value)]]

    @property
    def state(self) -> dict[str, Any]:
        """What is chosen, in plain types, which `restore` takes."""
        return {
            "kind": self.kind.value, "world": self.world.value, "val": self.val.value,
            "neck": self.neck.value, "steps": self.steps.value, "seeds": self.seeds.value,
            "settings": [choice.switches for choice in self.settings[: self.n_settings]],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Choose again what was chosen; what is no choice any more stays as it is."""
        settings = state.get("settings")
        if isinstance(settings, list) and 2 <= len(settings) <= len(NAMES):
            for choice, switches in zip(self.settings, settings, strict=False):
                choice.switches = [str(switch) for switch in switches]
            self._show(len(settings))
        controls = {
            "kind": self.kind, "world": self.world, "val": self.val, "neck": self.neck,
            "steps": self.steps, "seeds": self.seeds,
        }  # fmt: skip
        for name, control in controls.items():
            value = state.get(name, control.value)
            if isinstance(control, Dropdown) and value not in control.options:
                continue
            if isinstance(value, type(control.value)):
                control.value = value

    def _show(self, n: int) -> None:
        self.n_settings = min(max(n, 2), len(NAMES))
        self.add.disabled = self.n_settings == len(NAMES)
        self.remove.disabled = self.n_settings == 2
        names = ["", *(field.replace("_", " ") for field in COMMON), "and"]
        columns = [choice.column for choice in self.settings[: self.n_settings]]
        self.grid.children = [
            control
            for name, *row in zip(names, *columns, strict=True)
            for control in (Label(name), *row)
        ]
        self.grid.layout = Layout(
            grid_template_columns=f"150px repeat({self.n_settings}, minmax(110px, 160px))",
            grid_gap="0 8px", overflow="auto",
        )  # fmt: skip
        self._changed(None)

    def _changed(self, change: Any) -> None:
        is_yours = self.kind.value == YOURS
        if change is not None and change["owner"] is self.kind and not is_yours:
            self.steps.value = self._table().steps
        if change is None or change["owner"] is self.neck:
            for choice in self.settings:
                choice.show_base(str(self.neck.value))
        world = HBox([self.world, self.val, self.neck], layout=Layout(flex_flow="row wrap"))
        if is_yours != bool(self.of_yours.children):
            buttons = HBox([self.add, self.remove])
            self.of_yours.children = [world, self.grid, buttons] if is_yours else []
        self.changed(change)
