"""mrcnn-edu speedrun: minutes of two cores until a model from random weights is good."""

import json
import statistics
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mrcnn_edu.cli.options import Name, Positional, joined_help
from mrcnn_edu.cli.text import table

if TYPE_CHECKING:
    from mrcnn_edu.speedrun import Attempt, Entry

RESULTS = "attempts.jsonl"  # a line for each attempt


@joined_help
def speedrun(
    entry: Annotated[
        Positional[str], tyro.conf.arg(metavar="[ENTRY]", help_behavior_hint="")
    ] = "first",
    against: Name = None,
    seeds: int = 3,
    target: float = 60,
    limit: float = 60,
    out: Path = Path("runs/speedrun"),
    *,
    list_names: Annotated[
        bool, tyro.conf.arg(name="list", help_behavior_hint=""), tyro.conf.FlagCreatePairsOff
    ] = False,
) -> int:
    """Measure how many minutes of two cores an entry needs, from random weights, to mask AP 60.

    Nothing else should run meanwhile. The clock stands while a model is scored. An attempt is valid
    if scenes that nobody knew agree with the score, and mrcnn_edu/speedrun/entries has an example.

    Args:
        entry: a Python file of yours with a function train(seed), or the name of a record.
        against: another entry that is run in turns with the first one, to compare their times on
            this machine.
        seeds: how many seeds are run: 0, 1, ...; a record needs 3.
        target: the mask AP to reach; lower, to try something out.
        limit: minutes after which an attempt is given up.
        out: the folder where every attempt is noted, in attempts.jsonl.
        list_names: print the names of the records and their ideas.
    """
    from mrcnn_edu.speedrun import ENTRIES, attempt, open_entry

    if list_names:
        for name in ENTRIES:
            print(f"{name:10}{open_entry(name).idea}")
        return 0
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}: give 1 or more")
    if not 0 < target <= 100:
        raise ValueError(f"target is {target}: give a mask AP, above 0 and at most 100")
    if limit <= 0:
        raise ValueError(f"limit is {limit}: give more than 0 minutes")
    entries = [open_entry(name) for name in (entry, against) if name is not None]
    out.mkdir(parents=True, exist_ok=True)
    attempts: list[list[Attempt]] = [[] for _ in entries]
    for seed in range(seeds):
        for one, done in zip(entries, attempts, strict=True):
            print(f"{one.name}, seed {seed}: {one.idea}", flush=True)
            done.append(attempt(one, seed, target, limit))
            _note(out / RESULTS, one, done[-1], target)
    print()
    print(_attempts_table(entries, attempts, target))
    means = [_mean_minutes(done, target) for done in attempts]
    print()
    for one, mean in zip(entries, means, strict=True):
        said = "not every seed is valid" if mean is None else f"{mean:.2f} minutes"
        print(f"{one.name}: {said}")
    mine, theirs = means[0], means[-1]
    if against is not None and mine is not None and theirs is not None:
        print(f"{entries[0].name} takes {mine / theirs:.2f} of the time of {entries[1].name}")
    print(f"Every attempt, with its curve: {out / RESULTS}")
    return 1 if None in means else 0


def _mean_minutes(attempts: "list[Attempt]", target: float) -> float | None:
    """The mean time, or None unless all attempts are valid."""
    if not all(one.is_valid(target) for one in attempts):
        return None
    return statistics.mean(one.minutes for one in attempts)


def _attempts_table(entries: "list[Entry]", attempts: "list[list[Attempt]]", target: float) -> str:
    rows = []
    for entry, done in zip(entries, attempts, strict=True):
        for one in done:
            reached = f"{one.curve[-1][1]:.1f}" if one.curve else "-"
            unseen = "-" if one.unseen is None else f"{one.unseen:.1f}"
            verdict = "valid" if one.is_valid(target) else "not valid"
            rows.append((entry.name, f"{one.seed}", f"{one.minutes:.2f}", reached, unseen, verdict))
    return table(("entry", "seed", "minutes", "mask AP", "on unknown scenes", ""), *rows)


def _note(file: Path, entry: "Entry", done: "Attempt", target: float) -> None:
    """Add a line about an attempt to the file, at once: the next one may never end."""
    from mrcnn_edu.ablations.machine import machine_record

    record = {
        "entry": entry.name,
        "target": target,
        **asdict(done),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine_record(),
    }
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")
