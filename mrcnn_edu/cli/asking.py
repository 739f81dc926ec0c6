"""The question that the options of `mrcnn-edu ablate` ask: a table, or settings of one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mrcnn_edu.cli.opening import open_data
from mrcnn_edu.data import CocoFolder

if TYPE_CHECKING:
    from mrcnn_edu.ablations import Folder, Setup
    from mrcnn_edu.ablations.question import Question

Switches = Mapping[str, Sequence[str] | None]  # by letter; None for a setting that isn't given


def question_of_table(
    name: str, setup: "Setup", world: str | None, steps: int | None, seeds: Sequence[int]
) -> "Question":
    """The question of one of the paper's tables, perhaps in another world."""
    from mrcnn_edu.ablations import table_of
    from mrcnn_edu.ablations.question import Question
    from mrcnn_edu.ablations.setup import BASE_TRAINING

    table = table_of(name)
    if world is not None:
        found = _world(world)
        setup = replace(setup, train_data=found.train, val_data=found.val)
        table = replace(table, outlines=getattr(found.train, "outlines", table.outlines))
    if steps is None:
        steps = table.steps if setup.size == "tiny" else BASE_TRAINING[setup.size].steps
    return Question(table, setup, steps, tuple(seeds))


def question_of_switches(
    switches: Switches,
    world: str | None,
    folders: "tuple[Folder, Folder] | None",
    neck: str,
    steps: int | None,
    seeds: Sequence[int],
) -> "Question":
    """The question how settings of one's own differ: the same as in the lab.

    folders: what is trained and scored on, instead of a world.
    """
    from mrcnn_edu.ablations import ask, parse_setting
    from mrcnn_edu.ablations.worlds import World

    given = {name.upper(): words for name, words in switches.items() if words is not None}
    if "A" not in given:
        raise ValueError(
            f"--a is missing, the setting that {_listed(given)} is compared with: give its "
            "switches, or --a with nothing for the base"
        )
    if len(given) < 2:
        raise ValueError("--a is alone: give --b too, for example --b roi_op=pool")
    settings = [parse_setting(name, words) for name, words in given.items()]
    data = _world(world or "shapes") if folders is None else World("", *folders)
    question = ask(settings, data, 400 if steps is None else steps, neck=neck)
    return replace(question, seeds=tuple(seeds))


def _listed(given: Mapping) -> str:
    return ", ".join(f"--{name.lower()}" for name in given)


def _world(name: str):
    from mrcnn_edu.ablations.worlds import WORLDS

    if name not in WORLDS:
        raise ValueError(
            f"there is no world {name!r}: choose {', '.join(WORLDS)}; COCO folders are given with "
            "--data and --val-data"
        )
    return WORLDS[name]


def coco_folders(
    data: str, annotations: Path | None, val_data: str | None, val_annotations: Path | None
) -> "tuple[Folder, Folder] | None":
    """What is trained on and what is scored on, as two COCO folders; None for synthetic scenes."""
    from mrcnn_edu.ablations import Folder

    if (data == "shapes") != (val_data is None):
        raise ValueError("give --data and --val-data together: two COCO folders")
    if val_data is None:
        return None
    folders = []
    for dataset in (open_data(data, annotations), open_data(val_data, val_annotations)):
        if not isinstance(dataset, CocoFolder):
            raise ValueError("--data and --val-data are COCO folders here, not synthetic scenes")
        folders.append(Folder(str(dataset.folder), str(dataset.file)))
    return folders[0], folders[1]


def setup_of(config: str, folders: "tuple[Folder, Folder] | None") -> "Setup":
    """The models that a table's settings change, and the data."""
    from mrcnn_edu.ablations import Setup

    setup = Setup()
    if folders is not None:
        setup = replace(setup, train_data=folders[0], val_data=folders[1])
    if config != "tiny":
        neck, size = config.split("-")
        setup = replace(setup, size=size, neck=neck)
    return setup
