"""The results that come with the package: each table, five seeds, on the scenes of version 0.1.

`tools/make_ablations.py` computed them. A record has the job, the scores, the machine, PyTorch's
version, and the code_version: that of the code that computed it, or of later code with which
`tools/check_ablations.py` reproduced some of the scores exactly. Another processor adds in another
order, and a single run's AP then differs by about a point; the comparisons of settings hold.
`run` never uses these results: it measures with the present code.
"""

import json
from pathlib import Path

from mrcnn_edu.ablations.job_hash import non_defaults
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import table_of
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.tables import Table

PRECOMPUTED = Path(__file__).with_name("precomputed.json")
N_SEEDS = 5
MORE_SEEDS = {"3": 10}  # by table: to be run where five do not tell whether the paper is right


def precomputed(table: str | Table) -> Results:
    """The precomputed results of a table; a seed that was not run is left out."""
    table, setup = table_of(table), Setup()
    records = {job_key(record["job"]): record for record in json.loads(PRECOMPUTED.read_text())}
    found = {}
    for setting in table.settings:
        for seed in seeds_of(table):
            key = job_key(non_defaults(setup.job(table, setting, seed)))
            if key in records:
                found[setting.name, seed] = records[key]
    return Results(table, found)


def shipped_records() -> dict[str, dict]:
    """All of them by `job_hash`, which differs from a job's if the code has changed since."""
    return {record["job_hash"]: record for record in json.loads(PRECOMPUTED.read_text())}


def seeds_of(table: Table) -> range:
    """The seeds that were run for a table."""
    return range(MORE_SEEDS.get(table.name, N_SEEDS))


def job_key(job: dict) -> str:
    """A job's settings as text: equal for a job and for what JSON has made of it."""
    return json.dumps(job, sort_keys=True)
