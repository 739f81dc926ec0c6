"""How long the first things take that a newcomer types: python benchmarks/first_steps.py

Runs `mrcnn-edu demo`, then `train --data shapes --steps 300` and `evaluate` of what came out, each
in a process of its own as from a terminal, and prints the seconds beside the goals.
"""

import subprocess
import sys
import tempfile
import time

GOALS = {"demo": 20, "train and evaluate": 120}  # seconds on 2 cores


def seconds(folder: str, *arguments: str) -> float:
    """The time of one command from start to end; its output is shown."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "mrcnn_edu", *arguments]
    subprocess.run(command, check=True, cwd=folder)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = {"demo": seconds(folder, "demo")}
        train = seconds(folder, "train", "--data", "shapes", "--steps", "300")
        checkpoint = "runs/shapes/checkpoint.pt"
        evaluate = seconds(folder, "evaluate", "--data", "shapes", "--weights", checkpoint)
    taken["train and evaluate"] = train + evaluate
    for name, goal in GOALS.items():
        print(f"{name:20} {taken[name]:6.1f} s   goal {goal} s")


if __name__ == "__main__":
    main()
