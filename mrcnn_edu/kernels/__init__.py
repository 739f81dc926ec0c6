"""Kernels: operations of many small steps, as one kernel on a GPU, in Triton.

division   division rounded as PyTorch rounds it, which the others use
nms        non-maximum suppression of all groups at once
roi_align  RoIAlign of a whole pyramid
paste      masks pasted into whole images, many at a time
"""

from importlib.util import find_spec

TRITON = find_spec("triton") is not None  # nms and roi_align need it; on Windows it is missing
