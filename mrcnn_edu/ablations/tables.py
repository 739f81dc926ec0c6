"""The paper's ablations as data: the question, the settings that are compared, the paper's scores.

A setting consists of its changes to a `Config`, and of changes to a `Training` if a reader asks for
some. The paper's scores are those of tables 2 and 3 and
section 4 of Mask R-CNN (arXiv 1703.06870): AP in percent on COCO.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

METRICS = "ap", "ap50", "ap75"  # the paper's columns
AP_NAMES = {"segm": "mask AP", "bbox": "box AP"}  # by IoU type


@dataclass(frozen=True)
class Setting:
    """One row of a table."""

    name: str
    changes: Mapping = field(default_factory=dict)  # Config fields changed in the tiny model
    paper: tuple[float | None, ...] = (None, None, None)  # the paper's METRICS, where it has them
    at_full_size: Mapping | None = None  # Config fields changed in a full-size model, if others
    training: Mapping = field(default_factory=dict)  # Training fields changed

    def paper_score(self, metric: str = "ap") -> float | None:
        """The paper's score, one of METRICS; None where the paper has no number."""
        return self.paper[METRICS.index(metric)]


@dataclass(frozen=True)
class Table:
    """Settings that are compared with the first of them."""

    name: str
    question: str
    paper_model: str  # the model that the paper changes
    neck: str  # neck of the tiny model that is changed here
    settings: tuple[Setting, ...]
    iou_type: str = "segm"  # what the paper's AP is computed from: masks (segm) or boxes (bbox)
    outlines: str = "templates"  # outlines of the synthetic scenes, as in `data.Shapes`
    steps: int = 400  # training steps of the tiny model; full-size models have the paper's

    @property
    def ap_name(self) -> str:
        """The AP that the paper reports: "mask AP" or "box AP"."""
        return AP_NAMES[self.iou_type]

    @property
    def other_iou_type(self) -> str:
        """The IoU type of the other AP: "bbox" for a table of mask AP, and the reverse."""
        return "bbox" if self.iou_type == "segm" else "segm"

    @property
    def other_ap_name(self) -> str:
        """The AP that the paper does not report in this table."""
        return AP_NAMES[self.other_iou_type]

    def paper_difference(self, setting: Setting, metric: str = "ap") -> str:
        """The setting's score minus the first one's in the paper, "" where it has no numbers."""
        first, score = self.settings[0].paper_score(metric), setting.paper_score(metric)
        return "" if first is None or score is None else f"{score - first:+.1f}"

    def setting(self, name: str) -> Setting:
        """The setting of that name. Raises ValueError that lists the names."""
        for setting in self.settings:
            if setting.name == name:
                return setting
        names = ", ".join(repr(setting.name) for setting in self.settings)
        raise ValueError(f"table {self.name} has no setting {name!r}: choose one of {names}")


FCN_AND_MLP = (
    Setting("FCN", paper=(33.6, 55.2, 35.3)),
    Setting("MLP, 2 layers", {"mask_head": "mlp", "mask_layers": 2}, (31.5, 53.7, 32.8)),
    Setting("MLP, 3 layers", {"mask_head": "mlp", "mask_layers": 3}, (31.5, 54.0, 32.6)),
)


def by_name(*tables: Table) -> dict[str, Table]:
    return {table.name: table for table in tables}


