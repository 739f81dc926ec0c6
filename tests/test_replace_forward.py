"""Replaced forwards: the previous forward is restored, whatever it was, after errors too."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mrcnn_edu.speed.replace_forward import (
    has_replaced_forward,
    replace_forward,
    replaced_forward,
    replaced_forwards,
    replaced_function,
)

ONE = torch.ones(1)


class Doubles(nn.Module):
    def forward(self, x):
        return 2 * x


def plus(layer, n):
    """A forward that adds n to what the layer computes now."""
    forward = layer.forward
    return lambda x: forward(x) + n


def test_a_replacement_is_what_a_call_of_the_layer_computes():
    layer, other, seen = Doubles(), Doubles(), []
    layer.register_forward_hook(lambda *_: seen.append(1))
    assert not has_replaced_forward(layer)
    replace_forward(layer, plus(layer, 10))
    replace_forward(layer, plus(layer, 100))
    assert layer(ONE) == 112 and seen == [1] and has_replaced_forward(layer)
    assert other(ONE) == 2 and not has_replaced_forward(other)


def test_the_classs_forward_comes_back():
    layer = Doubles()
    with replaced_forward(layer, plus(layer, 10)):
        assert layer(ONE) == 12
    assert layer(ONE) == 2 and not has_replaced_forward(layer)


def test_an_earlier_replacement_comes_back_and_they_can_be_nested():
    layer = Doubles()
    earlier = plus(layer, 10)
    replace_forward(layer, earlier)
    with replaced_forward(layer, plus(layer, 100)):
        inner = layer.forward
        with replaced_forward(layer, plus(layer, 1000)):
            assert layer(ONE) == 1112
        assert layer.forward is inner and layer(ONE) == 112
    assert layer.forward is earlier and layer(ONE) == 12


def test_an_exception_leaves_everything_as_it_was():
    class_forward, replaced = Doubles(), Doubles()
    earlier = plus(replaced, 10)
    replace_forward(replaced, earlier)
    with (
        pytest.raises(ZeroDivisionError),
        replaced_forwards({layer: plus(layer, 1) for layer in (class_forward, replaced)}),
    ):
        assert class_forward(ONE) == 3 and replaced(ONE) == 13
        _ = 1 / 0
    assert not has_replaced_forward(class_forward) and replaced.forward is earlier


def test_other_functions_of_objects_and_modules():
    one, other, module = Doubles(), Doubles(), SimpleNamespace(f=abs)
    with replaced_function(one, "extra_repr", lambda: "new"), replaced_function(module, "f", max):
        assert repr(one) == "Doubles(new)" and repr(other) == "Doubles()" and module.f is max
    assert repr(one) == "Doubles()" and module.f is abs
