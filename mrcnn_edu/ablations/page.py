"""An HTML page in one file: headings, tables, pictures and code, with everything escaped.

It loads nothing from elsewhere, follows the reader's choice of light or dark, and fits a telephone:
what is wider than the screen scrolls by itself.
"""

import warnings
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from mrcnn_edu.viz.picture import Picture

STYLE = """
:root { color-scheme: light dark; --ink: #222; --soft: #555a63; --line: #d5d7db; --back: #fff;
  --fill: #f3f4f6; --accent: #0568ad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e7ea; --soft: #a9aeb8; --line: #3c4049;
  --back: #16181d; --fill: #21242b; --accent: #6db7f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--back); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
p, li { max-width: 44rem; }
.soft, caption, figcaption { color: var(--soft); font-size: .9rem; }
ul.verdicts { list-style: none; padding: 0; }
ul.verdicts li { border-left: .3rem solid var(--accent); background: var(--fill);
  padding: .5rem .8rem; margin: .4rem 0; font-weight: 600; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th:first-child, .words td { text-align: left; }
.words td { white-space: normal; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 600; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: max(100%, 34rem); height: auto;
  background: #fff; border-radius: .4rem; padding: .4rem; border: 1px solid var(--line); }
pre { background: var(--fill); padding: .7rem .9rem; overflow-x: auto; border-radius: .4rem;
  font-size: .85rem; white-space: pre; }
summary { cursor: pointer; color: var(--accent); }
"""


def page(title: str, *parts: str) -> str:
    """The whole page; parts: HTML, as the functions below return it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, parts))
        + "\n</main>\n</body>\n</html>\n"
    )


def tag(name: str, text: str, css_class: str = "") -> str:
    """An element with plain text in it."""
    attribute = f' class="{css_class}"' if css_class else ""
    return f"<{name}{attribute}>{escape(text)}</{name}>"


def section(title: str, *parts: str) -> str:
    """A section with its heading; nothing if it has no parts."""
    shown = list(filter(None, parts))
    return "\n".join(["<section>", tag("h2", title), *shown, "</section>"]) if shown else ""


def items(texts: Sequence[str], css_class: str = "") -> str:
    """A list; nothing if there are no texts."""
    attribute = f' class="{css_class}"' if css_class else ""
    inside = "\n".join(tag("li", text) for text in texts)
    return f"<ul{attribute}>\n{inside}\n</ul>" if texts else ""


def table(rows: Sequence[Sequence[str]], caption: str, css_class: str = "") -> str:
    """A table, which scrolls by itself; the first row has the titles, the first column the names.

    Nothing if there are only titles. css_class: "words" if the cells are text, not numbers.
    """
    titles, *others = rows
    if not others:
        return ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(tag("td", cell) for cell in cells)}</tr>'
        for name, *cells in others
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">\n'
        f'<table class="{css_class}">\n'
        f"{tag('caption', caption)}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table></div>"
    )


def figure(picture: Picture, caption: str) -> str:
    """A picture within the page, as SVG if it has one; the caption is its alt text, too."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a frame
        svg, (width, height) = picture.svg(), picture.shown_size
        kind, contents = ("png", picture.png()) if svg is None else ("svg+xml", svg.encode())
    source = f"data:image/{kind};base64,{b64encode(contents).decode()}"
    return (
        f'<figure><div class="scroll"><img src="{source}" width="{width}" height="{height}" '
        f'alt="{escape(caption)}"></div>\n'
        f"{tag('figcaption', caption)}</figure>"
    )


def code(text: str) -> str:
    """Code or a command, exactly as it is typed."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def folded(title: str, *parts: str) -> str:
    """What is shown when the reader asks for it; nothing if it has no parts."""
    shown = list(filter(None, parts))
    inside = "\n".join(shown)
    return f"<details>\n{tag('summary', title)}\n{inside}\n</details>" if shown else ""
