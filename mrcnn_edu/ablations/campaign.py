"""A campaign: runs that are computed in the background, and can be paused, resumed and stopped.

The runs are those of `run_job`: each is written by the process that computes it, so whatever ends
(a worker, this process, the machine) no finished run is lost, and none is computed twice. To pause
is to end the workers: a run resumes from its last step, or at worst from its last checkpoint.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrcnn_edu.ablations.job import Job
from mrcnn_edu.ablations.job_hash import job_hash
from mrcnn_edu.ablations.run import read_record, run_job_or_exit, steps_taken
from mrcnn_edu.ablations.workers import LocalWorkers, local_workers

POLL = 0.2  # seconds between two looks at what has happened
MAX_BREAKDOWNS = 3  # of the workers in a row, without a run that ends, before we give up
SCORED_PER_STEP = 4  # images that are scored in the time of a training step, roughly


@dataclass(frozen=True)
class Progress:
    """How far a campaign is. steps: those taken of each job that has begun and not ended."""

    state: Literal["waiting", "running", "paused", "finished"]
    n_finished: int
    n_jobs: int
    steps: dict[Job, int]
    seconds_left: float | None  # None until enough has been run for an estimate

    def __str__(self) -> str:
        if not self.n_jobs:
            return "nothing runs"
        text = f"{self.state}: {self.n_finished} of {self.n_jobs} runs"
        if self.state == "running" and self.seconds_left is not None:
            text += f", about {in_words(self.seconds_left)} left"
        return text


def in_words(seconds: float) -> str:
    """A time as somebody would say it."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{seconds / 3600:.1f} hours"


class Campaign:
    """Jobs, computed by worker processes in the background. Every method returns at once.

    folder: where results are kept, and read if they exist. known: further records by their
    `job_hash`, such as those that come with the package.
    """

    def __init__(self, folder: str | Path, known: Mapping[str, dict] | None = None):
        self.folder, self.known = Path(folder), known or {}
        self.records: dict[Job, dict] = {}  # of finished and failed jobs
        self.hashes: dict[Job, str] = {}
        self.jobs: dict[Job, str] = {}  # and their hashes, in the order in which they are run
        self.wanted = False  # whether the workers should work
        self.lock = threading.RLock()
        self.thread: threading.Thread | None = None
        self.workers: LocalWorkers | None = None
        self.started, self.work_before = 0.0, 0.0  # for the time that is left

    def add(self, jobs: Iterable[Job]) -> None:
        """More jobs, behind those that wait; results that exist are read at once."""
        with self.lock:
            for job in jobs:
                self.jobs.setdefault(job, self._hash(job))
                self.record(job)

    def record(self, job: Job) -> dict | None:
        """The record of a job, whether it was added or not; None if it is not known (yet)."""
        with self.lock:
            if job not in self.records:
                name = self._hash(job)
                found = read_record(name, self.folder) or self.known.get(name)
                if found is not None:
                    self.records[job] = found
            return self.records.get(job)

    def run_folder(self, job: Job) -> Path:
        """Where a run that is under way has its losses."""
        return self.folder / self._hash(job)

    def _hash(self, job: Job) -> str:
        if job not in self.hashes:
            self.hashes[job] = job_hash(job)
        return self.hashes[job]

    def run(self) -> None:
        """Begin, or resume. Runs that failed are tried again."""
        with self.lock:
            self.records = {j: r for j, r in self.records.items() if "failed" not in r}
            self.wanted = True
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._serve, daemon=True)
                self.thread.start()

    def pause(self) -> None:
        """End the workers; `run` resumes where they are."""
        with self.lock:
            self.wanted = False

    def stop(self) -> None:
        """End the workers, and forget the jobs that have no result."""
        with self.lock:
            self.wanted = False
            self.jobs = {job: name for job, name in self.jobs.items() if job in self.records}

    def wait(self, seconds: float | None = None) -> None:
        """Wait until all is done, or paused, or that time is over."""
        thread = self.thread
        if thread is not None:
            thread.join(seconds)

    @property
    def is_busy(self) -> bool:
        """Whether workers are at work, or about to end."""
        return self.thread is not None and self.thread.is_alive()

    def progress(self) -> Progress:
        """How far it is, now."""
        with self.lock:
            jobs, records, wanted = dict(self.jobs), dict(self.records), self.wanted
        missing = [job for job in jobs if job not in records]
        steps = {job: n for job in missing if (n := steps_taken(self.folder / jobs[job])) > 0}
        state = "finished" if not missing else "running" if wanted and self.is_busy else "paused"
        if state == "paused" and not steps and self.thread is None:
            state = "waiting"
        return Progress(
            state, len(jobs) - len(missing), len(jobs), steps, self._seconds_left(missing, steps)
        )

    def _seconds_left(self, missing: list[Job], steps: dict[Job, int]) -> float | None:
        total = sum(map(work, self.jobs))
        left = sum(work(job) - steps.get(job, 0) for job in missing)
        done = total - left - self.work_before
        elapsed = time.monotonic() - self.started
        if not self.started or done < 3 or elapsed < 3:
            return None
        return left * elapsed / done

    def _serve(self) -> None:
        """The thread: submit what waits, collect what is done, until nothing waits or is wanted."""
        breakdowns = 0
        while self.wanted and (n := len(self._missing())):
            self.started = time.monotonic()
            progress = self.progress()
            done = (work(job) for job in self.jobs if job in self.records)
            self.work_before = sum(done) + sum(progress.steps.values())
            n_known = len(self.records)
            self.workers = local_workers(n)
            try:
                broken = self._collect(self.workers)
            finally:
                self.workers.end()
            breakdowns = 0 if len(self.records) > n_known else breakdowns + broken
            if breakdowns >= MAX_BREAKDOWNS:
                self._give_up()

    def _missing(self) -> list[Job]:
        with self.lock:
            return [job for job in self.jobs if job not in self.records]

    def _collect(self, workers: LocalWorkers) -> bool:
        """Records from these workers, until nothing is missing or wanted; whether they broke."""
        futures: dict[Future, Job] = {}
        while self.wanted and (missing := self._missing()):
            submitted = set(futures.values())
            try:
                for job in missing:
                    if job not in submitted:
                        futures[workers.submit(run_job_or_exit, job, self.folder)] = job
            except BrokenProcessPool:
                return True
            done, _ = wait(futures, POLL, FIRST_COMPLETED)
            for future in done:
                job = futures.pop(future)
                try:
                    record = future.result()
                except (BrokenProcessPool, CancelledError):
                    return True
                except (Exception, SystemExit) as error:  # the other runs are not affected
                    record = {"failed": f"{type(error).__name__}: {error}"}
                with self.lock:
                    self.records[job] = record
        return False

    def _give_up(self) -> None:
        message = "its worker process was ended from outside, perhaps for lack of memory"
        with self.lock:
            for job in self._missing():
                self.records[job] = {"failed": message}


def work(job: Job) -> float:
    """The work of a job, in training steps."""
    return job.training.steps + getattr(job.val_data, "n", 0) / SCORED_PER_STEP
