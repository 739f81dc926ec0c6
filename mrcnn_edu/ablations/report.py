"""A report: the results as a page that reads by itself, and as a table of all runs.

report.html says what was asked, what came out, how sure that is, and how to repeat it. It is a
single file. report.csv has a row for each run, to compute with.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from itertools import chain
from pathlib import Path

import mrcnn_edu
from mrcnn_edu.ablations.campaign import in_words
from mrcnn_edu.ablations.dial import warning_of_steps
from mrcnn_edu.ablations.evidence import costs, differences, is_in_paper, learning, scores
from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.page import code, folded, items, page, section, table, tag
from mrcnn_edu.ablations.question import MINE, Question
from mrcnn_edu.ablations.repeat import code_of, command_of, world_of
from mrcnn_edu.ablations.results import COSTS, Results
from mrcnn_edu.ablations.switches import switches_of
from mrcnn_edu.ablations.tables import Setting
from mrcnn_edu.ablations.worlds import WORLDS
from mrcnn_edu.files import write_file

HTML, CSV = "report.html", "report.csv"


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
    texts = {CSV: runs_csv(results), HTML: report_html(results, question, command)}
    for name, text in texts.items():  # a folder's name may have bytes that are no text
        write_file(folder / name, text.encode(errors="backslashreplace"))
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
        section("Differences", *differences(results)),
        section("Scores", *scores(results)),
        section("While they learned", *learning(results)),
        section("Failed and missing runs", items(_gaps(results, question))),
        section("What it costs", costs(results)),
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
    parts.append("the paper changes " + model if is_in_paper(results) else model)
    return "; ".join(parts) + "."


def _verdicts(results: Results) -> list[str]:
    others = results.table.settings[1:]
    if not others:
        return [f"There is one setting alone, {results.table.settings[0].name}: nothing to compare"]
    return [results.verdict(setting) for setting in others]


def _gaps(results: Results, question: Question | None) -> list[str]:
    texts = [f"{name}, seed {seed}, failed: {why}" for (name, seed), why in results.failed.items()]
    if question is not None:
        names = {setting.name for setting in results.table.settings}
        missing = [run for run in question.jobs() if run[0] in names and run not in results.records]
        texts += [f"{name}, seed {seed}, has not been run yet" for name, seed in missing]
    return texts


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
        f"Written on {now:%B} {now.day}, {now:%Y, at %H:%M (%Z)}",
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
