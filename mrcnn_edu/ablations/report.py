"""A report: the results as a page that reads by itself, and as a table of all runs.

report.html says what was asked, what came out, how sure that is, and how to repeat it. It is a
single file. report.csv has a row for each run, to compute with.
"""

import csv
import io
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from itertools import chain
from math import isnan
from pathlib import Path

import mrcnn_edu
from mrcnn_edu.ablations.campaign import in_words
from mrcnn_edu.ablations.dial import warning_of_steps
from mrcnn_edu.ablations.estimate import Estimate
from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.page import code, figure, folded, items, page, section, table, tag
from mrcnn_edu.ablations.question import MINE, Question
from mrcnn_edu.ablations.repeat import code_of, command_of, world_of
from mrcnn_edu.ablations.results import COSTS, Results
from mrcnn_edu.ablations.switches import switches_of
from mrcnn_edu.ablations.tables import AP_NAMES, METRICS, Setting
from mrcnn_edu.ablations.worlds import WORLDS
from mrcnn_edu.files import write_file
from mrcnn_edu.viz.charts import show_seeds
from mrcnn_edu.viz.compare import show_learning, show_paired_differences

HTML, CSV = "report.html", "report.csv"
TITLES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75"}
HOW_TO_READ = (
    "Seed by seed, all settings start from the same weights and see the same images in the same "
    "order, so what two seeds differ in cancels in the paired difference. A 95 % interval that "
    "excludes 0 decides a comparison; of twenty such intervals, about one decides wrongly. Where "
    "it includes 0, nothing was shown: neither a difference nor that there is none."
)


def write_report(
    results: Results,
    folder: str | Path,
    question: Question | None = None,
    command: str | None = None,
) -> Path:
    """Write report.html and report.csv into a folder, which is made if needed; the page's path.

    results: of any table, also of one that isn't finished. question: what was asked, which may have
    more settings than the results; it adds the runs that are missing, the training and the data,
    and how to repeat them all. command: the command line, if it isn't the question's.
    """
    folder = Path(folder)
    write_file(folder / CSV, runs_csv(results).encode())
    write_file(folder / HTML, report_html(results, question, command).encode())
    return folder / HTML


def report_html(
    results: Results, question: Question | None = None, command: str | None = None
) -> str:
    """The page that `write_report` writes."""
    asked = results.table
    title = "An ablation of my own" if asked.name == MINE else f"Table {asked.name}"
    warning = warning_of_steps(question) if question is not None else ""
    return page(
        f"{title}: {asked.question}",
        tag("h1", asked.question if asked.name != MINE else "Which of these settings is better?"),
        tag("p", _subtitle(results, question), "soft"),
        items([f"{s.name}: {_switches(s)}" for s in asked.settings] if asked.name == MINE else []),
        section(
            f"What came out, in {asked.ap_name}",
            items(_verdicts(results), "verdicts"),
            tag("p", warning, "soft"),
        ),
        section("Differences", *_differences(results)),
        section("Scores", *_scores(results)),
        section("While they learned", *_learning(results)),
        section("Failed and missing runs", items(_gaps(results, question))),
        section("What it costs", _costs(results)),
        section("Settings, training and data", *_settings(results, question)),
        section("Made with", items(_versions(results))),
        section("Do it again", *_repeat(results, question, command)),
    )


def runs_csv(results: Results) -> str:
    """A row for each run: the setting, the seed, all scores in percent, and what it cost."""
    names = dict.fromkeys(
        chain.from_iterable(_flat_scores(record) for record in results.records.values())
    )
    file = io.StringIO()
    titles = ["table", "setting", "switches", "seed", *names, *COSTS, "failed"]
    writer = csv.DictWriter(file, titles, restval="", lineterminator="\n")
    writer.writeheader()
    switches = {setting.name: " ".join(switches_of(setting)) for setting in results.table.settings}
    for (name, seed), record in results.records.items():
        row = {"table": results.table.name, "setting": name, "seed": seed}
        row |= {"switches": switches.get(name, ""), "failed": record.get("failed", "")}
        costs = {cost: record[cost] for cost in COSTS if cost in record}
        writer.writerow(row | _flat_scores(record) | costs)
    return file.getvalue()


