"""mrcnn-edu ablate: the paper's tables, measured."""

import shlex
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mrcnn_edu.cli.opening import open_data
from mrcnn_edu.cli.options import NO_DEFAULT, File, Name, Number, Positional, joined_help
from mrcnn_edu.data import CocoFolder
from mrcnn_edu.extras import require
from mrcnn_edu.files import write_file

SHARP = 144  # pixels in an inch of a picture, which is drawn for half of it

if TYPE_CHECKING:
    from mrcnn_edu.ablations import Results, Setup


@joined_help
def ablate(
    table: Annotated[
        tyro.conf.DisallowNone[Positional[str | None]],
        tyro.conf.arg(metavar="[TABLE]", help_behavior_hint=""),
    ] = None,
    seeds: int = 2,
    seed: Number = None,
    setting: Annotated[tuple[str, ...], NO_DEFAULT] = (),
    steps: Number = None,
    *,
    data: str = "shapes",
    annotations: File = None,
    val_data: Name = None,
    val_annotations: File = None,
    config: Literal["tiny", "c4-r50", "c5-r50", "fpn-r50"] = "tiny",
    out: Path = Path("runs/ablations"),
    dask: Name = None,
    list_names: Annotated[
        bool, tyro.conf.arg(name="list", help_behavior_hint=""), tyro.conf.FlagCreatePairsOff
    ] = False,
    dry_run: bool = False,
    precomputed: bool = False,
    format: Literal["text", "csv", "markdown"] = "text",
) -> int:
    """Measure one of the paper's tables, each setting with several seeds.

    Finished runs are kept, and a run that was interrupted resumes: repeat the same command.

    Args:
        table: the table's name, such as 2c; --list prints all names.
        seeds: how many seeds are run for each setting: 0, 1, ...
        seed: a single seed to run instead.
        setting: the names of the settings to measure, instead of all of the table's.
        steps: training steps of each run; the table's number (400 or 800) if not given, and the
            paper's for full-size models.
        data: the word shapes, or a COCO folder to train on, with images/ and annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        val_data: the COCO folder to evaluate on.
        val_annotations: the JSON file of --val-data, if it is not in its folder.
        config: the model that the settings change; the r50 models have the paper's size, and start
            from ImageNet weights.
        out: the folder where results are kept.
        dask: the address of a Dask scheduler, to run on its workers. Give each worker one thread: a
            run uses one, and a worker makes one run at a time.
        list_names: print the names of the tables and what they ask; with a table, the names of its
            settings.
        dry_run: print the command of each run, for example for a SLURM array, and run nothing.
        precomputed: print the results that come with the package, and run nothing. They were
            measured on the synthetic scenes of version 0.1.
        format: how the results are printed.
    """
    from mrcnn_edu.ablations import precomputed as precomputed_results
    from mrcnn_edu.ablations import run, table_of

    if list_names:
        print("\n".join(_listed(table)))
        return 0
    if table is None:
        raise ValueError("give the name of a table: mrcnn-edu ablate --list prints them")
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}: give 1 or more")
    if seed is not None and seed < 0:
        raise ValueError(f"seed is {seed}: give 0 or more")
    chosen = table_of(table)
    if precomputed:
        print(_formatted(precomputed_results(chosen), format))
        return 0
    wanted = [chosen.setting(name) for name in setting] if setting else list(chosen.settings)
    all_seeds = list(range(seeds)) if seed is None else [seed]
    setup = _setup(data, annotations, val_data, val_annotations, config)
    if dry_run:
        shared = ["--data", data, "--config", config, "--out", str(out)]
        for option, value in (
            ("--annotations", annotations),
            ("--val-data", val_data),
            ("--val-annotations", val_annotations),
            ("--steps", steps),
        ):
            shared += [] if value is None else [option, str(value)]
        _print_commands(chosen, wanted, all_seeds, steps, setup, shared)
        return 0
    with _cluster(dask) as executor:
        names = [one.name for one in wanted]
        results = run(chosen, all_seeds, steps, executor, settings=names, setup=setup, folder=out)
    print(_formatted(results, format))
    picture = out / f"{chosen.name}.png"
    _draw(results, picture)
    where = sys.stdout if format == "text" else sys.stderr  # a file of CSV has nothing else in it
    print(f"\nEvery seed, and the paper's numbers: {picture}", file=where)
    return 1 if results.failed else 0


def _listed(name: str | None) -> list[str]:
    """A line for each table, or for each setting of one table."""
    from mrcnn_edu.ablations import TABLES, table_of

    if name is not None:
        return [setting.name for setting in table_of(name).settings]
    width = max(map(len, TABLES))
    return [f"{table.name:{width}}  {table.question}" for table in TABLES.values()]


def _formatted(results: "Results", format: str) -> str:
    return {"csv": results.csv, "markdown": results.markdown}.get(format, results.__str__)()


def _setup(
    data: str,
    annotations: Path | None,
    val_data: str | None,
    val_annotations: Path | None,
    config: str,
) -> "Setup":
    """The models and the data that the options ask for."""
    from mrcnn_edu.ablations import Folder, Setup

    setup = Setup()
    if (data == "shapes") != (val_data is None):
        raise ValueError("give --data and --val-data together: two COCO folders")
    if val_data is not None:
        folders = []
        for dataset in (open_data(data, annotations), open_data(val_data, val_annotations)):
            if not isinstance(dataset, CocoFolder):
                raise ValueError("--val-data is shapes: give a COCO folder")
            folders.append(Folder(str(dataset.folder), str(dataset.file)))
        setup = replace(setup, train_data=folders[0], val_data=folders[1])
    if config != "tiny":
        neck, size = config.split("-")
        setup = replace(setup, size=size, neck=neck)
    return setup


def _print_commands(table, settings, seeds, steps, setup, shared: list[str]) -> None:
    """Print one command for each run; settings that share a run (decodings) share a command."""
    for seed in seeds:
        names_of_jobs: dict = {}
        for setting in settings:
            job = setup.job(table, setting, seed, steps)
            names_of_jobs.setdefault(job, []).append(setting.name)
        for names in names_of_jobs.values():
            which = ["ablate", table.name, "--seed", str(seed), "--setting", *names]
            print(shlex.join(["mrcnn-edu", *which, *shared]))


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
