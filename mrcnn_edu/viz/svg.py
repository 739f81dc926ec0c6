"""A chart as SVG: sharp at every size, small enough for a notebook, and the same in every build."""

import re
from io import StringIO

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# What Matplotlib writes for readers of the file is left out, and the rest is written shorter.
SHORTER = [
    (r"(?s)^.*?(?=<svg)", ""),  # the heading of an XML file
    (r"(?s)<!--.*?-->", ""),
    (r'(width|height)="([\d.]+)pt"', r'\1="\2"'),  # shown as large as the same picture as a PNG
    (r' id="[a-zA-Z.]+(2d)?_\d+"', ""),  # names of groups, such as axes_1
    (r'(id="|href="#)DejaVuSans', r"\1g"),
    (r'(<use [^>]*)transform="translate\((\S+) (\S+)\)"', r'\1x="\2" y="\3"'),
    (r"\b([1-9]\d*\.\d\d)\d+", r"\1"),  # hundredths of a pixel are enough
    (r"\s*\n\s*", " "),
    (r"(?<=>) (?=<)", ""),
    (r" (?=[LQCz\"]|/>)|(?<=\b[MLQC]) ", ""),
]


def chart_svg(figure: Figure) -> str:
    """The SVG of a figure: a unit of 1/72 inch is a pixel. Its background is the figure's."""
    file, dpi = StringIO(), figure.get_dpi()
    # Letters are drawn as outlines: not every reader has the font whose widths were measured here.
    with matplotlib.rc_context(
        {"svg.fonttype": "path", "svg.hashsalt": "so that ids are the same"}
    ):
        FigureCanvasSVG(figure).print_svg(file, metadata=NO_METADATA)
    figure.set_dpi(dpi)  # it has been set to 72
    text = file.getvalue()
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text
