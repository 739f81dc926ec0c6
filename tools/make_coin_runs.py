"""Trains the models of lesson 15's experiment on labeled coins, and writes their scores.

    python tools/make_coin_runs.py

All 75 runs together take one core 20 minutes. The file is written after each of them, and what it
already has is not run again: to start from the beginning, delete mrcnn_edu/course/coin_runs.json.
"""

import argparse
import json
import time

from records import write_record

from mrcnn_edu.course.coin_runs import COUNTS, FILE, SEEDS, STARTS, STEPS, score, train


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    record = json.loads(FILE.read_text()) if FILE.exists() else {}
    empty = {start: {str(n): [] for n in COUNTS} for start in STARTS}
    scores: dict[str, dict[str, list[float]]] = record.get("scores", empty)
    seconds = record.get("seconds", 0)
    for seed in SEEDS:
        for n in COUNTS:
            for start in STARTS:
                if len(scores[start][str(n)]) > seed:
                    continue
                begin = time.process_time()  # of this process: other work matters less
                scores[start][str(n)].append(score(train(start, n, seed)))
                seconds += time.process_time() - begin
                contents = {"steps": STEPS, "scores": scores}
                write_record(FILE, "python tools/make_coin_runs.py", seconds, contents)


if __name__ == "__main__":
    main()
