"""mrcnn-edu ablate: the paper's tables, measured."""

import shlex
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mrcnn_edu.cli.opening import open_data
from mrcnn_edu.cli.options import File, Name, Number, Positional
from mrcnn_edu.files import write_file


def ablate(
    table: Positional[str],
    seeds: int = 2,
    seed: Number = None,
    setting: tuple[str, ...] = (),
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

    Finished runs are kept, and a run that was stopped goes on: the same command takes it up.

    Args:
        table: its name, or a wrong one to see all names.
        seeds: how many; they are 0, 1, ...
        seed: this one alone.
        setting: the names of some settings, if not all are wanted.
        steps: of each training (default: the table's, 400 or 800; of full size the paper's).
        data: shapes, or a COCO folder to train on, with images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        val_data: a COCO folder to score on.
        val_annotations: its JSON file, if that is elsewhere.
        config: the model that is changed; the r50 are of full size and start from ImageNet's.
        out: the folder where runs are kept.
        dask: the address of a Dask scheduler, to run on its workers (of one thread each: a run
            takes one, and a worker makes one run at a time).
        dry_run: print a command for each training, as for an array of SLURM; run nothing.
        precomputed: print the results that come with the package; run nothing.
    """
    from mrcnn_edu.ablations import Folder, Setup, run, table_of
    from mrcnn_edu.ablations import precomputed as precomputed_results
    from mrcnn_edu.viz import show_seeds

    chosen = table_of(table)
    if precomputed:
        print(precomputed_results(chosen))
        return 0
    wanted = [chosen.setting(name) for name in setting] if setting else chosen.settings
    numbers = range(seeds) if seed is None else [seed]
    setup = Setup()
    if (data == "shapes") != (val_data is None):
        raise ValueError("give --data and --val-data together: two COCO folders")
    if val_data is not None:
        folders = [open_data(data, annotations), open_data(val_data, val_annotations)]
        setup = Setup("tiny", None, *(Folder(str(f.folder), str(f.file)) for f in folders))
    if config != "tiny":
        neck, size = config.split("-")
        setup = replace(setup, size=size, neck=neck)
    if dry_run:
        given = ["--data", data, "--config", config, "--out", str(out)]
        for option, value in (
            ("--annotations", annotations),
            ("--val-data", val_data),
            ("--val-annotations", val_annotations),
            ("--steps", steps),
        ):
            given += [] if value is None else [option, str(value)]
        for number in numbers:
            trainings: dict = {}  # of some settings one: they read what it has learned differently
            for one in wanted:
                trainings.setdefault(setup.job(chosen, one, number, steps), []).append(one.name)
            for names in trainings.values():
                which = ["ablate", table, "--seed", str(number), "--setting", *names]
                print(shlex.join(["mrcnn-edu", *which, *given]))
        return 0

    names = [one.name for one in wanted]
    with _cluster(dask) as executor:
        results = run(chosen, numbers, steps, executor, settings=names, setup=setup, folder=out)
    print(results)
    picture = out / f"{chosen.name}.png"
    write_file(picture, show_seeds(*results.by_seed(), f"{results.table.what} AP").png())
    print(f"\nEvery seed, and the paper's numbers: {picture}")
    return 1 if results.failed else 0


@contextmanager
def _cluster(address: str | None):
    """The executor of a Dask cluster; None, processes of this machine, without an address."""
    if address is None:
        yield None
        return
    if find_spec("distributed") is None:
        raise FileNotFoundError("Dask is missing: pip install 'mrcnn_edu[dask]'")
    from distributed import Client

    with Client(address) as client, client.get_executor() as executor:
        yield executor
