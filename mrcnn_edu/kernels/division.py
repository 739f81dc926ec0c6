"""Division in kernels, rounded as PyTorch's: where a tie decides, both must decide alike."""

import triton
import triton.language as tl


@triton.jit
def div_rn(a, b):
    """a / b. In float32 a GPU's plain division may be off by two bits: 21 / 7 would not be 3."""
    if a.dtype == tl.float32:
        return tl.div_rn(a, b + 0.0)
    else:
        return a / b
