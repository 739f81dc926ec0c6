"""What runs cost, before they run: about how many seconds they will take on this machine.

The speed of a model is that of the runs in the results' folder. Where there are none, it is that of
the results that come with the package, times a factor: how much slower or faster this machine
trains the base model, which a few steps show. A model that nobody has run is taken to be as fast as
the most similar one. The machine is supposed to have nothing else to do.
"""

import json
import statistics
import time
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch

from mrcnn_edu.ablations.campaign import in_words
from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.ablations.job_hash import job_hash, non_defaults
from mrcnn_edu.ablations.measure import MASK_DECODINGS, WATCHED_IMAGES
from mrcnn_edu.ablations.precomputed import PRECOMPUTED
from mrcnn_edu.ablations.question import Question
from mrcnn_edu.ablations.run import ONE_AT_A_TIME, read_record, steps_taken
from mrcnn_edu.ablations.setup import BASE_TRAINING, C4_BASE, TRAIN_DATA
from mrcnn_edu.ablations.workers import n_local_workers
from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import steps
from mrcnn_edu.train.recipes import Training
from mrcnn_edu.weights import init_backbone
from mrcnn_edu.weights.published import IMAGENET

START_UP = 5.0  # seconds until a worker process has imported everything
BEFORE_AND_AFTER = 1.0  # seconds of a run that are neither training nor scoring
SCORING = 0.008  # seconds to compare the detections in an image with the ground truth
FORWARD = 0.4  # of a training step, the part without the backward pass: the validation losses
MEASURED_STEPS = 4  # of the base model, for the factor
NEVER_THE_SAME = "n_classes"  # the one Config field that barely affects the speed


class Speed(NamedTuple):
    """How fast a model is: seconds for each image of a training step, and for each detected one."""

    config: dict  # its non-defaults, as in a record
    train: float
    detect: float

    def times(self, factor: float) -> "Speed":
        """The speed on a machine that takes that much longer."""
        return Speed(self.config, factor * self.train, factor * self.detect)


def estimate_seconds(
    jobs: Iterable[Job],
    folder: str | Path,
    workers: int | None = None,
    speeds: Sequence[Speed] | None = None,
) -> float | None:
    """About how many seconds these jobs take here; those with a result in the folder take none.

    A run that was interrupted takes what is left of it. workers: how many runs are made at a time,
    by default as `run` does. speeds: known ones, instead of those that `known_speeds` finds. None
    if no model with such a backbone has been run yet, so that there is nothing to go by.
    """
    folder = Path(folder)
    left = {job: 1.0 - fraction for job, fraction in fractions_done(jobs, folder).items()}
    missing = [job for job, fraction in left.items() if fraction > 0]
    if not missing:
        return 0.0
    speeds = known_speeds(folder) if speeds is None else speeds
    n = min(workers or n_local_workers(), len(missing))
    ends = [START_UP] * n
    for job in missing:
        seconds = seconds_of(job, speeds, left[job])
        if seconds is None:
            return None
        ends[ends.index(min(ends))] += seconds
    return max(ends)


def cost_in_words(
    question: Question,
    folder: str | Path,
    workers: int | None = None,
    speeds: Sequence[Speed] | None = None,
    known: Collection[Job] = (),
) -> str:
    """What an answer costs here: how many runs, how many of them are known, and the time.

    known: jobs whose results are known from elsewhere. The other arguments are those of
    `estimate_seconds`.
    """
    jobs = dict.fromkeys(question.jobs().values())
    done = {job: 1.0 for job in jobs if job in known}
    done |= fractions_done([job for job in jobs if job not in done], Path(folder))
    n, n_known = len(done), sum(fraction == 1 for fraction in done.values())
    text = f"{n} run{'s' * (n > 1)} of {question.steps} steps"
    if n_known == n:
        return f"{text}, all known already"
    text += f", {n_known} of them known" if n_known else ""
    seconds = estimate_seconds([job for job in done if job not in known], folder, workers, speeds)
    if seconds is None:
        return f"{text}; how long they take is not known, no such model has been run yet"
    at_once = min(workers or n_local_workers(), n - n_known)
    return f"{text}: about {in_words(seconds)} here" + f", {at_once} at a time" * (at_once > 1)


def fractions_done(jobs: Iterable[Job], folder: Path) -> dict[Job, float]:
    """How much of each job's training is done: 1 only if its result is in the folder."""
    if not folder.is_dir():
        return dict.fromkeys(jobs, 0.0)  # at once: a hash takes a hundredth of a second
    done = {}
    run_here = {speed.config.get("backbone", Config.backbone) for speed in _speeds_in(folder)}
    for job in jobs:
        if job.config.backbone in IMAGENET and job.config.backbone not in run_here:
            done[job] = 0.0  # its hash would download the weights
            continue
        name = _hash(job)
        if read_record(name, folder) is not None:
            done[job] = 1.0
        elif job not in done:
            done[job] = min(0.99, steps_taken(folder / name) / job.training.steps)
    return done


