"""Packages: which are installed, whether they can be imported, and whether they fit together.

This file and doctor.py import nothing but Python's own modules, so that they run where a package is
missing or broken.
"""

import re
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import NamedTuple

OK, NOTE, PROBLEM = "OK", "note", "problem"
OLDEST_PYTHON = 3, 11
NEEDED = {  # name of the package: name of the module
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "pillow": "PIL",
    "matplotlib": "matplotlib",
    "pycocotools": "pycocotools.mask",
    "tqdm": "tqdm",
    "tyro": "tyro",
}
COURSE = "jupyterlab", "ipywidgets", "ipykernel", "anywidget"  # needed by the notebooks alone
INSTALL = "python -m pip install"
NOT_IN_VS_CODE = "8.1.9"  # of ipywidgets, whose widgets VS Code does not show; it shows 8.1.8's


class Finding(NamedTuple):
    """What was found out about one thing, and what to do about it."""

    state: str  # OK, NOTE or PROBLEM
    what: str
    text: str
    advice: str = ""


def check_python() -> Iterator[Finding]:
    """Python's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    text = f"{version} ({sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding(PROBLEM, "Python", text, f"install Python {oldest} or newer")
    elif sys.maxsize < 2**32:
        yield Finding(PROBLEM, "Python", f"{text}, 32 bits", "PyTorch needs a Python of 64 bits")
    else:
        yield Finding(OK, "Python", text)


def check_needed() -> Iterator[Finding]:
    """The packages without which nothing runs, imported."""
    broken = set()
    for name, module in NEEDED.items():
        version = version_of(name)
        if name == "torchvision" and "torch" in broken:
            continue  # it needs torch
        if version is None and not is_found(module):
            yield Finding(PROBLEM, name, "not installed", f"{INSTALL} mrcnn_edu")
            continue
        try:
            import_module(module)
        except Exception as error:  # packages fail in many ways
            broken.add(name)
            shown = f"{version or 'installed'}, but it cannot be imported: {_first_line(error)}"
            yield Finding(PROBLEM, name, shown, _reinstall(name))
            continue
        yield _checked(name, version)


def check_numpy_and_torch() -> Iterator[Finding]:
    """Whether PyTorch was built for this NumPy: both can be imported even if it was not."""
    try:
        tensor = import_module("torch").zeros(1)
        import_module("numpy")
    except Exception:
        return  # it has been said
    try:
        tensor.numpy()
    except Exception as error:
        text = f"{version_of('numpy')} does not work with torch {version_of('torch')}"
        advice = f"{INSTALL} --upgrade numpy torch torchvision"
        yield Finding(PROBLEM, "numpy", f"{text}: {_first_line(error)}", advice)


def check_course() -> Iterator[Finding]:
    """The packages of the notebooks, which are not imported here: that would take seconds."""
    missing = [name for name in COURSE if not is_found(name)]
    for name in COURSE:
        if name not in missing:
            yield _checked(name, version_of(name))
    if missing:
        advice = f"for the course, {INSTALL} 'mrcnn_edu[notebooks]'"
        yield Finding(NOTE, "course", f"{', '.join(missing)}: not installed", advice)
    if "ipywidgets" not in missing and "jupyterlab" not in missing:
        yield from _check_widgets()


def _check_widgets() -> Iterator[Finding]:
    """Whether JupyterLab shows the sliders and buttons of ipywidgets."""
    lab, widgets = version_of("jupyterlab"), version_of("ipywidgets")
    extension = version_of("jupyterlab_widgets")
    if lab is None or widgets is None:
        return
    fitting = f"ipywidgets {widgets} with JupyterLab {lab}"
    if numbers(widgets)[:1] < (8,) and numbers(lab)[:1] >= (4,):
        advice = f"{INSTALL} --upgrade ipywidgets"
        yield Finding(PROBLEM, "sliders", f"{fitting}: they may stay empty", advice)
    elif extension is None:
        advice = f"{INSTALL} jupyterlab_widgets"
        yield Finding(PROBLEM, "sliders", f"{fitting}, but without jupyterlab_widgets", advice)
    elif (wanted := requirement("ipywidgets", "jupyterlab_widgets")) and not fits(
        extension, wanted
    ):
        text = f"ipywidgets {widgets} wants jupyterlab_widgets {wanted}, here is {extension}"
        advice = f"{INSTALL} --upgrade ipywidgets jupyterlab_widgets"
        yield Finding(PROBLEM, "sliders", text, advice)
    elif widgets == NOT_IN_VS_CODE:
        advice = f"there, {INSTALL} ipywidgets==8.1.8"
        yield Finding(NOTE, "sliders", f"{fitting}; VS Code does not show those of 8.1.9", advice)
    else:
        yield Finding(OK, "sliders", fitting)


def _checked(name: str, version: str | None) -> Finding:
    """Whether an installed package has the version that is asked for."""
    if version is None:
        return Finding(OK, name, "installed, in an unknown version")
    wanted = requirement("mrcnn_edu", name)
    if not fits(version, wanted):
        text = f"{version}, where mrcnn_edu wants {wanted}"
        return Finding(PROBLEM, name, text, f"{INSTALL} --upgrade {name}")
    if name == "torchvision":
        torch, wanted = version_of("torch"), requirement("torchvision", "torch")
        if torch is not None and not fits(torch, wanted):
            text = f"{version} wants torch {wanted}, here is {torch}"
            return Finding(PROBLEM, name, text, f"{INSTALL} --upgrade torch torchvision")
    return Finding(OK, name, version)


def _reinstall(name: str) -> str:
    advice = f"{INSTALL} --force-reinstall {name}"
    if name == "torch" and sys.platform == "win32":
        return f"install Microsoft's Visual C++ Redistributable; if that does not help, {advice}"
    return advice


def is_found(module: str) -> bool:
    """Whether Python knows where a module is."""
    try:
        return find_spec(module) is not None
    except Exception:  # the package that it lies in is missing or broken
        return False


def version_of(package: str) -> str | None:
    """The version of an installed package; None if it is not installed, or does not say."""
    try:
        return metadata.version(package)
    except Exception:
        return None


def requirement(package: str, other: str) -> str:
    """The versions of another package that an installed one asks for, such as ">=2.11,<3"."""
    try:
        lines = metadata.requires(package) or []
    except Exception:
        return ""
    for line in lines:
        found = re.match(r"([\w.-]+)(?:\[.*?\])?\s*\(?([^;)]*)", line)
        if found and _normal(found[1]) == _normal(other) and found[2].strip():
            return found[2].strip()
    return ""


def fits(version: str, wanted: str) -> bool:
    """Whether a version is among those that are wanted; rules not understood are ignored."""
    here = numbers(version)
    for sign, other in re.findall(r"([<>=!~]+)\s*([^,\s]+)", wanted):
        limit = numbers(other)
        length = max(len(here), len(limit))
        a, b = (part + (0,) * (length - len(part)) for part in (here, limit))
        if (sign == ">=" and a < b) or (sign == "<" and a >= b) or (sign == "<=" and a > b):
            return False
        if sign in ("==", "===") and "*" not in other and a != b:
            return False
        if sign == "~=" and (a < b or here[: len(limit) - 1] != limit[:-1]):
            return False
    return True


def numbers(version: str) -> tuple[int, ...]:
    """The version as numbers: (2, 11, 0) for 2.11.0+cu126."""
    return tuple(map(int, re.findall(r"\d+", re.sub(r"[^\d.].*", "", version))))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
