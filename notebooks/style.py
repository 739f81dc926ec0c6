"""Count what the lessons are made of, and check what a machine can tell of how they are written.

    python notebooks/style.py        all lessons; `make lint` runs this, too

It prints a row for each lesson: its words and what stands between them, and its time: the one at
the top of the lesson against words / 130 minutes + 10 s for a line of code + 1.5 minutes for a
prediction + the minutes that its exercises name. For the lessons in REWRITTEN it fails if a check
stands in the reader's way, a prediction has no hidden answer, a section is cited without its paper,
a word has a better one (prose.py), a line of code is cut off on the web page, or the time is wrong.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from paragraphs import find_revealing, pieces
from percent import read_cells
from prose import PAPER, SENTENCE, bare_places, n_formulas, n_words, prose, wrong_words
from rules import lines_of_asserts

REWRITTEN: tuple[str, ...] = (
    "00",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "07",
    "08",
    "09",
    "10",
    "11",
    "12",
    "13",
    "15",
    "16",
    "17",
)  # the numbers of the lessons that follow all rules
SOURCES = Path(__file__).resolve().parent / "src"
LONGEST_LINE = 79  # characters of code: more are cut off on the web page
TOLERANCE = 0.2  # of the time at the top
TIME = re.compile(r"Time: (\d+)\s|lesson \((\d+)\s")
COLON = re.compile(r":(?=\s|$)")
CAPTION = re.compile(r"\.caption\(\s*f?[\"']Figure \d")
EXERCISE = re.compile(r"★[★☆]* · (?:about )?(\d+)(?: to (\d+))?\s+minutes")


def is_rewritten(source: Path) -> bool:
    """Whether a source is that of a lesson that follows all rules."""
    return source.stem.partition("_")[0] in REWRITTEN


class Lesson:
    """A lesson's text and the code that a reader sees, cell by cell, and its predictions."""

    def __init__(self, source: Path):
        self.name = source.stem
        cells = read_cells(source)
        self.texts = [cell for cell in cells if cell.cell_type == "markdown"]
        code = [cell for cell in cells if cell.cell_type == "code"]
        self.code = [cell for cell in code if "claim" not in cell.metadata.get("tags", [])]
        self.questions, self.unanswered = 0, []  # their number; the lines of those without code
        cut = list(pieces(cells))
        revealing = find_revealing([kind for kind, _, _ in cut])
        for index, (kind, text, cell) in enumerate(cut):
            if kind == "predict":
                self.questions += 1
                ends = (
                    i for i in range(index + 1, len(cut)) if cut[i][0] in ("predict", "heading")
                )
                if not revealing & set(range(index, next(ends, len(cut)))):
                    above = cell.source.partition(text[:40])[0]
                    self.unanswered.append(cell.line + above.count("\n"))
        self.text = "\n\n".join(cell.source for cell in self.texts)
        self.n_lines = sum(bool(line.strip()) for c in self.code for line in c.source.split("\n"))

    def stated_minutes(self) -> int | None:
        """The time at the top of the lesson."""
        match = TIME.search(self.text)
        return int(match[1] or match[2]) if match else None

    def honest_minutes(self) -> float:
        """The time that a reader needs."""
        exercises = [(int(low), int(high or low)) for low, high in EXERCISE.findall(self.text)]
        reading = n_words(self.text) / 130 + self.n_lines * 10 / 60 + 1.5 * self.questions
        return reading + sum((low + high) / 2 for low, high in exercises)

    def captions(self) -> int:
        """The number of captions with a number."""
        return sum(len(CAPTION.findall(cell.source)) for cell in self.code)

    def wrong_words(self) -> Iterator[tuple[int, str, str]]:
        """The line, the words, and what would be better."""
        for cell in [*self.texts, *self.code]:
            text = prose(cell.source) if cell.cell_type == "markdown" else cell.source
            for position, words, better in wrong_words(text):
                yield cell.line + text[:position].count("\n"), words, better

    def row(self) -> dict[str, str]:
        """What is printed of the lesson."""
        words, read = n_words(self.text), prose(self.text)
        return {
            "lesson": self.name,
            "words": str(words),
            "formulas": str(n_formulas(self.text)),
            "papers": str(len(PAPER.findall(self.text))),
            "captions": str(self.captions()),
            "asserts": str(sum(len(lines_of_asserts(cell.source)) for cell in self.code)),
            "colons/100": f"{100 * len(COLON.findall(read)) / max(words, 1):.1f}",
            "(Sentences.)": str(len(SENTENCE.findall(read))),
            "wrong words": str(len(list(self.wrong_words()))),
            "predictions": str(self.questions),
            "minutes": str(self.stated_minutes()),
            "honest": f"{self.honest_minutes():.0f}",
        }

    def complaints(self) -> Iterator[tuple[int, str]]:
        """What is certainly wrong: the line of the source, and what to do about it."""
        for cell in self.code:
            for line in lines_of_asserts(cell.source):
                yield cell.line + line - 1, 'move this assert into a cell tagged "claim"'
            for number, line in enumerate(cell.source.split("\n")):
                if len(line) > LONGEST_LINE:
                    yield cell.line + number, f"break this line: it has {len(line)} characters"
        for cell in self.texts:
            for position, place in bare_places(cell.source):
                line = cell.line + cell.source[:position].count("\n")
                yield line, f'put a link to the paper before "{place}"'
        for line, words, better in self.wrong_words():
            yield line, f'for "{words}" write: {better}'
        for line in self.unanswered:
            yield line, "put code whose output is the answer below this question"
        stated, honest = self.stated_minutes(), self.honest_minutes()
        if stated is None or abs(stated - honest) > TOLERANCE * honest:
            yield 1, f"the top says {stated} minutes; a reader needs about {honest:.0f}"


def print_table(rows: list[dict[str, str]]) -> None:
    """The rows below their headings, in columns."""
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *numbers in table:
        cells = [f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([f"{name:{widths[0]}}", *cells]))


def main() -> None:
    sources = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    print_table([Lesson(source).row() for source in sources])
    found = [
        f"notebooks/src/{source.name}:{line}: {complaint}"
        for source in sources
        if is_rewritten(source)
        for line, complaint in sorted(Lesson(source).complaints())
    ]
    if found:
        sys.exit("\n".join(["", *found]))


if __name__ == "__main__":
    main()
