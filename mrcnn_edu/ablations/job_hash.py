"""The hash of everything that a job's result depends on, which names the result's file."""

import hashlib
import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from mrcnn_edu.ablations.code_version import code_version
from mrcnn_edu.ablations.job import Folder, Job
from mrcnn_edu.weights import backbone_file


def job_hash(job: Job) -> str:
    """16 hexadecimal digits, different for other settings, data, pretrained weights or code."""
    files = [backbone_file(job.config.backbone)]
    files += [d.annotations for d in (job.train_data, job.val_data) if isinstance(d, Folder)]
    parts = [json.dumps(asdict(job)), code_version()]
    parts += [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def non_defaults(settings: Any) -> dict:
    """The fields of a dataclass that differ from their defaults, nested dataclasses likewise.

    Records keep these alone, so they stay valid when a field with a default is added.
    """
    values = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.default is MISSING or value != field.default:
            values[field.name] = non_defaults(value) if is_dataclass(value) else value
    return values
