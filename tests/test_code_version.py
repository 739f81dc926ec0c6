"""The version of the code that a result depends on: which modules it covers, what changes it."""

import sys
from dataclasses import replace

import pytest

from mrcnn_edu.ablations import TABLES, Setup
from mrcnn_edu.ablations.code_version import PACKAGE, code_version, reached_modules
from mrcnn_edu.ablations.measure import measure
from mrcnn_edu.data import Shapes
from mrcnn_edu.train.recipes import FLIP

FILES = {  # a small package, of which p.start reaches everything but `unused` and `room.unused`
    "__init__": "from p.unused import value\n",
    "start": "import p.a\nfrom p.room import h\n",
    "a": '"""Text."""\ndef f(x):\n    """Text."""\n    from p.room import b\n    return b.g(x)\n',
    "room/__init__": "from p.room.c import h\n",
    "room/b": "class A:\n    async def g(x):\n        return x + 1\n",
    "room/c": "h = 1\n",
    "room/unused": "value = 1\n",
    "unused": "value = 1\n",
}
REACHED = {"__init__", "start", "a", "room/__init__", "room/b", "room/c"}


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "p"
    (folder / "room").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def version(package):
    return code_version.__wrapped__("p.start", package)


def test_imports_are_followed_in_functions_and_through_packages(package):
    files = {
        file.relative_to(package).with_suffix("").as_posix()
        for file in reached_modules("p.start", package).values()
    }
    assert files == REACHED


@pytest.mark.parametrize("name", FILES)
def test_code_changes_the_version_and_text_does_not(package, name):
    before, file = version(package), package / f"{name}.py"
    new_text = FILES[name].replace("Text", "Other text").replace("return", "return  ")
    file.write_text(f'"""A docstring."""\n# a comment\n{new_text}\n"""A string."""\n')
    assert version(package) == before
    file.write_text(FILES[name] + "new = 1\n")
    assert (version(package) != before) == (name in REACHED)


def test_a_module_that_is_reached_from_now_on_changes_the_version(package):
    before = version(package)
    (package / "room/b.py").write_text(FILES["room/b"] + "import p.room.unused\n")
    assert "p.room.unused" in reached_modules("p.start", package) and version(package) != before


def test_all_code_that_runs_in_a_job_is_covered(tmp_path):
    """With softmax, augmentation and masks, on a CPU; kernels for GPUs are covered as well."""
    table = TABLES["2b"]
    job = Setup().job(table, table.setting("softmax"), 0, steps=1)
    few = dict(train_data=Shapes(4, n_objects=(1, 2)), val_data=Shapes(2, seed=1))
    job = replace(job, **few, augmentation=replace(FLIP, scale=(0.9, 1.1)))
    called = set()

    def note(frame, event, arg):
        called.add(frame.f_globals.get("__name__", ""))

    sys.setprofile(note)
    try:
        measure(job, tmp_path / "run")
    finally:
        sys.setprofile(None)
    ours = {name for name in called if name.startswith("mrcnn_edu.")}
    reached = set(reached_modules())
    assert len(ours) > 30 and ours <= reached
    kernels = {f"mrcnn_edu.kernels.{file.stem}" for file in (PACKAGE / "kernels").glob("[!_]*.py")}
    assert kernels <= reached


def test_what_no_result_depends_on_is_not_covered():
    rooms = {name.split(".")[1] for name in reached_modules() if "." in name}
    assert not rooms & {"viz", "cli", "course", "ancestors"}
    others = {
        "mrcnn_edu.ablations.tables",
        "mrcnn_edu.ablations.run",
        "mrcnn_edu.train.tensorboard",
    }
    assert not others & set(reached_modules())
