"""The command mrcnn-edu: Mask R-CNN from a terminal.

opening     the data and the model that options name
options     presets, the types of options, and what they are where nothing is said
text        what is printed: classes in a line, numbers in a table
evaluate, demo, predict, train, check_data, ablate, lab: a command each
command     which commands there are, and what becomes of errors

A command is a function, its docstring the command's help, and its arguments and the fields of the
package's own dataclasses are the options.
"""

from mrcnn_edu.cli.command import main
from mrcnn_edu.cli.opening import open_data

__all__ = ["main", "open_data"]
