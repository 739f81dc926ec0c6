"""How long a newcomer's first commands take: python benchmarks/first_steps.py

Runs `mrcnn-edu demo`, then `train --data shapes --steps 300` and `evaluate` with the trained model,
each in its own process as in a terminal, and prints the seconds next to the goals.
"""

import subprocess
import sys
import tempfile
import time

GOALS = {"demo": 20, "train and evaluate": 120}  # seconds on 2 cores


def seconds(folder: str, *arguments: str) -> float:
    """The time of one command from start to end; its output is printed."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "mrcnn_edu", *arguments]
    subprocess.run(command, check=True, cwd=folder)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = {"demo": seconds(folder, "demo")}
        train = seconds(folder, "train", "--data", "shapes", "--steps", "300")
        checkpoint = "runs/shapes/checkpoint.pt"
        evaluate = seconds(folder, "evaluate", "--data", "shapes", "--weights", checkpoint)
    times["train and evaluate"] = train + evaluate
    for name, goal in GOALS.items():
        print(f"{name:20} {times[name]:6.1f} s   goal {goal} s")


if __name__ == "__main__":
    main()
