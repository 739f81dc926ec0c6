"""Diagrams can be read: texts lie apart and inside, no line crosses one, and arrows meet shapes."""

import re
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
import torch
from family import PAPERS as TABLE
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, Polygon
from PIL import Image
from torch import nn

from mrcnn_edu import Config, viz
from mrcnn_edu.backbone import BasicBlock, stage
from mrcnn_edu.backbone_choices import Bottleneck
from mrcnn_edu.heads import BoxHead, MaskHeadFCN
from mrcnn_edu.rpn import RPNHead
from mrcnn_edu.viz.diagrams.arrows import arrow, line
from mrcnn_edu.viz.diagrams.frame import around
from mrcnn_edu.viz.diagrams.scene import anchors_around, object_boxes
from mrcnn_edu.viz.diagrams.shapes import STRONG, block, slab
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.diagrams.timeline import PAPERS
from mrcnn_edu.viz.style import HIGHLIGHT, LABEL, SMALL, TITLE

SHARED = ["backbone", "neck"]
REACHED = {
    "loss_objectness": [*SHARED, "rpn_head"],
    "loss_rpn_box_reg": [*SHARED, "rpn_head"],
    "loss_classifier": [*SHARED, "box_head"],
    "loss_box_reg": [*SHARED, "box_head"],
    "loss_mask": [*SHARED, "mask_head"],
}
DIAGRAMS = {
    "architecture": viz.show_architecture,
    "stage": lambda: viz.show_architecture("proposals"),
    "family": viz.show_family,
    "timeline": viz.show_timeline,
    "trained together": viz.show_trained_together,
    "debugging tree": viz.show_debugging_tree,
    "residual block": viz.show_residual_block,
    "pyramids": viz.show_pyramids,
    "FPN": viz.show_fpn,
    "RPN": viz.show_rpn_window,
    "heads": viz.show_two_heads,
    "gradients": lambda: viz.show_loss_gradients(REACHED),
    "gradients without a cut": lambda: viz.show_loss_gradients(
        REACHED | {"loss_mask": ["neck", "rpn_head", "mask_head"]}
    ),
    "no gradients": lambda: viz.show_loss_gradients({}),
}


def pixels(picture) -> np.ndarray:
    """The picture's pixels [height, width, 3]."""
    return np.asarray(Image.open(BytesIO(picture.png())).convert("RGB")).astype(int)


def texts_of(picture) -> list:
    return [text for axes in picture.axes for text in axes.texts if text.get_text()]


def words_of(picture) -> list[str]:
    return [text.get_text() for text in texts_of(picture)]


def is_bright(picture) -> np.ndarray:
    """Where the picture has a color, rather than a shade of gray: [height, width]."""
    return np.ptp(pixels(picture), axis=-1) > 20


@pytest.fixture(params=DIAGRAMS, scope="module")
def diagram(request):
    """A diagram that has been drawn."""
    picture = DIAGRAMS[request.param]()
    picture.drawn = pixels(picture)
    return picture


def test_a_diagram_fits_a_notebook_and_is_not_empty(diagram):
    assert diagram.shown_size[0] <= 720 and diagram.shown_size[1] <= 500
    assert diagram.drawn.std() > 10


def test_texts_lie_inside_and_apart(diagram):
    boxes = {text: text.get_window_extent() for text in texts_of(diagram)}
    width, height = diagram.get_size_inches() * diagram.dpi
    for text, box in boxes.items():
        assert box.x0 >= 2 and box.x1 <= width - 2, text
        assert box.y0 >= 0 and box.y1 <= height, text
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        apart = max(a.x0 - b.x1, b.x0 - a.x1, a.y0 - b.y1, b.y0 - a.y1)
        assert apart >= 2, f"{first} and {second}"


def crossings(picture) -> list[str]:
    """The texts that a line, an arrow or the outline of a shape crosses.

    What lies below the block that a text is written on is not seen.
    """
    crossed = []
    for axes in picture.axes:
        patches = [(p, p.get_path().transformed(p.get_transform())) for p in axes.patches]
        others = [
            path.transformed(collection.get_transform())
            for collection in axes.collections
            for path in collection.get_paths()
        ]
        for text in (text for text in axes.texts if text.get_text()):
            box = text.get_window_extent()
            covering = [
                i for i, (patch, path) in enumerate(patches)
                if isinstance(patch, FancyBboxPatch) and path.contains_points(box.corners()).all()
            ]  # fmt: skip
            seen = [path for _, path in patches[max(covering, default=0) :]] + others
            if any(outline.intersects_bbox(box, filled=False) for outline in seen):
                crossed.append(text.get_text())
    return crossed


def test_no_line_crosses_a_text(diagram):
    assert crossings(diagram) == []


def test_crossed_texts_are_found():
    picture, axes = sheet(2, 1)
    axes.text(1, 0.5, "crossed", ha="center", va="center")
    axes.text(1, 0.1, "free", ha="center", va="center")
    line(axes, (0.1, 0.5), (1.9, 0.5))
    picture.png()
    assert crossings(picture) == ["crossed"]


