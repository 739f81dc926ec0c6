"""An estimate from a few seeds: the mean, and the interval in which the true mean probably lies."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt

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

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval; False as long as there is none."""
        return self.low > 0 or self.high < 0

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
    half_width = _student_t(n - 1) * statistics.stdev(values) / sqrt(n)
    return Estimate(mean, mean - half_width, mean + half_width, n)


def unpaired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of `second` minus that of `first`, whose values have nothing to do with each other.

    Welch's interval: the variances may differ. It needs two values of each.
    """
    n, m = len(first), len(second)
    if not n or not m:
        return Estimate(nan, nan, nan, 0)
    mean = statistics.fmean(second) - statistics.fmean(first)
    if min(n, m) < 2:
        return Estimate(mean, nan, nan, 1)
    parts = statistics.variance(first) / n, statistics.variance(second) / m
    variance = sum(parts)
    if variance == 0:
        return Estimate(mean, mean, mean, min(n, m))
    degrees = variance**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    half_width = _student_t(degrees) * sqrt(variance)
    return Estimate(mean, mean - half_width, mean + half_width, min(n, m))


def more_seeds(values: Sequence[float], most: int = 100) -> int | None:
    """About how many more seeds would let the interval of these differences exclude 0.

    If their mean and their spread stay what they are. 0 if it does so already; None if less than
    two values, or more than `most` seeds would not be enough.
    """
    n, now = len(values), estimate(values)
    if n < 2 or isnan(now.low):
        return None
    if now.excludes_zero:
        return 0
    spread = statistics.stdev(values)
    for total in range(n + 1, most + 1):
        if _student_t(total - 1) * spread / sqrt(total) < abs(now.mean):
            return total - n
    return None


def _student_t(degrees: float) -> float:
    """Half the width, in standard errors, of a 95 % interval."""
    return float(require("scipy.stats", "ablations", "a confidence interval").t.ppf(0.975, degrees))
