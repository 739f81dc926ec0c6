"""The paper's ablations, as data and as runs.

tables   what is compared, and the paper's numbers
start    the backbone that every run starts from
lab      what all settings share
results  means, differences and their intervals
measure  one run: trained and scored
key      what a result depends on
live     settings trained in turns, to look on
where    where they differ: masks drawn in the true boxes
run      many runs, in parallel, nothing twice
shipped  the results that come with the package
"""

from mrcnn_edu.ablations.lab import Folder, Lab
from mrcnn_edu.ablations.live import side_by_side
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import run, table_of
from mrcnn_edu.ablations.shipped import shipped
from mrcnn_edu.ablations.tables import TABLES, Setting, Table

__all__ = [
    "TABLES",
    "Folder",
    "Lab",
    "Results",
    "Setting",
    "Table",
    "run",
    "shipped",
    "side_by_side",
    "table_of",
]
