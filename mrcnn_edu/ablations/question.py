"""A question of the reader's own: two to four settings A, B, C, D, on a world of her choice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mrcnn_edu.ablations.job import Job
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.switches import check_effects, switches_of
from mrcnn_edu.ablations.tables import Setting, Table
from mrcnn_edu.ablations.worlds import World
from mrcnn_edu.model import MaskRCNN

NAMES = "A", "B", "C", "D"
MINE = "yours"  # the name of the table


@dataclass(frozen=True)
class Question:
    """Settings that are compared with the first, each with the same seeds.

    Raises ValueError that says which combination is impossible, and why, before anything runs.
    """

    table: Table
    setup: Setup
    steps: int
    seeds: tuple[int, ...]

    def __post_init__(self):
        seen: dict[tuple, str] = {}  # what is trained and how it is decoded -> whose it is
        for setting in self.table.settings:
            try:
                job = self.setup.job(self.table, setting, 0, self.steps)
                with torch.device("meta"):
                    MaskRCNN(job.config)
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"{setting.name}: {error}") from error
            if self.table.name != MINE:  # the paper's tables are as they are
                continue
            check_effects(setting, replace(job.config, **_decoding(setting)))
            key = job, setting.changes.get("mask_decoding", job.config.mask_decoding)
            if key in seen:
                raise ValueError(
                    f"{seen[key]} and {setting.name} are the same setting, perhaps because a "
                    "switch has the base's value: change a switch of one"
                )
            seen[key] = setting.name

    def jobs(self) -> dict[tuple[str, int], Job]:
        """The job of each (setting's name, seed). Settings that only decode differently share one.

        The first seed of every setting comes first, so that an answer comes early.
        """
        return {
            (setting.name, seed): self.setup.job(self.table, setting, seed, self.steps)
            for seed in self.seeds
            for setting in self.table.settings
        }

    def results(self, records: dict[Job, dict]) -> Results:
        """The results as far as there are records."""
        jobs = self.jobs().items()
        return Results(self.table, {run: records[job] for run, job in jobs if job in records})

    def with_seeds(self, n: int) -> "Question":
        """The same question with the first n seeds."""
        return replace(self, seeds=tuple(range(n)))


def ask(
    settings: Sequence[Setting],
    world: World,
    steps: int = 400,
    seeds: int = 2,
    neck: str = "c4",
) -> Question:
    """The question how the settings differ, on that world.

    neck: of the model that they change, unless a setting changes it itself. Raises ValueError for
    less than two or more than four settings, two that are the same, and combinations that cannot be
    trained.
    """
    if not 2 <= len(settings) <= len(NAMES):
        raise ValueError(f"{len(settings)} settings: give two to four, A and B, C, D")
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}: give 1 or more")
    if steps < 1:
        raise ValueError(f"steps is {steps}: give 1 or more")
    without_masks = any(setting.changes.get("mask_head", "") is None for setting in settings)
    table = Table(
        MINE, "; ".join(f"{s.name}: {' '.join(switches_of(s)) or 'the base'}" for s in settings),
        "no numbers in the paper", neck, tuple(settings), "bbox" if without_masks else "segm",
        getattr(world.train, "outlines", "templates"), steps,
    )  # fmt: skip
    setup = Setup(train_data=world.train, val_data=world.val)
    return Question(table, setup, steps, tuple(range(seeds)))


def ask_table(table: Table, seeds: int = 2, steps: int | None = None) -> Question:
    """The question of one of the paper's tables."""
    return Question(table, Setup(), steps or table.steps, tuple(range(seeds)))


def _decoding(setting: Setting) -> dict:
    """The setting's `mask_decoding`, which is no part of its job."""
    return {k: v for k, v in setting.changes.items() if k == "mask_decoding"}
