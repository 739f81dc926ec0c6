"""Our code and torchvision's on a GPU: python benchmarks/gpu.py --out gpu.json

Measures memory bandwidth, RoIAlign, NMS, pasting masks, detection, training steps, what each change
of mrcnn_edu/speed/accelerate.py gains, and where the time goes, in at most 9 minutes. Prints a
table for each part and writes the file after every row, so that an interrupted run loses nothing.
--tiny runs everything on a CPU with tiny sizes, in a minute, to check that it works.
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

PARTS = {  # each yields its cases, one for each row of its table
    "copy": gpu_operators.copy,
    "roi_align": gpu_operators.roi_align,
    "nms": gpu_operators.nms,
    "paste": gpu_operators.paste,
    "detect": gpu_models.detect,
    "step": gpu_models.step,
    "timeline": gpu_models.timeline,
    "options": gpu_models.options,  # last, because compiling takes minutes that may not be left
}
MET = {"at most": operator.le, "at least": operator.ge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts"
    )
    parser.add_argument(
        "--out", type=Path, help="file for the results (results/gpu.json; none with --tiny)"
    )
    parser.add_argument("--minutes", type=float, default=8, help="start no row after this long (8)")
    parser.add_argument("--tiny", action="store_true", help="use a CPU and tiny sizes")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        parser.error("CUDA finds no GPU: use --tiny to run on a CPU")
    sizes = TINY if options.tiny else FULL
    file = options.out or (None if options.tiny else versus.RESULTS / "gpu.json")
    results = {"machine": machine(sizes.device), "rows": []}
    deadline = time.time() + 60 * options.minutes
    for part in options.only:
        rows = []
        for case in PARTS[part](sizes):
            row = measure(case) if time.time() < deadline else {"failed": "no time left"}
            rows.append({"part": part, "work": case.work, "goals": case.goals, **row})
            results["rows"].append(rows[-1])
            if file is not None:
                write_file(file, json.dumps(results, indent=1).encode() + b"\n")
        print(f"\n## {part}\n\n{table(rows)}", flush=True)
    print(f"\n{results['machine']}" + (f"\nwritten to {file}" if file is not None else ""))


def measure(case: Case) -> dict:
    """The measured values, or the reason for a failure, which must not end the other rows."""
    try:
        return {"values": case.measure()}
    except torch.cuda.OutOfMemoryError:
        return {"failed": "out of memory"}
    except Exception as error:
        message = [*str(error).strip().splitlines(), ""][0]
        return {"failed": f"{type(error).__name__}: {message[:200]}"}
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table, goals beside their values, and the longest kernels below."""
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
    """A value as text, with its goal and a note if it was missed."""
    text = f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
    if goal is None or value is None:
        return text
    how, number = goal
    return f"{text} ({how} {number:g}{'' if MET[how](value, number) else ': missed'})"


def machine(device: str) -> dict:
    """The machine and the versions of the software."""
    info = versus.machine(device) | {"triton": _or_none(lambda: version("triton"))}
    if device == "cuda":
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        info["cuda"] = torch.version.cuda
        info["driver"] = _or_none(lambda: subprocess.check_output(command, text=True).split()[0])
    return info


def _or_none(query: Callable[[], str]) -> str | None:
    try:
        return query()
    except (PackageNotFoundError, OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    main()
