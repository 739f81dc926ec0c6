"""The lab's chart: learning curves, a dot for each finished seed, and the intervals.

The browser draws it (chart.js). A click on a dot sets `picked` to its setting and seed.
"""

from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Dict

from mrcnn_edu.ablations import Results
from mrcnn_edu.viz.style import OTHER_COLORS

FOLDER = Path(__file__).parent
Curves = dict[tuple[str, int], dict]  # of each run, as `measure.curves` returns them


class Chart(AnyWidget):
    """Curves, dots and intervals of a question's runs."""

    _esm = (FOLDER / "chart.js").read_text("utf-8")
    _css = (FOLDER / "chart.css").read_text("utf-8")
    data = Dict().tag(sync=True)
    picked = Dict().tag(sync=True)  # {"setting": name, "seed": number, "click": how many so far}


def chart_data(results: Results, curves: Curves, metric: str = "ap") -> dict[str, Any]:
    """What the chart shows, in plain types.

    results: of the runs that have ended. curves: of these, and of those that are under way.
    """
    table = results.table
    colors = {s.name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, s in enumerate(table.settings)}
    kind = table.iou_type
    lines = []
    for (name, seed), curve in curves.items():
        losses = list(map(sum, zip(*curve["losses"].values(), strict=True)))
        steps = [curve["every"] * (i + 1) for i in range(len(losses))]
        scores = curve["scores"].get(f"{kind} {metric}", [])
        lines.append(
            {
                "setting": name,
                "seed": seed,
                "loss": [list(point) for point in zip(steps, losses, strict=True)],
                "score": scores,
            }
        )
    rows = []
    for setting in table.settings:
        scores = results.scores(setting, metric)
        row: dict[str, Any] = {
            "setting": setting.name,
            "color": colors[setting.name],
            "dots": [[seed, score] for seed, score in scores.items()],
        }
        if setting is not table.settings[0]:
            paired, unpaired = (
                results.difference(setting, metric),
                results.unpaired(setting, metric),
            )
            row["verdict"] = results.verdict(setting, metric)
            row["differences"] = list(results.paired(setting, metric).items())
            for kind_of, found in (("paired", paired), ("unpaired", unpaired)):
                if found.low == found.low:
                    row[kind_of] = [found.low, found.mean, found.high]
        rows.append(row)
    return {"score": table.ap_name, "lines": lines, "rows": rows}
