"""The paper's ablations as data: what is compared, what the paper found, what the question is.

A setting is what it changes in a `Config`. Paper numbers: Mask R-CNN (arXiv 1703.06870), tables 2
and 3 and section 4, AP in percent on COCO.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SCORES = "ap", "ap50", "ap75"  # of which the paper has numbers


@dataclass(frozen=True)
class Setting:
    """One row of a table."""

    name: str
    changes: Mapping = field(default_factory=dict)  # fields of Config, at the tiny model's size
    paper: tuple[float | None, ...] = (None, None, None)  # AP, AP50, AP75; None: not in the paper
    at_full_size: Mapping | None = None  # the changes to a full-size model, if they are others

    def in_paper(self, name: str = "ap") -> float | None:
        """The paper's score of that name in SCORES, None if it has none."""
        return self.paper[SCORES.index(name)]


@dataclass(frozen=True)
class Table:
    """Settings that are compared, each with the first."""

    name: str
    question: str
    paper_model: str  # that the paper measured it on
    neck: str  # of the tiny model that it is measured on here
    settings: tuple[Setting, ...]
    kind: str = "segm"  # the average precision that the paper's numbers are: of masks, or of boxes
    outlines: str = "templates"  # of the scenes: `data.Shapes`
    steps: int = 400  # of the tiny model's training; full-size models have the paper's

    @property
    def what(self) -> str:
        """What the paper's average precision is of."""
        return {"segm": "mask", "bbox": "box"}[self.kind]

    def paper_gap(self, setting: Setting, name: str = "ap") -> str:
        """How the setting differs from the first in the paper, "" if the paper does not say."""
        first, own = self.settings[0].in_paper(name), setting.in_paper(name)
        return "" if None in (first, own) else f"{own - first:+.1f}"

    def setting(self, name: str) -> Setting:
        """The setting of that name. Raises ValueError that lists the names."""
        for setting in self.settings:
            if setting.name == name:
                return setting
        names = ", ".join(repr(setting.name) for setting in self.settings)
        raise ValueError(f"table {self.name} has no setting {name!r}: choose one of {names}")


def _table(*args, **more) -> tuple[str, Table]:
    table = Table(*args, **more)
    return table.name, table


FCN_AND_MLP = (
    Setting("FCN", paper=(33.6, 55.2, 35.3)),
    Setting("MLP, 2 layers", {"mask_head": "mlp", "mask_layers": 2}, (31.5, 53.7, 32.8)),
    Setting("MLP, 3 layers", {"mask_head": "mlp", "mask_layers": 3}, (31.5, 54.0, 32.6)),
)

TABLES = dict([
    _table(
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
    _table(
        "2a-longer", "And with twice the time?", "ResNet-50-C4 and -FPN", "c4",
        (
            Setting("C4", paper=(30.3, 51.2, 31.5)),
            Setting("FPN", {"neck": "fpn"}, (33.6, 55.2, 35.3)),
        ),
        steps=800,
    ),
    _table(
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
    _table(
        "2c", "What does rounding cost at a small stride?", "ResNet-50-C4", "c4",
        (
            Setting("RoIAlign, mean", paper=(30.3, 51.2, 31.5)),
            Setting("RoIAlign, max", {"roi_aggregate": "max"}, (30.2, 51.0, 31.8)),
            Setting("RoIWarp, mean", {"roi_op": "warp"}, (27.1, 48.9, 27.1)),
            Setting("RoIWarp, max", {"roi_op": "warp", "roi_aggregate": "max"}, (27.2, 49.2, 27.1)),
            Setting("RoIPool", {"roi_op": "pool"}, (26.9, 48.8, 26.4)),
        ),
    ),
    _table(
        "2d", "And at a large one, for masks?", "ResNet-50-C5", "c5",
        (
            Setting("RoIAlign", paper=(30.9, 51.8, 32.1)),
            Setting("RoIPool", {"roi_op": "pool"}, (23.6, 46.5, 21.6)),
        ),
        steps=800,
    ),
    _table(
        "2d-box", "And at a large one, for boxes?", "ResNet-50-C5", "c5",
        (
            Setting("RoIAlign", paper=(34.0, 55.3, 36.4)),
            Setting("RoIPool", {"roi_op": "pool"}, (28.2, 52.7, 26.9)),
        ),
        kind="bbox", steps=800,
    ),
    _table(
        "2e", "Must a mask keep its layout? Outlines of which no two are alike",
        "ResNet-50-FPN", "fpn", FCN_AND_MLP, outlines="blobs",
    ),
    _table(
        "2e-templates", "Must a mask keep its layout? Six outlines, again and again",
        "ResNet-50-FPN", "fpn", FCN_AND_MLP, steps=800,
    ),
    _table(
        "agnostic", "Does each class need a mask of its own?", "ResNet-50-C4", "c4",
        (
            Setting("class-specific", paper=(30.3, None, None)),
            Setting("class-agnostic", {"class_agnostic_mask": True}, (29.7, None, None)),
        ),
    ),
    _table(
        "points", "How many points should a cell average?", "no numbers in the paper", "c4",
        (
            Setting("4 points"),
            Setting("1 point", {"sampling_ratio": 1}),
            Setting("9 points", {"sampling_ratio": 3}),
            Setting("16 points", {"sampling_ratio": 4}),
        ),
    ),
    _table(
        "size", "How fine must a mask be?", "no numbers in the paper", "fpn",
        (
            Setting("28 x 28"),
            Setting("14 x 14", {"mask_size": 14}),
            Setting("56 x 56", {"mask_size": 56}),
        ),
        steps=800,
    ),
    _table(
        "3", "Does learning masks help the boxes?", "ResNet-101-FPN (test-dev)", "fpn",
        (
            Setting("with the mask branch", paper=(38.2, 60.3, 41.7)),
            Setting("boxes alone", {"mask_head": None}, (37.3, 59.6, 40.3)),
        ),
        kind="bbox", steps=800,
    ),
])  # fmt: skip
