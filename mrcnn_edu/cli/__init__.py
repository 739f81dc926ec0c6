"""The command mrcnn-edu: Mask R-CNN from a terminal.

installed   packages: which are installed, and whether they fit together
doctor      whether this computer has all that the package and the course need
streams     what happens once the output cannot be written
text        what is printed: classes in a line, numbers in a table
commands    the names of the commands and what each is for, without importing any
arguments   how options are read and shown
opening     the data and the model that options name
options     presets, the types of options, and the defaults of train
evaluate    average precision of a model, or of detections in a file
demo        the main job, scored and drawn
naming      a name of its own for each image's results
photos      image files in folders, and what is passed over there
predict     the objects in your images, drawn and listed
train       a model for your data
convert     a COCO folder from labelme, YOLO, Pascal VOC or PNG masks
check_data  what is wrong with a dataset, and what is in it
asking      the question that the options of ablate ask
ablate      the paper's tables, and settings of your own, measured
speedrun    minutes of two cores until a model from random weights is good
course      the lessons in a folder of your own
lab         the course in JupyterLab
progress    which exercises are solved
command     the list of commands, and how errors are reported

A command is a function: its docstring is the command's help, and its arguments, and the fields of
the package's dataclasses, are the options.
"""

from mrcnn_edu.cli.command import main
from mrcnn_edu.cli.opening import open_data

__all__ = ["main", "open_data"]
