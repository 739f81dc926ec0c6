"""How to repeat a question: as a command line, and as Python code."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from mrcnn_edu.ablations.job import Folder
from mrcnn_edu.ablations.question import MINE, NAMES, Question
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.switches import switches_of
from mrcnn_edu.ablations.tables import TABLES
from mrcnn_edu.ablations.worlds import WORLDS
from mrcnn_edu.data.shapes import Shapes


def command_of(question: Question, settings: Sequence[str] = ()) -> str | None:
    """The command that repeats a question; settings: the names of some, if not all are wanted.

    None if there is none: the settings or the data were made by code of the reader's own.
    """
    parts = words_of(question)
    if parts is None:
        return None
    which, how = parts
    chosen = ["--setting", *settings] if settings else []
    command, seeds = ["mrcnn-edu", "ablate", *which, *chosen, *how], question.seeds
    if seeds == tuple(range(len(seeds))):
        return shlex.join([*command, "--seeds", str(len(seeds))])
    return "\n".join(shlex.join([*command, "--seed", str(seed)]) for seed in seeds)


def words_of(question: Question) -> tuple[list[str], list[str]] | None:
    """The words of the command that say which settings are compared, and how: data, model, steps.

    None if no command can say so.
    """
    which, data, model = _which(question), _data_options(question), _model_options(question)
    if which is None or data is None or model is None:
        return None
    return which, [*data, *model, "--steps", str(question.steps)]


def code_of(question: Question, settings: Sequence[str] = ()) -> str | None:
    """The Python code that repeats a question, as `command_of` does; None if it can't be known."""
    seeds = question.seeds
    arguments = [repr(list(seeds)), str(question.steps)]
    if settings:
        arguments.append(f"settings={list(settings)!r}")
    if question.table.name == MINE:
        return _code_of_settings(question, arguments)
    if not _is_papers(question):
        return None
    lines = ["from mrcnn_edu.ablations import run"]
    table = repr(question.table.name)
    if question.table != TABLES[question.table.name]:
        lines = [
            "from dataclasses import replace",
            "",
            "from mrcnn_edu.ablations import TABLES, run",
        ]
        table = f"replace(TABLES[{table}], outlines={question.table.outlines!r})"
    if question.setup != Setup():
        lines += [*_imports(question.setup), f"from {Setup.__module__} import Setup"]
        arguments.append(f"setup={question.setup!r}")
    return "\n".join([*lines, "", _call(table, arguments)])


def _code_of_settings(question: Question, arguments: list[str]) -> str:
    """The code for settings of the reader's own."""
    table, setup = question.table, question.setup
    name = world_of(question)
    lines = ["from mrcnn_edu.ablations import WORLDS, ask, parse_setting, run", "", "settings = ["]
    world = f"WORLDS[{name!r}]"
    if name is None:
        lines[0] = lines[0].replace("WORLDS, ", "")
        lines[1:1] = [*_imports(setup), "from mrcnn_edu.ablations.worlds import World"]
        world = f'World("", {setup.train_data!r}, {setup.val_data!r})'
    lines += [f"    parse_setting({s.name!r}, {switches_of(s)!r})," for s in table.settings]
    lines += ["]", f"world = {world}"]
    lines += [f"question = ask(settings, world, steps={question.steps}, neck={table.neck!r})"]
    return "\n".join([*lines, _call("question.table", [*arguments, "setup=question.setup"])])


def world_of(question: Question) -> str | None:
    """The name of the world that a question is asked on; None if it has none."""
    data = question.setup.train_data, question.setup.val_data
    for name, world in WORLDS.items():
        outlines = getattr(world.train, "outlines", None)
        if data == (world.train, world.val) and question.table.outlines == outlines:
            return name
    return None


def _call(table: str, arguments: list[str]) -> str:
    return f"print(run({', '.join([table, *arguments])}))"


def _imports(setup: Setup) -> list[str]:
    """The imports that the repr of the setup's data needs."""
    data = setup.train_data, setup.val_data
    names = [kind for kind in (Folder, Shapes) if any(isinstance(one, kind) for one in data)]
    return [f"from {kind.__module__} import {kind.__name__}" for kind in names]


def _is_papers(question: Question) -> bool:
    """Whether the question is one of the paper's tables, perhaps on other outlines."""
    table, base = question.table, TABLES.get(question.table.name)
    return base is not None and replace(base, outlines=table.outlines) == table


def _which(question: Question) -> list[str] | None:
    """The table's name, or the switches of each setting."""
    if question.table.name != MINE:
        return [question.table.name] if _is_papers(question) else None
    if any(setting.name not in NAMES for setting in question.table.settings):
        return None
    each = [[f"--{s.name.lower()}", *switches_of(s)] for s in question.table.settings]
    return [word for words in each for word in words]


def _data_options(question: Question) -> list[str] | None:
    """The options of the data: nothing for a table on its own scenes."""
    train, val = question.setup.train_data, question.setup.val_data
    if isinstance(train, Folder) and isinstance(val, Folder):
        options = ["--data", train.images, "--annotations", train.annotations]
        return [*options, "--val-data", val.images, "--val-annotations", val.annotations]
    default = Setup()
    if (train, val) == (default.train_data, default.val_data):
        base = TABLES.get(question.table.name)
        if base is not None and base.outlines == question.table.outlines:
            return []
    name = world_of(question)
    return None if name is None else ["--world", name]


def _model_options(question: Question) -> list[str] | None:
    """The options of the model that the settings change."""
    size, neck = question.setup.size, question.setup.neck
    if size != "tiny":
        return ["--config", f"{neck}-{size}"] if neck else None
    if neck is not None:
        return None
    return ["--neck", question.table.neck] if question.table.name == MINE else []
