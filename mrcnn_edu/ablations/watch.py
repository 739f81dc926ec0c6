"""How far runs are, counted in steps, by their files: whatever computes them need not report it."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mrcnn_edu.ablations.job import Job
from mrcnn_edu.ablations.job_hash import job_hash
from mrcnn_edu.ablations.run import read_record, steps_taken
from mrcnn_edu.progress import notebook_shell, progress_bar

POLL = 0.5  # seconds between two looks
WATCHED, IN_A_LOG = 0.2, 30.0  # seconds between two states of the bar


@contextmanager
def progress_in_steps(jobs: Iterable[Job], folder: Path) -> Iterator[None]:
    """Inside, a bar shows the steps of all these jobs, which others compute into the folder.

    A run that is finished counts as all of its steps.
    """
    names = {job_hash(job): job.training.steps for job in dict.fromkeys(jobs)}
    taken, ended = dict.fromkeys(names, 0), threading.Event()

    def look() -> int:
        """Update `taken`; the number of finished runs."""
        n_finished = 0
        for name, total in names.items():
            if taken[name] == total or read_record(name, folder) is not None:
                taken[name] = total
                n_finished += 1
            else:
                taken[name] = min(total - 1, steps_taken(folder / name))
        return n_finished

    def show() -> None:
        n_finished = look()
        bar.set_postfix_str(f"{n_finished} of {len(names)} runs", refresh=False)
        bar.update(sum(taken.values()) - bar.n)

    def keep_looking() -> None:
        while not ended.wait(POLL):
            show()

    look()
    is_watched = sys.stderr.isatty() or notebook_shell() is not None
    with progress_bar(
        total=sum(names.values()),
        initial=sum(taken.values()),
        description="training steps",
        mininterval=WATCHED if is_watched else IN_A_LOG,
    ) as bar:
        thread = threading.Thread(target=keep_looking, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            show()
