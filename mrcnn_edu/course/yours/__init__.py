"""Your own parts inside the real network: `with yours(nms=nms): model.detect([image])`.

returned  what a part of the reader's returned: shape and type, told in words if they are wrong
parts     the parts that can be replaced, and how each takes the place of ours
replaced  one function in place of another, in all modules of the package, until a block ends
file      my_parts.py: the reader's functions in a file of her own
within    `yours`: the reader's functions, or her file, in place of ours
cases     arguments that two versions of a part are compared on
board     does each part agree with ours, what AP does it reach, how long does it take?
"""

from mrcnn_edu.course.yours.board import Board, board
from mrcnn_edu.course.yours.file import keep_part, start_parts
from mrcnn_edu.course.yours.parts import PARTS
from mrcnn_edu.course.yours.within import yours

__all__ = ["PARTS", "Board", "board", "keep_part", "start_parts", "yours"]
