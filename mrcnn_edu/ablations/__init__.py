"""The paper's ablations, as data and as runs.

tables   what is compared, and the paper's numbers
start    the backbone that every run starts from
setup      what all settings share
results  means, differences and their intervals
measure  one run: trained and scored
key      what a result depends on
live     settings trained in turns, to look on
where    where they differ: masks drawn in the true boxes
run      many runs, in parallel, nothing twice
shipped  the results that come with the package
"""

from mrcnn_edu.ablations.lockstep import train_in_lockstep
from mrcnn_edu.ablations.precomputed import precomputed
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import run, table_of
from mrcnn_edu.ablations.setup import Folder, Setup
from mrcnn_edu.ablations.tables import TABLES, Setting, Table

__all__ = [
    "TABLES",
    "Folder",
    "Results",
    "Setting",
    "Setup",
    "Table",
    "run",
    "shipped",
    "table_of",
    "train_in_lockstep",
]
