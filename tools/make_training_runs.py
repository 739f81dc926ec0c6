"""Trains the runs of lesson 10's gallery, and writes their losses and what they can do at the end.

    python tools/make_training_runs.py

All runs together take one core 5 minutes.
"""

import argparse
import time

from records import write_record

from mrcnn_edu.course.training_runs import (
    FILE,
    KINDS,
    N_VAL,
    SEEDS,
    STEPS,
    VAL_DATA,
    WINDOW,
    curves_of,
    measure,
    train,
)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    scenes = [VAL_DATA[index] for index in range(N_VAL)]
    start = time.process_time()  # of this process: other work on the machine matters less
    runs = {name: [run(name, seed, scenes) for seed in SEEDS] for name in KINDS}
    seconds = time.process_time() - start
    contents = {"steps": STEPS, "window": WINDOW, "runs": runs}
    write_record(FILE, "python tools/make_training_runs.py", seconds, contents)


def run(name: str, seed: int, scenes: list) -> dict:
    """A run as it is shipped: rounded, because nobody sees the difference in a curve."""
    model, losses = train(name, seed)
    curves = {
        loss: [float(f"{value:.3g}") for value in values]
        for loss, values in curves_of(losses).items()
    }
    measured = {key: round(value, 3) for key, value in measure(model, scenes).items()}
    return {"losses": curves, "validation": measured}


if __name__ == "__main__":
    main()
