"""Repeats some of the precomputed ablation runs with the present code, and compares the scores.

    python tools/check_ablations.py           # three runs of 400 steps; some minutes
    python tools/check_ablations.py --stamp   # if all are equal, renew every record's code_version

Scores must be equal to the last digit. That can only be expected on the kind of processor, and with
the version of PyTorch, that the results were computed with: both decide in which order sums are
computed, and training amplifies differences in the last bits.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from make_ablations import write_records

from mrcnn_edu.ablations import TABLES, Job, Setup
from mrcnn_edu.ablations.code_version import code_version
from mrcnn_edu.ablations.job_hash import job_hash, non_defaults
from mrcnn_edu.ablations.precomputed import PRECOMPUTED, job_key, seeds_of
from mrcnn_edu.ablations.run import run_jobs

ROW = "{:6}{:20}{:>5}  {:16}{:10}{:>9}{:>9}  {}"


@dataclass(frozen=True)
class Run:
    """A run of a table's setting."""

    table: str
    setting: str
    seed: int

    def job(self) -> Job:
        table = TABLES[self.table]
        return Setup().job(table, table.setting(self.setting), self.seed)


RUNS = Run("2c", "RoIAlign, mean", 0), Run("2b", "softmax", 0), Run("2e", "MLP, 2 layers", 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamp", action="store_true", help="renew the records if all are equal")
    options = parser.parse_args()
    records = json.loads(PRECOMPUTED.read_text())
    shipped = {job_key(record["job"]): record["scores"] for record in records}
    jobs = {run: run.job() for run in RUNS}
    with TemporaryDirectory() as folder:
        measured = run_jobs(list(jobs.values()), None, Path(folder))
    n_different = 0
    print(ROW.format("table", "setting", "seed", "scores", "", "shipped", "now", ""))
    for run, job in jobs.items():
        if "failed" in measured[job]:
            raise SystemExit(f"table {run.table}, {run.setting}: {measured[job]['failed']}")
        before, now = shipped[job_key(non_defaults(job))], measured[job]["scores"]
        n_different += print_rows(run, before, now)
    print(f"{n_different} scores differ" if n_different else "all scores are equal")
    if options.stamp and not n_different:
        stamp(records)
    raise SystemExit(1 if n_different else 0)


def print_rows(run: Run, before: dict, now: dict) -> int:
    """Print a row for each score of a run; the number of scores that differ."""
    n_different = 0
    for name in sorted(before.keys() | now.keys()):
        metrics = before.get(name, {}) | now.get(name, {})
        for metric in metrics:
            old, new = before.get(name, {}).get(metric), now.get(name, {}).get(metric)
            n_different += old != new
            mark = "" if old == new else "differs"
            row = (run.table, run.setting, run.seed, name, metric, str(old), str(new), mark)
            print(ROW.format(*row).rstrip())
    return n_different


def stamp(records: list[dict]) -> None:
    """Write the present code's version, and the hashes that follow from it, into the records."""
    hashes = {}
    for table in TABLES.values():
        for setting in table.settings:
            for seed in seeds_of(table):
                job = Setup().job(table, setting, seed)
                hashes[job_key(non_defaults(job))] = job_hash(job)
    for record in records:
        record["code_version"] = code_version()
        record["job_hash"] = hashes[job_key(record["job"])]
    write_records(records)
    print(f"{len(records)} records now have the code_version {code_version()}")


if __name__ == "__main__":
    main()
