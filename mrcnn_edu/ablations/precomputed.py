"""The results that come with the package: every table, five seeds, made by one command.

    python -m mrcnn_edu.ablations.precomputed      runs what is missing (hours), writes shipped.json

They are kept with the settings, the scenes, the code's version and the machine of each run. When
the code has changed since, they are still what that code measured; `run` measures anew.
"""

import json
from pathlib import Path

from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import DEFAULT_FOLDER, run_jobs, table_of
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.tables import TABLES, Table
from mrcnn_edu.files import write_file

FILE = Path(__file__).with_name("precomputed.json")
SEEDS = range(5)


def precomputed(table: str | Table) -> Results:
    """The shipped results of a table. Seeds that were not run are left out."""
    table, setup = table_of(table), Setup()
    records = {as_text(record["job"]): record for record in json.loads(FILE.read_text())}
    jobs = {(s.name, seed): setup.job(table, s, seed) for s in table.settings for seed in SEEDS}
    texts = {place: as_text(non_defaults(job)) for place, job in jobs.items()}
    return Results(table, {place: records[t] for place, t in texts.items() if t in records})


def as_text(settings: dict) -> str:
    """Settings as text, the same for what was written and read again."""
    return json.dumps(settings, sort_keys=True)


def make() -> None:
    """Run all tables, first seed first, and write what succeeded."""
    setup, settings = Setup(), [(t, s) for t in TABLES.values() for s in t.settings]
    jobs = [setup.job(table, setting, seed) for seed in SEEDS for table, setting in settings]
    records = run_jobs(list(dict.fromkeys(jobs)), None, DEFAULT_FOLDER).values()
    done = [record for record in records if "failed" not in record]
    lines = ",\n".join(json.dumps(record) for record in done)
    write_file(FILE, f"[\n{lines}\n]\n".encode())
    print(f"{len(done)} results in {FILE}")
    print("\n".join(f"failed: {r['failed']}" for r in records if "failed" in r))


if __name__ == "__main__":
    make()
