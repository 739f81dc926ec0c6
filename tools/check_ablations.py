"""Repeats some of the precomputed ablation runs: python tools/check_ablations.py [--stamp]

Three runs of 400 steps, of three tables, are trained again with the present code (some minutes) and
their scores compared with the shipped ones. They must be equal to the last digit, on the same kind
of processor and with the same PyTorch. --stamp: if they are, write the present code's version into
all records of precomputed.json.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from make_ablations import write_records

from mrcnn_edu.ablations import TABLES, Setup
from mrcnn_edu.ablations.code_version import code_version
from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.precomputed import PRECOMPUTED, job_key
from mrcnn_edu.ablations.run import run_jobs

RUNS = ("2c", "RoIAlign, mean", 0), ("2b", "softmax", 0), ("2e", "MLP, 2 layers", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamp", action="store_true", help="renew the records' code version")
    options = parser.parse_args()
    shipped = json.loads(PRECOMPUTED.read_text())
    by_job = {job_key(record["job"]): record for record in shipped}
    setup = Setup()
    jobs = {run: setup.job(TABLES[run[0]], TABLES[run[0]].setting(run[1]), run[2]) for run in RUNS}
    with TemporaryDirectory() as folder:
        records = run_jobs(list(jobs.values()), None, Path(folder))
    equal = True
    for (table, setting, seed), job in jobs.items():
        before, now = by_job[job_key(non_defaults(job))]["scores"], records[job].get("scores")
        equal &= before == now
        print(f"{table:5}{setting:18}seed {seed}  shipped {before}\n{'':31}now     {now}")
    print("equal" if equal else "NOT equal")
    if options.stamp and equal:
        for record in shipped:
            record["code_version"] = code_version()
        write_records(shipped)
        print(f"{len(shipped)} records are stamped {code_version()}")
    raise SystemExit(0 if equal else 1)


if __name__ == "__main__":
    main()
