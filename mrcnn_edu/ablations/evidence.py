"""The evidence of a report: its tables of numbers, and the pictures of the same numbers."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import isnan

from mrcnn_edu.ablations.estimate import Estimate
from mrcnn_edu.ablations.page import figure, folded, table, tag
from mrcnn_edu.ablations.results import COSTS, Results
from mrcnn_edu.ablations.tables import AP_NAMES, METRICS
from mrcnn_edu.viz.charts import show_seeds
from mrcnn_edu.viz.compare import show_learning, show_paired_differences

TITLES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75"}
HOW_TO_READ = (
    "Seed by seed, all settings start from the same weights and see the same images in the same "
    "order, so what two seeds differ in cancels in the paired difference. A comparison counts as "
    "decided if its 95 % interval excludes 0. Where two settings do not differ at all, about one "
    "interval in twenty does so by chance. An interval that includes 0 shows neither that there is "
    "a difference nor that there is none."
)


def differences(results: Results) -> list[str]:
    """The forest plot, and a table with both intervals."""
    asked, (first, *others) = results.table, results.table.settings
    if not others:
        return []
    rows = [("compared with " + first.name, "metric", "pairs", "paired difference", "95 % interval",
             "unpaired 95 % interval") + ("the paper's",) * is_in_paper(results)]  # fmt: skip
    for setting in others:
        for metric in METRICS:
            paired = results.difference(setting, metric)
            unpaired = results.unpaired(setting, metric)
            paper = (asked.paper_difference(setting, metric) or "-",) * is_in_paper(results)
            name = f"{AP_NAMES[asked.iou_type][:-2]}{TITLES[metric]}"
            numbers = str(paired.n), _signed(paired), _interval(paired), _interval(unpaired)
            rows.append((setting.name, name, *numbers, *paper))
    return [_forest(results), table(rows, "Differences"), tag("p", HOW_TO_READ, "soft")]


def _forest(results: Results) -> str:
    asked, (first, *others) = results.table, results.table.settings
    pairs = {s.name: list(results.paired(s).values()) for s in others}
    intervals = {s.name: _ends(results.difference(s)) for s in others}
    unpaired = {s.name: _ends(results.unpaired(s)) for s in others}
    paper = {s.name: float(d) for s in others if (d := asked.paper_difference(s))}
    label = f"difference in {asked.ap_name} from {first.name}"
    picture = show_paired_differences(pairs, intervals, label, paper, unpaired)
    found = "; ".join(f"{s.name} {results.difference(s):+.1f}" for s in others)
    return figure(picture, f"A dot is a seed's {label}, a square their mean: {found}.")


def scores(results: Results) -> list[str]:
    """Every seed as a dot, the table of means, and folded: each seed, and each class."""
    asked = results.table
    chart = figure(
        show_seeds(*results.by_seed(), asked.ap_name),
        f"A dot is the {asked.ap_name} of a seed, a bar their mean: "
        + "; ".join(f"{s.name} {results.mean(s):.1f}" for s in asked.settings) + ".",
    )  # fmt: skip
    title = f"{AP_NAMES[asked.iou_type][:-2]}"
    rows = [("setting", "seeds", *(title + TITLES[m] for m in METRICS), "95 % interval of AP",
             asked.other_ap_name) + ("the paper's AP",) * is_in_paper(results)]  # fmt: skip
    for setting in asked.settings:
        mean = results.mean(setting)
        paper = setting.paper_score()
        means = [f"{results.mean(setting, metric):.1f}" for metric in METRICS]
        other = f"{results.mean(setting, iou_type=asked.other_iou_type):.1f}"
        shown = ("-" if paper is None else f"{paper:.1f}",) * is_in_paper(results)
        rows.append((setting.name, str(mean.n), *means, _interval(mean), other, *shown))
    means = table(rows, "Means over the seeds, ± half of the 95 % interval")
    return [chart, means, folded("Every seed", _by_seed(results)), *_by_class(results)]


def _by_seed(results: Results) -> str:
    seeds = sorted({seed for _, seed in results.records})
    rows = [("setting", *(f"seed {seed}" for seed in seeds))]
    for setting in results.table.settings:
        found = results.scores(setting)
        rows.append((setting.name, *(_number(found.get(seed)) for seed in seeds)))
    return table(rows, f"{results.table.ap_name} of every seed")


def _by_class(results: Results) -> list[str]:
    """The mean score of each class, where the records have them."""
    found: dict[str, dict[str, list[float]]] = {}
    kind = results.table.iou_type
    for (name, _), record in results.records.items():
        for label, score in record.get("per_class", {}).get(kind, {}).items():
            found.setdefault(name, {}).setdefault(label, []).append(score)
    # Scores by class are those of the first way to decode masks alone.
    named = [s.name for s in results.table.settings if "mask_decoding" not in s.changes]
    labels = list(dict.fromkeys(chain.from_iterable(found.get(name, {}) for name in named)))
    if not labels:
        return []
    rows = [("setting", *labels)]
    for name in named:
        of_each = [found.get(name, {}).get(label) for label in labels]
        rows.append((name, *(_number(statistics.fmean(s) if s else None) for s in of_each)))
    return [table(rows, f"{results.table.ap_name} by class, means over the seeds")]


def learning(results: Results) -> list[str]:
    """The losses and the scores during training, where the records have them."""
    asked = results.table
    curves = {
        setting.name: [
            record["curves"]
            for (name, _), record in results.records.items()
            if name == setting.name and record.get("curves", {}).get("losses")
        ]
        for setting in asked.settings
        if "mask_decoding" not in setting.changes
    }
    runs = list(chain.from_iterable(curves.values()))
    if not runs:
        return []
    shared = set.intersection(*(set(run["losses"]) for run in runs))
    losses = {name: [_total(run, shared) for run in each] for name, each in curves.items()}
    score = f"{asked.iou_type} ap"
    measured = {
        name: [dict(run["scores"].get(score, ())) for run in each] for name, each in curves.items()
    }
    caption = (
        f"Left, the sum of {len(shared)} losses during training, a line for each run. Right, "
        f"the {asked.ap_name} on a few images after each quarter of the steps."
    )
    return [figure(show_learning(losses, measured, f"{asked.ap_name}, on a few images"), caption)]


def _total(run: Mapping, names: Iterable[str]) -> dict[float, float]:
    """The sum of the losses of those names, by step."""
    sums = map(sum, zip(*(run["losses"][name] for name in sorted(names)), strict=True))
    return {(i + 1) * run["every"]: total for i, total in enumerate(sums)}


def costs(results: Results) -> str:
    """A table of what the settings cost."""
    titles = "setting", "parameters", "seconds of training", "MB kept for a step", "ms per image"
    rows: list[Sequence[str]] = [titles]
    for setting in results.table.settings:
        values = [results.cost(setting, name) for name in COSTS]
        rows.append((setting.name, *("-" if isnan(value) else f"{value:,.0f}" for value in values)))
    return table(rows, "Medians over the seeds")


def is_in_paper(results: Results) -> bool:
    """Whether the paper has numbers of this table."""
    return any(setting.paper_score() is not None for setting in results.table.settings)


def _ends(found: Estimate) -> tuple[float, float]:
    return found.low, found.high


def _signed(found: Estimate) -> str:
    return "-" if found.n == 0 else f"{found.mean:+.1f}"


def _interval(found: Estimate) -> str:
    return "-" if isnan(found.low) else f"{found.low:.1f} to {found.high:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
