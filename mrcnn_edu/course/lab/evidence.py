"""What the models of finished runs do with the same images: why one setting is better.

Everything here takes seconds, and is remembered: the lab asks for it in its own thread.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.ablations.job_hash import job_hash
from mrcnn_edu.ablations.mask_errors import ious_and_sizes, masks_in_gt_boxes
from mrcnn_edu.ablations.models import model_file
from mrcnn_edu.ablations.tables import Setting
from mrcnn_edu.course.lab.errors import error_kinds
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.side_by_side import (
    show_detections_of,
    show_error_kinds,
    show_ious_by_size,
    show_mask_differences,
)
from mrcnn_edu.weights import load

VIEWS = (
    "detections",
    "masks in the ground-truth boxes",
    "mask IoU by object size",
    "kinds of errors",
)
N_SCENES = 30  # over which IoUs and errors are counted
MIN_SCORE = 0.3  # of the detections that are shown
Run = tuple[Setting, int, Job]  # a setting, its seed and its job


class Evidence:
    """Pictures of what models do, each result computed once. folder: that of the runs' results."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.models: dict[tuple[str, str], MaskRCNN] = {}
        self.ious: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        self.errors: dict[tuple[str, str], Counter[str]] = {}

    def show(self, view: str, runs: list[Run], scene: int) -> Picture:
        """The picture of a view, one of VIEWS, of runs on the same data; scene: of that data.

        Raises FileNotFoundError that names a run whose model is not kept, and ValueError if a view
        needs masks, and no run has them.
        """
        dataset = open_data(runs[0][2].val_data)
        models = {f"{setting.name}, seed {seed}": (setting, job) for setting, seed, job in runs}
        if view == "detections":
            image, target = dataset[scene % len(dataset)]
            detections = {}
            for name, run in models.items():
                (found,) = self.model(name, *run).detect([image])
                detections[name] = found[found.scores >= MIN_SCORE]
            return show_detections_of(image, target, detections, dataset.classes)
        if view == "kinds of errors":
            return show_error_kinds(
                {name: self._errors(name, *run, dataset) for name, run in models.items()}
            )
        models = {n: run for n, run in models.items() if run[1].config.mask_head is not None}
        if not models:
            raise ValueError("no setting has masks: choose another view")
        if view == "mask IoU by object size":
            return show_ious_by_size(
                {name: self._ious(name, *run, dataset) for name, run in models.items()}
            )
        image, target = dataset[scene % len(dataset)]
        masks = {
            name: masks_in_gt_boxes(self.model(name, *run), image, target)
            for name, run in models.items()
        }
        return show_mask_differences(target, masks)

    def model(self, name: str, setting: Setting, job: Job) -> MaskRCNN:
        """The model of a run. name: for the error, if it is not kept."""
        key = self._key(setting, job)
        if key not in self.models:
            file = model_file(job_hash(job), self.folder)
            if not file.is_file():
                raise FileNotFoundError(
                    f"the model of {name} is not kept: results that come with the package have "
                    "none, and the oldest models go when the folder is full; run another seed"
                )
            model = load(file)
            decoding = setting.changes.get("mask_decoding")
            if decoding is not None:
                model.config = replace(model.config, mask_decoding=decoding)
            self.models[key] = model
        return self.models[key]

    def has_model(self, job: Job) -> bool:
        """Whether the model of a run is kept."""
        return model_file(job_hash(job), self.folder).is_file()

    def _ious(self, name: str, setting: Setting, job: Job, dataset) -> tuple[Tensor, Tensor]:
        key = self._key(setting, job)
        if key not in self.ious:
            self.ious[key] = ious_and_sizes(self.model(name, setting, job), dataset, N_SCENES)
        return self.ious[key]

    def _errors(self, name: str, setting: Setting, job: Job, dataset) -> Counter[str]:
        key = self._key(setting, job)
        if key not in self.errors:
            total: Counter[str] = Counter()
            model = self.model(name, setting, job)
            for index in range(min(N_SCENES, len(dataset))):
                image, target = dataset[index]
                (found,) = model.detect([image])
                kinds = error_kinds(found, target)
                total = Counter({kind: total[kind] + n for kind, n in kinds.items()})
            self.errors[key] = total
        return self.errors[key]

    def _key(self, setting: Setting, job: Job) -> tuple[str, str]:
        return job_hash(job), setting.changes.get("mask_decoding", "")
