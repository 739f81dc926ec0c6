"""Kernels: what PyTorch's own operations do in many steps, in one launch on a GPU, in Triton.

roi_align  RoIAlign of a whole pyramid
nms        non-maximum suppression of all groups
division   which both use

Nothing imports them where there is no GPU: `in_one_launch` says where they are used.
"""

from importlib.util import find_spec

from torch import Tensor

from mrcnn_edu.stops import on_gpu

TRITON = find_spec("triton") is not None


def in_one_launch(values: Tensor) -> bool:
    """Whether a kernel takes these values: on a GPU, with Triton."""
    return on_gpu(values) and TRITON
