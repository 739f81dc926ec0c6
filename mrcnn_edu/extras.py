"""Packages that only some features need: imported on first use, with advice if one is missing."""

from importlib import import_module
from typing import Any

PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn", "dask": "distributed"}


def require(module: str, extra: str, purpose: str) -> Any:
    """The imported module, such as "skimage.color".

    extra: the optional dependencies of this package that install it. purpose: the feature that
    needs it. Raises ImportError that says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {PACKAGES.get(name, name)}: pip install 'mrcnn_edu[{extra}]'"
        ) from error