def test_one_typeface_in_at_most_three_sizes(diagram):
    texts = texts_of(diagram)
    assert {text.get_fontsize() for text in texts} <= {SMALL, LABEL, TITLE}
    assert {tuple(text.get_fontfamily()) for text in texts} == {("sans-serif",)}


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_stored_as_svg_even_with_a_caption(name):
    picture = DIAGRAMS[name]().caption("Figure 1. " + "A sentence of a caption. " * 4)
    svg = picture.svg()
    assert svg is not None and len(svg.encode()) <= 60_000


def test_a_stage_keeps_its_color_and_the_others_lose_theirs():
    whole = is_bright(viz.show_architecture())
    stages = [is_bright(viz.show_architecture(stage)) for stage in viz.ARCHITECTURE_STAGES]
    rows, columns = whole.shape
    legend = np.zeros_like(whole)
    legend[: rows // 5, 3 * columns // 4 :] = True  # is colored whatever the stage
    for first, second in combinations(stages, 2):
        assert (first & second & ~legend).sum() < 20
    together = np.any(stages, axis=0)
    assert (together & whole).sum() > 0.8 * whole.sum() and (together & ~whole).mean() < 0.01
    assert all((stage & ~legend).sum() > 1000 for stage in stages)


@pytest.mark.parametrize("stage", ["dinner", "", "Image", 3])
def test_an_unknown_stage_is_an_error_that_lists_the_stages(stage):
    with pytest.raises(ValueError, match=r"choose one of image, features, .* detections"):
        viz.show_architecture(stage)


@pytest.mark.parametrize("points", [[(0, 0), (1, 0)], [(0, 1), (1, 1), (1, 3)], [(2, 2), (1, 1)]])
@pytest.mark.parametrize("dashed", [False, True])
def test_the_tip_of_an_arrow_is_its_last_point(points, dashed):
    _, axes = sheet(4, 4)
    arrow(axes, *points, dashed=dashed)
    reached = np.concatenate([patch.get_path().vertices for patch in axes.patches])
    along = np.array(points[-1]) - points[-2]
    farthest = reached[(reached @ along).argmax()]
    np.testing.assert_allclose(farthest, points[-1], atol=1e-9)


@pytest.mark.parametrize("thickness", [0.02, 0.1, 0.3])
def test_arrows_meet_a_feature_map_on_its_outline(thickness):
    _, axes = sheet(4, 4)
    frame = slab(axes, around((2, 2), 1.2, 0.4), thickness)
    silhouette = [patch.get_path() for patch in axes.patches]
    for side, outward in (
        (frame.left, (-0.01, 0)), (frame.right, (0.01, 0)), (frame.top, (0, -0.01)),
        (frame.bottom, (0, 0.01)),
    ):  # fmt: skip
        inside, outside = np.subtract(side, outward), np.add(side, outward)
        assert any(path.contains_point(inside) for path in silhouette)
        assert not any(path.contains_point(outside) for path in silhouette)


def test_a_stack_of_cards_fills_the_frame_of_a_block():
    _, axes = sheet(4, 4)
    frame = block(axes, around((2, 2), 1, 0.5), "a", cards=3)
    corners = np.concatenate([patch.get_path().vertices for patch in axes.patches])
    np.testing.assert_allclose(corners.min(axis=0), (frame.x, frame.y))
    np.testing.assert_allclose(corners.max(axis=0), (2.5, 2.25))
    assert len(axes.patches) == 3


def test_objects_and_anchors_are_where_they_belong():
    frame = around((3, 2), 2, 1.5)
    boxes = object_boxes(frame)
    assert (boxes[:, :2] >= (2, 1.25)).all() and (boxes[:, 2:] <= (4, 2.75)).all()
    anchors = anchors_around((1, 2), 0.5)
    sizes = anchors[:, 2:] - anchors[:, :2]
    np.testing.assert_allclose((anchors[:, :2] + anchors[:, 2:]) / 2, [(1, 2)] * 3)
    np.testing.assert_allclose(sizes.prod(axis=1), 0.25)
    np.testing.assert_allclose(sizes[:, 1] / sizes[:, 0], (0.5, 1, 2))


def weights(module) -> int:
    """The number of weights of a module's convolutions."""
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Conv2d))


def test_residual_blocks_have_the_weights_that_the_diagram_counts():
    words = words_of(viz.show_residual_block())
    basic = weights(BasicBlock(64, 64, 1, nn.BatchNorm2d))
    bottleneck = weights(Bottleneck(256, 64, 1, nn.BatchNorm2d))
    counted = [word for word in words if word.endswith(" weights")]
    assert counted == [f"{n:,} weights" for n in (basic, basic, bottleneck)]


def test_the_pyramid_has_the_levels_of_the_default_model():
    words = words_of(viz.show_fpn())
    sizes = [int(size) for (size,) in Config().anchor_sizes]
    for level, size in zip(range(2, 7), sizes, strict=True):
        name = words.index(f"P{level}")
        assert words[name + 1 : name + 3] == [str(2**level), str(size)]


