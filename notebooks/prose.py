"""The text of a lesson as prose: without its code, formulas and links; and what is wrong in it.

Only what a machine can tell for certain is counted as wrong here.
"""

import re
from collections.abc import Iterator

FENCED = re.compile(r"(?ms)^(```|~~~).*?^\1\s*$")
DISPLAYED = re.compile(r"(?s)\$\$.+?\$\$")
INLINE = re.compile(r"(?<![\\$])\$(?!\s)[^$\n]*(?:\n[^$\n]+)?(?<!\s)\$")
CODE = re.compile(r"(`+).+?\1", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]*)\)")
PAPER = re.compile(r"\]\(https?://[^)\s]*\)")
HTML = re.compile(r"<[^<>]+>")
# A whole sentence in parentheses.
SENTENCE = re.compile(r"\((?=[\"'*_]*[A-Z])[^()]*[a-z][^()]*[.?!][\"'*_]*\)")
# A section is a paper's, and so is an equation or a table: our headings and tables are not cited.
PLACE = re.compile(r"\b(?:sections?|equations?|tables?|appendix)\s+(?:\d+|[A-Z]\b)", re.I)
END = re.compile(r"(?<=[.?!])[\"')*_]*\s+(?=[\"'(\[*_`$]*[A-Z])|\n\s*\n|\n\s*(?=[-*+|] |\d+\. )")

STEMS = (
    "optimi|normali|synchroni|vectori|initiali|visuali|generali|quanti|discreti|locali|minimi|"
    "maximi|summari|organi|recogni|speciali|regulari|parametri|reali|memori|categori|emphasi|"
    "factori|penali|standardi|utili|equali"
)
# What to write -> what is wrong wherever it is found, unless the group "right" matches.
WRONG_WORDS = {
    "ground truth": r"\b(?P<right>ground[\s#-]+)?truths?\b",
    "synthetic images, or rendered": r"\bdrawn\s+(?:scenes?|images?)\b",
    "the evaluator, or COCO's metric": r"\bthe\s+judge\b",
    "highlighted": r"\blit\b",
    "the top-down pathway": r"\bthe\s+way\s+down\b",
    "training runs": r"\btrainings\b",
    "held-out set, or validation set": r"\bkept\s+back\b|\bheld-out\s+scenes?\b",
    "predicts": r"\b(?:network|model|head|RPN|detector)\s+(?:says|said)\b",
    "a fraction of": r"\b(?:the|a|what|which)\s+share\s+of\b",
    "box encoding": r"\bcodes?\s+of\s+(?:a|the|each|every)\s+box\b",
    "a flattened vector": r"\bnumbers\s+in\s+one\s+row\b",
    "American spelling": (
        r"\b\w*(?:colour|neighbour|behaviour|favour)\w*|\bcent(?:re[ds]?|ring)\b|\bgreys?\b|"
        rf"\b\w*(?:{STEMS})s(?:e|es|ed|er|ers|ing|ations?)\b|\banalys(?:ed?|ing)\b|"
        r"\b(?:label|model|travel|cancel)l(?:ed|ing)\b|\bartefacts?\b"
    ),
}


def prose(text: str) -> str:
    """Markdown as it is read, line by line: a dash for code and formulas, the words of links."""
    for pattern in (FENCED, CODE, DISPLAYED, INLINE):
        text = pattern.sub(lambda match: "–" + "\n" * match[0].count("\n"), text)
    return HTML.sub(" ", LINK.sub("]", text))


def n_words(text: str) -> int:
    """The number of words in prose."""
    return len(re.findall(r"[^\W_][\w'’.-]*", prose(text)))


def n_formulas(text: str) -> int:
    """The number of formulas in Markdown, displayed and inline ones."""
    text = CODE.sub("", FENCED.sub("", text))
    return len(DISPLAYED.findall(text)) + len(INLINE.findall(DISPLAYED.sub("", text)))


def wrong_words(text: str) -> Iterator[tuple[int, str, str]]:
    """The words in prose or code that have a better one: position, words, and the better ones."""
    for better, pattern in WRONG_WORDS.items():
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if match.groupdict().get("right") is None:
                yield match.start(), " ".join(match[0].split()), better


def bare_places(text: str) -> Iterator[tuple[int, str]]:
    """Positions and words of sections, equations and tables that are cited without their paper.

    Its link stands before them in the same sentence, or in the sentence before.
    """
    for pattern in (FENCED, CODE):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", "–", match[0]), text)
    start, before = 0, ""
    for end in [*END.finditer(text), None]:
        sentence = text[start : end.start() if end else len(text)]
        for place in PLACE.finditer(sentence):
            if not PAPER.search(before) and not PAPER.search(sentence[: place.start()]):
                yield start + place.start(), " ".join(place[0].split())
        if end:
            start, before = end.end(), sentence
