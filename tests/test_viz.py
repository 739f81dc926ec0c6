"""Pictures can be drawn from any tensors, empty ones included."""

import base64
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from mrcnn_edu import viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections
from mrcnn_edu.roi_ops import OPERATIONS, boxes_to_rois
from mrcnn_edu.viz.names import place_names
from mrcnn_edu.viz.outlines import outline_segments
from mrcnn_edu.viz.style import MATCH_COLORS

ROI = [230.0, 58, 308, 150]


def pixels(picture) -> np.ndarray:
    """The picture's pixels [height, width, 3]."""
    return np.asarray(Image.open(BytesIO(picture.png())).convert("RGB"))


def no_detections(height=96, width=96) -> Detections:
    boxes, masks = torch.zeros(0, 4), torch.zeros(0, height, width, dtype=torch.bool)
    return Detections(
        boxes, torch.zeros(0, dtype=torch.long), torch.zeros(0), masks, torch.zeros(0, 28, 28)
    )


@pytest.fixture
def scene():
    return Shapes(1, seed=3, n_objects=(3, 3))[0]


def test_a_box_is_drawn_where_it_is(scene):
    image = torch.ones(3, 10, 20)
    with_box = pixels(viz.show_boxes(image, torch.tensor([[5.0, 2, 15, 8]]), "gt"))
    without = pixels(viz.show_boxes(image, torch.zeros(0, 4), "gt"))
    assert 0 < (with_box != without).any(-1).mean() < 0.1
    green = [int(viz.ROLES["gt"][i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.where((abs(with_box.astype(int) - green) < 60).all(-1))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(10 / 6, abs=0.1)


def test_detections_are_drawn_with_and_without_ground_truth_and_when_there_are_none(scene):
    image, target = scene
    detections = no_detections()
    alone = pixels(viz.show_detections(image, detections, ["a"]))
    beside = pixels(viz.show_detections(image, detections, Shapes(1).classes, target))
    assert beside.shape[1] == 2 * alone.shape[1]
    gray = viz.show_detections(image[:1], detections, ["a"])
    assert pixels(gray).shape == alone.shape


def test_objects_without_masks_are_drawn_as_boxes(scene):
    image, target = scene
    boxes, labels, scores = target["boxes"], target["labels"], torch.ones(3)
    box_only = {"boxes": boxes, "labels": labels}
    unmarked = torch.zeros_like(target["masks"])
    pictures, classes = [], Shapes(1).classes
    for masks, gt in ((None, box_only), (unmarked, box_only | {"masks": unmarked})):
        detections = Detections(boxes, labels, scores, masks, None)
        beside = viz.show_detections(image, detections, classes, gt)
        pictures.append((pixels(beside), pixels(viz.show_ground_truth(image, gt, classes))))
    for without_masks, with_empty_masks in zip(*pictures, strict=True):
        assert np.array_equal(without_masks, with_empty_masks)


def test_detections_of_models_are_compared_in_rows_of_panels(scene):
    image, target = scene
    models = {name: no_detections() for name in ("a", "b", "c", "d")}
    classes = Shapes(1).classes

    def panels(*arguments):
        picture = viz.show_comparison(image, models, classes, *arguments)
        assert (pixels(picture).std() > 10) == bool(models)
        return picture.shown_size, [axes.get_title() for axes in picture.axes if axes.axison]

    alone, titles = panels()
    assert titles == list(models) and alone[0] <= 720
    with_target, titles = panels(target)
    assert titles == ["ground truth", *models] and with_target == alone
    in_one_row, _ = panels(None, 4)
    assert in_one_row[1] < alone[1] / 2
    models.clear()
    assert panels()[1] == []


def test_maps_regions_and_scores_are_drawn(scene):
    image, target = scene
    n = len(target["boxes"])
    maps = [torch.rand(4, 4), torch.rand(2, 2)]
    titles = [str(i) for i in range(n)]
    pictures = [
        viz.show_ground_truth(image, target, Shapes(1).classes),
        viz.show_maps(maps, ["a", "b"], image),
        viz.show_objectness(image, maps, [24, 48]),
        viz.show_regions(image, target["boxes"], torch.rand(n, 7, 7), titles),
        viz.show_scores(torch.rand(n, 4), ["a", "b", "c", "d"], titles),
        viz.show_panels(image, {"one": (target["boxes"], "proposal")}),
    ]
    assert all(pixels(picture).shape[1] > 200 for picture in pictures)
    assert all(pixels(picture).std() > 10 for picture in pictures)


def test_a_crop_contains_only_pixels_of_the_image():
    image = torch.rand(3, 10, 20)
    assert torch.equal(viz.crop(image, torch.tensor([-3.0, 4.2, 5.5, 30])), image[:, 4:, :6])


def test_anchors_at_a_point_are_those_centered_there():
    anchors = torch.tensor([[0.0, 0, 4, 4], [4, 4, 12, 12], [6, 6, 10, 10], [20, 20, 24, 24]])
    assert torch.equal(viz.anchors_at(anchors, (8, 8), k=2), anchors[1:3])


def test_a_picture_is_a_png_unless_there_is_an_image_in_it(scene):
    flow, _ = viz.show_architecture()._repr_mimebundle_()
    photo, _ = viz.show_boxes(scene[0], torch.zeros(0, 4), "gt")._repr_mimebundle_()
    assert base64.b64decode(flow["image/png"]).startswith(b"\x89PNG")
    assert base64.b64decode(photo["image/jpeg"]).startswith(b"\xff\xd8")


def test_a_picture_has_twice_as_many_pixels_as_it_is_shown_with(scene):
    picture = viz.show_boxes(scene[0], scene[1]["boxes"], "gt")
    _, metadata = picture._repr_mimebundle_()
    height, width = pixels(picture).shape[:2]
    (size,) = metadata.values()
    assert abs(width - 2 * size["width"]) <= 1 and abs(height - 2 * size["height"]) <= 1


def test_an_image_is_paled_once_by_what_is_drawn_on_it(scene):
    image, target = scene
    axes = viz.Picture(3, 3).subplots()
    viz.draw_image(axes, image)
    for role in ("gt", "detection"):
        viz.draw_boxes(axes, target["boxes"], role)
        shown = np.asarray(axes.images[0].get_array()) / 255
        assert np.abs(shown - viz.paled(image.permute(1, 2, 0).numpy())).max() < 0.005
    plain = viz.Picture(3, 3).subplots()
    viz.draw_image(plain, image)
    viz.draw_boxes(plain, target["boxes"], "gt", pale=False)
    full = np.asarray(plain.images[0].get_array()) / 255
    assert np.abs(full - image.permute(1, 2, 0).numpy()).max() < 0.003


def test_anchors_alone_are_dashed(scene):
    image, target = scene
    n = len(target["boxes"])
    roles = ["anchor"] + ["gt"] * (n - 1)
    _, lines = viz.show_boxes(image, target["boxes"], roles).axes[0].collections
    is_dashed = [pattern is not None for _, pattern in lines.get_linestyles()]
    assert is_dashed == [True] + [False] * (n - 1)


def test_anchors_have_the_colors_of_their_labels(scene):
    labels = ["positive", "ignored", "negative"]
    boxes = scene[1]["boxes"][:1].expand(3, 4)
    _, lines = viz.show_boxes(scene[0], boxes, labels).axes[0].collections
    colors = [to_hex(color).upper() for color in lines.get_colors()]
    assert colors == [MATCH_COLORS[label].upper() for label in labels]
    assert all(pattern is not None for _, pattern in lines.get_linestyles())


@pytest.mark.parametrize("n", [0, 1, 5, 40])
def test_names_cover_no_other_and_stay_inside(n):
    generator = torch.Generator().manual_seed(n)
    corner = 80 * torch.rand(n, 2, generator=generator) - 5  # some reach out of the image
    boxes = torch.cat((corner, corner + 5 + 40 * torch.rand(n, 2, generator=generator)), dim=1)
    axes = viz.Picture(4, 4).subplots()
    image, labels = torch.ones(3, 96, 96), torch.ones(n, dtype=torch.long)
    viz.draw_instances(axes, image, boxes, labels, None, ["triangle"], torch.rand(n))
    axes.figure.png()
    (names,) = (artist for artist in axes.artists if hasattr(artist, "chips"))
    frame, chips = axes.get_window_extent(), np.array(names.chips).reshape(-1, 4)
    assert len(chips) == n
    assert (chips[:, :2] >= frame.min).all() and (chips[:, 2:] <= frame.max).all()
    low = np.maximum(chips[:, None, :2], chips[:, :2])
    high = np.minimum(chips[:, None, 2:], chips[:, 2:])
    both = (high > low).all(-1)
    assert not both[~np.eye(n, dtype=bool)].any()


def test_a_name_is_left_out_where_there_is_no_place_for_it():
    boxes = np.array([[0.0, 0, 9, 9], [1, 1, 8, 8], [2, 2, 5, 5]])
    first, second, third = place_names(boxes, [30, 30, 60], (0, 0, 50, 40))
    assert first is not None and second is not None and third is None


def test_an_outline_runs_along_the_borders_of_pixels():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:4, 2:6] = True
    mask[2, 3] = False
    segments = {tuple(map(tuple, segment.tolist())) for segment in outline_segments(mask)}
    outer = {((2, 1), (6, 1)), ((2, 4), (6, 4)), ((2, 1), (2, 4)), ((6, 1), (6, 4))}
    hole = {((3, 2), (4, 2)), ((3, 3), (4, 3)), ((3, 2), (3, 3)), ((4, 2), (4, 3))}
    assert segments == outer | hole
    assert len(outline_segments(np.zeros((4, 4), dtype=bool))) == 0


def test_sample_photograph():
    photo = viz.sample_photograph()
    assert photo.shape[0] == 3 and photo.min() >= 0 and 0.5 < photo.max() <= 1


def test_a_caption_makes_the_picture_taller_and_leaves_the_rest():
    plain, captioned = (
        viz.show_architecture(),
        viz.show_architecture().caption("Look at the first stage."),
    )
    plain, captioned = pixels(plain), pixels(captioned)
    assert plain.shape[1] == captioned.shape[1] and 20 < len(captioned) - len(plain) < 50
    assert (captioned[len(plain) :] < 128).any()


def test_signed_maps_have_white_for_0_and_numbers_are_written():
    values = torch.tensor([[-1.0, 0.0, 1.0]])
    picture = pixels(viz.show_maps([values], ["a"], signed=True))
    middle = picture[picture.shape[0] // 2 + 10]
    assert middle[20, 0] > middle[20, 2] and middle[-20, 2] > middle[-20, 0]  # red, blue
    assert (middle[len(middle) // 2] > 240).all()
    written = pixels(viz.show_maps([values], ["a"], signed=True, numbers=".1f"))
    assert (written != picture).any()


def test_maps_of_zeros_and_empty_coverage_are_drawn():
    viz.show_maps([torch.zeros(2, 2)], ["nothing"], numbers=".1f").png()
    viz.show_coverage({"no object": (torch.zeros(0), torch.zeros(0))}).png()
    viz.show_differences(torch.ones(4, 4).bool(), {"none": torch.zeros(4, 4).bool()}).png()


@pytest.mark.parametrize("op", OPERATIONS)
def test_bins_are_drawn_where_the_operations_read(op):
    """From a map of coordinates, each operation pools the centers of the drawn bins."""
    position = 16 * torch.arange(40.0)
    coordinates = torch.stack((position.expand(40, 40), position[:, None].expand(40, 40)))[None]
    for _ in range(50):
        corner = 60 + 300 * torch.rand(2)
        box = torch.cat((corner, corner + 30 + 100 * torch.rand(2)))
        bins, points = viz.bins_read(op, box, 16, output_size=3)
        high, low = (
            s * OPERATIONS[op](s * coordinates, boxes_to_rois(box), 3, 1 / 16)[0] for s in (1, -1)
        )
        center = ((high + low) / 2).flatten(1).T  # [9, 2]
        torch.testing.assert_close((bins[:, :2] + bins[:, 2:]) / 2, center, atol=1e-3, rtol=0)
        assert (points >= bins[:, :2].amin(0) - 1e-3).all()
        assert (points <= bins[:, 2:].amax(0) + 1e-3).all()


def test_both_roundings_are_drawn_with_what_is_lost_and_added():
    box = torch.tensor([39.0, 28, 117, 90])
    (whole, rounded, bins) = viz.show_bins(box, 16).axes
    frames = [patch.get_bbox().extents.tolist() for patch in rounded.patches]
    assert box.tolist() in frames and [32, 32, 112, 96] in frames  # 2.44, 1.75, 7.31, 5.63
    bars = [line.get_xydata().tolist() for line in bins.lines if line.get_marker() == "None"]
    along_x = [(a[0], b[0]) for a, b in bars if a[1] == b[1]]
    read = [(2, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 7)]
    assert along_x == [(16 * a - 8, 16 * b + 8) for a, b in read]
    assert len([line for line in whole.lines if line.get_marker() == "None"]) == 14


def lengths(picture):
    """The longest arrow of each panel, in image pixels."""
    arrows = [axes.collections[0] for axes in picture.axes]
    return [np.hypot(one.U, one.V).max() for one in arrows]


def test_misalignment_is_zero_for_align_and_for_a_roi_on_the_grid():
    pool, warp, align = lengths(viz.show_misalignment(torch.tensor(ROI), 16))
    assert pool > warp > 6 and warp < 8 * 2**0.5 and align == pytest.approx(0, abs=1e-4)
    pool, warp, _ = lengths(viz.show_misalignment(torch.tensor([32.0, 32, 112, 112]), 16))
    assert pool > 5 and warp == pytest.approx(0, abs=1e-4)  # both ends, and bins
    one_more = viz.show_misalignment(torch.tensor([32.0, 32, 144, 144]), 16)  # 8 positions
    assert lengths(one_more) == pytest.approx([0, 0, 0], abs=1e-4)  # each bin reads two


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_curve_has_the_color_of_its_operation_under_either_name(op):
    lines = {name: torch.arange(3.0) for name in ("other", viz.OP_NAMES[op], op)}
    axes = viz.show_lines(torch.arange(3.0), lines, "x", "y").axes[0]
    assert [line.get_color() for line in axes.lines[1:]] == [viz.OP_COLORS[op]] * 2


@pytest.mark.parametrize("op", OPERATIONS)
def test_what_one_bin_reads_is_drawn(op):
    picture = viz.Picture(3, 3)
    axes = picture.subplots()
    values = torch.rand(12, 12)
    viz.draw_read(axes, values, (0, 0, 12, 12), torch.tensor(ROI), 16, 7, op, (2, 5))
    bins, _ = viz.bins_read(op, torch.tensor(ROI), 16, 7)
    x1, y1, x2, y2 = bins[2 * 7 + 5].tolist()
    dots = [line.get_xydata() for line in axes.lines if line.get_color() == viz.OP_COLORS[op]]
    for x, y in np.concatenate(dots) if dots else []:
        assert x1 < x < x2 and y1 < y < y2
    assert (len(dots) == 1) == (op != "pool")


def test_charts_bins_and_images_are_drawn():
    x, values = torch.arange(5), torch.rand(5)
    for picture in (
        viz.show_lines(x, {"pool": values, "other": -values}, "x", "y"),
        viz.show_seeds({"a": [1.0, 2], "b": [], "c": [3]}, {"a": 30, "c": 31}, "mask AP"),
        viz.show_seeds({"a": [1.0]}, {}, "mask AP"),
        viz.show_parts({"a": {"x": 1.0, "y": 2}, "b": {"x": 0.0, "y": 5}}, "milliseconds"),
        viz.show_spread({"pool": values, "align": torch.zeros(5)}, "x"),
        viz.show_table(torch.rand(2, 3), ["a", "b"], ["c", "d", "e"]),
        viz.show_bins(torch.tensor(ROI), 16),
        viz.show_bins(torch.tensor([39.0, 28, 117, 90]), 8, output_size=4),
        viz.show_misalignment(torch.tensor(ROI), 16),
        viz.show_images({"a": torch.rand(3, 8, 8), "b": torch.rand(1, 8, 8)}),
    ):
        assert pixels(picture).std() > 10


def test_fractions_of_each_total_add_up_to_100():
    (axes,) = viz.show_fractions({"a": {"x": 1, "y": 3}, "b": {"x": 2, "y": 0}}).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [25, 75, 100, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y"]


def test_work_meets_the_roof_on_its_slope_or_its_flat_part():
    work, machines = {"few": 2.0, "many": 50.0}, {"a": (100.0, 10.0), "b": (1000.0, 4.0)}
    picture = viz.show_roofline(machines, work, {"few": 15.0})
    (axes,) = picture.axes
    marked = [line for line in axes.lines if line.get_marker() == "o"]
    points = {tuple(xy) for line in marked for xy in line.get_xydata()}
    assert points == {(2, 20), (50, 100), (2, 8), (50, 200), (2, 15)}
    assert pixels(picture).std() > 10
    assert pixels(viz.show_roofline(machines, {})).std() > 10


def test_only_instance_segmentation_tells_two_objects_of_a_class_apart():
    masks = torch.zeros(2, 8, 8).bool()
    masks[0, :, :4] = masks[1, :, 4:] = True
    boxes = torch.tensor([[0.0, 0, 4, 8], [4, 0, 8, 8]])
    target = {"boxes": boxes, "labels": torch.tensor([1, 1]), "masks": masks}
    axes = viz.show_tasks(torch.zeros(3, 8, 8), target, ["square"]).axes
    semantic, instances = (panel.images[0].get_array() for panel in axes[2:])
    assert (semantic[0, 0] == semantic[0, 7]).all() and axes[0].get_xlabel() == "square"
    assert (instances[0, 0] != instances[0, 7]).any()
    class_colors = {tuple(round(255 * c) for c in to_rgb(c)) for c in viz.CLASS_COLORS}
    assert not class_colors & {tuple(instances[0, x].tolist()) for x in (0, 7)}


def test_ground_truth_has_panels_as_wide_as_asked_and_as_high_as_the_image():
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    picture = viz.show_ground_truth(torch.zeros(3, 20, 40), target, ["square"], width=5)
    width, height = picture.shown_size
    assert width == 720 and 180 < height < 210


def test_counts_are_drawn_in_parts_even_when_there_are_none():
    names = ["one kind", "another"]
    empty = pixels(viz.show_counts({"all": torch.zeros(2)}, names))
    some = pixels(
        viz.show_counts({"high": torch.tensor([3, 0]), "low": torch.tensor([1, 5])}, names)
    )
    assert some.std() > empty.std()


def test_a_training_run_is_drawn_even_before_its_first_step():
    losses = [{"loss_mask": 4.0}] * 20 + [{"loss_mask": 2.0}] * 20
    begun = viz.show_training([], {"recall": {0: 0.1}})
    done = viz.show_training(losses, {"recall": {0: 0.1, 40: 0.9}})
    assert [len(axes.lines) for axes in begun.axes] == [0, 1]
    means = done.axes[0].lines[0].get_ydata()
    assert means[[0, 19, 29, 39]].tolist() == [4, 4, 3, 2]
    assert list(done.axes[1].lines[0].get_ydata()) == [0.1, 0.9]


RUN = {"loss_mask": [4.0, 2.0, 0.001], "loss_box_reg": [1.0, 1.0, 100.0]}


def test_runs_are_drawn_over_the_healthy_one_and_what_is_beyond_the_axis_at_its_end():
    alone = viz.show_gallery({"a": RUN})
    several = viz.show_gallery({name: RUN for name in "abcde"}, RUN, window=5)
    assert [len(axes.lines) for axes in alone.axes] == [2]
    assert [len(axes.lines) for axes in several.axes] == [4] * 5 + [0]
    assert [axes.get_title() for axes in several.axes[:5]] == list("abcde")
    healthy, run = several.axes[0].lines[:2]
    assert run.get_xdata().tolist() == [2.5, 7.5, 12.5]  # the middle of each window
    assert run.get_ydata().tolist() == healthy.get_ydata().tolist()
    assert (10 ** run.get_ydata()).tolist() == pytest.approx([4, 2, 0.01])
    assert (10 ** alone.axes[0].lines[1].get_ydata()).tolist() == pytest.approx([1, 1, 10])
    assert pixels(several).std() > 0


def test_a_run_is_drawn_over_another_one_loss_by_loss():
    short = {name: points[:2] for name, points in RUN.items()}
    picture = viz.show_run_over(short, "mine", RUN, "the other")
    assert [axes.get_title() for axes in picture.axes] == ["mask", "box"]
    other, mine = picture.axes[0].lines
    assert (other.get_label(), mine.get_label()) == ("the other", "mine")
    assert (len(other.get_xdata()), len(mine.get_xdata())) == (3, 2)


def test_schedules_have_an_axis_each():
    picture = viz.show_schedules({"short": [1.0, 2.0], "long": [0.01] * 5})
    first, second = picture.axes
    assert first.lines[0].get_xdata().tolist() == [25, 75]
    assert first.get_ylim()[1] > 2 > 0.1 > second.get_ylim()[1] > 0.01


def test_boxes_have_the_color_of_their_object_and_negatives_are_dashed():
    gt = torch.tensor([[2.0, 2, 8, 8], [12, 2, 18, 8]])
    boxes = torch.tensor([[3.0, 2, 9, 8], [0, 10, 4, 14], [12, 3, 18, 9]])
    matched = torch.tensor([0, -1, 1])
    panels = {"all": (boxes, matched), "none": (boxes[:0], matched[:0])}
    both, nothing = viz.show_matched(torch.rand(3, 16, 20), gt, panels).axes
    assert [axes.get_title() for axes in (both, nothing)] == ["all", "none"]
    lines = [lines for lines in both.collections if lines.get_edgecolor()[0][:3].min() < 0.99]
    negatives, positives, objects = lines
    assert negatives.get_linestyle()[0][1] is not None and len(negatives.get_paths()) == 1
    assert positives.get_linestyle()[0][1] is None
    assert np.allclose(positives.get_edgecolor(), objects.get_edgecolor())
    assert objects.get_linewidth()[0] > positives.get_linewidth()[0]
    assert viz.object_color(0) == viz.object_color(6) != viz.object_color(1)
    with pytest.raises(ValueError, match="'a' has 3 boxes, 3 indices and 1 objects"):
        viz.show_matched(torch.rand(3, 16, 20), gt[:1], {"a": (boxes, matched)})


def test_named_boxes_have_a_panel_each():
    gt = torch.tensor([[2.0, 2, 8, 8]])
    picture = viz.show_named_boxes({"a": gt[0], "b": gt[0] + 1}, gt, (12, 16))
    assert [axes.get_title() for axes in picture.axes] == ["a", "b"]


def test_a_computation_is_colored_by_how_often_it_runs():
    cells = {"a": ["outside", "once: RPN"], "b": ["each: warp", ""]}
    axes = viz.show_sharing(cells, ["x", "y"]).axes[0]
    colors = [to_rgb(patch.get_facecolor()) for patch in axes.patches]
    assert len(set(colors)) == 4 and to_rgb("white") == colors[3]
    assert [text.get_text() for text in axes.texts] == cells["a"] + cells["b"]


def test_maps_are_tiled_where_their_cells_are():
    maps = torch.arange(4.0).view(2, 2, 1, 1).expand(2, 2, 3, 3)
    sheet = viz.tile_maps(maps)
    assert sheet.shape == (7, 7) and sheet[3].isnan().all() and sheet[:, 3].isnan().all()
    assert [sheet[0, 0], sheet[0, 6], sheet[6, 0], sheet[6, 6]] == [0, 1, 2, 3]


def test_each_part_is_outlined_on_its_own_map():
    """Bins (0, 0) and (1, 1) of a box on maps of 3 x 3 values, drawn with gaps of one value."""
    maps = torch.arange(4.0).view(2, 2, 1, 1).expand(2, 2, 3, 3) - 1
    box, image = torch.tensor([2.0, 2, 10, 10]), torch.rand(3, 12, 12)
    picture = viz.show_part_maps(image, box, maps, torch.zeros(4, 4), 4, "inside")
    left, middle, right = picture.axes
    assert pixels(picture).std() > 10
    assert {axes.images[0].get_clim() for axes in (middle, right)} == {(-2, 2)}
    _, lines = middle.collections  # halos, then lines
    corners = [path.vertices for path in lines.get_paths()]
    extents = [(*c.min(axis=0), *c.max(axis=0)) for c in corners]
    assert extents[0] == (0.5, 0.5, 1.5, 1.5)  # pixels 2 to 6, divided by the stride
    assert extents[3] == (5.5, 5.5, 6.5, 6.5)  # pixels 6 to 10, on the fourth map
    assert [text.get_text() for text in left.texts] == ["1", "2", "3", "4"]


def test_the_bin_of_a_point_is_filled_in_each_box():
    boxes = torch.tensor([[0.0, 0, 9, 9], [3.0, 0, 12, 9]])
    picture = viz.show_box_bins(torch.rand(3, 12, 12), boxes, 3, ["a", "b"], (7.0, 4.0))
    for axes in picture.axes:
        (filled,) = [drawn for drawn in axes.collections if drawn.get_alpha() == 0.35]
        assert filled.get_paths()[0].get_extents().extents.tolist() == [6, 3, 9, 6]
    without = viz.show_box_bins(torch.rand(3, 12, 12), boxes, 7, ["a", "b"])
    assert pixels(without).std() > 10 and not without.axes[0].texts


def test_lines_between_bins_are_only_on_masks_with_bins():
    masks = {"a": torch.rand(6, 6), "b": torch.rand(14, 14)}
    with_bins, without = viz.show_masks_of_bins(masks, {"a": 3}).axes
    assert len(with_bins.lines) == 8 and len(without.lines) == 0
    across = {line.get_xdata()[0] for line in with_bins.lines if line.get_xdata()[0] != 0}
    assert across == {1.5, 3.5}


def test_steps_are_drawn_where_they_lie_in_the_mask():
    curves = torch.tensor([0.1, 0.4, 0.1]), torch.tensor([0.2, 0.9, 0.2])
    picture = viz.show_steps({"a": curves, "b": curves}, k=2)
    borders, *drawn = picture.axes[0].lines
    assert borders.get_xdata()[0] == 0.5
    assert [line.get_xdata().tolist() for line in drawn] == [[0.25, 0.5, 0.75]] * 2
    assert picture.axes[0].get_ylim()[1] > 0.9 and picture.axes[1].get_ylim()[0] == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_masks_on_a_gpu_are_painted_onto_an_image_on_the_cpu(random_targets):
    image, target = random_targets(3)
    masks, labels = target["masks"], target["labels"]
    assert viz.paint_masks(image, masks.cuda(), labels).equal(viz.paint_masks(image, masks, labels))
    differences = viz.paint_differences(masks[0], masks[1].cuda())
    assert differences.equal(viz.paint_differences(masks[0], masks[1]))


def test_paired_differences_show_every_pair_and_highlight_what_is_decided():
    nan = float("nan")
    pairs = {"worse": [-5.0, -6.0, -4.0], "$open$": [-1.0, 2.0], "one": [1.0], "none": []}
    intervals = {"worse": (-7.5, -2.5), "$open$": (-18.6, 19.6), "one": (nan, nan)}
    picture = viz.show_paired_differences(
        pairs, intervals, "difference in AP", {"worse": -3.4}, {"worse": (-9.0, -1.0)}
    )
    axes = picture.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in dots] == [
        values for values in pairs.values() if values
    ]
    texts = {text.get_text(): to_hex(text.get_color()) for text in axes.texts}
    assert texts == {
        "-5.0 ± 2.5": viz.HIGHLIGHT.lower(), "+0.5 ± 19.1": viz.INK, "+1.0": viz.INK,
    }  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == list(pairs)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["a pair", "mean, 95 %", "the paper", "95 %, without pairs"]
    assert picture.svg() is not None and pixels(picture).std() > 10
    viz.show_paired_differences({}, {}, "nothing").png()


def test_learning_shows_a_line_for_each_run():
    losses = {"A": [{1: 3.0, 2: 2.0}, {1: 3.1, 2: 2.2}], "B $": [{1: 4.0, 2: 3.0}]}
    picture = viz.show_learning(losses, {"A": [{2: 10.0}], "B $": []}, "mask AP")
    left, right = picture.axes
    assert len(left.lines) == 3 and len(right.lines) == 1
    assert left.lines[0].get_color() == left.lines[1].get_color() != left.lines[2].get_color()
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["A", r"B \$"]
    picture.png()
    viz.show_learning({}, {}, "nothing").png()


def test_scores_by_amount_show_every_seed_and_a_line_through_the_means():
    scores = {"a": {1: [10.0, 30], 4: [50.0, 70], 12: []}, "b": {1: [5.0], 4: [6.0], 12: [7.0]}}
    (axes,) = viz.show_by_amount(scores, "labels", "AP").axes
    curves = [line for line in axes.lines if line.get_linewidth() == 2]
    assert [list(line.get_ydata()) for line in curves] == [[20, 60], [5, 6, 7]]
    dots = [y for line in axes.lines if line not in curves for y in line.get_ydata()]
    assert sorted(dots) == [5, 6, 7, 10, 30, 50, 70]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "4", "12"]


def test_a_dollar_sign_in_a_settings_name_is_no_formula():
    viz.show_seeds({"$x$ \\frac": [1.0, 2.0]}, {"$x$ \\frac": 3.0}, "AP").png()
