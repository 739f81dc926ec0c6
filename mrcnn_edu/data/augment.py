"""Augmentation: every pass over the data shows other images of the same objects.

Nothing is drawn from a generator that keeps running: item p n + i of n images is image i as pass p
shows it, a function of (seed, p, i) alone. So worker processes need not know about one another, and
a resumed run sees the images that it would have seen without the interruption.
"""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.config import LARGEST, check_number, check_settings
from mrcnn_edu.data.dataset import Dataset, Wrapper
from mrcnn_edu.images import Size

if TYPE_CHECKING:
    from torchvision.transforms import v2


@dataclass(frozen=True)
class Augmentation:
    """Random changes to the training images; by default there are none."""

    # Probability of flipping an image horizontally; 0.5 where left and right mean the same.
    flip: float = 0.0
    # Smallest and largest factor by which the scene is scaled inside a frame of unchanged size.
    scale: tuple[float, float] = (1.0, 1.0)
    # Lengths that an image's short side is resized to, one drawn at random for each image; empty
    # for always the model's short_side. In the paper's appendix they are 640 to 800.
    short_sides: tuple[int, ...] = ()

    def __post_init__(self):
        check_settings(self, {"flip": (0, 1)})
        low, high = self.scale
        if not 0 < low <= high:
            raise ValueError(f"scale is {low} to {high}: give two factors, the lower one first")
        for side in self.short_sides:
            check_number("short_sides", side, 1, LARGEST, whole=True)

    def wrap(self, dataset: Any, training: Any, fill: tuple[float, ...]) -> Any:
        """The dataset, `Augmented` for all passes of a training run; itself if nothing is changed.

        training: its steps, batch_size and seed are used. fill: as in `transform`.
        """
        if self == Augmentation():
            return dataset
        n_passes = math.ceil(training.steps * training.batch_size / len(dataset))
        return Augmented(
            dataset, self.transform(fill), self.short_sides, training.seed, passes=n_passes
        )

    def transform(self, fill: tuple[float, ...] = (0.5,)) -> "v2.Transform":
        """Flip and scale as a transform of torchvision. fill: the color around a smaller scene."""
        from torchvision.transforms import v2  # takes seconds, and most training runs do without

        from mrcnn_edu.data.transforms import ScaleJitter

        steps: list[v2.Transform] = [v2.RandomHorizontalFlip(self.flip)]
        if self.scale != (1.0, 1.0):
            steps.append(ScaleJitter(*self.scale, fill))
        return v2.Compose(steps)


class Augmented(Wrapper):
    """n x passes items (image [C, H, W], target): item p n + i is image i as pass p shows it.

    transform: a transform of torchvision.transforms.v2 that keeps the number of objects; it gets
    the image, boxes and masks as tv_tensors, and keypoints as boxes without area. short_sides: one
    is drawn for each item and becomes the target's `short_side`, to which the model resizes the
    image in training. passes: the number of passes in the length; with 1, callers may still ask for
    items beyond it.

    A box that the frame cuts becomes the box around the rest of its mask; without a mask it is
    clipped. Objects that are entirely outside of the frame are dropped. In a mirror image, left and
    right keypoints swap their names; one that is outside of the frame is no longer labeled.
    """

    def __init__(
        self,
        dataset: Any,
        transform: Any,
        short_sides: tuple[int, ...] = (),
        seed: int = 0,
        passes: int = 1,
    ):
        super().__init__(dataset)
        check_number("passes", passes, 1, whole=True)
        for side in short_sides:
            check_number("short_sides", side, 1, LARGEST, whole=True)
        self.transform, self.short_sides, self.seed = transform, short_sides, seed
        self.passes = self.dataset.passes * passes
        description = f"{_describe(transform)}, short sides {list(short_sides)}, seed {seed}"
        if self.dataset.augmentation != Dataset.augmentation:
            description = f"{self.dataset.augmentation}, then {description}"
        self.augmentation = description

    def __len__(self) -> int:
        return len(self.dataset) // self.dataset.passes * self.passes

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        from mrcnn_edu.data.transforms import transform_item

        if index < 0:
            raise IndexError(f"item {index}: items are counted from 0")
        image, target = self.dataset[index % len(self.dataset)]
        seed = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)
        # torchvision's transforms draw from the default generator. (torch.manual_seed would seed
        # the GPUs' generators as well, and leave them so.)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(seed[0]))
            if self.short_sides:
                choice = int(torch.randint(len(self.short_sides), ()))
                target = target | {"short_side": self.short_sides[choice]}
            return transform_item(self.transform, image, target, self.mirrored)

    def target(self, index: int) -> dict:
        """The target of an augmented item."""
        return self[index][1]

    def image_size(self, index: int) -> Size:
        """(height, width) of an item's image, which the transform is taken to keep."""
        return self.dataset.image_size(index % len(self.dataset))


def _describe(transform: Any) -> str:
    """The transform in words that are the same in every process."""
    steps = getattr(transform, "transforms", [transform])  # of v2.Compose
    return re.sub(r" at 0x[0-9a-f]+|\n *", "", ", ".join(map(repr, steps)))  # no addresses