def _flat_scores(record: Mapping) -> dict[str, float]:
    return {
        f"{kind.replace(' ', '_')}_{metric}": value
        for kind, values in record.get("scores", {}).items()
        for metric, value in values.items()
    }


def _subtitle(results: Results, question: Question | None) -> str:
    n = len({seed for _, seed in results.records})
    parts = [f"{n} seed{'' if n == 1 else 's'} of each setting"]
    if question is not None:
        parts.append(f"{question.steps} training steps")
    model = results.table.paper_model
    parts.append("the paper changes " + model if _in_paper(results) else model)
    return "; ".join(parts) + "."


def _in_paper(results: Results) -> bool:
    return any(setting.paper_score() is not None for setting in results.table.settings)


def _verdicts(results: Results) -> list[str]:
    others = results.table.settings[1:]
    if not others:
        return [f"There is one setting alone, {results.table.settings[0].name}: nothing to compare"]
    return [results.verdict(setting) for setting in others]


def _differences(results: Results) -> list[str]:
    """The forest plot, and a table with both intervals."""
    asked, (first, *others) = results.table, results.table.settings
    if not others:
        return []
    rows = [("compared with " + first.name, "metric", "pairs", "paired difference", "95 % interval",
             "unpaired 95 % interval") + ("the paper's",) * _in_paper(results)]  # fmt: skip
    for setting in others:
        for metric in METRICS:
            paired, unpaired = (
                results.difference(setting, metric),
                results.unpaired(setting, metric),
            )
            paper = (asked.paper_difference(setting, metric) or "-",) * _in_paper(results)
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


def _scores(results: Results) -> list[str]:
    """Every seed as a dot, the table of means, and folded: each seed, and each class."""
    asked = results.table
    chart = figure(
        show_seeds(*results.by_seed(), asked.ap_name),
        f"A dot is the {asked.ap_name} of a seed, a bar their mean: "
        + "; ".join(f"{s.name} {results.mean(s):.1f}" for s in asked.settings) + ".",
    )  # fmt: skip
    title = f"{AP_NAMES[asked.iou_type][:-2]}"
    rows = [("setting", "seeds", *(title + TITLES[m] for m in METRICS), "95 % interval of AP",
             asked.other_ap_name) + ("the paper's AP",) * _in_paper(results)]  # fmt: skip
    for setting in asked.settings:
        mean = results.mean(setting)
        paper = setting.paper_score()
        means = [f"{results.mean(setting, metric):.1f}" for metric in METRICS]
        other = f"{results.mean(setting, iou_type=asked.other_iou_type):.1f}"
        shown = ("-" if paper is None else f"{paper:.1f}",) * _in_paper(results)
        rows.append((setting.name, str(mean.n), *means, _interval(mean), other, *shown))
    means = table(rows, "Means over the seeds, ± half of the 95 % interval")
    return [chart, means, folded("Every seed", _by_seed(results)), *_by_class(results)]


def _by_seed(results: Results) -> str:
    seeds = sorted({seed for _, seed in results.records})
    rows = [("setting", *(f"seed {seed}" for seed in seeds))]
    for setting in results.table.settings:
        scores = results.scores(setting)
        rows.append((setting.name, *(_number(scores.get(seed)) for seed in seeds)))
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
        scores = [found.get(name, {}).get(label) for label in labels]
        rows.append((name, *(_number(statistics.fmean(s) if s else None) for s in scores)))
    return [table(rows, f"{results.table.ap_name} by class, means over the seeds")]


def _learning(results: Results) -> list[str]:
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
    scores = {
        name: [dict(run["scores"].get(score, ())) for run in each] for name, each in curves.items()
    }
    caption = (
        f"Left, the sum of {len(shared)} losses during training, a line for each run. Right, "
        f"the {asked.ap_name} on a few images after each quarter of the steps."
    )
    return [figure(show_learning(losses, scores, f"{asked.ap_name}, on a few images"), caption)]


def _total(run: Mapping, names: Iterable[str]) -> dict[float, float]:
    """The sum of the losses of those names, by step."""
    sums = map(sum, zip(*(run["losses"][name] for name in sorted(names)), strict=True))
    return {(i + 1) * run["every"]: total for i, total in enumerate(sums)}


