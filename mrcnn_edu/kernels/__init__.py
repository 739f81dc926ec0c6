"""Kernels: what PyTorch's own operations do in many steps, in one launch on a GPU.

roi_align  RoIAlign of a whole pyramid, written in Triton

Nothing imports them where there is no GPU; `roi_ops.align` says when they are used.
"""
