"""The results of a table, printed: for a terminal, in Markdown, or as CSV."""

import csv
import io
import textwrap
from dataclasses import dataclass
from math import isnan, nan

from mrcnn_edu.ablations.comparison import Comparison
from mrcnn_edu.ablations.formats import Block, Row
from mrcnn_edu.ablations.tables import AP_NAMES, METRICS, Setting

COSTS = "parameters", "seconds", "step_megabytes", "milliseconds_per_image"
WIDEST = 100  # columns of a line


@dataclass(frozen=True)
class Results(Comparison):
    """A table, and the record of each (setting's name, seed) as `measure` returns it.

    Printed, it has the scores, the differences from the first setting, and the costs.
    """

    def __str__(self) -> str:
        blocks = [block.text() for block in self._blocks()]
        title = textwrap.fill(self._title(), WIDEST)
        return "\n".join([title, "", *"\n\n".join(blocks).splitlines(), "", *self._notes()])

    def markdown(self) -> str:
        """The same in Markdown."""
        blocks = [block.markdown() for block in self._blocks()]
        return "\n\n".join([f"**{self._title()}**", *blocks, *self._notes()])

    def csv(self) -> str:
        """A row for each setting, with plain numbers; nothing where there is none.

        Columns whose names end in _ci are half the widths of 95 % confidence intervals.
        """
        rows = [self._numbers(setting) for setting in self.table.settings]
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue().rstrip("\n")

    def _title(self) -> str:
        table = self.table
        paper = f"paper: {table.paper_model}" if self._has_paper() else table.paper_model
        return f"Table {table.name}: {table.question} ({paper})"

    def _has_paper(self) -> bool:
        return any(setting.paper_score() is not None for setting in self.table.settings)

    def _blocks(self) -> list[Block]:
        """The scores, the differences from the first setting, and the costs."""
        table, (first, *others) = self.table, self.table.settings
        blocks = [Block([self._score_titles(), *map(self._score_row, table.settings)])]
        if others:
            titles = f"difference from {first.name}", table.ap_name, "AP75"
            titles += ("paper's AP, AP75",) * self._has_paper()
            blocks.append(Block([titles, *map(self._difference_row, others)]))
        titles = "cost", "parameters", "seconds", "MB per step", "ms per image"
        return [*blocks, Block([titles, *map(self._cost_row, table.settings)])]

    def _score_titles(self) -> Row:
        table = self.table
        titles = "average precision", table.ap_name, "AP50", "AP75", table.other_ap_name
        return titles + ("paper's AP",) * self._has_paper()

    def _score_row(self, setting: Setting) -> Row:
        means = [f"{self.mean(setting, metric):.1f}" for metric in METRICS]
        other_mean = f"{self.mean(setting, iou_type=self.table.other_iou_type):.1f}"
        paper = setting.paper_score()
        shown = "-" if paper is None else f"{paper:.1f}"
        return (setting.name, *means, other_mean) + (shown,) * self._has_paper()

    def _difference_row(self, setting: Setting) -> Row:
        ours = [f"{self.difference(setting, metric):+.1f}" for metric in ("ap", "ap75")]
        paper = [self.table.paper_difference(setting, metric) for metric in ("ap", "ap75")]
        shown = ", ".join(filter(None, paper)) or "-"
        return (setting.name, *ours) + (shown,) * self._has_paper()

    def _cost_row(self, setting: Setting) -> Row:
        costs = {name: self.cost(setting, name) for name in COSTS}
        shown = [f"{cost:.0f}" for name, cost in costs.items() if name != "parameters"]
        cells = [f"{costs['parameters'] / 1e6:.2f} M", *shown]
        return (setting.name, *("-" if "nan" in cell else cell for cell in cells))

    def _notes(self) -> list[str]:
        n_seeds = len({seed for _, seed in self.records})
        interval = "; ± is half the width of a 95 % confidence interval" if n_seeds > 1 else ""
        note = f"{n_seeds} seed{'' if n_seeds == 1 else 's'}{interval}"
        runs = self.failed.items()
        return [note, *(f"failed: {name}, seed {seed}: {error}" for (name, seed), error in runs)]

    def _numbers(self, setting: Setting) -> dict[str, str | float]:
        """What `csv` writes of a setting, by the column's name."""
        table = self.table
        ours, other = (AP_NAMES[kind][:-3] for kind in (table.iou_type, table.other_iou_type))
        estimates = {f"{ours}_{metric}": self.mean(setting, metric) for metric in METRICS}
        estimates[f"{other}_ap"] = self.mean(setting, iou_type=table.other_iou_type)
        for metric in ("ap", "ap75"):
            estimates[f"{ours}_{metric}_difference"] = self.difference(setting, metric)
        numbers: dict[str, float] = {}
        for name, value in estimates.items():
            numbers |= {name: value.mean, f"{name}_ci": (value.high - value.low) / 2}
        for metric in METRICS:
            score = setting.paper_score(metric)
            numbers[f"paper_{metric}"] = nan if score is None else score
        numbers |= {name: self.cost(setting, name) for name in COSTS}
        n_seeds = len(self.scores(setting))
        row = {"table": table.name, "setting": setting.name, "seeds": n_seeds}
        shown = {k: "" if isnan(v) else f"{round(v, 3):g}" for k, v in numbers.items()}
        return row | shown | {"parameters": f"{numbers['parameters']:.0f}".replace("nan", "")}
