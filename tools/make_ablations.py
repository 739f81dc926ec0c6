"""Computes the ablation results that come with the package.

    python tools/make_ablations.py

Runs whatever is missing in runs/ablations, the first seed of every table first, and writes
mrcnn_edu/ablations/precomputed.json. All runs together take hours.
"""

import argparse
import json

from mrcnn_edu.ablations import TABLES, Setup
from mrcnn_edu.ablations.precomputed import PRECOMPUTED, SEEDS
from mrcnn_edu.ablations.run import DEFAULT_FOLDER, run_jobs
from mrcnn_edu.files import write_file


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    setup, jobs = Setup(), []
    for seed in SEEDS:
        for table in TABLES.values():
            jobs += [setup.job(table, setting, seed) for setting in table.settings]
    records = run_jobs(list(dict.fromkeys(jobs)), None, DEFAULT_FOLDER).values()
    done = [record for record in records if "failed" not in record]
    write_records(done)
    print(f"{len(done)} results in {PRECOMPUTED}")
    for record in records:
        if "failed" in record:
            print("failed:", record["failed"])


def write_records(records: list[dict]) -> None:
    """Write precomputed.json, one record a line, so that diffs can be read."""
    lines = ",\n".join(json.dumps(record) for record in records)
    write_file(PRECOMPUTED, f"[\n{lines}\n]\n".encode())


if __name__ == "__main__":
    main()
