"""Ablations: the paper's tables as data, and as training runs with confidence intervals.

tables        the settings that are compared, and the paper's scores
estimate      a mean over seeds with its confidence interval; how many more seeds are needed
comparison    the scores of a table: means, differences, costs
formats       rows of text as a table: aligned, or in Markdown
results       the results of a table, printed
job           one training run and everything its result depends on
setup         the models, training and data that all settings of a table share
machine       threads, machine and PyTorch version, for records
measure       one job, trained and scored
code_version  a hash of the code that a result depends on
job_hash      a hash of a job, its data and the code
lockstep      several settings trained together, step by step
mask_errors   the masks that models predict in ground-truth boxes
models        the models of finished runs, kept up to a number of bytes
workers       worker processes on this machine
run           many jobs in parallel, none of them twice
switches      settings of the reader's own, written as name=value
worlds        the data that they can be compared on, by name
question      two to four settings on a world, checked before anything runs
campaign      runs in the background, which can be paused, resumed and stopped
precomputed   the results that come with the package
costs         what runs cost before they run: about how many seconds
dial          the steps and seeds that fit into some minutes, and what they can show
repeat        how to repeat a question: the command line, and Python code
page          an HTML page in one file
evidence      the tables and pictures of a report
report        the results as a page to read, and as a table of all runs
watch         how far runs are, counted in steps
"""

from mrcnn_edu.ablations.campaign import Campaign
from mrcnn_edu.ablations.job import Folder, Job
from mrcnn_edu.ablations.lockstep import train_in_lockstep
from mrcnn_edu.ablations.precomputed import precomputed
from mrcnn_edu.ablations.question import ask, ask_table
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.run import run, table_of
from mrcnn_edu.ablations.setup import Setup
from mrcnn_edu.ablations.switches import parse_setting
from mrcnn_edu.ablations.tables import TABLES, Setting, Table
from mrcnn_edu.ablations.worlds import WORLDS, open_world

__all__ = [
    "TABLES", "WORLDS", "Campaign", "Folder", "Job", "Results", "Setting", "Setup", "Table", "ask",
    "ask_table", "open_world", "parse_setting", "precomputed", "run", "table_of",
    "train_in_lockstep",
]  # fmt: skip
