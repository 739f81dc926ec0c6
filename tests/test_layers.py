"""The order of the modules: each imports only from those above it, and the core from few others."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mrcnn_edu

PACKAGE = Path(mrcnn_edu.__file__).parent
ORDER = [
    "stops", "kernels.division", "kernels.roi_align", "kernels.nms", "kernels", "boxes",
    "anchors", "matching", "roi_ops.table", "roi_ops.rounded", "roi_ops.bilinear",
    "roi_ops.pyramid", "roi_ops", "backbone", "rpn", "heads", "targets", "losses", "images",
    "detections", "config", "model", "files", "weights", "fine_tune",
    "data.shapes", "data.runs", "data.rle", "data.found", "data.image_file", "data.coco",
    "data.export", "data.results", "data.check", "data.transforms", "data.augment", "data.cache",
    "data.order", "data.coverage", "data.overview", "data",
    "regions", "evaluate", "recipes", "processes", "batches", "checkpoints", "faster", "lighter",
    "trouble", "progress", "train", "pretrained.make",
    "ablations.tables", "ablations.start", "ablations.lab", "ablations.key", "ablations.measure",
    "ablations.results", "ablations.live", "ablations.where", "ablations.run", "ablations.shipped",
    "ablations",
    "profiler",
    "ancestors.regions", "ancestors.selective_search", "ancestors.proposals", "ancestors.rcnn",
    "ancestors.fit_rcnn", "ancestors.fast_rcnn", "ancestors.position_sensitive",
    "ancestors.merging", "ancestors.fcis", "ancestors.overlaps", "ancestors.cost",
    "ancestors.quantize", "ancestors.shipped", "ancestors.make", "ancestors",
    "viz.picture", "viz.draw", "viz.scenes", "viz.maps", "viz.charts", "viz.flow", "viz.anchors",
    "viz.bins", "viz.overview", "viz",
    "board", "widgets.player", "widgets", "exercises",
    "cli.text", "cli.opening", "cli.options", "cli.evaluate", "cli.demo", "cli.predict",
    "cli.train", "cli.check_data", "cli.ablate", "cli.lab", "cli.command", "cli", "__main__",
]  # fmt: skip
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}
del MODULES["__init__"]  # the package itself: it shows what is inside
for shelf, before in (("widgets.", "widgets"), ("exercises.", "cli.text")):
    lessons = [name for name in MODULES if name.startswith(shelf) and name not in ORDER]
    ORDER[ORDER.index(before) : ORDER.index(before)] = lessons  # none needs another


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


def test_every_module_has_its_place():
    assert sorted(set(MODULES) - set(ORDER)) == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_modules_above_it(name):
    above = {f"mrcnn_edu.{other}" for other in ORDER[: ORDER.index(name)]}
    own = [i for i in _imports(MODULES[name].read_text()) if i.split(".")[0] == "mrcnn_edu"]
    # `from mrcnn_edu.boxes import nms` gives mrcnn_edu.boxes and mrcnn_edu.boxes.nms,
    # `from mrcnn_edu import boxes` gives mrcnn_edu and mrcnn_edu.boxes.
    wrong = [i for i in own if not {i, i.rpartition(".")[0]} & above and i != "mrcnn_edu"]
    assert wrong == []


@pytest.mark.parametrize("name", MODULES)
def test_detection_is_written_here(name):
    borrowed = ("torchvision.models.detection", "torchvision.ops")
    assert [i for i in _imports(MODULES[name].read_text()) if i.startswith(borrowed)] == []


OPTIONAL = ["pycocotools", "ipywidgets", "IPython", "matplotlib", "tyro"]


def test_the_core_needs_none_of_the_extras():
    code = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n"
    code += "import mrcnn_edu, mrcnn_edu.model, mrcnn_edu.train\n"
    code += "from mrcnn_edu.data import Shapes; print(len(Shapes(2)[0][1]['boxes']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
