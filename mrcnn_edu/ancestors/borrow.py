"""Stages of Mask R-CNN in other systems: composed, not inherited."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def stage(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A method of `MaskRCNN` as a method of another class that has the layers it needs.

    class FCIS(nn.Module):
        features = stage(MaskRCNN.features)
    """
    return method
