"""Optional packages: imported where they are installed, and otherwise named with their remedy."""

import json
import sys

import pytest

from mrcnn_edu.extras import require


def test_a_module_that_is_installed_is_returned():
    assert require("json", "history", "reading") is json


@pytest.mark.parametrize("module", ["skimage", "skimage.color"])
def test_a_missing_package_is_named_as_pip_names_it(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, module, None)
    advice = r"selective search needs scikit-image: pip install 'mrcnn_edu\[history\]'"
    with pytest.raises(ImportError, match=advice) as caught:
        require(module, "history", "selective search")
    assert isinstance(caught.value.__cause__, ImportError)


def test_a_package_that_pip_calls_by_its_module_needs_no_entry():
    with pytest.raises(ImportError, match=r"a plot needs no_such_module: .*\[plots\]"):
        require("no_such_module.inner", "plots", "a plot")
