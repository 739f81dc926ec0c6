"""One dial: minutes. It chooses how many steps and seeds answer a question in that time, here.

Three seeds come first, because the interval of two is rarely narrow enough to decide anything.
Then come steps, up to those that the question asks for. Whatever time is left goes into more seeds.
`outlook` says in words what the answer will and will not show.
"""

import statistics
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import ceil, isfinite
from pathlib import Path

from mrcnn_edu.ablations.campaign import in_words
from mrcnn_edu.ablations.costs import Speed, estimate_seconds, known_speeds
from mrcnn_edu.ablations.estimate import estimate
from mrcnn_edu.ablations.precomputed import precomputed
from mrcnn_edu.ablations.question import Question
from mrcnn_edu.ablations.tables import TABLES

FEWEST_SEEDS, GOOD_SEEDS, MOST_SEEDS = 2, 3, 20
FEWEST_STEPS = 25  # with less, a run would be little more than the scoring of its model
GOOD_STEPS = 50  # from here on, a third seed is worth more than further steps
BEGINNING = 200  # steps below which even the base model's AP is far from where it ends
STEPS = 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1200, 1600, 2400, 3200


def fit_minutes(
    question: Question,
    minutes: float,
    folder: str | Path,
    *,
    steps: int | None = None,
    seeds: int | None = None,
    workers: int | None = None,
    speeds: Sequence[Speed] | None = None,
) -> Question:
    """The same question with the steps and seeds that fit into that many minutes on this machine.

    Never more steps than the question's own. steps, seeds: fixed ones, not chosen. folder, workers
    and speeds: as in `estimate_seconds`. Raises ValueError if not even two seeds of a few steps
    fit, and says how many minutes those need.
    """
    if not isfinite(minutes) or minutes <= 0:
        raise ValueError(f"minutes is {minutes:g}: give a number above 0, such as 2, 10 or 60")
    if seeds is not None and seeds < FEWEST_SEEDS:
        raise ValueError(f"seeds is {seeds}: an interval needs 2 or more")
    known = known_speeds(folder) if speeds is None else speeds

    def seconds(of: Question) -> float:
        found = estimate_seconds(of.jobs().values(), folder, workers, known)
        if found is None:
            raise ValueError(
                "minutes can't be kept, because no model with such a backbone has been run yet: "
                "give steps and seeds instead"
            )
        return found

    def fits(of: Question) -> bool:
        return seconds(of) <= 60 * minutes

    ladder = [*(n for n in STEPS if n < question.steps), question.steps]
    ladder = ladder if steps is None else [steps]
    tries = [(GOOD_SEEDS, GOOD_STEPS), (FEWEST_SEEDS, FEWEST_STEPS)]
    tries = tries if seeds is None else [(seeds, FEWEST_STEPS)]
    smallest = question
    for n_seeds, fewest in tries:
        candidates = [n for n in ladder if n >= min(fewest, ladder[-1])]
        asked = [replace(question, steps=n).with_seeds(n_seeds) for n in candidates]
        smallest, best = asked[0], _last(asked, fits)
        if best is not None and best.steps == ladder[-1] and seeds is None:
            more = [best.with_seeds(n) for n in range(n_seeds, MOST_SEEDS + 1)]
            best = _last(more, fits)
        if best is not None:
            return best
    needed = ceil(seconds(smallest) / 60)
    raise ValueError(
        f"minutes is {minutes:g}: {smallest.steps} steps with {len(smallest.seeds)} seeds of each "
        f"setting take about {in_words(60 * needed)} here; give {needed} minute"
        f"{'s' * (needed > 1)} or more, or compare fewer settings"
    )


def _last(questions: list[Question], fits: Callable[[Question], bool]) -> Question | None:
    """The last question that fits, where each costs more than the one before; None if none does.

    Only the last may cost less, because its runs are known already.
    """
    if fits(questions[-1]):
        return questions[-1]
    n = bisect_left(questions, True, key=lambda question: not fits(question))
    return questions[n - 1] if n else None


def outlook(question: Question) -> list[str]:
    """What an answer with these steps and seeds can show and what it can't, in sentences."""
    n = len(question.seeds)
    first = "One seed gives no interval: a difference may be chance alone."
    if n > 1:
        first = (
            f"With {n} seeds, expect 95 % intervals of about ± {expected_half_width(n):.1f} AP: "
            "smaller differences will stay undecided."
        )
    return [first, *filter(None, [warning_of_steps(question)])]


def warning_of_steps(question: Question) -> str:
    """What to bear in mind where models are trained for few steps; "" otherwise."""
    if question.setup.size != "tiny" or question.steps >= BEGINNING:
        return ""
    return (
        f"After {question.steps} steps a model is only beginning to learn: what learns faster "
        "looks better, whatever it would reach in the end."
    )


def expected_half_width(n_seeds: int) -> float:
    """Half the width to expect of a paired difference's 95 % interval, with two seeds or more.

    From the median spread of the differences in the results that come with the package.
    """
    values = [(-1.0) ** i for i in range(n_seeds)]  # any values: their spread is divided out
    interval = estimate(values)
    return typical_spread() * (interval.high - interval.low) / (2 * statistics.stdev(values))


@cache
def typical_spread() -> float:
    """The median standard deviation of the paired differences in the shipped results, in AP."""
    spreads = []
    for results in map(precomputed, TABLES):
        pairs = [list(results.paired(setting).values()) for setting in results.table.settings[1:]]
        spreads += [statistics.stdev(values) for values in pairs if len(values) > 1]
    return statistics.median(spreads)
