"""mrcnn-edu ablate: the paper's tables and settings of your own, measured."""

import errno
import os
import shlex
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mrcnn_edu.cli.asking import coco_folders, question_of_switches, question_of_table, setup_of
from mrcnn_edu.cli.options import NO_DEFAULT, File, Name, Number, Positional, joined_help
from mrcnn_edu.extras import require
from mrcnn_edu.files import write_file

SHARP = 144  # pixels in an inch of a picture, which is drawn for half of it
SEEDS = 2

if TYPE_CHECKING:
    from mrcnn_edu.ablations import Results
    from mrcnn_edu.ablations.question import Question

Switches = Annotated[tyro.conf.DisallowNone[tuple[str, ...] | None], NO_DEFAULT]
Minutes = Annotated[tyro.conf.DisallowNone[float | None], NO_DEFAULT]


@joined_help
def ablate(
    table: Annotated[
        Positional[tuple[str, ...]], tyro.conf.arg(metavar="[TABLE]", help_behavior_hint="")
    ] = (),
    seeds: Number = None,
    seed: Number = None,
    setting: Annotated[tuple[str, ...], NO_DEFAULT] = (),
    steps: Number = None,
    *,
    a: Switches = None,
    b: Switches = None,
    c: Switches = None,
    d: Switches = None,
    minutes: Minutes = None,
    world: Name = None,
    neck: Annotated[tyro.conf.DisallowNone[Literal["c4", "fpn", "c5"] | None], NO_DEFAULT] = None,
    data: str = "shapes",
    annotations: File = None,
    val_data: Name = None,
    val_annotations: File = None,
    config: Literal["tiny", "c4-r50", "c5-r50", "fpn-r50"] = "tiny",
    out: Path = Path("runs/ablations"),
    report: File = None,
    dask: Name = None,
    list_names: Annotated[
        bool, tyro.conf.arg(name="list", help_behavior_hint=""), tyro.conf.FlagCreatePairsOff
    ] = False,
    dry_run: bool = False,
    precomputed: bool = False,
    format: Literal["text", "csv", "markdown"] = "text",
) -> int:
    """Measure one of the paper's tables, or settings of your own, each with several seeds.

    Finished runs are kept, and a run that was interrupted resumes: repeat the same command.

    Args:
        table: the table's name, such as 2c; the word list prints all names, and list 2c the
            settings of that table.
        seeds: how many seeds are run for each setting: 0, 1, ...; 2 if not given.
        seed: a single seed to run instead.
        setting: the names of the settings to measure, instead of all.
        steps: training steps of each run; the table's number (400 or 800) if not given, 400 for
            settings of your own, and the paper's for full-size models.
        a: a setting of your own, which the others are compared with: switches such as
            roi_op=pool or learning_rate=0.001, fields of Config and Training. With no switch, it
            is the base.
        b: the setting that is compared with it.
        c: a third setting.
        d: a fourth setting.
        minutes: about how long it may take on this machine, instead of steps and seeds, which are
            chosen so that they fit.
        world: the synthetic scenes to train and score on: shapes, blobs, lobes, crowded or small.
        neck: the model that settings of your own change; c4 if not given.
        data: the word shapes, or a COCO folder to train on, with images/ and annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        val_data: the COCO folder to evaluate on.
        val_annotations: the JSON file of --val-data, if it is not in its folder.
        config: the model that a table's settings change; the r50 models have the paper's size, and
            start from ImageNet weights.
        out: the folder where results are kept.
        report: a folder for a report of the results, report.html, and all runs, report.csv.
        dask: the address of a Dask scheduler, to run on its workers. Give each worker one thread: a
            run uses one, and a worker makes one run at a time.
        list_names: the same as the word list.
        dry_run: print the command of each run, for example for a SLURM array, and run nothing.
        precomputed: print the results that come with the package, and run nothing. They were
            measured on the synthetic scenes of version 0.1.
        format: how the results are printed.
    """
    from mrcnn_edu.ablations.costs import cost_in_words
    from mrcnn_edu.ablations.report import write_report

    switches = {"a": a, "b": b, "c": c, "d": d}
    is_mine = any(words is not None for words in switches.values())
    name, list_names = _words(table, list_names)
    if list_names:
        print("\n".join(_listed(name)))
        return 0
    _refuse(
        (name is not None and is_mine, "a table and --a, --b: give the one or the others"),
        (precomputed and is_mine, "--precomputed is for the paper's tables: leave out --a, --b"),
        (dry_run and report is not None, "--dry-run has no results: leave out --report"),
        (dry_run and precomputed, "--dry-run and --precomputed: give one of them"),
        (world is not None and data != "shapes", "--world and --data: give one of them"),
        (neck is not None and not is_mine, "--neck is for --a and --b: a table has its own neck"),
        (is_mine and config != "tiny", "--config is for tables: --a and --b change the tiny model"),
        (seed is not None and seeds is not None, "--seed and --seeds: give one of them"),
        (minutes is not None and precomputed, "--minutes is for runs: leave out --precomputed"),
        (
            minutes is not None and dask is not None,
            "--minutes counts this machine's cores: with --dask, give --steps and --seeds",
        ),
        (
            minutes is not None and seed is not None,
            "--minutes needs several seeds, for an interval: leave out --seed",
        ),
        (
            minutes is not None and steps is not None and seeds is not None,
            "--minutes chooses the steps or the seeds: leave out --steps or --seeds",
        ),
    )
    if name is None and not is_mine:
        raise ValueError(
            "give the name of a table, which mrcnn-edu ablate --list prints, or settings of your "
            "own, such as --a --b roi_op=pool"
        )
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds is {seeds}: give 1 or more")
    if seed is not None and seed < 0:
        raise ValueError(f"seed is {seed}: give 0 or more")
    if precomputed:
        return _show_precomputed(name or "", format, report)
    all_seeds = range(seeds or SEEDS) if seed is None else [seed]
    folders = coco_folders(data, annotations, val_data, val_annotations)
    if name is None:
        question = question_of_switches(switches, world, folders, neck or "c4", steps, all_seeds)
    else:
        setup = setup_of(config, folders)
        question = question_of_table(name, setup, world, steps, all_seeds)
    names = [question.table.setting(one).name for one in setting]
    if minutes is not None:
        question = _in_minutes(question, minutes, out, names, steps, seeds)
    if report is not None:
        _check_writable(report)  # before the long work
    if dask is None:
        print(f"{cost_in_words(_some(question, names), out)}.", file=sys.stderr, flush=True)
    if dry_run:
        _print_commands(question, names, out)
        return 0
    results = _measured(question, names, out, dask)
    _show(results, format)
    where = sys.stdout if format == "text" else sys.stderr  # a file of CSV has nothing else in it
    picture = out / f"{question.table.name}.png"
    _draw(results, picture)
    shown = "Every seed" if name is None else "Every seed, and the paper's numbers"
    print(f"\n{shown}: {picture}", file=where)
    if report is not None:
        print(f"The report: {write_report(results, report, question)}", file=where)
    return 1 if results.failed else 0


