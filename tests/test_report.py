"""Reports: what the page and the table of runs say, read back by a parser."""

import csv
import io
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mrcnn_edu.ablations import (
    TABLES,
    WORLDS,
    Folder,
    Results,
    Setting,
    Setup,
    ask,
    ask_table,
    parse_setting,
    precomputed,
)  # fmt: skip
from mrcnn_edu.ablations.question import Question
from mrcnn_edu.ablations.repeat import code_of, command_of
from mrcnn_edu.ablations.report import report_html, runs_csv, write_report
from mrcnn_edu.ablations.worlds import World
from mrcnn_edu.data import Shapes

VOID = {"meta", "img", "br", "link"}
EVIL = '<script>alert("x")</script> & $a$ "ü" 日本'


class Page(HTMLParser):
    """The page's tables by their captions, its texts by tag, its pictures; all tags closed."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.tables, self.texts, self.images, self.tags = [], {}, [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))
        if tag == "tr":
            self.row = []
            self.rows.append(self.row)
        if tag == "caption":
            self.rows = self.tables.setdefault("", [])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append((self.open[-1] if self.open else "", text))
        if self.open and self.open[-1] == "caption":
            self.rows = self.tables[text] = []
        if self.open and self.open[-1] in ("td", "th"):
            self.row.append(text)

    def all(self, tag):
        return [text for of, text in self.texts if of == tag]


def record(ap, **changes):
    scores = {"ap": ap, "ap50": ap + 20, "ap75": ap - 5}
    curves = {
        "every": 2,
        "losses": {"loss_mask": [1.0, 0.5], "loss_classifier": [2.0, 1.0]},
        "scores": {"segm ap": [[2, ap / 2], [4, ap]]},
    }
    return {
        "scores": {"segm": scores, "bbox": {name: v + 10 for name, v in scores.items()}},
        "per_class": {"segm": {"ring": ap, EVIL: ap + 1}}, "curves": curves, "seconds": 60.0,
        "parameters": 755974, "step_megabytes": 28.4, "milliseconds_per_image": 36.0,
        "code_version": "abc", "torch": "2.9", "machine": "x86_64", "threads": 1,
    } | changes  # fmt: skip


@pytest.fixture
def asked() -> Question:
    settings = [parse_setting("A", []), parse_setting("B", ["roi_op=pool", "mask_loss=softmax"])]
    return ask(settings, WORLDS["crowded"], steps=100, seeds=3)


@pytest.fixture
def results(asked) -> Results:
    values = {"A": (30.0, 31.0, 33.0), "B": (25.0, 26.5, 27.0)}
    records = {(n, s): record(v) for n, each in values.items() for s, v in enumerate(each)}
    return Results(asked.table, records)


def test_the_page_has_the_numbers_of_the_records(results, asked, tmp_path):
    file = write_report(results, tmp_path / "new" / "folder", asked)
    assert file == tmp_path / "new" / "folder" / "report.html"
    page = Page(file.read_text(encoding="utf-8"))
    second = results.table.settings[1]
    titles, *rows = page.tables["Differences"]
    assert titles[:3] == ["compared with A", "metric", "pairs"]
    found, unpaired = results.difference(second), results.unpaired(second)
    assert rows[0] == [
        "B", "mask AP", "3", f"{found.mean:+.1f}", f"{found.low:.1f} to {found.high:.1f}",
        f"{unpaired.low:.1f} to {unpaired.high:.1f}",
    ]  # fmt: skip
    assert found.mean == pytest.approx((-5 - 4.5 - 6) / 3)
    means = page.tables["Means over the seeds, ± half of the 95 % interval"]
    assert [row[0] for row in means] == ["setting", "A", "B"]
    assert means[1][2] == f"{results.mean(results.table.settings[0]):.1f}" and means[1][1] == "3"
    assert page.tables["mask AP of every seed"][2] == ["B", "25.0", "26.5", "27.0"]
    by_class = page.tables["mask AP by class, means over the seeds"]
    assert by_class[0] == ["setting", "ring", EVIL] and by_class[2][1:] == ["26.2", "27.2"]
    assert results.verdict(second) in page.all("li")
    assert page.tables["Medians over the seeds"][1] == ["A", "755,974", "60", "28", "36"]


def test_the_page_says_what_was_asked_and_how_to_repeat_it(results, asked):
    page = Page(report_html(results, asked))
    (command, code) = page.all("code")
    assert command == (
        "mrcnn-edu ablate --a --b roi_op=pool mask_loss=softmax --world crowded --neck c4 "
        "--steps 100 --seeds 3"
    )
    assert "parse_setting('B', ['roi_op=pool', 'mask_loss=softmax'])" in code
    texts = " ".join(text for _, text in page.texts)
    for words in (
        "B: roi_op=pool mask_loss=softmax", "After 100 steps", "eight to twelve objects",
        "PyTorch 2.9", "x86_64", "abc", "trained for 6 minutes", "one interval in twenty",
    ):  # fmt: skip
        assert words in texts, words


def test_the_page_needs_nothing_else_and_has_alt_texts(results, asked):
    html = report_html(results, asked)
    page = Page(html)
    assert len(page.images) == 3
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.images)
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    assert not re.search(r"https?:|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html


def test_whatever_a_name_is_it_is_text(tmp_path):
    settings = (Setting(EVIL), Setting("=1+1", {"roi_op": EVIL}))
    table = replace(TABLES["2d"], name=EVIL, question=EVIL, settings=settings, paper_model=EVIL)
    records = {(s.name, i): record(9.0 + i) for s in settings for i in range(2)}
    records[EVIL, 1] = {"failed": EVIL}
    file = write_report(Results(table, records), tmp_path / EVIL.replace("/", "_"), None, EVIL)
    page = Page(file.read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert EVIL in page.all("h1") and EVIL in page.all("code")
    assert f"{EVIL}, seed 1, failed: {EVIL}" in page.all("li")


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_can_be_reported(name, tmp_path):
    page = Page(report_html(precomputed(name), ask_table(TABLES[name], 5)))
    assert page.all("h1") == [TABLES[name].question]
    command = f"mrcnn-edu ablate {name} --steps {TABLES[name].steps} --seeds 5"
    assert page.all("code")[0] == command
    has_paper = any(setting.paper_score() for setting in TABLES[name].settings)
    assert ("the paper's" in page.tables["Differences"][0]) == has_paper


def test_a_report_of_little_says_what_is_missing(results, asked):
    one = Results(asked.table, {("A", 0): record(30.0), ("B", 0): {"failed": "OSError: full"}})
    items = Page(report_html(one, asked)).all("li")
    assert (
        "B, seed 0, failed: OSError: full" in items and "A, seed 2, has not been run yet" in items
    )
    for nothing in ({}, {("A", 0): {"failed": "OSError: full"}}):
        Page(report_html(Results(asked.table, nothing), asked))
        assert runs_csv(Results(asked.table, nothing)).startswith("table,setting,switches,seed")
    alone = replace(asked.table, settings=asked.table.settings[:1])
    page = Page(report_html(Results(alone, results.records), asked))
    assert "Differences" not in page.tables and "--setting A" in page.all("code")[0]


def test_models_without_masks_are_compared_by_their_boxes():
    settings = [parse_setting("A", []), parse_setting("B", ["mask_head=none"])]
    asked = ask(settings, WORLDS["shapes"])
    boxes = record(40.0)
    del boxes["scores"]["segm"], boxes["per_class"]["segm"], boxes["curves"]["losses"]["loss_mask"]
    results = Results(asked.table, {("A", 0): record(30.0), ("B", 0): boxes})
    page = Page(report_html(results, asked))
    assert page.tables["box AP of every seed"][1:] == [["A", "40.0"], ["B", "50.0"]]
    assert any("the sum of 1 losses" in image["alt"] for image in page.images)


def test_the_table_of_runs_has_every_score(results, tmp_path):
    results.records["B", 2] = {"failed": "ValueError: a, b"}
    write_report(results, tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))
    assert len(rows) == 6 and [row["seed"] for row in rows] == ["0", "1", "2"] * 2
    for row in rows[:5]:
        scores = results.records[row["setting"], int(row["seed"])]["scores"]
        assert float(row["segm_ap75"]) == scores["segm"]["ap75"]
        assert float(row["bbox_ap"]) == scores["bbox"]["ap"] and row["seconds"] == "60.0"
    assert rows[5]["failed"] == "ValueError: a, b" and rows[5]["segm_ap"] == ""
    assert rows[5]["switches"] == "roi_op=pool mask_loss=softmax"


def test_a_report_is_written_whole_or_not_at_all(results, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OSError, match="file"):
        write_report(results, file)
    assert file.read_text() == "mine"
    write_report(results, tmp_path / "a")
    write_report(results, tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.csv", "report.html"]


# Repeating


def folder() -> Folder:
    return Folder("my photos/images", "my photos/it's.json")


QUESTIONS = {
    "own": lambda: ask([parse_setting("A", []), parse_setting("B", ["anchor_ratios=0.5,1,2",
                        "learning_rate=0.001", "mask_head=mlp"])], WORLDS["small"], 50, 2, "fpn"),
    "table": lambda: ask_table(TABLES["2a-longer"], 4),
    "world": lambda: Question(replace(TABLES["2c"], outlines="lobes"),
                              Setup(train_data=WORLDS["lobes"].train, val_data=WORLDS["lobes"].val),
                              7, (3, 5)),
    "scenes": lambda: ask([parse_setting("A", []), parse_setting("C", ["roi_op=warp"])],
                          World("", Shapes(4), Shapes(2, seed=9)), 5, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_python_code_makes_the_same_jobs(name, monkeypatch):
    import mrcnn_edu.ablations as ablations

    question, jobs = QUESTIONS[name](), []

    def run(table, seeds, steps, setup=None, settings=None):
        table = ablations.table_of(table)
        jobs.extend((setup or Setup()).job(table, s, seed, steps)
                    for seed in seeds for s in table.settings)  # fmt: skip

    monkeypatch.setattr(ablations, "run", run)
    code = code_of(question)
    exec(code, {})
    assert jobs == list(question.jobs().values())


def test_commands_quote_what_a_shell_would_split(monkeypatch):
    monkeypatch.setattr(Folder, "classes", ["cat", "dog"])
    asked = ask([parse_setting("A", []), parse_setting("B", ["roi_op=pool"])],
                World("", folder(), folder()), 5, 2)  # fmt: skip
    words = shlex.split(command_of(asked))
    at = words.index("--data")
    assert words[at : at + 4] == [
        "--data", "my photos/images", "--annotations", "my photos/it's.json",
    ]  # fmt: skip
    assert "Folder(images='my photos/images'" in code_of(asked)


def test_what_no_command_can_say_has_none():
    assert command_of(QUESTIONS["scenes"]()) is None
    mine = replace(TABLES["2d"], name="mine")
    assert command_of(ask_table(mine)) is None is code_of(ask_table(mine))
    assert command_of(QUESTIONS["world"]()).splitlines() == [
        f"mrcnn-edu ablate 2c --world lobes --steps 7 --seed {seed}" for seed in (3, 5)
    ]
    full = Question(TABLES["2c"], Setup("r50", "c4"), 9, (0,))
    assert command_of(full, ["RoIPool"]) == (
        "mrcnn-edu ablate 2c --setting RoIPool --config c4-r50 --steps 9 --seeds 1"
    )
