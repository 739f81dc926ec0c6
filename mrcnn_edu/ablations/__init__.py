"""The paper's ablations, as data and as runs.

tables   what is compared, and the paper's numbers
start    the backbone that every run starts from
lab      what all settings share
results  means, differences and their intervals
run      training and scoring, in parallel, nothing twice
"""

from mrcnn_edu.ablations.lab import Folder, Lab
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import run
from mrcnn_edu.ablations.tables import TABLES, Setting, Table

__all__ = ["TABLES", "Folder", "Lab", "Results", "Setting", "Table", "run"]
