"""The table of contents: the order of the lessons, and the question that each of them answers.

    python notebooks/contents.py

It writes the table of the lessons into README.md and their list into lesson 00, between the marks
that are there. A lesson's title and its minutes are read from its source, so that they are written
in one place only. After you add a lesson, or change a title or the minutes, run it again.
"""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

NOTEBOOKS = Path(__file__).resolve().parent
README = NOTEBOOKS.parent / "README.md"
FIRST = NOTEBOOKS / "src" / "00_start_here.py"
START, END = "<!-- lessons -->", "<!-- /lessons -->"
QUESTIONS = {  # of each lesson, by the name of its files, in the order in which they are read
    "00_start_here": "What happens between an image and the objects that are outlined in it?",
    "01_data": "What is the ground truth of an image, and how is it stored in a file?",
    "02_boxes": "When do two boxes show the same object, and which of them should stay?",
    "03_history": "Which steps led from labels for whole images to an outline for each object?",
    "04_backbone": "On which feature map should a network look for an object?",
    "05_anchors": "How can a network with a fixed output shape return any number of boxes?",
    "06_rpn": "Which of thousands of anchors are worth a closer look?",
    "07_roi_align": "What does it cost a mask when coordinates are rounded to whole numbers?",
    "08_heads": "Why should a mask keep its layout in every layer, and how fine must it be?",
    "17_costs": "What does each part cost, and what is saved by sharing it among regions?",
    "09_mask_loss": "Why should the classes not compete for a pixel?",
    "10_training": "Which boxes does a network learn from, and how do you see that it learns?",
    "11_average_precision": "How can one number evaluate a ranked list of detections?",
    "12_ablations": "Which part of the network earns its place, and how sure can you be?",
    "13_fcis": "Can a network predict masks without a mask head, and what happens at overlaps?",
    "15_photographs": "What changes when the image is a photograph and the objects are your own?",
    "16_gpu": "Where does the time go on a GPU, and how much of it does a kernel save?",
}


class Lesson(NamedTuple):
    """A lesson as the table of contents shows it."""

    name: str  # of its files
    title: str
    question: str
    minutes: int

    @property
    def number(self) -> str:
        return self.name[:2]


def sources() -> list[Path]:
    """The sources of the lessons: their names begin with a number, those of other pages do not."""
    return sorted((NOTEBOOKS / "src").glob("[0-9][0-9]_*.py"))


def lessons() -> list[Lesson]:
    """All lessons, in the order in which they are read."""
    return [read_lesson(name) for name in QUESTIONS]


def read_lesson(name: str) -> Lesson:
    """The lesson with its title and its minutes, which are in its source."""
    text = (NOTEBOOKS / "src" / f"{name}.py").read_text()
    title = re.search(rf"^# # {name[:2]} · ([^:\n]+)", text, re.MULTILINE)
    minutes = re.search(r"Time: (\d+)\s|lesson \((\d+)\s", text)
    if title is None:
        raise ValueError(f"{name}: the first heading should be '# {name[:2]} · the title'")
    if minutes is None:
        raise ValueError(f"{name}: the top of the lesson should say 'Time: 60 minutes'")
    return Lesson(name, title[1].strip(), QUESTIONS[name], int(minutes[1] or minutes[2]))


def table() -> str:
    """The table of the README, in Markdown."""
    rows = ["| | lesson, and the question it answers | minutes |", "|---|---|---:|"]
    for lesson in lessons():
        file = f"notebooks/pictures/{lesson.name}.png"
        picture = f'<img src="{file}" width="200" align="right" alt="">'  # above the text on phones
        text = f"**[{lesson.title}](notebooks/{lesson.name}.ipynb)**<br>{lesson.question}"
        row = lesson.number, f"{picture}{text}", str(lesson.minutes)
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows)


def course_list() -> str:
    """The list of lesson 00, in the comments of its source."""
    items = []
    for lesson in lessons()[1:]:
        link = f"[{lesson.title}]({lesson.name}.ipynb)"
        text = f"- {lesson.number} {link}, {lesson.minutes} minutes: {lesson.question}"
        items += textwrap.wrap(
            text, 98, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        items.append(f"  <br><img src='pictures/{lesson.name}.png' height='90' alt=''>")
    return "\n".join(f"# {line}" for line in items)


def between_marks(text: str, content: str, prefix: str = "") -> str:
    """The text with new content between the marks; prefix: what the marks' lines begin with."""
    start, end = f"{prefix}{START}\n", f"{prefix}{END}"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"there should be one line {START} and one line {END}")
    before, _, rest = text.partition(start)
    return f"{before}{start}{content}\n{end}{rest.partition(end)[2]}"


def filled(document: Path) -> str:
    """The text of the README or of lesson 00's source, with the lessons as they are now."""
    text = document.read_text()
    if document == README:
        return between_marks(text, table())
    return between_marks(text, course_list(), "# ")


if __name__ == "__main__":
    for document in (README, FIRST):
        document.write_text(filled(document))
