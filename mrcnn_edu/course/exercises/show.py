"""Values as text, for what a check says: in a few lines, whatever they are. And masks from text."""

from pprint import pformat
from typing import Any

import torch
from torch import Tensor

MAX_VALUES = 64  # a tensor with more values than this is shown by its shape alone
MAX_PIXELS = 300  # the same for masks
MAX_LETTERS = 1200  # of any other value
WIDTH = 88


def show(value: Any) -> str:
    """A value as text: a small mask as a drawing, and of a large tensor only its shape."""
    try:
        if isinstance(value, Tensor):
            return _show_tensor(value.detach().cpu())
        text = repr(value)
        if len(text) > MAX_LETTERS:
            return f"{text[:MAX_LETTERS]} ... ({len(text)} letters in all)"
        return pformat(value, width=WIDTH, compact=True, sort_dicts=False)
    except Exception:  # a value whose own repr() fails
        return f"a {type(value).__name__}"


def show_named(name: str, value: Any) -> str:
    """An argument as `name = value`, and a list of tensors as `name[0] = ...`, `name[1] = ...`."""
    if isinstance(value, list | tuple) and any(isinstance(v, Tensor) for v in value):
        return "\n".join(show_named(f"{name}[{i}]", v) for i, v in enumerate(value))
    first, *more = show(value).splitlines() or [""]
    indentation = " " * len(f"{name} = ")
    return "\n".join([f"{name} = {first}", *(f"{indentation}{line}".rstrip() for line in more)])


def kind(value: Any) -> str:
    """What a value is, in words: its type, and the shape if it is a tensor."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}" if value.ndim else "a number"
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, list | tuple):
        values = "value" if len(value) == 1 else "values"
        return f"a {type(value).__name__} of {len(value)} {values}"
    return f"a {type(value).__name__}"


def masks_of(*drawings: str) -> Tensor:
    """Masks [N, H, W] bool from drawings such as "##. ...", rows of which the # are in the mask."""
    rows = [drawing.split() for drawing in drawings]
    return torch.tensor([[[pixel == "#" for pixel in row] for row in mask] for mask in rows])


def _show_tensor(value: Tensor) -> str:
    if value.dtype == torch.bool and value.ndim in (2, 3) and 0 < value.numel() <= MAX_PIXELS:
        return _drawings(value if value.ndim == 3 else value[None])
    if value.numel() > MAX_VALUES:
        return kind(value)
    if value.is_floating_point():
        value = (value.double() * 1e4).round() / 1e4  # its last digits tell nothing
        return repr(value.float())
    return repr(value)


def _drawings(masks: Tensor) -> str:
    """Masks [N, H, W] side by side, as `masks_of` reads them, but row by row of all."""
    rows = masks.unbind(dim=1)  # H of [N, W]
    return "\n".join(
        "   ".join("".join(".#"[int(pixel)] for pixel in mask_row) for mask_row in row)
        for row in rows
    )