def _words(words: tuple[str, ...], list_names: bool) -> tuple[str | None, bool]:
    """The table that the words before all options name, and whether a list is wanted."""
    if words[:1] == ("list",):
        words, list_names = words[1:], True
    if len(words) > 1:
        raise ValueError(f"{' '.join(words)}: give one table at a time")
    return (words[0] if words else None), list_names


def _refuse(*cases: tuple[bool, str]) -> None:
    """Raise ValueError with the advice of the first case that holds."""
    for holds, advice in cases:
        if holds:
            raise ValueError(advice)


def _listed(name: str | None) -> list[str]:
    """A line for each table, or for each setting of one table, with its switches."""
    from mrcnn_edu.ablations import TABLES, table_of
    from mrcnn_edu.ablations.switches import switches_of

    rows = [(table.name, table.question) for table in TABLES.values()]
    if name is not None:
        rows = [(s.name, " ".join(switches_of(s)) or "the base") for s in table_of(name).settings]
    width = max(len(first) for first, _ in rows)
    return [f"{first:{width}}  {second}" for first, second in rows]


def _some(question: "Question", names: list[str]) -> "Question":
    """The question with the settings of these names alone, if there are any."""
    if not names:
        return question
    settings = tuple(question.table.setting(name) for name in names)
    return replace(question, table=replace(question.table, settings=settings))


