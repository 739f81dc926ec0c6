"""TensorBoard: a run's curves, and what the model makes of a few images, as it learns.

pip install 'mrcnn_edu[tensorboard]'
mrcnn-edu train --tensorboard --val-data shapes
tensorboard --logdir runs
"""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mrcnn_edu.train.distributed import rank
from mrcnn_edu.train.metrics import Validation, peak_memory
from mrcnn_edu.train.recipes import Training, learning_rate
from mrcnn_edu.viz import Picture, paint_differences, show_boxes, show_detections, show_images

SURE = 0.5  # pictures show detections that score this or more
N_PROPOSALS = 50  # and so many proposals: more would hide the image
NEGATIVE = "#999999"  # RoIs that are background


class TensorBoard:
    """A callback that writes a run's events: each step's losses and rate, and every so many steps
    what was measured on images held out, and the `pictures` of some images.

    images: (image, target) that pictures are made of. Of several processes the first writes. Raises
    FileNotFoundError if TensorBoard is not installed.
    """

    def __init__(
        self,
        model,
        images: list,
        training: Training,
        every: int,
        folder: str | Path,
        val_data: Validation | None = None,
    ):
        if find_spec("tensorboard") is None:
            raise FileNotFoundError("TensorBoard is missing: pip install 'mrcnn_edu[tensorboard]'")
        self.model, self.images, self.training = model, images, training
        self.every, self.folder, self.val_data = every, Path(folder), val_data
        self.writer = None

    def __call__(self, losses: list[dict[str, float]]) -> None:
        if rank() > 0:
            return
        step = len(losses)
        if self.writer is None:  # steps that a run does again replace those of before
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step)
        self._write("training", losses[-1], step)
        self._write("training", {"sum": sum(losses[-1].values())}, step)
        rate = learning_rate(step - 1, self.training)
        self._write("run", {"learning rate": rate, "gigabytes": (peak_memory() or 0) / 1e9}, step)
        if self.val_data is not None:
            self._write("held out", self.val_data.measured.get(step, {}), step)
        if step % self.every == 0 or step == self.training.steps:
            for i, item in enumerate(self.images):
                for name, picture in pictures(self.model, *item).items():
                    pixels = np.asarray(Image.open(BytesIO(picture.png())))
                    self.writer.add_image(f"image {i}/{name}", pixels, step, dataformats="HWC")
            self.writer.flush()

    def _write(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)


def pictures(model, image: Tensor, target: dict) -> dict[str, Picture]:
    """What the model makes of an image [C, H, W], stage by stage, beside the truth (green).

    RoIs are drawn as in training, but from the fewer proposals of detection, and each time alike.
    """
    trace = model.trace([image])
    (proposals,), (found,) = trace.proposals, trace.detections
    (objects,) = model.scale_targets([target], trace.batch)
    generator = torch.Generator(proposals.boxes.device).manual_seed(0)
    (rois,) = model.roi_targets([proposals], [objects], generator)
    best, is_positive = proposals.boxes[:N_PROPOSALS], rois.labels > 0
    positive, negative = rois.boxes[is_positive], rois.boxes[~is_positive]
    zoom = image.shape[-1] / trace.batch.sizes[0][1]

    def boxes(of_roles: dict[str, Tensor], title: str) -> Picture:
        of_roles |= {"truth": objects["boxes"]}  # on top
        roles = [role for role, of_role in of_roles.items() for _ in of_role]
        return show_boxes(image, torch.cat([*of_roles.values()]) * zoom, roles, title)

    surest = found[found.scores >= SURE]
    drawn = {
        "proposals": boxes({"proposal": best}, f"the best {len(best)} proposals, truth in green"),
        "RoIs": boxes(
            {NEGATIVE: negative, "proposal": positive},
            f"RoIs: {len(positive)} positive, {len(negative)} negative in gray",
        ),
        "detections": show_detections(image, surest, model.classes, target),
    }
    if surest.masks is not None:
        pixels = paint_differences(target["masks"].bool().any(dim=0), surest.masks.any(dim=0))
        drawn["masks"] = show_images({"masks: green is missing, orange-red too much": pixels})
    return drawn
