"""TensorBoard: a run's curves, and what the model finds in a few images, as it learns.

pip install 'mrcnn_edu[tensorboard]'
mrcnn-edu train --tensorboard --held-out shapes
tensorboard --logdir runs
"""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mrcnn_edu.processes import rank
from mrcnn_edu.progress import HeldOut, peak_memory
from mrcnn_edu.recipes import Training, learning_rate
from mrcnn_edu.viz import show_detections

SURE = 0.5  # pictures show detections that score this or more


class TensorBoard:
    """A watcher that writes a run's events: each step's losses and rate, and every so many steps
    what was measured on images held out, and pictures, the truth beside the detections.

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
        held_out: HeldOut | None = None,
    ):
        if find_spec("tensorboard") is None:
            raise FileNotFoundError("TensorBoard is missing: pip install 'mrcnn_edu[tensorboard]'")
        self.model, self.images, self.training = model, images, training
        self.every, self.folder, self.held_out = every, Path(folder), held_out
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
        if self.held_out is not None:
            self._write("held out", self.held_out.measured.get(step, {}), step)
        if step % self.every == 0 or step == self.training.steps:
            for i, (image, target) in enumerate(self.images):
                (found,) = self.model.detect([image])
                surest = found[found.scores >= SURE]
                picture = show_detections(image, surest, self.model.classes, target)
                pixels = np.asarray(Image.open(BytesIO(picture.png())))
                self.writer.add_image(f"image {i}", pixels, step, dataformats="HWC")
            self.writer.flush()

    def _write(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)
