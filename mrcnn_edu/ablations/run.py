"""Runs: every setting of a table trained and scored for each seed, and nothing computed twice.

Results that exist are read from a folder. The others are computed by an executor: processes on this
machine, a Dask cluster, or any other executor of `concurrent.futures`. The process that computes a
result writes it. A run that was stopped resumes from its checkpoint; a run that another process is
computing at the moment is waited for.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from pathlib import Path

import torch

from mrcnn_edu.ablations.code_version import code_version
from mrcnn_edu.ablations.job import Job
from mrcnn_edu.ablations.job_hash import job_hash, non_defaults
from mrcnn_edu.ablations.measure import MODEL, measure
from mrcnn_edu.ablations.models import keep_model
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.tables import TABLES, Table
from mrcnn_edu.ablations.workers import local_workers
from mrcnn_edu.files import file_lock, write_file
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.train import Terminated
from mrcnn_edu.train.metrics import LOSSES_CSV

DEFAULT_FOLDER = Path("runs/ablations")
ONE_AT_A_TIME = threading.Lock()  # the threads of a process share torch's random generator


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
    """The results of a table: every setting trained and scored for each seed.

    table: a name in TABLES, or a Table. seeds: how many, or which ones. steps: training steps
    instead of the setup's. executor: what computes the runs; None starts a process for each GPU, or
    for each core, with one thread each. settings: the names of some settings, if not all are
    wanted. folder: where results are kept, in files named by their `job_hash`.

    Raises ValueError for an unknown name. A run that fails is reported in the results, and is tried
    again the next time.
    """
    table, setup, folder = table_of(table), setup or Setup(), Path(folder)
    seeds = range(seeds) if isinstance(seeds, int) else list(seeds)
    chosen = tuple(table.setting(name) for name in settings) if settings else table.settings
    jobs = {(s.name, seed): setup.job(table, s, seed, steps) for seed in seeds for s in chosen}
    records = run_jobs(list(dict.fromkeys(jobs.values())), executor, folder, progress)
    table = replace(table, settings=chosen)
    return Results(table, {name_and_seed: records[job] for name_and_seed, job in jobs.items()})


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
    """The record of each job; that of a job that failed has the single entry "failed"."""
    hashes = {job: job_hash(job) for job in jobs}
    finished = {job: read_record(name, folder) for job, name in hashes.items()}
    records = {job: record for job, record in finished.items() if record is not None}
    missing = [job for job in jobs if job not in records]
    bar = progress_bar(
        total=len(jobs), initial=len(records), description="ablation runs", disable=not progress
    )
    workers = local_workers(len(missing)) if missing and executor is None else None
    task = run_job if workers is None else run_job_or_exit
    chosen_executor = workers or executor
    futures = {}
    if chosen_executor is not None:
        futures = {chosen_executor.submit(task, job, folder): job for job in missing}
    try:
        for future in as_completed(futures):
            try:
                records[futures[future]] = future.result()
            except (Exception, SystemExit) as error:  # any error: the other runs are not affected
                records[futures[future]] = {"failed": f"{type(error).__name__}: {error}"}
            bar.update()
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        n_finished = sum(read_record(name, folder) is not None for name in hashes.values())
        raise KeyboardInterrupt(f"{n_finished} of {len(jobs)} runs are kept in {folder}") from None
    finally:
        bar.close()
        if workers is not None:
            workers.shutdown(cancel_futures=True)
    return records


def run_job(job: Job, folder: Path) -> dict:
    """The record of a job, read from the folder, or computed and written there.

    It is computed with one thread on any machine, since the order of a sum changes its last bits.
    """
    with ONE_AT_A_TIME:
        name = job_hash(job)
        checkpoints = folder / name
        with file_lock(checkpoints / "lock"):
            if (record := read_record(name, folder)) is None:
                threads = torch.get_num_threads()
                torch.set_num_threads(1)
                try:
                    record = {"job_hash": name, "code_version": code_version()}
                    record |= {"job": non_defaults(job), **measure(job, checkpoints)}
                finally:
                    torch.set_num_threads(threads)
                keep_model(checkpoints / MODEL, name, folder)
                text = json.dumps(record, indent=1)
                write_file(folder / f"{name}.json", text.encode())
                record = json.loads(text)  # exactly what will be read the next time
        shutil.rmtree(checkpoints, ignore_errors=True)
        return record


def read_record(name: str, folder: Path) -> dict | None:
    """The record of the job with that hash, or None if it is not in the folder."""
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def steps_taken(run_folder: Path) -> int:
    """The steps that an unfinished run has taken, by its file of losses."""
    try:
        return max(0, (run_folder / LOSSES_CSV).read_bytes().count(b"\n") - 1)
    except OSError:
        return 0


def run_job_or_exit(job: Job, folder: Path) -> dict:
    """`run_job` in a worker, which exits if it was asked to, after its checkpoint is written."""
    try:
        return run_job(job, folder)
    except Terminated as stop:
        # An ordinary exit would leave the executor waiting; this breaks its pool, as it should.
        os._exit(stop.code if isinstance(stop.code, int) else 1)
