"""Runs: a setting trained and scored, once for each seed, kept on disk and never done twice.

Finished results come back at once, the missing ones from an executor: processes of this machine, a
Dask cluster's, or any other of `concurrent.futures`. Each is written by the process that made it,
and a training that was stopped is taken up from its checkpoint. Whoever asks for a run that another
process is at waits for it.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context, parent_process
from pathlib import Path

import torch
from tqdm.auto import tqdm

from mrcnn_edu.ablations.job_hash import code_version, job_hash, non_defaults
from mrcnn_edu.ablations.measure import measure
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.setup import Job, Setup
from mrcnn_edu.ablations.tables import TABLES, Table
from mrcnn_edu.files import write_file
from mrcnn_edu.train.checkpoints import Terminated

DEFAULT_FOLDER = Path("runs/ablations")
ONE_AT_A_TIME = threading.Lock()  # in a process: all draw from torch's one generator


def run(
    table: str | Table,
    seeds: int | Iterable[int] = 2,
    steps: int | None = None,
    executor: Executor | None = None,
    *,
    settings: Iterable[str] | None = None,
    setup: Setup | None = None,
    folder: str | Path = DEFAULT_FOLDER,
    progress: bool = True,
) -> Results:
    """The table, measured: every setting trained and scored for each seed.

    table: a name in TABLES, or a Table. seeds: how many, or which. steps: of each training, the
    setup's own number if None. executor: where it is computed; None is a process for each GPU, or for
    each core, a thread each. settings: names, if not all are wanted. folder: where results are
    kept; a key of the file name stands for settings, seed, steps, data, start and code. Raises
    ValueError for an unknown name; a run that fails is reported in the results, and tried again the
    next time.
    """
    table, setup, folder = table_of(table), setup or Setup(), Path(folder)
    seeds = range(seeds) if isinstance(seeds, int) else list(seeds)
    wanted = [table.setting(name) for name in settings] if settings else table.settings
    jobs = {(s.name, seed): setup.job(table, s, seed, steps) for seed in seeds for s in wanted}
    records = run_jobs(list(dict.fromkeys(jobs.values())), executor, folder, progress)
    table = replace(table, settings=tuple(wanted))
    return Results(table, {place: records[job] for place, job in jobs.items()})


def table_of(table: str | Table) -> Table:
    """The table of that name. Raises ValueError that lists the names."""
    if isinstance(table, Table):
        return table
    if table not in TABLES:
        raise ValueError(f"there is no table {table!r}: choose one of {', '.join(TABLES)}")
    return TABLES[table]


def run_jobs(
    jobs: list[Job], executor: Executor | None, folder: Path, progress: bool = True
) -> dict[Job, dict]:
    """The record of each job; one with the entry "failed" where a job came to nothing."""
    names = {job: job_hash(job) for job in jobs}
    found = {job: kept(name, folder) for job, name in names.items()}
    records = {job: record for job, record in found.items() if record is not None}
    missing = [job for job in jobs if job not in records]
    bar = tqdm(total=len(jobs), initial=len(records), desc="ablation runs", disable=not progress)
    own = None
    if missing and executor is None:
        executor = own = _processes(len(missing))
    work = run_job if own is None else _run_or_end
    futures = {executor.submit(work, job, folder): job for job in missing}
    try:
        for future in as_completed(futures):
            try:
                records[futures[future]] = future.result()
            except (Exception, SystemExit) as error:  # whatever it was, the other runs go on
                message = f"{type(error).__name__}: {error}"
                records[futures[future]] = {"failed": message}
            bar.update()
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        done = sum(kept(name, folder) is not None for name in names.values())
        raise KeyboardInterrupt(f"{done} of {len(jobs)} runs are kept in {folder}") from None
    finally:
        bar.close()
        if own is not None:
            own.shutdown(cancel_futures=True)
    return records


def run_job(job: Job, folder: Path) -> dict:
    """The record of a job, from the folder, or computed and written there.

    One thread, whatever the machine has: sums of another order are another result.
    """
    with ONE_AT_A_TIME:
        name = job_hash(job)
        checkpoints = folder / name
        with file_lock(checkpoints):
            if (record := kept(name, folder)) is None:
                threads = torch.get_num_threads()
                torch.set_num_threads(1)
                try:
                    record = {"key": name, "code": code_version(), "job": non_defaults(job)}
                    record |= measure(job, checkpoints)
                finally:
                    torch.set_num_threads(threads)
                text = json.dumps(record, indent=1)
                write_file(folder / f"{name}.json", text.encode())
                record = json.loads(text)  # what the next look gives
        shutil.rmtree(checkpoints, ignore_errors=True)
        return record


@contextmanager
def file_lock(folder: Path) -> Iterator[None]:
    """Inside, no other process is at the run of this folder, where files can be locked."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        with suppress(ImportError, OSError):  # Windows, and some clusters' file systems
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept(name: str, folder: Path) -> dict | None:
    """The record of a job that was done before; name: its key, for which files are read."""
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def _processes(n_jobs: int) -> ProcessPoolExecutor:
    """Processes of this machine: one for each GPU, or, without any, for each core."""
    n_gpus = torch.cuda.device_count()
    n, context = min(n_jobs, n_gpus or os.cpu_count() or 1), get_context("spawn")
    gpus = context.SimpleQueue()
    for gpu in range(min(n, n_gpus)):
        gpus.put(gpu)
    return ProcessPoolExecutor(n, context, _begin, (gpus,))


def _begin(gpus) -> None:
    """What each of them does at first: take a GPU, and arrange to end when the first one does."""
    if torch.cuda.is_available():
        torch.cuda.set_device(gpus.get())
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C: at once; there is a checkpoint
    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _run_or_end(job: Job, folder: Path) -> dict:
    """`run_job`; a process that is asked to end has kept its step then, and does."""
    try:
        return run_job(job, folder)
    except Terminated as stop:
        os._exit(stop.code)  # or who has asked would wait for it, as a broken pool does


def _end_with(parent) -> None:
    parent.join()
    os._exit(1)  # or a killed one's processes would train on
