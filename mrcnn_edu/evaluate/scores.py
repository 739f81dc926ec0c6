"""COCO's scores, and the IoU thresholds, recalls and ranges of areas that they are computed at.

Letters: K classes, A ranges of areas, T IoU thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# NumPy's values to the last bit, as pycocotools has them: an IoU of exactly 0.6 must fall on the
# same side of the threshold.
IOU_THRESHOLDS = torch.from_numpy(np.linspace(0.5, 0.95, 10))
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
AREAS = {  # in square pixels; both ends included, so that 32² is small as well as medium
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
MAX_DETECTIONS = 100  # of one class in one image; the others are not scored
MAX_POSES = 20  # the same where keypoints are compared


@dataclass(frozen=True)
class Scores:
    """Average precisions in 0..1; nan where there was no object to find."""

    ap: float  # the mean over IoU 0.5, 0.55, ..., 0.95
    ap50: float
    ap75: float
    ap_small: float  # objects of at most 32² pixels; for keypoints, COCO leaves it out
    ap_medium: float
    ap_large: float  # objects of at least 96² pixels
    per_class: dict[
        str, float
    ]  # class name -> ap; "disc (label 2)" if another class is a disc, too

    @classmethod
    def from_table(cls, table: Tensor, classes: Sequence[str]) -> "Scores":
        """The scores of a table [K, A, T] of average precisions, nan where there is no object.

        Each score is a mean over the classes that have objects, and over thresholds.
        """
        by_area = dict(zip(AREAS, table.unbind(1), strict=True))  # each [K, T]
        mean = {area: rows.nanmean(dim=0) for area, rows in by_area.items()}  # each [T]
        per_class = zip(_distinct(classes), by_area["all"], strict=True)
        return cls(
            ap=float(mean["all"].mean()),
            ap50=float(mean["all"][0]),
            ap75=float(mean["all"][5]),
            ap_small=float(mean["small"].mean()),
            ap_medium=float(mean["medium"].mean()),
            ap_large=float(mean["large"].mean()),
            per_class={name: float(row.mean()) for name, row in per_class},
        )

    def __str__(self) -> str:
        rows = {
            "AP": self.ap,
            "AP50": self.ap50,
            "AP75": self.ap75,
            "AP small": self.ap_small,
            "AP medium": self.ap_medium,
            "AP large": self.ap_large,
        }
        lines = [*rows.items(), *self.per_class.items()]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:{width}}  {value:.3f}" for name, value in lines)


def _distinct(classes: Sequence[str]) -> list[str]:
    """The names of labels 1..K, with the label where another class has the same name."""
    return [
        f"{name} (label {label})" if classes.count(name) > 1 else name
        for label, name in enumerate(classes, start=1)
    ]