def _in_minutes(
    question: "Question",
    minutes: float,
    out: Path,
    names: list[str],
    steps: int | None,
    seeds: int | None,
) -> "Question":
    """The question with the steps and seeds that fit; prints them, and what they can show."""
    from mrcnn_edu.ablations.dial import fit_minutes, outlook

    fitting = fit_minutes(_some(question, names), minutes, out, steps=steps, seeds=seeds)
    question = replace(question, steps=fitting.steps, seeds=fitting.seeds)
    print(*outlook(question), sep="\n", file=sys.stderr)
    return question


def _measured(question: "Question", names: list[str], out: Path, dask: str | None) -> "Results":
    """The results, with a bar of steps; of runs on a Dask cluster, whose files may be elsewhere."""
    from mrcnn_edu.ablations import run
    from mrcnn_edu.ablations.watch import progress_in_steps

    jobs = _some(question, names).jobs().values()
    with _cluster(dask) as executor, nullcontext() if dask else progress_in_steps(jobs, out):
        return run(
            question.table, question.seeds, question.steps, executor, settings=names or None,
            setup=question.setup, folder=out, progress=dask is not None,
        )  # fmt: skip


def _show(results: "Results", format: str) -> None:
    """Print the results, and after the table a line for each comparison."""
    print({"csv": results.csv, "markdown": results.markdown}.get(format, results.__str__)())
    where = sys.stdout if format == "text" else sys.stderr
    verdicts = [results.verdict(setting) for setting in results.table.settings[1:]]
    if verdicts:
        print("", *verdicts, sep="\n", file=where)


def _show_precomputed(name: str, format: str, report: Path | None) -> int:
    from mrcnn_edu.ablations import precomputed
    from mrcnn_edu.ablations.report import write_report

    results = precomputed(name)
    _show(results, format)
    if report is not None:
        command = shlex.join(["mrcnn-edu", "ablate", name, "--precomputed"])
        where = sys.stdout if format == "text" else sys.stderr
        print(f"\nThe report: {write_report(results, report, command=command)}", file=where)
    return 0


def _print_commands(question: "Question", names: list[str], out: Path) -> None:
    """Print one command for each run; settings that share a run (decodings) share a command."""
    from mrcnn_edu.ablations.repeat import words_of

    words = words_of(question)
    assert words is not None  # it was made from such words
    which, how = words
    for seed in question.seeds:
        names_of_jobs: dict = {}
        for setting in _some(question, names).table.settings:
            job = question.setup.job(question.table, setting, seed, question.steps)
            names_of_jobs.setdefault(job, []).append(setting.name)
        for shared in names_of_jobs.values():
            run = ["--seed", str(seed), "--setting", *shared, *how, "--out", str(out)]
            print(shlex.join(["mrcnn-edu", "ablate", *which, *run]))


def _check_writable(folder: Path) -> None:
    """Make the folder if needed; raise OSError if nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _draw(results: "Results", file: Path) -> None:
    from mrcnn_edu.viz import show_seeds

    picture = show_seeds(*results.by_seed(), results.table.ap_name)
    picture.set_dpi(SHARP)
    write_file(file, picture.png())


@contextmanager
def _cluster(address: str | None):
    """The executor of a Dask cluster; without an address None, for processes of this machine."""
    if address is None:
        yield None
        return
    distributed = require("distributed", "dask", "--dask")
    with distributed.Client(address) as client, client.get_executor() as executor:
        yield executor
