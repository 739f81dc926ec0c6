"""Compiles the kernels for a GPU, without one: TRITON_INTERPRET=0 python tests/compile_kernels.py

Prints a line for each: its name, and the kinds of its instructions that the test looks at.
"""

import re

from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mrcnn_edu.kernels import nms, roi_align

GPU = GPUTarget("cuda", 90, 32)  # an H100
KINDS = r"\b(?:div|atom|red|membar|fence)\.[\w.]+"


def instructions(function, constants: dict, warps: int, **types: str) -> list[str]:
    """The kinds of instructions that a kernel becomes for arguments of these types."""
    types |= dict.fromkeys(constants, "constexpr")
    types = {name: types[name] for name in function.arg_names}
    source = ASTSource(function, types, constants)
    text = compile(source, target=GPU, options={"num_warps": warps}).asm["ptx"]
    return sorted(set(re.findall(KINDS, text)))


def all_kernels():
    """The name and the instructions of each kernel, for each type of features."""
    shared = {"first": "*i64", "height": "*i64", "width": "*i64", "C": "i32", "min_size": "fp32"}
    for features in ("fp32", "bf16", "fp16", "fp64"):
        sums = "fp64" if features == "fp64" else "fp32"
        adds = {"rows": f"*{features}", "out": f"*{features}", "boxes": f"*{sums}"}
        scatters = {"grad_rows": f"*{sums}", "grad": f"*{features}", "boxes": f"*{sums}"}
        for points in (2, -1):
            constants = {"P": 7, "S_Y": points, "S_X": points, "BLOCK": 128}
            for function, types in (
                (roi_align._forward, adds),
                (roi_align._backward, scatters),
            ):
                name = f"{function.__name__} {features} {points}"
                yield name, instructions(function, constants, 4, **shared, **types)
    for boxes in ("fp32", "fp64"):
        types = {"boxes": f"*{boxes}", "first": "*i64", "end": "*i64", "keep": "*i8"}
        types |= {"iou_threshold": "fp32", "tiny": "fp32"}
        yield (
            f"_drop_overlapping {boxes}",
            instructions(nms._drop_overlapping, {"BLOCK": nms.BLOCK}, 4, **types),
        )


if __name__ == "__main__":
    for name, kinds in all_kernels():
        print(f"{name}:", *kinds)
