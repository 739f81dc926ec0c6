"""Augmentation: every pass over the data shows other images of the same objects.

Nothing is drawn from a generator that runs on: item p n + i of n images is image i as pass p shows
it, a function of (seed, p, i) alone. So processes that prepare images need not know of each other,
and a run that was stopped goes on with the images that it would have seen.
"""

import math
import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """What may be done to an image. As it stands: nothing."""

    # Probability of the mirror image; 0.5 where left and right mean the same.
    flip: float = 0.0
    # Factors between which the scene is drawn nearer or further, in a frame as before.
    scale: tuple[float, float] = (1.0, 1.0)
    # One is drawn for each image, in place of the model's short side; 640 to 800 in the paper's
    # appendix. The longest side stays the model's.
    short_sides: tuple[int, ...] = ()

    def of(self, dataset, training, fill: tuple[float, ...]):
        """The data set, `Augmented` for as many passes as the training makes; if nothing is done
        to it as it is. training: its steps, batch_size and seed count.
        """
        if self == Augmentation():
            return dataset
        passes = math.ceil(training.steps * training.batch_size / len(dataset))
        transform = self.transform(fill)
        return Augmented(dataset, transform, self.short_sides, training.seed, passes)

    def transform(self, fill: tuple[float, ...] = (0.5,)):
        """Flip and scale as torchvision's v2.Transform. fill: what is around a smaller image."""
        from torchvision.transforms import v2  # takes seconds, and most trainings do without

        from mrcnn_edu.data.transforms import ScaleJitter

        steps = [v2.RandomHorizontalFlip(self.flip)]
        if self.scale != (1.0, 1.0):
            steps.append(ScaleJitter(*self.scale, fill))
        return v2.Compose(steps)


class Augmented:
    """n x passes items (image [C, H, W], target): item p n + i is image i as pass p shows it.

    transform: any of torchvision.transforms.v2 that keeps the number of objects; it is given the
    image, boxes and masks as tv_tensors. short_sides: one is drawn for each item, as the target's
    `short_side`, to which the model scales the image when it is trained. passes: 1 if whoever asks
    counts passes, beyond the length, itself.

    A box that the frame now cuts becomes the box of what is left of its mask; without a mask it is
    clipped. Objects of which nothing is left are dropped.
    """

    def __init__(
        self,
        dataset,
        transform,
        short_sides: tuple[int, ...] = (),
        seed: int = 0,
        passes: int = 1,
    ):
        self.dataset, self.classes = dataset, dataset.classes
        self.transform, self.short_sides = transform, short_sides
        self.seed, self.passes = seed, passes
        self.fingerprint = getattr(dataset, "fingerprint", "")

    def __len__(self) -> int:
        return len(self.dataset) * self.passes

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image, for data sets that know it without reading the image."""
        return self.dataset.image_size(index % len(self.dataset))

    @property
    def augmentation(self) -> str:
        """What is done to the images, in words: the same for runs that see the same images."""
        steps = getattr(self.transform, "transforms", [self.transform])
        words = re.sub(r" at 0x[0-9a-f]+|\n *", "", ", ".join(map(repr, steps)))  # no addresses
        return f"{words}, short sides {list(self.short_sides)}, seed {self.seed}"

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if index < 0:
            raise IndexError(f"item {index}: items are counted from 0")
        image, target = self.dataset[index % len(self.dataset)]
        from mrcnn_edu.data.transforms import transform_item

        seed = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms know no other generator
            torch.manual_seed(int(seed[0]))
            if self.short_sides:
                choice = int(torch.randint(len(self.short_sides), ()))
                target = target | {"short_side": self.short_sides[choice]}
            return transform_item(self.transform, image, target)
