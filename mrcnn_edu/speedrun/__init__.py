"""The speedrun: how few minutes of two cores are needed, from random weights, to a good model?

entries  Python files that train: those that hold, or have held, the record
clock    runs an entry, stops the clock while it scores the model, and says when it was good enough

Rules: random weights, two cores, no scenes of the seed that is scored on, three seeds.
"""

from mrcnn_edu.speedrun.clock import TARGET, Attempt, attempt
from mrcnn_edu.speedrun.entries import ENTRIES, Entry, open_entry

__all__ = ["ENTRIES", "TARGET", "Attempt", "Entry", "attempt", "open_entry"]
