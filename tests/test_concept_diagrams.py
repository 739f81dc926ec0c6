"""The pictures of ideas show values that were computed, and texts that can be read."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou, encode_boxes
from mrcnn_edu.course import gpu_kernels
from mrcnn_edu.course.small_triton import touched
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import average_precision
from mrcnn_edu.losses import SMOOTH_L1_BETA, smooth_l1
from mrcnn_edu.matching import match
from mrcnn_edu.nms import nms
from mrcnn_edu.viz import confusion
from mrcnn_edu.viz.diagrams import iou_ladder, matching, ranking, receptive_field
from mrcnn_edu.viz.diagrams import smooth_l1 as loss_diagram
from mrcnn_edu.viz.names import Names
from mrcnn_edu.viz.style import MATCH_COLORS

A, B = torch.tensor([10.0, 20, 74, 68]), torch.tensor([34.0, 32, 90, 96])
IOU = torch.tensor([[0.82, 0.05], [0.55, 0.12], [0.1, 0.43], [0.04, 0.28], [0.0, 0.0]]).T
SIX = torch.tensor(
    [[10.0, 10, 50, 60], [14, 12, 52, 58], [8, 16, 46, 64], [60, 20, 90, 50], [64, 22, 96, 54],
     [58, 14, 86, 48]]
)  # fmt: skip
SCORES = torch.tensor([0.95, 0.8, 0.6, 0.9, 0.7, 0.5])
RANKING = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0]).bool()

NUMBERS = torch.tensor([[1, 0, 2, 1], [0, 3, 7, 1], [2, 5, 1, 8], [1, 6, 0, 2]])
SMALL_ROI = torch.tensor([0.625, 0.75, 2.625, 2.375])

PICTURES = {
    "iou": lambda: viz.show_iou(A, B),
    "iou of nested boxes": lambda: viz.show_iou(A, A + torch.tensor([9.0, 9, -9, -9])),
    "iou of distant boxes": lambda: viz.show_iou(A, 1000 + 10 * A),
    "iou of tiny boxes": lambda: viz.show_iou(A / 1000, B / 1000),
    "iou ladder": viz.show_iou_ladder,
    "deltas": lambda: viz.show_box_deltas(A, B),
    "deltas of one box": lambda: viz.show_box_deltas(A, A),
    "deltas of flat boxes": lambda: viz.show_box_deltas(
        torch.tensor([0.0, 0, 100, 20]), torch.tensor([-30.0, 10, 20, 30])
    ),
    "deltas of tall boxes": lambda: viz.show_box_deltas(
        torch.tensor([0.0, 0, 20, 200]), torch.tensor([10.0, -50, 40, 30]), role="proposal"
    ),
    "deltas of distant boxes": lambda: viz.show_box_deltas(A, 1000 + 2 * A),
    "matching": lambda: viz.show_matching(IOU, match(IOU, 0.7, 0.3, True)),
    "matching of RoIs": lambda: viz.show_matching(
        IOU.repeat(3, 1), match(IOU.repeat(3, 1), 0.5, 0.5), 0.5, 0.5, best=False, of="RoI"
    ),
    "RoIPool, step by step": lambda: viz.show_roi_pool_steps(NUMBERS, SMALL_ROI, 2),
    "RoIPool, a RoI alone": lambda: viz.show_roi_pool_steps(NUMBERS, SMALL_ROI, 2, steps=1),
    "bilinear": lambda: viz.show_bilinear(NUMBERS[1:3, 1:3], 0.25, 0.5),
    "bilinear at a position": lambda: viz.show_bilinear(NUMBERS[1:3, 1:3], 0, 1),
    "losses": viz.show_regression_losses,
    "losses, beta 1": lambda: viz.show_regression_losses(1.0),
    "losses, large beta": lambda: viz.show_regression_losses(1000),
    "receptive field": lambda: viz.show_receptive_field([(3, 1), (3, 2), (3, 1)]),
    "receptive field of ResNet's beginning": lambda: viz.show_receptive_field(
        [(7, 2), (3, 2), (1, 1), (3, 1), (1, 1), (3, 1)]
    ),
    "receptive field of one layer": lambda: viz.show_receptive_field([(2, 2)]),
    "NMS": lambda: viz.show_nms_steps(SIX, SCORES, 0.5),
    "matches": lambda: viz.show_matches(IOU.T, SCORES[:5], torch.tensor([0, -1, -1, -1, -1]), 0.5),
    "a ranking": lambda: viz.show_ranking(RANKING, 123),
    "a long ranking": lambda: viz.show_ranking(RANKING.repeat(2), 16),
    "the curve of a ranking": lambda: viz.show_curves({"one": (RANKING, 5)}),
    "curves of rankings": lambda: viz.show_curves(
        {f"IoU {i}": (RANKING, 5 + i) for i in range(10)}
    ),
    "the area of a ranking": lambda: viz.show_ap_area(RANKING, 5),
    "the area of a useless ranking": lambda: viz.show_ap_area(~RANKING[:1], 5),
    "a queue": lambda: viz.show_queue(
        {"large": viz.queue_times([20] * 6, 5), "read": viz.queue_times([20] * 6, 5, [1, 3])}
    ),
    "levels of memory": lambda: viz.show_memory_levels({"maps": 83e6, "RoI features": 26e6}),
    "programs": lambda: viz.show_programs(
        touched(
            gpu_kernels.mean_of_rows, (3,), torch.rand(4, 40), torch.rand(40), 4, 40, BLOCK=16
        )
    ),
    "one program": lambda: viz.show_programs(
        touched(
            gpu_kernels.read_points, (2, 1), torch.rand(15, 8), torch.rand(2, 2),
            torch.rand(2, 8), 5, 8, BLOCK=8,
        ),
        highlight=(0, 0),
    ),
    "assembly": viz.show_assembly,
}  # fmt: skip


def drawn(picture) -> list[tuple[str, Bbox]]:
    """Every text of a picture, ticks apart, and where it is in pixels."""
    picture.png()
    renderer = picture.canvas.get_renderer()
    texts = list(picture.texts)
    for axes in picture.findobj(Axes):
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    found = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]
    for names in picture.findobj(Names):
        found += [("a name", Bbox.from_extents(*chip)) for chip in names.chips]
    return found


def words(picture) -> str:
    """All texts of a picture."""
    return "\n".join(text for text, _ in drawn(picture))


def rectangles(picture, **wanted) -> list[tuple[float, ...]]:
    """(x1, y1, x2, y2) of the rectangles drawn on the first axes that look as wanted."""
    found = []
    for patch in picture.axes[0].patches:
        if isinstance(patch, Rectangle):
            looks = {
                "filled": patch.get_fill(),
                "face": to_hex(patch.get_facecolor()),
                "edge": to_hex(patch.get_edgecolor()),
            }
            if all(looks[key] == value for key, value in wanted.items()):
                (x1, y1), (x2, y2) = patch.get_bbox().get_points()
                found.append((x1, y1, x2, y2))
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_a_diagram_can_be_read_and_is_stored_as_svg(name):
    """No text leaves the picture or covers another; 720 pixels and 60 kB are enough."""
    picture = PICTURES[name]().caption("Figure 1. What is to be seen.")
    assert picture.svg() is not None, "larger than 60 kB"
    assert picture.shown_size[0] <= 720
    texts = drawn(picture)
    width, height = picture.bbox.width, picture.bbox.height
    for i, (text, box) in enumerate(texts):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
        for other, other_box in texts[:i]:
            common = Bbox.intersection(box, other_box)
            assert common is None or min(common.width, common.height) < 1, (text, other)


@pytest.mark.parametrize(
    ("a", "b", "fraction", "value"),
    [
        (A, B, ("1{,}440", "5{,}216"), "0.28"),
        (A, A, ("3{,}072", "3{,}072"), "1.00"),
        (A, A + 500, ("0", "6{,}144"), "0.00"),
        (torch.tensor([0, 0, 2, 2]), [1, 0, 3.5, 2], ("2", "7"), "0.29"),  # integers, and a list
    ],
)
def test_iou_is_the_intersection_over_the_union(a, b, fraction, value):
    text = words(viz.show_iou(a, b))
    assert rf"\dfrac{{{fraction[0]}}}{{{fraction[1]}}}" in text and f"\n{value}" in text


def test_the_filled_areas_are_those_of_the_fraction():
    picture = viz.show_iou(A, B)
    filled = torch.tensor(rectangles(picture, filled=True))
    assert len(filled) == 3  # the intersection, and both boxes for the union
    area = (filled[:, 2:] - filled[:, :2]).prod(dim=1)
    union = area[1] + area[2] - area[0]  # both drawings have the same scale
    assert area[0] / union == pytest.approx(box_iou(A[None], B[None]).item(), abs=1e-4)
    assert len(rectangles(viz.show_iou(A, A + 500), filled=True)) == 2  # nothing is shared


def test_the_ladder_has_every_tenth_from_one_to_nine():
    picture = viz.show_iou_ladder()
    boxes = torch.tensor(rectangles(picture, filled=False), dtype=torch.float).view(2, 9, 2, 4)
    for row in boxes:
        iou = box_iou(row[:, 0], row[:, 1]).diagonal()
        assert torch.allclose(iou, torch.arange(1, 10) / 10, atol=0.005)
    labels = re.findall(r"^0\.\d$", words(picture), re.MULTILINE)
    assert labels == [f"0.{i}" for i in range(1, 10)]
    for kind in iou_ladder.KINDS:
        first, second = iou_ladder.ladder(kind)
        assert torch.allclose(box_iou(first, second).diagonal(), torch.arange(1, 10) / 10)


@pytest.mark.parametrize("box", [B, A, torch.tensor([-30.0, 25, -10, 30])])
def test_deltas_are_those_of_encode_boxes(box):
    text = words(viz.show_box_deltas(A, box))
    for name, value in zip("xywh", encode_boxes(box, A).tolist(), strict=True):
        (line,) = [line for line in text.splitlines() if line.startswith(rf"$d_{name} \;=")]
        shown = line.rsplit("=", 1)[1].strip("$\\; ").replace("{-}", "-")
        assert float(shown) == pytest.approx(value, abs=0.0051) and shown != "-0.00"


def test_lines_measure_both_boxes_and_the_arrow_leads_from_center_to_center():
    axes = viz.show_box_deltas(A, B).axes[0]
    lengths = {viz.ROLES["anchor"]: [], viz.ROLES["gt"]: []}
    for line in axes.lines:
        if line.get_color() in lengths and line.get_marker() == "None":
            (x1, x2), (y1, y2) = line.get_data()
            lengths[line.get_color()].append(math.hypot(x2 - x1, y2 - y1))
    anchor, box = (sorted(values)[-2:] for values in lengths.values())
    scale = anchor[0] / 48
    assert anchor == pytest.approx([48 * scale, 64 * scale])
    assert box == pytest.approx([56 * scale, 64 * scale])
    dots = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert (dots[1] - dots[0]) / scale == pytest.approx(np.array([20, 20]))


def test_deltas_are_drawn_on_an_image():
    image, target = Shapes(1, seed=3, n_objects=(1, 1))[0]
    box = target["boxes"][0]
    outside = box - torch.tensor([60.0, 60, 60, 60])
    for anchor in (box, outside, torch.tensor([0.0, 0, 96, 96])):
        picture = viz.show_box_deltas(anchor, box, image)
        picture.png()
        scene = picture.axes[0].child_axes[0]
        (left, right), (bottom, top) = scene.get_xlim(), scene.get_ylim()
        assert left <= min(anchor[0], box[0]) and right >= max(anchor[2], box[2])
        assert top <= min(anchor[1], box[1]) and bottom >= max(anchor[3], box[3])
        extent = scene.get_window_extent()
        assert extent.width / (right - left) == pytest.approx(extent.height / (bottom - top))


def test_matching_colors_rows_and_frames_each_objects_best():
    matched = match(IOU, 0.7, 0.3, allow_low_quality_matches=True)
    picture = viz.show_matching(IOU, matched)
    x, y, (width, height) = matching.LEFT, matching.TOP, matching.CELL

    def cells(found):
        return {(round((y1 - y) / height), round((x1 - x) / width)) for x1, y1, *_ in found}

    assert cells(rectangles(picture, face=MATCH_COLORS["positive"].lower())) == {(0, 0), (2, 1)}
    frames = rectangles(picture, filled=False, edge=viz.INK)
    assert cells(frames[:-1]) == {(0, 0), (2, 1)}  # the last one is in the legend
    text = words(picture)
    assert text.count("positive: object") == 2 and "positive: object 1, as its best" in text
    assert re.findall(r"^\d\.\d\d$", text, re.MULTILINE) == [f"{v:.2f}" for v in IOU.T.flatten()]
    assert "at least 0.7" in text and "between 0.3 and 0.7" in text and "below 0.3" in text


def test_matches_are_green_and_their_column_is_gray_below():
    iou = torch.tensor([[0.05, 0.9], [0.8, 0.1], [0.1, 0.6], [0.3, 0.2]])
    scores = torch.tensor([0.8, 0.9, 0.7, 0.1])  # the second one comes first
    picture = viz.show_matches(iou, scores, torch.tensor([1, 0, -1, -1]), 0.5)
    x, y, (width, height) = ranking.LEFT, ranking.TOP, ranking.CELL

    def cells(color):
        found = rectangles(picture, face=color.lower())
        return {(round((y1 - y) / height), round((x1 - x) / width)) for x1, y1, *_ in found}

    assert cells(ranking.CORRECT) == {(0, 0), (1, 1)}
    assert cells(ranking.LIGHT) == {(1, 0), (2, 0), (2, 1), (3, 0), (3, 1)}
    text = words(picture)
    order = ["score 0.90", "correct: object 0", "score 0.80", "correct: object 1", "score 0.70"]
    order += ["wrong: object 1 is taken", "score 0.10", "wrong: no IoU of 0.5 or more"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_a_ranking_shows_fractions():
    text = words(viz.show_ranking(RANKING, 9))
    assert [line for line in text.split("\n") if "/" in line] == [
        "1/1", "1/9", "2/2", "2/9", "2/3", "2/9", "3/4", "3/9", "3/5", "3/9", "3/6", "3/9", "4/7",
        "4/9", "4/8", "4/9",
    ]  # fmt: skip
    assert text.count("✓") == 4 and text.count("✗") == 4


@pytest.mark.parametrize("n_objects", [4, 5, 37])
def test_the_area_of_a_ranking_is_its_average_precision(n_objects):
    best = ranking.read_envelope(RANKING, n_objects)
    assert sum(best) / 101 == pytest.approx(average_precision(RANKING, n_objects), abs=1e-12)
    picture = viz.show_ap_area(RANKING, n_objects)
    area = sum((x2 - x1) * y2 for x1, _, x2, y2 in rectangles(picture))
    assert area == pytest.approx(sum(best) / 101, abs=0.01)  # a reading is a point of it
    assert f"= {average_precision(RANKING, n_objects):.3f}" in words(picture)


def test_curves_go_through_precision_and_recall():
    picture = viz.show_curves({"a": (RANKING, 5), "b": (~RANKING, 4)})
    first, second = picture.axes[0].lines
    assert first.get_ydata()[-1] == 0.5 and first.get_xdata()[-1] == 0.8
    assert second.get_ydata()[0] == 0 and second.get_xdata()[-1] == 1
    assert [text.get_text() for text in picture.axes[0].get_legend().get_texts()] == ["a", "b"]
    assert len(viz.show_curves({"a": (RANKING, 5)}).axes[0].lines) == 2  # with dots


def test_the_area_names_the_readings_of_each_step():
    text = words(viz.show_ap_area(RANKING, 5)).split("\n")
    assert [line for line in text if "×" in line] == [
        "41 × 1.00",
        "20 × 0.75",
        "20 × 0.57",
        "20 × 0",
    ]


def test_a_confusion_matrix_is_green_where_names_agree():
    counts = torch.tensor([[9, 1], [0, 5], [2, 0]])
    names = ["ring", "star"], ["ring", "missed"]
    picture = viz.show_confusion(counts, [*names[0], "background"], names[1], chosen=(0, 1))
    text = words(picture).split("\n")
    assert [line for line in text if line.isdigit()] == ["9", "1", "5", "2"]  # no zeros
    shades = confusion.shades(counts, [*names[0], "background"], names[1])
    red, green = shades[..., 0], shades[..., 1]
    assert green[0, 0] > red[0, 0] and (red >= green - 1e-9).sum() == 5
    assert shades[1, 0].min() > 0.9 and len(rectangles(picture, filled=False)) == 1


def test_matching_of_rois_has_no_best_and_none_ignored():
    picture = viz.show_matching(IOU, match(IOU, 0.5, 0.5), 0.5, 0.5, best=False, of="RoI")
    text = words(picture)
    assert "RoI 4" in text and "best" not in text and "ignored" not in text
    assert rectangles(picture, filled=False) == []


def test_matching_shows_an_object_that_nothing_touches():
    iou = torch.zeros(1, 2)
    picture = viz.show_matching(iou, match(iou, 0.7, 0.3, allow_low_quality_matches=True))
    assert len(rectangles(picture, filled=False)) == 1  # in the legend alone


@pytest.mark.parametrize("beta", [1 / 9, 1.0, 20.0])
def test_curves_are_the_losses_and_their_derivatives(beta):
    x = torch.tensor([-30.0, -1, -1 / 9, -0.05, 0.05, 1 / 9, 1, 30])
    curves = loss_diagram.regression_losses(x, beta)
    near = x.abs() < beta
    expected = {
        "L2": (x**2 / (2 * beta), x / beta),
        "L1": (x.abs(), x.sign()),
        "smooth L1": (
            torch.where(near, x**2 / (2 * beta), x.abs() - beta / 2),
            (x / beta).clamp(-1, 1),
        ),
    }
    for name, (loss, derivative) in expected.items():
        torch.testing.assert_close(curves[name][0], loss)
        torch.testing.assert_close(curves[name][1], derivative)
    for axes, i in zip(viz.show_regression_losses(beta).axes, (0, 1), strict=True):
        for line in axes.lines:
            over, y = map(torch.as_tensor, line.get_data())
            expected_y = loss_diagram.regression_losses(over, beta)[line.get_label()][i]
            torch.testing.assert_close(y, expected_y)


def test_the_default_beta_is_that_of_this_package():
    picture = viz.show_regression_losses()
    assert "= 1/9" in words(picture)
    (line,) = [line for line in picture.axes[0].lines if line.get_label() == "smooth L1"]
    x, y = map(torch.as_tensor, line.get_data())
    for i in (0, 100, 200):
        assert y[i].item() == pytest.approx(smooth_l1(x[i], torch.tensor(0.0)).item())
    assert picture.axes[0].patches[0].get_bbox().x1 == pytest.approx(SMOOTH_L1_BETA)


@pytest.mark.parametrize(
    "layers",
    [[(3, 1)], [(3, 1), (3, 2), (3, 1)], [(7, 2), (3, 2), (3, 1)], [(2, 2), (1, 2), (5, 1)]],
)
def test_a_receptive_field_is_what_changes_a_value(layers):
    """The gradient of one value of real convolutions reaches as many pixels."""
    pixels = torch.zeros(1, 1, 200, requires_grad=True)
    x = pixels
    for kernel, stride in layers:
        x = torch.nn.functional.conv1d(x, torch.ones(1, 1, kernel), stride=stride)
    x[0, 0, x.shape[-1] // 2].backward()
    reached = torch.where(pixels.grad[0, 0] != 0)[0]
    field = viz.receptive_fields(layers)[-1]
    assert reached[-1] - reached[0] + 1 == field
    steps = [1, *np.cumprod([stride for _, stride in layers]).tolist()]
    seen = receptive_field.units_seen(layers, steps)[0]
    assert [u - seen[0] for u in seen] == (reached - reached[0]).tolist()
    picture = viz.show_receptive_field(layers)
    text = words(picture)
    assert f"{field} pixels" in text
    for layer, value in enumerate(viz.receptive_fields(layers)):
        assert re.search(rf"r_{{?{layer}}}? = .*{value}\$", text)


def test_a_receptive_field_before_any_layer_is_a_pixel():
    assert viz.receptive_fields([]) == [1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_steps_keep_what_nms_keeps(seed, threshold):
    generator = torch.Generator().manual_seed(seed)
    corner = 60 * torch.rand(12, 2, generator=generator)
    boxes = torch.cat((corner, corner + 10 + 30 * torch.rand(12, 2, generator=generator)), dim=1)
    scores = torch.rand(12, generator=generator).round(decimals=1)  # with ties
    steps = viz.nms_steps(boxes, scores, threshold)
    assert [step.kept for step in steps] == nms(boxes, scores, threshold).tolist()
    for step in steps:  # every box is in exactly one group
        groups = step.suppressed, step.kept_before, step.gone_before, step.left
        assert sorted([step.kept, *(i for group in groups for i in group)]) == list(range(12))


def test_nms_has_a_panel_for_each_step():
    titles = [axes.get_title() for axes in viz.show_nms_steps(SIX, SCORES, 0.5).axes]
    assert titles == [
        "6 boxes",
        "1. keep 0.95, suppress 2",
        "2. keep 0.90, suppress 2",
        "2 are kept",
    ]
    titles = [axes.get_title() for axes in viz.show_nms_steps(SIX[:1], [0.5], 0.5).axes]
    assert titles == ["1 box", "1. keep 0.50", "1 is kept"]


def test_nms_is_drawn_on_an_image_and_on_several_rows():
    image, _ = Shapes(1, seed=3)[0]
    apart = torch.tensor([[10.0 * i, 0, 10 * i + 8, 90] for i in range(8)])
    picture = viz.show_nms_steps(apart, torch.arange(8) / 10, 0.5, image, role="proposal")
    assert len(picture.axes) == 10 and picture.format == "jpeg"
    assert len({round(axes.get_position().y0, 3) for axes in picture.axes}) > 1
    assert picture.shown_size[0] <= 720


def patch_of_objects() -> torch.Tensor:
    """Features [1, 5, 12, 12] that are alike in two regions, and others elsewhere, with noise."""
    generator = torch.Generator().manual_seed(0)
    values = 0.01 * torch.randn(1, 5, 12, 12, generator=generator)
    values[:, :, 3:5, 3:5] += torch.tensor([3.0, 0, 1, 0, 0])[:, None, None]
    values[:, :, 7:9, 7:9] += torch.tensor([3.0, 0, 1, 0, 0])[:, None, None]
    values[:, :, 3:5, 7:9] += torch.tensor([0.0, 2, 0, 0, 1])[:, None, None]
    return values


def test_similar_features_have_similar_colors():
    (colors,) = viz.feature_colors([patch_of_objects()])
    first, second, other, nothing = (
        colors[:, 3, 3],
        colors[:, 7, 7],
        colors[:, 3, 7],
        colors[:, 6, 2],
    )
    assert (first - second).abs().max() < 0.1
    assert (first - other).abs().max() > 0.4 and (first - nothing).abs().max() > 0.4
    assert colors.shape == (3, 12, 12) and colors.min() >= 0 and colors.max() <= 1


def test_colors_do_not_depend_on_the_signs_or_the_order_of_channels():
    values = patch_of_objects()
    (colors,) = viz.feature_colors([values])
    (negated,) = viz.feature_colors([-values])
    (reordered,) = viz.feature_colors([values[:, [3, 1, 4, 0, 2]]])
    torch.testing.assert_close(colors[:2], negated[:2], atol=1e-4, rtol=0)
    torch.testing.assert_close(colors[:2], reordered[:2], atol=1e-4, rtol=0)


def test_maps_with_the_same_channels_share_one_mapping():
    values = patch_of_objects()
    only_one = torch.zeros_like(values)
    only_one[:, :, 5:8, 5:8] = torch.tensor([3.0, 0, 1, 0, 0])[:, None, None]
    together, _ = viz.feature_colors([values, only_one])
    (_, shared), (alone,) = viz.feature_colors([values, only_one]), viz.feature_colors([only_one])
    direction = shared[:, 6, 6] - 0.5  # now on the axis of another map's colors
    assert (direction.abs() > 0.05).any() and together.shape == shared.shape == alone.shape
    other_channels = torch.rand(1, 7, 12, 12)
    unaffected, _ = viz.feature_colors([values, other_channels])
    torch.testing.assert_close(unaffected, viz.feature_colors([values])[0])


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 2, 1, 1), (1, 8, 1, 3), (6, 3, 3)])
def test_small_and_constant_maps_have_colors(shape):
    (colors,) = viz.feature_colors([torch.ones(shape)])
    assert colors.shape == (3, *shape[-2:]) and torch.allclose(colors, torch.tensor(0.5))
    (colors,) = viz.feature_colors([torch.arange(math.prod(shape)).view(shape)])
    assert colors.isfinite().all()


def test_features_are_shown_beside_the_image():
    image = torch.rand(3, 48, 48)
    values = patch_of_objects()
    picture = viz.show_feature_colors([values, values[..., ::2, ::2]], image)
    assert [axes.get_title() for axes in picture.axes] == ["the image", "12 × 12", "6 × 6"]
    picture = viz.show_feature_colors([values[0]], image, ["P2"])
    assert [axes.get_title() for axes in picture.axes] == ["the image", "P2"]


def test_channels_that_vary_most_are_shown_unless_others_are_named():
    values = torch.zeros(1, 4, 12, 12)
    values[0, 2, 6, 6], values[0, 1, 5, 5] = 5, 3
    values[0, 3, 0] = 100  # at the border, where it comes from the padding
    titles = [axes.get_title() for axes in viz.show_channels(values).axes]
    assert titles == [f"channel {i}" for i in (2, 1, 0, 3)]
    picture = viz.show_channels(values, torch.rand(3, 24, 24), [3, 0])
    assert [axes.get_title() for axes in picture.axes] == ["the image", "channel 3", "channel 0"]
    many = viz.show_channels(torch.rand(1, 48, 24, 24), torch.rand(3, 96, 96))
    assert len(many.axes) == 12 and many.shown_size[0] <= 720


def test_boxes_have_the_opacity_of_their_scores():
    image, boxes = torch.ones(3, 96, 96), SIX[:3]
    scores = torch.tensor([0.9, 0.5, 0.0])
    panels = {"scores": (boxes, "proposal", scores), "all": (boxes, "proposal")}
    faded, plain = viz.show_panels(image, panels).axes
    _, lines = faded.collections
    assert lines.get_colors()[:, 3] == pytest.approx([0.9, 0.5, 0])
    assert plain.collections[1].get_colors()[:, 3] == pytest.approx([1, 1, 1])
    axes = viz.show_boxes(image, boxes, ["gt", "anchor", "#123456"], opacity=0.5).axes[0]
    assert axes.collections[1].get_colors()[:, 3] == pytest.approx([0.5] * 3)
    viz.show_boxes(image, boxes[:0], "gt", opacity=scores[:0]).png()


FLAT = torch.tensor([0.0, 0, 0, 5])
MISTAKES = {
    "a has shape [2, 4]: expected [4]": lambda: viz.show_iou(SIX[:2], B),
    "b has shape [3]: expected [4]": lambda: viz.show_iou(A, B[:3]),
    "a, box 0 is": lambda: viz.show_iou(A.flip(0), B),
    "b, box 0 is [nan": lambda: viz.show_iou(A, torch.tensor([math.nan, 0, 1, 1])),
    "neither a nor b has an area": lambda: viz.show_iou(FLAT, FLAT),
    "both need x2 > x1": lambda: viz.show_box_deltas(A, FLAT),
    "anchor has shape [0, 4]": lambda: viz.show_box_deltas(SIX[:0], A),
    "give [M, A] and [A]": lambda: viz.show_matching(IOU, torch.zeros(2)),
    "iou is empty": lambda: viz.show_matching(torch.zeros(0, 5), torch.zeros(5)),
    "choose at most": lambda: viz.show_matching(torch.zeros(2, 300), torch.zeros(300)),
    "matched has values from 0 to 2": lambda: viz.show_matching(IOU, torch.arange(5) % 3),
    "beta is 0": lambda: viz.show_regression_losses(0),
    "beta is nan": lambda: viz.show_regression_losses(math.nan),
    "layers is empty": lambda: viz.show_receptive_field([]),
    "layer 1 is (0, 1)": lambda: viz.show_receptive_field([(3, 1), (0, 1)]),
    "too wide for this picture": lambda: viz.show_receptive_field([(3, 2)] * 8),
    "boxes is empty": lambda: viz.show_nms_steps(SIX[:0], SCORES[:0], 0.5),
    "boxes and scores have shapes": lambda: viz.show_nms_steps(SIX, SCORES[:5], 0.5),
    "iou_threshold is 2": lambda: viz.show_nms_steps(SIX, SCORES, 2),
    "NMS takes 9 steps": lambda: viz.show_nms_steps(
        torch.tensor([[i, 0, i + 1, 1] for i in range(9)]), torch.arange(9), 0.5
    ),
    "give [D, M], [D], [D]": lambda: viz.show_matches(IOU, SCORES, SCORES, 0.5),
    "show at most 12 and 6": lambda: viz.show_matches(
        torch.rand(13, 2), torch.rand(13), torch.zeros(13), 0.5
    ),
    "a ranking of 0 detections": lambda: viz.show_ranking(RANKING[:0], 5),
    "features is empty": lambda: viz.show_feature_colors([], torch.rand(3, 8, 8)),
    "2 titles for 1": lambda: viz.show_feature_colors([IOU[None]], torch.rand(3, 8, 8), ["a", "b"]),
    "features[0] has shape [2, 3, 4, 4]": lambda: viz.feature_colors([torch.rand(2, 3, 4, 4)]),
    "NaN or infinite": lambda: viz.feature_colors([torch.full((1, 3, 4, 4), math.inf)]),
    "give numbers from 0 to 3": lambda: viz.show_channels(torch.rand(4, 8, 8), channels=[4]),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_refused_in_words(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MISTAKES[message]()


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_roi_pool_is_drawn_step_by_step():
    picture = viz.show_roi_pool_steps(NUMBERS, SMALL_ROI, 2)
    first, _, bins, last = picture.axes
    assert texts_of(first) == [str(value) for value in NUMBERS.flatten().tolist()]
    assert texts_of(last) == ["7", "7", "5", "8"]
    frames = [patch for patch in bins.patches if patch.get_linewidth() == 1.6]
    columns = [(round(f.get_x() + 0.3), round(f.get_x() + f.get_width() - 0.3)) for f in frames]
    assert columns == [(1, 2), (2, 3)] * 2
    assert len(viz.show_roi_pool_steps(NUMBERS, SMALL_ROI, 2, steps=2).axes) == 2
    with pytest.raises(ValueError, match=r"values has shape \[9, 4\]: give a map of at most 8 x 8"):
        viz.show_roi_pool_steps(torch.zeros(9, 4), SMALL_ROI, 2)


def test_bilinear_weights_are_the_areas_opposite_to_their_values():
    (axes,) = viz.show_bilinear(NUMBERS[1:3, 1:3], 0.25, 0.5).axes
    assert "= 4" in texts_of(axes) and "+ 0.125 × 7" in texts_of(axes)
    areas = [patch.get_width() * patch.get_height() for patch in axes.patches[:4]]
    assert np.allclose(np.array(areas) / sum(areas), [0.375, 0.125, 0.375, 0.125])
    with pytest.raises(ValueError, match=r"give numbers in 0\.\.1"):
        viz.show_bilinear(NUMBERS[1:3, 1:3], 1.5, 0)
    with pytest.raises(ValueError, match=r"give \[2, 2\]"):
        viz.show_bilinear(NUMBERS, 0.5, 0.5)