TABLES = by_name(
    Table(
        "2a", "What do depth and the pyramid bring?", "ResNet-50-C4 and others", "c4",
        (
            Setting("C4", paper=(30.3, 51.2, 31.5)),
            Setting("C4, deeper", {"backbone": "tiny-deep"}, (32.7, 54.2, 34.3),
                    {"backbone": "resnet101"}),
            Setting("FPN", {"neck": "fpn"}, (33.6, 55.2, 35.3)),
            Setting("FPN, deeper", {"neck": "fpn", "backbone": "tiny-deep"}, (35.4, 57.3, 37.5),
                    {"neck": "fpn", "backbone": "resnet101"}),
            Setting("FPN, deeper, grouped", {"neck": "fpn", "backbone": "tiny-next"},
                    (36.7, 59.5, 38.9), {"neck": "fpn", "backbone": "resnext101"}),
        ),
    ),
    Table(
        "2a-longer", "What does the pyramid bring with twice the training?",
        "ResNet-50-C4 and -FPN", "c4",
        (
            Setting("C4", paper=(30.3, 51.2, 31.5)),
            Setting("FPN", {"neck": "fpn"}, (33.6, 55.2, 35.3)),
        ),
        steps=800,
    ),
    Table(
        "2b", "Should the classes compete for a pixel?", "ResNet-50-C4", "c4",
        (
            Setting("sigmoid", paper=(30.3, 51.2, 31.5)),
            Setting("softmax", {"mask_loss": "softmax"}, (24.8, 44.1, 25.1)),
            Setting("softmax, the strongest class",
                    {"mask_loss": "softmax", "mask_decoding": "strongest"}),
            Setting("softmax, against background",
                    {"mask_loss": "softmax", "mask_decoding": "background"}),
        ),
    ),
    Table(
        "2c", "What does rounding cost at a small stride?", "ResNet-50-C4", "c4",
        (
            Setting("RoIAlign, mean", paper=(30.3, 51.2, 31.5)),
            Setting("RoIAlign, max", {"roi_aggregate": "max"}, (30.2, 51.0, 31.8)),
            Setting("RoIWarp, mean", {"roi_op": "warp"}, (27.1, 48.9, 27.1)),
            Setting("RoIWarp, max", {"roi_op": "warp", "roi_aggregate": "max"}, (27.2, 49.2, 27.1)),
            Setting("RoIPool", {"roi_op": "pool"}, (26.9, 48.8, 26.4)),
        ),
    ),
    Table(
        "2d", "What does rounding cost at a large stride, for masks?", "ResNet-50-C5", "c5",
        (
            Setting("RoIAlign", paper=(30.9, 51.8, 32.1)),
            Setting("RoIPool", {"roi_op": "pool"}, (23.6, 46.5, 21.6)),
        ),
        steps=800,
    ),
    Table(
        "2d-box", "What does rounding cost at a large stride, for boxes?", "ResNet-50-C5", "c5",
        (
            Setting("RoIAlign", paper=(34.0, 55.3, 36.4)),
            Setting("RoIPool", {"roi_op": "pool"}, (28.2, 52.7, 26.9)),
        ),
        iou_type="bbox", steps=800,
    ),
    Table(
        "2e", "Must a mask keep its layout? Outlines of which no two are alike",
        "ResNet-50-FPN", "fpn", FCN_AND_MLP, outlines="blobs",
    ),
    Table(
        "2e-templates", "Must a mask keep its layout? Only six outlines",
        "ResNet-50-FPN", "fpn", FCN_AND_MLP, steps=800,
    ),
    Table(
        "agnostic", "Does each class need a mask of its own?", "ResNet-50-C4", "c4",
        (
            Setting("class-specific", paper=(30.3, None, None)),
            Setting("class-agnostic", {"class_agnostic_mask": True}, (29.7, None, None)),
        ),
    ),
    Table(
        "points", "How many sample points should a bin average?", "no numbers in the paper", "c4",
        (
            Setting("4 points"),
            Setting("1 point", {"sampling_ratio": 1}),
            Setting("9 points", {"sampling_ratio": 3}),
            Setting("16 points", {"sampling_ratio": 4}),
        ),
    ),
    Table(
        "size", "How fine must a mask be?", "no numbers in the paper", "fpn",
        (
            Setting("28 x 28"),
            Setting("14 x 14", {"mask_size": 14}),
            Setting("56 x 56", {"mask_size": 56}),
        ),
        steps=800,
    ),
    Table(
        "3", "Does learning masks help the boxes?", "ResNet-101-FPN (test-dev)", "fpn",
        (
            Setting("with the mask branch", paper=(38.2, 60.3, 41.7)),
            Setting("boxes alone", {"mask_head": None}, (37.3, 59.6, 40.3)),
        ),
        iou_type="bbox", steps=800,
    ),
)  # fmt: skip
