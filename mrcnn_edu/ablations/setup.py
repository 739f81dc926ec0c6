"""The setup that all settings of a table share: the model they change, the training, the data.

The settings of the tiny models were fixed after one run of the C4 model and one of the FPN model,
scored on other scenes than `VAL_DATA`, before any other setting had been run. C4's RoIs were then
reduced to save time. So table 2a, which compares these two models, is not independent of the
choice; the other tables are. The heads are narrower than in Config.tiny(), so that a run takes one
core a minute or two. The scenes are fuller and overlap more, so that each image teaches more.

With the pyramid, and at stride 16, 400 steps were too few: the seeds of the baseline were up to 20
AP apart, which hides every difference. We tried 800 steps, a lower learning rate and a wider model,
each in one run of the baseline alone, scored on other scenes. 800 steps helped most (mask AP 43
instead of 25), so these tables use them.
"""

from dataclasses import dataclass, replace
from typing import Literal

from mrcnn_edu.ablations.job import NO_AUGMENTATION, Folder, Job
from mrcnn_edu.ablations.tables import Setting, Table
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.train.recipes import FLIP, PAPER, Training

FPN_BASE = Config.tiny(
    fpn_channels=48, roi_batch_per_image=32, box_hidden=96, mask_channels=32, mask_hidden=128
)
C4_BASE = replace(  # the paper's head (figure 4, left), and fewer RoIs than FPN
    FPN_BASE,
    neck="c4",
    mask_size=14,
    mask_convs=0,
    roi_batch_per_image=24,
    rpn_post_nms_top_n_test=50,
)
C5_BASE = replace(FPN_BASE, neck="c5")
BASE_CONFIGS = {  # by size and neck
    "tiny": {"fpn": FPN_BASE, "c4": C4_BASE, "c5": C5_BASE},
    "r50": {"fpn": Config(), "c4": Config.c4(), "c5": Config(neck="c5")},
}
BASE_TRAINING = {"tiny": Training(batch_size=4), "r50": PAPER}  # tables set the tiny one's steps
BASE_AUGMENTATION = {"tiny": NO_AUGMENTATION, "r50": FLIP}
TRAIN_DATA = Shapes(2_000, seed=0, n_objects=(3, 6), overlap=0.5)
VAL_DATA = replace(TRAIN_DATA, n=200, seed=3)


@dataclass(frozen=True)
class Setup:
    """What a table is measured with: models of one size, and data, synthetic or from COCO folders.

    size: "tiny", or "r50" for the paper's models. neck: overrides the table's. Synthetic scenes
    have the outlines that the table asks for.
    """

    size: Literal["tiny", "r50"] = "tiny"
    neck: Literal["fpn", "c4", "c5"] | None = None
    train_data: Shapes | Folder = TRAIN_DATA
    val_data: Shapes | Folder = VAL_DATA

    def job(self, table: Table, setting: Setting, seed: int, steps: int | None = None) -> Job:
        """The job of one setting and seed.

        steps: overrides the table's, or the paper's; a setting's own steps override both.

        `mask_decoding` is no part of a job: every result contains the scores of all decodings.
        """
        train_data = _with_outlines(self.train_data, table.outlines)
        val_data = _with_outlines(self.val_data, table.outlines)
        changes = dict(setting.changes)
        if self.size != "tiny" and setting.at_full_size is not None:
            changes = dict(setting.at_full_size)
        changes.pop("mask_decoding", None)
        neck = changes.get("neck", self.neck or table.neck)
        n_classes = len(train_data.classes)
        config = replace(BASE_CONFIGS[self.size][neck], n_classes=n_classes, **changes)
        training = BASE_TRAINING[self.size]
        if steps is None:
            steps = table.steps if self.size == "tiny" else training.steps
        training = replace(training, **{"steps": steps, **setting.training, "seed": seed})
        return Job(config, training, train_data, val_data, BASE_AUGMENTATION[self.size])


def _with_outlines(data: Shapes | Folder, outlines: str) -> Shapes | Folder:
    return replace(data, outlines=outlines) if isinstance(data, Shapes) else data
