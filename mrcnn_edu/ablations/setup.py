"""What all settings of a table share: the model they change, the training, the scenes.

The tiny numbers were fixed after one run each of the C4 and the FPN model, scored on other scenes
than `val_data`, and before any other settings were run; C4's RoIs were then made fewer, to save
time. So 2a, which compares these two, is not blind to the choice; the other tables are. Against
Config.tiny() heads are narrower, so that a run takes a minute or two of one core; scenes are fuller
and overlap more, so that every image teaches much.

With the pyramid, and at stride 16, 400 steps were too few: the baseline's seeds were up to 20 AP
apart, which hides every difference. Of 800 steps, a lower rate and a wider model, each run once
with the baseline alone and scored on other scenes, 800 steps helped most (mask AP 43 for 25), so
these tables have them.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from mrcnn_edu.ablations.tables import Setting, Table
from mrcnn_edu.config import Config
from mrcnn_edu.data import CocoFolder, Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.train import Training
from mrcnn_edu.train.recipes import FLIP, PAPER

FPN = Config.tiny(
    fpn_channels=48, roi_batch_per_image=32, box_hidden=96, mask_channels=32, mask_hidden=128
)  # fmt: skip
C4 = replace(  # its head is the paper's (figure 4, left); its numbers are half of FPN's
    FPN, neck="c4", mask_size=14, mask_convs=0, roi_batch_per_image=24, rpn_post_nms_top_n_test=50
)
BASES = {  # the model that a table's settings change, by its size and neck
    "tiny": {"fpn": FPN, "c4": C4, "c5": replace(FPN, neck="c5")},
    "r50": {"fpn": Config(), "c4": Config.c4(), "c5": Config(neck="c5")},
}
TRAINING = {
    "tiny": Training(batch_size=4),  # a table says how many steps
    "r50": PAPER,
}
UNCHANGED = Augmentation()
AUGMENTATION = {"tiny": UNCHANGED, "r50": FLIP}


@dataclass(frozen=True)
class Folder:
    """A COCO folder, opened only where a job needs it."""

    images: str
    annotations: str

    def open(self) -> CocoFolder:
        return CocoFolder(self.images, self.annotations)

    @cached_property
    def classes(self) -> list[str]:
        return self.open().classes


@dataclass(frozen=True)
class Job:
    """Everything that a result depends on, but for the code."""

    config: Config
    training: Training
    train_data: Shapes | Folder
    val_data: Shapes | Folder
    augmentation: Augmentation = UNCHANGED


TRAIN_SCENES = Shapes(2_000, seed=0, n_objects=(3, 6), overlap=0.5)
VAL_SCENES = replace(TRAIN_SCENES, n=200, seed=3)


@dataclass(frozen=True)
class Setup:
    """Where tables are measured: scenes of so many objects, or COCO folders.

    size: "tiny", or "r50" for the paper's models. neck: instead of the table's own.
    """

    size: Literal["tiny", "r50"] = "tiny"
    neck: Literal["fpn", "c4", "c5"] | None = None
    train_data: Shapes | Folder = TRAIN_SCENES
    val_data: Shapes | Folder = VAL_SCENES

    def job(self, table: Table, setting: Setting, seed: int, steps: int | None = None) -> Job:
        """What is to be computed for one setting and seed.

        A reading of the mask is not part of it: every result has all of them.
        """
        data = self.train_data, self.val_data
        if isinstance(self.train_data, Shapes):
            data = (replace(scenes, outlines=table.outlines) for scenes in data)
        train_data, val_data = data
        changes = dict(setting.changes)
        if self.size != "tiny" and setting.at_full_size is not None:
            changes = dict(setting.at_full_size)
        changes.pop("mask_decoding", None)
        base = BASES[self.size][changes.get("neck", self.neck or table.neck)]
        n_classes = len(train_data.classes)
        training = TRAINING[self.size]
        if steps is None:
            steps = table.steps if self.size == "tiny" else training.steps
        training = replace(training, seed=seed, steps=steps)
        config = replace(base, n_classes=n_classes, **changes)
        return Job(config, training, train_data, val_data, AUGMENTATION[self.size])


def opened(data: Shapes | Folder):
    """The data set itself."""
    return data.open() if isinstance(data, Folder) else data
