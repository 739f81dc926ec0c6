"""Trains the models of lesson 04's experiment on pyramid levels, and writes their scores.

    python tools/make_level_runs.py

All runs together take one core 45 minutes. The file is written after each of them, and what it
already has is not run again: to start from the beginning, delete mrcnn_edu/course/level_runs.json.
"""

import argparse
import json
import time

from records import write_record

from mrcnn_edu.course.level_runs import FILE, NAMES, SEEDS, STEPS, score, train


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    record = json.loads(FILE.read_text()) if FILE.exists() else {}
    scores: dict[str, list] = record.get("scores", {name: [] for name in NAMES})
    seconds = record.get("seconds", 0)
    for seed in SEEDS:
        for name in NAMES:
            if len(scores[name]) > seed:
                continue
            start = time.process_time()  # of this process: other work on the machine matters less
            scores[name].append(score(train(name, seed)))
            seconds += time.process_time() - start
            contents = {"steps": STEPS, "scores": scores}
            write_record(FILE, "python tools/make_level_runs.py", seconds, contents)


if __name__ == "__main__":
    main()
