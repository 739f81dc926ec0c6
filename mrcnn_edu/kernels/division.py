"""Division in kernels, rounded as in PyTorch: where a tie decides, both must decide alike."""

import triton
import triton.language as tl


@triton.jit
def div_rn(a, b):
    """a / b, correctly rounded: a GPU's plain float32 division may be off by two bits."""
    if a.dtype == tl.float32:
        return tl.div_rn(a, b + 0.0)
    else:
        return a / b
