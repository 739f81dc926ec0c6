"""A job: one training run with everything that its result depends on, apart from the code."""

from dataclasses import dataclass
from functools import cached_property

from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.train.recipes import Training

NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class Folder:
    """The paths of a COCO folder. A job names its data; it is read where the job runs."""

    images: str
    annotations: str

    def open(self) -> CocoFolder:
        return CocoFolder(self.images, self.annotations)

    @cached_property
    def classes(self) -> list[str]:
        return self.open().classes


@dataclass(frozen=True)
class Job:
    """One model to train and score; the seed is the training's."""

    config: Config
    training: Training
    train_data: Shapes | Folder
    val_data: Shapes | Folder
    augmentation: Augmentation = NO_AUGMENTATION


def open_data(data: Shapes | Folder) -> Shapes | CocoFolder:
    """The dataset itself."""
    return data.open() if isinstance(data, Folder) else data
