"""mrcnn-edu ablate: the paper's tables, measured."""

import shlex
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

if TYPE_CHECKING:
    from mrcnn_edu.ablations import Results, Setup


@joined_help
def ablate(
    table: Annotated[Positional[str], tyro.conf.arg(metavar="TABLE")],
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
    dry_run: bool = False,
    precomputed: bool = False,
) -> int:
    """Measure a table of the paper: 2a, 2b, 2c, 2d, 2e, 3 and more.

    Finished runs are kept, and a run that was interrupted resumes: repeat the same command.

    Args:
        table: the table's name; a name that does not exist lists all of them.
        seeds: the number of seeds, 0, 1, ...
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
        dry_run: print the command of each run, for example for a SLURM array, and run nothing.
        precomputed: print the results that come with the package, and run nothing.
    """
    from mrcnn_edu.ablations import precomputed as precomputed_results
    from mrcnn_edu.ablations import run, table_of

    chosen = table_of(table)
    if precomputed:
        print(precomputed_results(chosen))
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
    print(results)
    _draw(results, out / f"{chosen.name}.png")
    return 1 if results.failed else 0


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


def _draw(results: "Results", picture: Path) -> None:
    from mrcnn_edu.viz import show_seeds

    write_file(picture, show_seeds(*results.by_seed(), results.table.ap_name).png())
    print(f"\nEvery seed, and the paper's numbers: {picture}")


@contextmanager
def _cluster(address: str | None):
    """The executor of a Dask cluster; without an address None, for processes of this machine."""
    if address is None:
        yield None
        return
    distributed = require("distributed", "dask", "--dask")
    with distributed.Client(address) as client, client.get_executor() as executor:
        yield executor
