"""The results of a table: means over seeds, and differences from the table's first setting.

Seed s of every setting starts from the same weights and sees the same images in the same order. So
settings are compared seed by seed: what two seeds differ in cancels in the difference.
"""

import statistics
from dataclasses import dataclass
from math import nan

from mrcnn_edu.ablations.estimate import Estimate, estimate, more_seeds, unpaired_difference
from mrcnn_edu.ablations.tables import Setting, Table


@dataclass(frozen=True)
class Comparison:
    """A table, and the record of each (setting's name, seed) as `measure` returns it.

    metric: "ap", "ap50", "ap75", "ap_small", ... iou_type: "segm" or "bbox", by default the
    table's. Scores are in percent.
    """

    table: Table
    records: dict[tuple[str, int], dict]

    def scores(
        self, setting: Setting, metric: str = "ap", iou_type: str | None = None
    ) -> dict[int, float]:
        """The score of each seed; failed runs are left out.

        Empty if the setting has no such score, as a model without masks has no mask AP.
        """
        iou_type = iou_type or self.table.iou_type
        decoding = setting.changes.get("mask_decoding")
        name = f"{iou_type} {decoding}" if decoding and iou_type == "segm" else iou_type
        return {
            seed: record["scores"][name][metric]
            for (setting_name, seed), record in self.records.items()
            if setting_name == setting.name and metric in record.get("scores", {}).get(name, {})
        }

    def mean(self, setting: Setting, metric: str = "ap", iou_type: str | None = None) -> Estimate:
        """The score's mean over the seeds."""
        return estimate(list(self.scores(setting, metric, iou_type).values()))

    def difference(
        self, setting: Setting, metric: str = "ap", iou_type: str | None = None
    ) -> Estimate:
        """The setting's score minus the first setting's, over the seeds that both have."""
        return estimate(list(self.paired(setting, metric, iou_type).values()))

    def paired(
        self, setting: Setting, metric: str = "ap", iou_type: str | None = None
    ) -> dict[int, float]:
        """The setting's score minus the first setting's, for each seed that both have."""
        first = self.scores(self.table.settings[0], metric, iou_type)
        scores = self.scores(setting, metric, iou_type)
        return {seed: scores[seed] - first[seed] for seed in scores if seed in first}

    def unpaired(self, setting: Setting, metric: str = "ap") -> Estimate:
        """The same difference, as if the seeds of the two settings had nothing to do with another.

        Beside `difference`, it shows what pairing is worth.
        """
        first, scores = (self.scores(s, metric) for s in (self.table.settings[0], setting))
        return unpaired_difference(list(first.values()), list(scores.values()))

    def verdict(self, setting: Setting, metric: str = "ap") -> str:
        """What the seeds so far say of the setting, compared with the first one, in words."""
        first, differences = self.table.settings[0], list(self.paired(setting, metric).values())
        names = f"{setting.name} and {first.name}"
        if len(differences) < 2:
            return f"{names}: two seeds of both are needed for an interval"
        found, n = estimate(differences), more_seeds(differences)
        if n == 0:
            word = "better" if found.mean > 0 else "worse"
            return f"{setting.name} is {word} than {first.name}: {found:+.1f}"
        if n is None:
            return f"{names}: undecided, {found:+.1f}; more seeds than 100 would be needed"
        return f"{names}: undecided, {found:+.1f}; about {n} more seed{'s' * (n > 1)}"

    def relative_gain(self, setting: Setting, metric: str = "ap") -> tuple[float, float]:
        """The gain of the first setting over this one, as a fraction of this one's score.

        Here, from the means over the seeds, and in the paper, NaN where it has no number.
        """
        first = self.table.settings[0]
        gain = self.mean(first, metric).mean / self.mean(setting, metric).mean - 1
        paper_first, paper = first.paper_score(metric), setting.paper_score(metric)
        if paper_first is None or paper is None:
            return gain, nan
        return gain, paper_first / paper - 1

    @property
    def differences(self) -> str:
        """A line of text for each setting: its difference from the first, here and in the paper."""
        others = self.table.settings[1:]
        width = max((len(setting.name) for setting in others), default=0)
        lines = []
        for setting in others:
            in_paper = self.table.paper_difference(setting)
            paper = f"  the paper's {in_paper}" if in_paper else ""
            lines.append(f"{setting.name:{width}} {self.difference(setting):+.1f}{paper}")
        return "\n".join(lines)

    def cost(self, setting: Setting, name: str) -> float:
        """The median over seeds of "parameters", "seconds", "step_megabytes", ..."""
        values = [
            record[name]
            for (setting_name, _), record in self.records.items()
            if setting_name == setting.name and name in record
        ]
        return statistics.median(values) if values else nan

    def by_seed(self, metric: str = "ap") -> tuple[dict[str, list[float]], dict[str, float]]:
        """For a chart: the scores of each setting, seed by seed, and the paper's scores."""
        settings, paper = self.table.settings, {}
        for setting in settings:
            if (score := setting.paper_score(metric)) is not None:
                paper[setting.name] = score
        return {s.name: list(self.scores(s, metric).values()) for s in settings}, paper

    @property
    def failed(self) -> dict[tuple[str, int], str]:
        """The error of each (setting's name, seed) that has no result."""
        return {run: record["failed"] for run, record in self.records.items() if "failed" in record}
