"""Replacing a layer's forward from outside: for good, or inside a `with` block.

A layer's class defines its forward, but an attribute of the same name on the layer itself takes
precedence. Everything that changes how layers compute goes through this module, so that changes can
be combined, and undone: the previous forward, the class's or an earlier replacement, is restored.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn


def replace_forward(layer: nn.Module, forward: Callable[..., Any]) -> None:
    """Make the layer compute `forward` from now on; hooks and `layer(x)` work as before.

    A new forward that calls the old one reads it first: `old = layer.forward`.
    """
    vars(layer)["forward"] = forward


def has_replaced_forward(layer: nn.Module) -> bool:
    """Whether the layer computes something else than its class's forward."""
    return "forward" in vars(layer)


@contextmanager
def replaced_forward(layer: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Inside, the layer computes `forward`; afterwards what it did before, after errors too."""
    with replaced_function(layer, "forward", forward):
        yield


@contextmanager
def replaced_forwards(forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Inside, each of the layers computes its forward of the mapping {layer: forward}."""
    with ExitStack() as replaced:
        for layer, forward in forwards.items():
            replaced.enter_context(replaced_forward(layer, forward))
        yield


@contextmanager
def replaced_function(owner: object, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Inside, `owner.name` is the function: for any method of an object, or function of a module.

    The object itself is changed, never its class, so other objects of the class keep the method.
    """
    attributes = vars(owner)
    had_one, before = name in attributes, attributes.get(name)
    attributes[name] = function
    try:
        yield
    finally:
        if had_one:
            attributes[name] = before
        else:
            del attributes[name]  # the class's is visible again
