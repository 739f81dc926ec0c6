"""What a result depends on, in one short word: the name of its file."""

import ast
import hashlib
import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from pathlib import Path

import mrcnn_edu
from mrcnn_edu.ablations.setup import Folder, Job
from mrcnn_edu.ablations.start import start_file

CODE = (  # the modules that a result depends on
    "boxes", "anchors", "matching", "kernels/division", "kernels/roi_align", "kernels/nms",
    "roi_ops/table", "roi_ops/rounded", "roi_ops/bilinear", "roi_ops/pyramid", "backbone", "rpn",
    "heads", "targets", "losses", "images", "detections", "config", "model", "weights",
    "data/shapes", "data/runs", "data/found", "data/coco", "data/rle", "data/image_file",
    "data/augment", "data/transforms", "regions", "evaluate", "recipes", "processes", "batches",
    "faster", "lighter", "train", "ablations/start", "ablations/measure",
)  # fmt: skip


def job_hash(job: Job) -> str:
    """The name of a job's result: other settings, data, start or code have another one."""
    files = [start_file(job.config.backbone)]
    files += [d.annotations for d in (job.train_data, job.val_data) if isinstance(d, Folder)]
    parts = [json.dumps(asdict(job)), code_version()]
    parts += [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def non_defaults(settings) -> dict:
    """A dataclass as JSON has it, without what is at its default: a new field changes nothing."""
    values = {}
    for f in fields(settings):
        value = getattr(settings, f.name)
        if f.default is MISSING or value != f.default:
            values[f.name] = non_defaults(value) if is_dataclass(value) else value
    return values


@cache
def code_version() -> str:
    """A hash of what the package's code does: of its syntax, without comments and docstrings."""
    hashed = hashlib.sha256()
    for module in CODE:
        tree = ast.parse((Path(mrcnn_edu.__file__).parent / f"{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(getattr(node, "body", None), list):  # a lambda's is an expression
                node.body = [statement for statement in node.body if not is_text(statement)]
        hashed.update(ast.dump(tree).encode())
    return hashed.hexdigest()[:12]


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text alone, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