def seconds_of(job: Job, speeds: Sequence[Speed], left: float = 1.0) -> float | None:
    """The seconds of one run, of whose training a part is left; None without a similar model."""
    speed = _speed_of(job.config, speeds)
    if speed is None:
        return None
    training, n_scored = job.training, _n_images(job)
    n_looks = ceil(left * training.steps / max(1, training.steps // 4))
    looks = n_looks * min(WATCHED_IMAGES, n_scored)
    n_decodings = len(MASK_DECODINGS) if job.config.mask_loss == "softmax" else 1
    detected = n_decodings * n_scored + looks
    return (
        BEFORE_AND_AFTER
        + speed.train * (left * training.steps * training.batch_size + FORWARD * looks)
        + (speed.detect + SCORING) * detected
    )


def known_speeds(folder: str | Path) -> list[Speed]:
    """The speed on this machine of each model that has been run; those that were run here first.

    It takes a second or two if nothing was run here: the base model is trained for a few steps.
    """
    here, shipped = _medians(_speeds_in(Path(folder))), shipped_speeds()
    ratios = [a.train / b.train for a in here for b in shipped if _distance(a, b.config) == 0]
    factor = statistics.median(ratios) if ratios else machine_factor()
    return [*here, *(speed.times(factor) for speed in shipped)]


def _speeds_in(folder: Path) -> list[Speed]:
    """The speeds of the runs whose records are in a folder."""
    return list(filter(None, map(_read_speed, folder.glob("*.json"))))


@cache
def shipped_speeds() -> list[Speed]:
    """The speeds of the models whose results come with the package, where those were computed."""
    return _medians(filter(None, map(_speed, json.loads(PRECOMPUTED.read_text()))))


def _medians(speeds: Iterable[Speed]) -> list[Speed]:
    """The median speed of each model."""
    runs: dict[str, list[Speed]] = {}
    for speed in speeds:
        runs.setdefault(json.dumps(speed.config, sort_keys=True), []).append(speed)
    return [
        Speed(
            found[0].config,
            statistics.median(speed.train for speed in found),
            statistics.median(speed.detect for speed in found),
        )
        for found in runs.values()
    ]


@cache
def machine_factor() -> float:
    """How many times the shipped results' seconds this machine takes, from a few training steps."""
    shipped = _speed_of(C4_BASE, shipped_speeds())
    assert shipped is not None
    return measured_speed() / shipped.train


def measured_speed() -> float:
    """Seconds for each image of a training step of the base model, with one thread, here."""
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    training = BASE_TRAINING["tiny"]
    with ONE_AT_A_TIME, torch.random.fork_rng():
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as a run has
        try:
            model = init_backbone(MaskRCNN(C4_BASE))
            run = steps(model.cuda() if on_gpu else model, TRAIN_DATA, training)
            next(run)  # the model before its first step
            next(run)  # which takes longer than the others
            start = clock()
            for _ in range(MEASURED_STEPS):
                next(run)
            seconds = clock() - start
            run.close()
        finally:
            torch.set_num_threads(n_threads)
    return seconds / (MEASURED_STEPS * training.batch_size)


@cache
def _read_speed(file: Path) -> Speed | None:
    """The speed of the run with this record, which never changes."""
    try:
        return _speed(json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no record of ours


def _speed(record: dict) -> Speed | None:
    if not record.get("seconds"):
        return None  # it was resumed, and only its rest was timed
    training = Training(**_with_tuples(record["job"].get("training", {})))
    n_images = training.steps * training.batch_size
    detect = record["milliseconds_per_image"] / 1000
    return Speed(record["job"]["config"], record["seconds"] / n_images, detect)


def _speed_of(config: Config, speeds: Sequence[Speed]) -> Speed | None:
    """The speed of the most similar model with the same backbone, at this size of images."""
    wanted = json.loads(json.dumps(non_defaults(config)))
    similar = [s for s in speeds if s.config.get("backbone") == wanted.get("backbone")]
    if not similar:
        return None
    nearest = min(similar, key=lambda speed: _distance(speed, wanted))
    pixels = config.short_side / nearest.config.get("short_side", Config.short_side)
    return nearest.times(pixels**2)


def _distance(speed: Speed, config: dict) -> int:
    """How many fields of two configs differ."""
    names = (speed.config.keys() | config.keys()) - {NEVER_THE_SAME}
    return sum(speed.config.get(name) != config.get(name) for name in names)


def _with_tuples(values: dict) -> dict:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _n_images(job: Job) -> int:
    """The number of images that are scored."""
    return len(open_data(job.val_data))


@cache
def _hash(job: Job) -> str:
    return job_hash(job)
