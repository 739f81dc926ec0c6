"""A GPU, ours beside torchvision's: python benchmarks/gpu.py --out gpu.json

Copying, RoIAlign, NMS, pasting masks, detection, training steps, what each change of
mrcnn_edu/faster.py is worth, and where the time goes, in 9 minutes at most. Prints a table for each
part, and writes the file after every row, so that nothing is lost if it is stopped. --tiny runs all
of it in a minute on a CPU, with tiny sizes: to see that it works.
"""

import argparse
import gc
import json
import operator
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gpu_models
import gpu_operators
import torch
import versus_torchvision as versus
from gpu_measure import FULL, TINY, Case

from mrcnn_edu.files import write_file

PARTS = {  # each gives its cases, one row of its table each
    "copy": gpu_operators.copy,
    "roi_align": gpu_operators.roi_align,
    "nms": gpu_operators.nms,
    "paste": gpu_operators.paste,
    "detect": gpu_models.detect,
    "step": gpu_models.step,
    "timeline": gpu_models.timeline,
    "options": gpu_models.options,  # last, as it compiles: minutes that may not be left
}
MET = {"at most": operator.le, "at least": operator.ge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--out", type=Path, help="the file (results/gpu.json; of --tiny none)")
    parser.add_argument("--minutes", type=float, default=8, help="no row begins after these (8)")
    parser.add_argument("--tiny", action="store_true", help="on a CPU, with tiny sizes")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU that CUDA knows: --tiny runs on a CPU")
    sizes = TINY if options.tiny else FULL
    file = options.out or (None if options.tiny else versus.RESULTS / "gpu.json")
    results, stop = (
        {"machine": machine(sizes.device), "rows": []},
        time.time() + 60 * options.minutes,
    )
    for part in options.only:
        rows = []
        for case in PARTS[part](sizes):
            row = measure(case) if time.time() < stop else {"failed": "no time was left"}
            rows.append({"part": part, "work": case.work, "goals": case.goals, **row})
            results["rows"].append(rows[-1])
            if file is not None:
                write_file(file, json.dumps(results, indent=1).encode() + b"\n")
        print(f"\n## {part}\n\n{table(rows)}", flush=True)
    print(f"\n{results['machine']}" + (f"\nwritten to {file}" if file is not None else ""))


def measure(case: Case) -> dict:
    """What was measured, or why it was not: a row that fails must not end the others."""
    try:
        return {"values": case.measure()}
    except torch.cuda.OutOfMemoryError:
        return {"failed": "out of memory"}
    except Exception as error:
        said = [*str(error).strip().splitlines(), ""][0]
        return {"failed": f"{type(error).__name__}: {said[:200]}"}
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table, goals beside what they are for; the longest kernels below."""
    columns = list(dict.fromkeys(name for row in rows for name in row.get("values", {})))
    columns = [name for name in columns if name != "longest"]
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    below = []
    for row in rows:
        values = row.get("values", {})
        cells = [cell(values.get(name), row["goals"].get(name)) for name in columns]
        if "failed" in row:
            cells = [row["failed"]]
        lines.append(f"| {row['work']} | {' | '.join(cells)} |")
        below += [
            f"{row['work']}: {ms:.3f} ms in {n} of {name[:100]}"
            for name, ms, n in values.get("longest", [])
        ]
    return "\n".join([*lines, "", *below] if below else lines)


def cell(value, goal: tuple[str, float] | None) -> str:
    """A value as text, with its goal, and whether it was missed."""
    text = f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
    if goal is None or value is None:
        return text
    how, number = goal
    return f"{text} ({how} {number:g}{'' if MET[how](value, number) else ': missed'})"


def machine(device: str) -> dict:
    """What the numbers are measured on."""
    found = versus.machine(device) | {"triton": _or_none(lambda: version("triton"))}
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        found["cuda"] = torch.version.cuda
        found["driver"] = _or_none(lambda: subprocess.check_output(query, text=True).split()[0])
    return found


def _or_none(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except (PackageNotFoundError, OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    main()
