"""TensorBoard: a run's curves, and pictures of what the model predicts while it learns.

pip install 'mrcnn_edu[tensorboard]'
mrcnn-edu train --tensorboard --val-data shapes
tensorboard --logdir runs
"""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mrcnn_edu.config import check_number
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.distributed import rank
from mrcnn_edu.train.metrics import Validation, peak_memory
from mrcnn_edu.train.recipes import Training, learning_rate
from mrcnn_edu.viz import (
    Picture,
    Skeleton,
    paint_differences,
    show_boxes,
    show_detections,
    show_images,
)

MIN_SCORE = 0.5  # of the detections in pictures
N_PROPOSALS = 50  # best proposals in pictures; more would hide the image
NEGATIVE = "#6b7079"  # color of negative RoIs


class TensorBoard:
    """Callback that logs losses and learning rate every step, and more every `every` steps.

    That is the validation metrics of `val_data`, if it is given, and `pictures` of the images.
    images: (image, target) each. Of several processes, process 0 writes. Raises FileNotFoundError
    if TensorBoard is not installed.
    """

    def __init__(
        self,
        model: MaskRCNN,
        images: list[tuple[Tensor, dict]],
        training: Training,
        every: int,
        folder: str | Path,
        val_data: Validation | None = None,
    ):
        if find_spec("tensorboard") is None:
            raise FileNotFoundError("TensorBoard is missing: pip install 'mrcnn_edu[tensorboard]'")
        check_number("every", every, 1, whole=True)
        self.model, self.images, self.training = model, images, training
        self.every, self.folder, self.val_data = every, Path(folder), val_data
        self.writer: Any = None  # a SummaryWriter from the first step on

    def __call__(self, losses: list[dict[str, float]]) -> None:
        if rank() > 0:
            return
        step = len(losses)
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Steps that a resumed run repeats replace the old ones.
            self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step)
        self._write("training", losses[-1], step)
        self._write("training", {"sum": sum(losses[-1].values())}, step)
        rate = learning_rate(step - 1, self.training)
        self._write("run", {"learning rate": rate, "gigabytes": (peak_memory() or 0) / 1e9}, step)
        if self.val_data is not None:
            self._write("validation", self.val_data.measured.get(step, {}), step)
        if step % self.every == 0 or step == self.training.steps:
            for i, item in enumerate(self.images):
                for name, picture in pictures(self.model, *item).items():
                    pixels = np.asarray(Image.open(BytesIO(picture.png())))
                    self.writer.add_image(f"image {i}/{name}", pixels, step, dataformats="HWC")
            self.writer.flush()

    def _write(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)


def pictures(model: MaskRCNN, image: Tensor, target: dict) -> dict[str, Picture]:
    """What the model predicts for an image [C, H, W], stage by stage, with the ground truth.

    RoIs are sampled as in training, but from the fewer proposals of detection, and always the same.
    """
    trace = model.trace([image])
    (proposals,), (detections,) = trace.proposals, trace.detections
    (objects,) = model.scale_targets([target], trace.batch)
    generator = torch.Generator(proposals.boxes.device).manual_seed(0)
    (rois,) = model.sample_rois([proposals], [objects], [generator])
    best, is_positive = proposals.boxes[:N_PROPOSALS], rois.labels > 0
    positive, negative = rois.boxes[is_positive], rois.boxes[~is_positive]
    scale = image.shape[-1] / trace.batch.sizes[0][1]

    def boxes(boxes_by_role: dict[str, Tensor], title: str) -> Picture:
        boxes_by_role = boxes_by_role | {"gt": objects["boxes"]}  # drawn last, on top
        roles = [role for role, boxes in boxes_by_role.items() for _ in boxes]
        return show_boxes(image, torch.cat([*boxes_by_role.values()]) * scale, roles, title)

    confident = detections[detections.scores >= MIN_SCORE]
    drawn = {
        "proposals": boxes(
            {"proposal": best}, f"the best {len(best)} proposals, ground truth in green"
        ),
        "RoIs": boxes(
            {NEGATIVE: negative, "proposal": positive},
            f"RoIs: {len(positive)} positive, {len(negative)} negative in gray",
        ),
        "detections": show_detections(
            image, confident, model.classes, target, skeleton=Skeleton.of(model)
        ),
    }
    if confident.masks is not None:
        pixels = paint_differences(target["masks"].bool().any(dim=0), confident.masks.any(dim=0))
        drawn["masks"] = show_images({"masks: missing in green, extra in crimson": pixels})
    return drawn