def test_the_rpn_has_as_many_outputs_as_the_head():
    words, head = words_of(viz.show_rpn_window()), RPNHead(8, n_anchors=3)
    outputs = [layer.out_channels for layer in head.modules() if isinstance(layer, nn.Conv2d)]
    assert words.count("$p$") == outputs[-2]
    assert sum(word.startswith("$t_") for word in words) == outputs[-1]


def test_the_heads_have_the_shapes_that_the_diagram_shows():
    words = words_of(viz.show_two_heads())
    with torch.device("meta"):
        box = BoxHead(256, 7, n_convs=0, n_layers=2, hidden=1024, n_classes=80)
        mask = MaskHeadFCN(256, 256, 4, n_classes=80)
        res5 = stage(Bottleneck, 3, 1024, 512, stride=1, norm=nn.BatchNorm2d)
        scores, deltas = box(torch.empty(1, 256, 7, 7))
        maps = [torch.empty(1, 256, 14, 14)]
        for layer in (mask.convs, mask.conv5_mask, mask.mask_fcn_logits):
            maps.append(layer(maps[-1]))
        c4 = [torch.empty(1, 1024, 7, 7), res5(torch.empty(1, 1024, 7, 7))]
    for output in maps[:-1] + c4:
        assert "{2} × {3} × {1}".format(*output.shape) in words
    assert maps[-1].shape == (1, 81, 28, 28) and "28 × 28 × 80" in words  # without background
    assert words.count(f"{scores.shape[1]} class scores") == 2
    assert words.count(f"{deltas.shape[1]} × {deltas.shape[2]} box deltas") == 2
    assert words.count("1024") == len(box.layers)


def n_gradients(reached) -> int:
    """How many arrows a diagram of gradients has, its key's apart."""
    (axes,) = viz.show_loss_gradients(reached).axes
    heads = [patch for patch in axes.patches if isinstance(patch, Polygon)]
    return sum(to_hex(patch.get_facecolor()) == HIGHLIGHT.lower() for patch in heads) - 1


def test_an_arrow_is_drawn_where_a_gradient_was_found():
    assert n_gradients({}) == n_gradients({"loss_mask": []}) == 0
    assert n_gradients({"loss_box_reg": ["box_head"]}) == 1
    assert n_gradients({"loss_objectness": ["rpn_head", "neck"]}) == 2
    assert n_gradients({"loss_mask": REACHED["loss_mask"]}) == 3  # RoIAlign lies between
    assert n_gradients(REACHED) == 5 + 1 + 2 + 2
    assert n_gradients(REACHED | {"loss_mask": ["rpn_head", *REACHED["loss_mask"]]}) == 11


def test_the_way_of_the_proposals_is_cut_unless_a_gradient_passes():
    cut = "detach: no gradient passes"
    assert cut in words_of(viz.show_loss_gradients(REACHED))
    for loss in ("loss_mask", "loss_classifier"):
        opened = REACHED | {loss: [*REACHED[loss], "rpn_head"]}
        assert cut not in words_of(viz.show_loss_gradients(opened))


@pytest.mark.parametrize("reached", [{"loss": []}, {"loss_mask": ["head"]}, {"mask": ["neck"]}])
def test_an_unknown_loss_or_part_is_an_error_that_names_it(reached):
    with pytest.raises(ValueError, match=r"'(loss|head|mask)' is none of loss_objectness, "):
        viz.show_loss_gradients(reached)


def test_the_timeline_has_the_figures_of_the_table_of_papers():
    table = {float(number) for row in TABLE for number in re.findall(r"\d+(?:\.\d+)?", str(row))}
    rcnn, _, fast, faster, _, fcis, _, mask = PAPERS
    for paper in (rcnn, fast, faster):
        assert {paper.voc, paper.seconds} <= table and paper.mask is None
    assert {fcis.mask, fcis.seconds, mask.mask, mask.box, mask.seconds} <= table
    dates = [paper.published for paper in PAPERS]
    assert dates == sorted(dates) and all(1 <= month <= 12 for _, month in dates)


def test_more_and_more_parts_learn_together():
    (axes,) = viz.show_trained_together().axes
    strong = [patch for patch in axes.patches if patch.get_linewidth() == STRONG]
    frames = sorted((p.get_bbox() for p in strong if p.get_bbox().width > 1), key=lambda b: b.y0)
    assert len(frames) == 3  # R-CNN's parts learn one after the other
    widths = [frame.width for frame in frames]
    assert widths == sorted(widths) and len(set(widths)) == 3


def test_the_timeline_keeps_benchmarks_apart():
    words = words_of(viz.show_timeline())
    for paper in PAPERS:
        for value in (paper.voc, paper.box, paper.mask):
            assert value is None or words.count(f"{value:.1f}") == 1
    assert all(any(name in word for word in words) for name in ("VOC 2007", "box AP", "mask AP"))
