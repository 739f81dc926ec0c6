"""Results: means over seeds, differences seed by seed, and how sure they are.

Seed s of every setting starts from the same weights and sees the same images in the same order, so
settings are compared seed by seed: what differs between seeds falls out of the difference.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

from scipy.stats import t as student

from mrcnn_edu.ablations.tables import SCORES, Setting, Table


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the ends of its 95 % interval (Student's t); nan from one seed."""

    mean: float
    low: float
    high: float
    n: int

    def __format__(self, numbers: str) -> str:
        if self.n == 0:
            return "-"
        text = format(self.mean, numbers)
        return text if self.n == 1 else f"{text} ± {(self.high - self.low) / 2:.1f}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of the values, and the interval that holds the true mean in 19 cases of 20."""
    n = len(values)
    if n < 2:
        return Estimate(values[0] if n else nan, nan, nan, n)
    mean = statistics.fmean(values)
    half = student.ppf(0.975, n - 1) * statistics.stdev(values) / sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


@dataclass(frozen=True)
class Results:
    """A table with the record of each (setting's name, seed); see `run.measure` for a record."""

    table: Table
    records: dict[tuple[str, int], dict]

    def scores(self, setting: Setting, name: str = "ap", kind: str | None = None) -> dict:
        """Seed -> score in percent; name: ap, ap50, ap75, ap_small, ...; kind: segm or bbox.

        Without the runs that failed. Empty where the setting has none, as masks of boxes alone.
        """
        kind = kind or self.table.kind
        reading = setting.changes.get("mask_decoding")
        kind = f"{kind} {reading}" if reading and kind == "segm" else kind
        return {
            seed: record["scores"][kind][name]
            for (of, seed), record in self.records.items()
            if of == setting.name and name in record.get("scores", {}).get(kind, {})
        }

    def mean(self, setting: Setting, name: str = "ap", kind: str | None = None) -> Estimate:
        """The score over the seeds."""
        return estimate(list(self.scores(setting, name, kind).values()))

    def difference(self, setting: Setting, name: str = "ap", kind: str | None = None) -> Estimate:
        """How much better than the table's first setting it is, over the seeds that both have."""
        base = self.scores(self.table.settings[0], name, kind)
        own = self.scores(setting, name, kind)
        return estimate([own[seed] - base[seed] for seed in own if seed in base])

    def relative(self, setting: Setting, name: str = "ap") -> tuple[float, float]:
        """How much better the table's first setting is, as a share of this one's score.

        Here, over the seeds' means, and in the paper; nan where the paper has no number.
        """
        first = self.table.settings[0]
        best, paper = first.in_paper(name), setting.in_paper(name)
        here = self.mean(first, name).mean / self.mean(setting, name).mean - 1
        return here, nan if None in (best, paper) else best / paper - 1

    @property
    def gaps(self) -> str:
        """A line for each setting: how it differs from the first, here and in the paper."""
        others = self.table.settings[1:]
        wide, lines = max((len(setting.name) for setting in others), default=0), []
        for s in others:
            gap = self.table.paper_gap(s)
            paper = f"  the paper's {gap}" if gap else ""
            lines.append(f"{s.name:{wide}} {self.difference(s):+.1f}{paper}")
        return "\n".join(lines)

    def cost(self, setting: Setting, name: str) -> float:
        """The median over seeds of "parameters", "seconds", "step_megabytes", ..."""
        records = self.records.items()
        values = [
            record[name] for (of, _), record in records if of == setting.name and name in record
        ]
        return statistics.median(values) if values else nan

    def by_seed(self, name: str = "ap") -> tuple[dict[str, list[float]], dict[str, float]]:
        """For a picture: each setting's name -> its scores over the seeds, and -> the paper's."""
        settings = self.table.settings
        paper = {s.name: s.in_paper(name) for s in settings if s.in_paper(name) is not None}
        return {s.name: list(self.scores(s, name).values()) for s in settings}, paper

    @property
    def failed(self) -> dict[tuple[str, int], str]:
        """(setting's name, seed) -> why there is no result."""
        return {
            place: record["failed"] for place, record in self.records.items() if "failed" in record
        }

    def __str__(self) -> str:
        table = self.table
        head = [f"{table.what} AP", "AP50", "AP75", "box AP" if table.what == "mask" else "mask AP"]
        head += ["AP differs by", "AP75 differs by", "paper's AP", "AP, AP75 differ by"]
        head += ["parameters", "seconds", "MB a step", "ms an image"]
        rows = [("setting", *head), *(self._row(setting) for setting in table.settings)]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(f"{cell:{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in cells)
            for cells in (enumerate(zip(row, wide, strict=True)) for row in rows)
        ]
        seeds = len({seed for _, seed in self.records})
        title = f"Table {table.name}: {table.question} (paper: {table.paper_model})"
        note = f"{seeds} seeds; ± is the half width of a 95 % interval"
        failures = [
            f"failed: {name}, seed {seed}: {why}" for (name, seed), why in self.failed.items()
        ]
        return "\n".join([title, *lines, note, *failures])

    def _row(self, setting: Setting) -> tuple[str, ...]:
        first = setting == self.table.settings[0]
        other = "bbox" if self.table.kind == "segm" else "segm"
        paper = setting.in_paper()
        gaps = [] if first else [self.table.paper_gap(setting, n) for n in ("ap", "ap75")]
        parameters = self.cost(setting, "parameters")
        return (
            setting.name,
            *(f"{self.mean(setting, name):.1f}" for name in SCORES),
            f"{self.mean(setting, kind=other):.1f}",
            *("" if first else f"{self.difference(setting, n):+.1f}" for n in ("ap", "ap75")),
            "-" if paper is None else f"{paper:.1f}",
            ", ".join(gap for gap in gaps if gap),
            f"{parameters / 1e6:.2f} M",
            *(f"{self.cost(setting, n):.0f}" for n in
              ("seconds", "step_megabytes", "milliseconds_per_image")),
        )  # fmt: skip