def _gaps(results: Results, question: Question | None) -> list[str]:
    texts = [f"{name}, seed {seed}, failed: {why}" for (name, seed), why in results.failed.items()]
    if question is not None:
        names = {setting.name for setting in results.table.settings}
        missing = [run for run in question.jobs() if run[0] in names and run not in results.records]
        texts += [f"{name}, seed {seed}, has not been run yet" for name, seed in missing]
    return texts


def _costs(results: Results) -> str:
    rows = [("setting", "parameters", "seconds of training", "MB kept for a step", "ms per image")]
    for setting in results.table.settings:
        costs = [results.cost(setting, name) for name in COSTS]
        rows.append((setting.name, *("-" if isnan(cost) else f"{cost:,.0f}" for cost in costs)))
    return table(rows, "Medians over the seeds")


def _settings(results: Results, question: Question | None) -> list[str]:
    """What each setting changes, and what all of them share."""
    rows = [("setting", "switches"), *((s.name, _switches(s)) for s in results.table.settings)]
    parts = [table(rows, "What each setting changes in the base model", "words")]
    if question is None:
        return parts
    first = question.setup.job(question.table, question.table.settings[0], 0, question.steps)
    own = dict(results.table.settings[0].training)
    training = {f.name: getattr(first.training, f.name) for f in fields(first.training)}
    shared = {k: v for k, v in training.items() if k not in own and k != "seed"}
    data = {"trained on": _data(first.train_data), "scored on": _data(first.val_data)}
    if (world := world_of(question)) is not None:
        data = {"world": f"{world}: {WORLDS[world].description}"} | data
    data |= {"augmentation": _fields(non_defaults(first.augmentation)) or "none"}
    return [
        *parts,
        table([("data", "what it is"), *data.items()], "Data", "words"),
        folded(
            "The training that all settings share",
            table([("field", "value"), *_texts(shared)], "Training", "words"),
        ),
        folded(
            f"The model of {question.table.settings[0].name}",
            table([("field", "value"), *_texts(non_defaults(first.config))],
                  "Where it differs from Config()", "words"),
        ),
    ]  # fmt: skip


def _versions(results: Results) -> list[str]:
    records = [record for record in results.records.values() if "failed" not in record]

    def all_of(name: str) -> str:
        return ", ".join(dict.fromkeys(str(r[name]) for r in records if name in r)) or "unknown"

    seconds = sum(record.get("seconds", 0) for record in records)
    now = datetime.now().astimezone()
    return [
        f"mrcnn_edu {mrcnn_edu.__version__}; the code of the runs: {all_of('code_version')}",
        f"PyTorch {all_of('torch')}",
        f"Machine: {all_of('machine')}; threads of a run: {all_of('threads')}",
        f"All runs together trained for {in_words(seconds)}",
        f"Written on {now:%B %-d, %Y, at %H:%M (%Z)}",
    ]


def _repeat(results: Results, question: Question | None, command: str | None) -> list[str]:
    wanted, python = [], None
    if question is not None:
        names = [setting.name for setting in results.table.settings]
        wanted = names if len(names) < len(question.table.settings) else []
        command, python = command or command_of(question, wanted), code_of(question, wanted)
    note = "Runs that are known are not repeated; a run that was stopped resumes."
    return [
        *([tag("p", "The command line:"), code(command)] if command else []),
        *([tag("p", "The same in Python:"), code(python)] if python else []),
        tag("p", note, "soft") if command or python else "",
    ]


def _switches(setting: Setting) -> str:
    return " ".join(switches_of(setting)) or "the base"


def _data(data) -> str:
    return f"{type(data).__name__}: {_fields(non_defaults(data))}"


def _fields(values: Mapping) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _texts(values: Mapping) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in values.items()]


def _ends(found: Estimate) -> tuple[float, float]:
    return found.low, found.high


def _signed(found: Estimate) -> str:
    return "-" if found.n == 0 else f"{found.mean:+.1f}"


def _interval(found: Estimate) -> str:
    return "-" if isnan(found.low) else f"{found.low:.1f} to {found.high:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
