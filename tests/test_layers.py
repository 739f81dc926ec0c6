"""The order of the modules: each imports only from those above it, and the core from few others."""

import ast
import subprocess
import sys
from pathlib import Path

import package_map
import pytest

import mrcnn_edu

PACKAGE = Path(mrcnn_edu.__file__).parent
ORDER = package_map.reading_order()
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "notebooks" not in path.parts
}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}
for front_door in ("__init__", "__main__"):  # they only show what is inside
    del MODULES[front_door]


def _imports(source):
    """Full names of everything that Python code imports, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_are_found_everywhere():
    source = "import a.b as c\ndef f():\n    from d.e import g, h\n    if 1: import i"
    assert list(_imports(source)) == ["a.b", "d.e", "d.e.g", "d.e.h", "i"]


def test_every_module_is_listed_once_by_its_room():
    assert sorted(ORDER) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_modules_above_it(name):
    above = {f"mrcnn_edu.{other}" for other in ORDER[: ORDER.index(name)]}
    own = [i for i in _imports(MODULES[name].read_text()) if i.split(".")[0] == "mrcnn_edu"]
    # `from mrcnn_edu.boxes import nms` gives mrcnn_edu.boxes and mrcnn_edu.boxes.nms,
    # `from mrcnn_edu import boxes` gives mrcnn_edu and mrcnn_edu.boxes.
    wrong = [i for i in own if not {i, i.rpartition(".")[0]} & above and i != "mrcnn_edu"]
    assert wrong == []


def test_rooms_have_one_direction():
    """A room uses no room below it: not only is there an order of files, but of rooms."""
    rooms = {name: i for i, name in enumerate(package_map.listed(PACKAGE))}
    for name, path in MODULES.items():
        room = name.partition(".")[0]
        for imported in _imports(path.read_text()):
            package, _, rest = imported.partition(".")
            other = rest.partition(".")[0]
            if package == "mrcnn_edu" and other in rooms:
                assert rooms[other] <= rooms[room], f"{name} imports {imported}"


def test_the_guide_has_the_map_of_the_package():
    guide = package_map.DOCUMENT.read_text()
    assert guide == package_map.with_map(guide), "python tools/package_map.py writes it"
    assert all(f"[{name}](" in guide for name in package_map.listed(PACKAGE))


@pytest.mark.parametrize("name", MODULES)
def test_detection_is_written_here(name):
    borrowed = ("torchvision.models.detection", "torchvision.ops")
    assert [i for i in _imports(MODULES[name].read_text()) if i.startswith(borrowed)] == []


OPTIONAL = [
    "pycocotools", "ipywidgets", "anywidget", "IPython", "matplotlib", "tyro", "skimage", "sklearn",
]  # fmt: skip


def test_the_core_needs_none_of_the_extras():
    code = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n"
    code += "import mrcnn_edu, mrcnn_edu.model, mrcnn_edu.train\n"
    code += "from mrcnn_edu.data import Shapes; print(len(Shapes(2)[0][1]['boxes']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
