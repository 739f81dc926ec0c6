"""Borrowing: how a system runs a stage exactly as another one does, without being a kind of it.

A system here is a module whose methods are its stages. FCIS is no Mask R-CNN, as it lacks the heads
and has maps instead, but it computes features in the same way. Its class body says so:

    class FCIS(nn.Module):
        features = borrow_stage(MaskRCNN.features)
"""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def borrow_stage(
    method: Callable[Concatenate[Any, Arguments], Result],
) -> Callable[Concatenate[Any, Arguments], Result]:
    """The method itself, for a class with the attributes that it reads (`config`, layers, ...).

    `features = MaskRCNN.features` runs the same; this only tells type checkers that `self` may be
    an object of another class.
    """
    return method
