"""An estimate from a few seeds: the mean, and the interval in which the true mean probably lies."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

from mrcnn_edu.extras import require


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its 95 % confidence interval, which is NaN for less than two seeds.

    Formatted with ".1f" it reads "30.8 ± 1.9": the mean, and half the width of the interval.
    """

    mean: float
    low: float
    high: float
    n: int

    def __format__(self, format_spec: str) -> str:
        if self.n == 0:
            return "-"
        mean = format(self.mean, format_spec)
        return mean if self.n == 1 else f"{mean} ± {(self.high - self.low) / 2:.1f}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of the values and its confidence interval, from Student's t distribution."""
    n = len(values)
    if n < 2:
        return Estimate(values[0] if n else nan, nan, nan, n)
    mean = statistics.fmean(values)
    student_t = require("scipy.stats", "ablations", "a confidence interval").t
    half_width = float(student_t.ppf(0.975, n - 1)) * statistics.stdev(values) / sqrt(n)
    return Estimate(mean, mean - half_width, mean + half_width, n)
