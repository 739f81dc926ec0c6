"""Computes the ablation results that come with the package.

    python tools/make_ablations.py

Runs whatever is missing in runs/ablations, the first seed of every table first, and writes
mrcnn_edu/ablations/precomputed.json. All runs together take hours.
"""

import argparse
import json

from mrcnn_edu.ablations import TABLES, Setup
from mrcnn_edu.ablations.precomputed import PRECOMPUTED, seeds_of
from mrcnn_edu.ablations.run import DEFAULT_FOLDER, run_jobs
from mrcnn_edu.files import write_file

LEFT_OUT = "curves", "per_class"  # of the file that is shipped


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    setup, jobs = Setup(), []
    for table in TABLES.values():
        for setting in table.settings:
            jobs += [setup.job(table, setting, seed) for seed in seeds_of(table)]
    jobs.sort(key=lambda job: job.training.seed)
    records = run_jobs(list(dict.fromkeys(jobs)), None, DEFAULT_FOLDER).values()
    done = [record for record in records if "failed" not in record]
    write_records(done)
    print(f"{len(done)} results in {PRECOMPUTED}")
    for record in records:
        if "failed" in record:
            print("failed:", record["failed"])


def write_records(records: list[dict]) -> None:
    """Write precomputed.json, one record a line, so that diffs can be read, without the curves."""
    short = [{k: v for k, v in record.items() if k not in LEFT_OUT} for record in records]
    lines = ",\n".join(json.dumps(record) for record in short)
    write_file(PRECOMPUTED, f"[\n{lines}\n]\n".encode())


if __name__ == "__main__":
    main()
