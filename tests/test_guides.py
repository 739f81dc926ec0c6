"""README.md and the guides in docs/: every link leads somewhere, and claims agree with records."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from contents import lessons
from PIL import Image, ImageChops, ImageStat
from prose import bare_places, wrong_words

from mrcnn_edu.ablations import TABLES
from mrcnn_edu.ablations.precomputed import precomputed

ROOT = Path(__file__).resolve().parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
GUIDES = [README, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
GUIDES += sorted(DOCS.glob("*.md"))
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[ ]*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1[ ]*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(\s*<?([^\s()<>]+)|\b(?:src|href|srcset)\s*=\s*[\"']?([^\"'\s>]+)")
ELSEWHERE = re.compile(r"[a-z]+:", re.IGNORECASE)  # https:, mailto:


def name_of(guide: Path) -> str:
    return guide.relative_to(ROOT).as_posix()


def links_of(text: str) -> list[str]:
    """All targets of links and pictures in a Markdown text, outside of code."""
    return [match[1] or match[2] for match in LINK.finditer(CODE.sub("", text))]


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a Markdown text."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", re.sub(FENCE, "", text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number, anchor = 0, slug
        while anchor in anchors:
            number += 1
            anchor = f"{slug}-{number}"
        anchors.add(anchor)
    return anchors


def broken_links(guide: Path) -> list[str]:
    """The links of a guide that lead to no file, or to no heading of it."""
    broken, text = [], guide.read_text()
    for link in links_of(text):
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        file = guide.parent / unquote(path) if path else guide
        is_page = file.is_file() and file.suffix == ".md"
        anchors = anchors_of(file.read_text()) if is_page else set()
        if not file.exists() or (anchor and anchor not in anchors):
            broken.append(link)
    return broken


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(guide):
    assert broken_links(guide) == []
    assert len(links_of(guide.read_text())) > 0


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    guide, other = tmp_path / "guide.md", tmp_path / "a file.md"
    other.write_text("# One\n## What's *new*, in `v2`?\n## One\n```\n# no heading\n```\n")
    good = "[a](a%20file.md#one-1) [b](#here) [c](https://example.org/#x) [d](a%20file.md)\n"
    good += "[e](a%20file.md#whats-new-in-v2) `[f](g)`\n```\n[h](i)\n```\n"
    bad = [
        "missing.md",
        "a%20file.md#two",
        "a%20file.md#no-heading",
        "#there",
        "picture.png",
        "b.webp",
    ]
    text = "".join(f"[x]({link}) " for link in bad[:4])
    text += f'<img src="{bad[4]}"> <source srcset={bad[5]}>'
    guide.write_text(f"# Here\n{good}{text}\n")
    assert broken_links(guide) == bad
    guide.write_text("")
    assert broken_links(guide) == []


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_picture_says_what_it_shows(guide):
    text = CODE.sub("", guide.read_text())
    assert re.findall(r"!\[\s*\]", text) == []
    assert all("alt=" in tag for tag in re.findall(r"<img\b[^>]*>", text))


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_guide_uses_the_words_of_the_field(guide):
    text = guide.read_text()
    assert list(wrong_words(text)) == []
    assert list(bare_places(text)) == []


def test_the_index_lists_every_guide_and_the_readme_leads_to_the_index():
    listed = set(links_of((DOCS / "README.md").read_text()))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= listed
    assert "docs/README.md" in links_of(README.read_text())


def test_every_guide_leads_on():
    for guide in set(DOCS.glob("*.md")):
        others = {link.partition("#")[0] for link in links_of(guide.read_text())}
        assert {path.name for path in DOCS.glob("*.md")} & others, guide.name


@pytest.mark.parametrize(("plan", "hours"), [("an afternoon", 4), ("two days", 16), ("a week", 35)])
def test_the_plans_for_teachers_fit_their_time(plan, hours):
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", (DOCS / "teaching.md").read_text(), re.MULTILINE)
    minutes = {lesson.number: lesson.minutes for lesson in lessons()}
    planned: set[str] = set()
    for time, taken in rows:
        numbers = set(re.findall(r"\b\d\d\b(?=[],]|$)", taken))
        planned = planned | numbers if taken.startswith("these") else numbers
        if time.startswith(plan):
            break
    assert planned and sum(minutes[number] for number in planned) <= 60 * hours


def tags_of(notebook: Path) -> set[str]:
    cells = json.loads(notebook.read_text())["cells"]
    return {tag for cell in cells for tag in cell["metadata"].get("tags", [])}


def test_what_teachers_take_out_is_there():
    text = (DOCS / "teaching.md").read_text()
    lesson = re.search(r"remove_cell_tags (\w+) \\\s+(\S+\.ipynb)", text)
    assert lesson is not None
    assert lesson[1] in tags_of(ROOT / lesson[2])
    named = re.search(r"Cells have tags.*?:(.*?)\. ", text, re.DOTALL)
    assert named is not None
    used = set().union(*(tags_of(path) for path in (ROOT / "notebooks").glob("*.ipynb")))
    assert set(re.findall(r"`([\w-]+)`", named[1])) <= used


def test_the_readme_is_short_and_promises_nothing():
    assert len(README.read_text().splitlines()) <= 120
    for guide in GUIDES:
        promises = re.findall(
            r"not (?:yet )?written|coming soon|\bTODO\b|to come", guide.read_text()
        )
        assert promises == [], guide


def test_the_animation_is_small_and_begins_with_the_still():
    file, still = DOCS / "pictures" / "stages.webp", DOCS / "pictures" / "stages_still.webp"
    assert file.stat().st_size < 1_500_000 and still.stat().st_size < 200_000
    with Image.open(file) as moving, Image.open(still) as first:
        assert moving.n_frames > 50 and moving.info["loop"] == 0  # it goes on forever
        assert moving.size == first.size
        difference = ImageChops.difference(moving.convert("RGB"), first.convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 2  # of 255
        for corner in (0, 0), (first.width - 1, first.height - 1):
            assert first.convert("RGBA").getpixel(corner)[3] == 0  # round on dark pages, too


# ---- the numbers ----


def test_the_scores_of_the_small_model_are_those_of_its_record():
    record = json.loads((ROOT / "mrcnn_edu/weights/shipped/shapes-tiny.json").read_text())
    masks, boxes = (round(100 * record["scores"][kind]["ap"]) for kind in ("segm", "bbox"))
    text = " ".join((DOCS / "models.md").read_text().split())
    assert f"a mask AP of {masks} and a box AP of {boxes}" in text
    assert f"{record['parameters'] / 1e6:.1f} million parameters" in text
    assert f"takes {record['bytes'] / 1e6:.1f} MB" in text and record["seconds"] < 7200


COMPARED = {  # the rows of the guide: the table and the setting that is compared with its first
    "stride 8: RoIPool instead of RoIAlign (34.3)": ("2c", "RoIPool"),
    "stride 8: RoIWarp instead of RoIAlign": ("2c", "RoIWarp, mean"),
    "stride 8: RoIAlign with max instead of mean": ("2c", "RoIAlign, max"),
    "stride 8: softmax instead of sigmoid": ("2b", "softmax"),
    "stride 8: one mask for all classes": ("agnostic", "class-agnostic"),
    "stride 16, 800 steps: RoIPool instead of RoIAlign (19.6)": ("2d", "RoIPool"),
    "outlines that never repeat: MLP instead of FCN (60.3)": ("2e", "MLP, 2 layers"),
    "six outlines again and again, 800 steps: MLP instead of FCN (47.6)": (
        "2e-templates",
        "MLP, 2 layers",
    ),
    "400 steps: a pyramid instead of C4 (34.3)": ("2a", "FPN"),
    "800 steps: a pyramid instead of C4 (42.9)": ("2a-longer", "FPN"),
    "400 steps: a deeper backbone, C4": ("2a", "C4, deeper"),
    "400 steps: a deeper backbone and a pyramid instead of C4": ("2a", "FPN, deeper"),
    "800 steps: boxes learned without masks (box AP 55.1)": ("3", "boxes alone"),
}


@pytest.mark.parametrize("row", COMPARED)
def test_the_ablations_are_the_precomputed_ones(row):
    name, setting_name = COMPARED[row]
    results, table = precomputed(name), TABLES[name]
    setting = table.setting(setting_name)
    here, paper = f"{results.difference(setting):+.1f}", table.paper_difference(setting)
    assert f"| {row} | {here} | {paper} |" in (DOCS / "ablations.md").read_text()
    if given := re.search(r"\((?:box AP )?(\d+\.\d)\)", row):
        assert f"{results.mean(table.settings[0]).mean:.1f}" == given[1]


def test_every_row_of_the_ablations_is_compared():
    rows = re.findall(
        r"^\| (.*?) \| [+-][\d.]+ ± [\d.]+ \| [+-]", (DOCS / "ablations.md").read_text(), re.M
    )
    assert rows == list(COMPARED)
