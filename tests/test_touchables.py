"""Touchable widgets: what Python knows of them, and that JavaScript computes what Python does."""

import base64
import json
import re

import browser
import pytest
import torch
from playwright.sync_api import sync_playwright
from traitlets import TraitError

from mrcnn_edu import ancestors, load
from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.boxes import box_intersection, box_iou, encode_boxes
from mrcnn_edu.course.confusion import class_pairs, confusion_matrix
from mrcnn_edu.course.widgets import (
    ap_steps_player,
    assembly_player,
    confusion_player,
    gradient_player,
    location_player,
    nms_steps_player,
    polygon_player,
    roi_player,
    touch,
    two_boxes_player,
)
from mrcnn_edu.course.widgets.player import WIDGET_VIEW
from mrcnn_edu.course.widgets.receptive_field import Field, measure
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import average_precision, match_detections, overlap, precision_recall
from mrcnn_edu.matching import match
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.roi_ops import OPERATIONS, boxes_to_rois

CHAIN = torch.tensor([[5.0 + 10 * i, 25 + 3 * i, 35 + 10 * i, 55 + 3 * i] for i in range(6)])
CHAIN_SCORES = torch.linspace(0.9, 0.4, 6)


def random_boxes(n, seed=0):
    """Boxes [n, 4] with an area, in 96 pixels."""
    corners = 60 * torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))
    sizes = 1 + 35 * torch.rand(n, 2, generator=torch.Generator().manual_seed(seed + 1))
    return torch.cat((corners, corners + sizes), dim=1)


@pytest.fixture(scope="module")
def model():
    return load("shapes-tiny")


@pytest.fixture(scope="module")
def scene():
    return Shapes(100, seed=1)[72]


def two_boxes(model, scene):
    return two_boxes_player(scene[0], anchor=[10, 10, 40, 50], gt=scene[1]["boxes"][0])


def nms_steps(model, scene):
    return nms_steps_player(None, CHAIN, CHAIN_SCORES, threshold=0.3)


def location(model, scene):
    return location_player(model, *scene)


def dragged_roi(model, scene):
    values = torch.rand(1, 24, 20, generator=torch.Generator().manual_seed(0))
    return roi_player(values, torch.tensor([130.0, 58, 208, 150]), stride=16)


def ap_steps(model, scene):
    return ap_steps_player(threshold=0.7)


def confusion(model, scene):
    return confusion_player(*confused())


class Items(list):
    """A dataset in memory."""

    classes = Shapes(1).classes


def confused():
    """Three scenes, and detections that are their objects with some other labels and scores."""
    items = Items(Shapes(3, seed=1))
    detections = []
    for _, target in items:
        n = len(target["labels"])
        twice = torch.cat((torch.arange(n), torch.zeros(1, dtype=torch.int64)))
        labels = target["labels"][twice] % 6 + 1
        labels[1:] = target["labels"][twice][1:]  # only the first one is wrong
        scores = torch.linspace(0.9, 0.4, n + 1)
        masks = target["masks"][twice]
        detections.append(Detections(target["boxes"][twice], labels, scores, masks, None))
    return items, detections


def assembly(model, scene):
    return assembly_player(ancestors.load("fcis-3x3"), *scene, label=2)


TRIANGLE, SQUARE = [[5.0, 5], [40, 8], [30, 60]], [[50.0, 50], [80, 50], [80, 80], [50, 80]]


def polygons(model, scene):
    return polygon_player(scene[0], {"a": TRIANGLE, "b": SQUARE})


def gradients(model, scene):
    return gradient_player(model, scene[0])


CHANGES = {
    polygons: {"polygons": [SQUARE, TRIANGLE], "chosen": 1},
    gradients: {"detection": 1, "output": "mask"},
    ap_steps: {"boxes": [[8.0, 10, 30, 30]] * 3, "scores": [0.1, 0.2, 0.3], "threshold": 0.5},
    confusion: {"cell": (0, 0)},
    two_boxes: {"anchor": [12.0, 10, 44, 50], "gt": [1.0, 2, 3, 4]},
    nms_steps: {"threshold": 0.1},
    location: {"location": (3, 4), "level": 2},
    dragged_roi: {"box": [133.0, 58, 211, 150], "bin": (6, 0), "operation": "align"},
    assembly: {"box": [30.0, 20, 60, 50], "reading": "mask"},
}


@pytest.fixture(params=CHANGES, ids=lambda make: make.__name__)
def touchable(request, model, scene):
    return request.param(model, scene), CHANGES[request.param]


@pytest.fixture
def messages(monkeypatch):
    """What is sent to the notebook: (data, metadata, display id)."""
    sent = []

    def send(data, raw, metadata=None, display_id=None):
        assert raw
        sent.append((data, metadata, display_id))

    monkeypatch.setattr(touch, "display", send)
    monkeypatch.setattr(touch, "update_display", send)
    return sent


def picture_of(data):
    (kind,) = [kind for kind in data if kind in ("image/png", "image/jpeg")]
    return base64.b64decode(data[kind]), kind


# ---- all of them ----


def test_where_no_kernel_runs_there_is_a_picture_with_its_caption(touchable):
    widget, _ = touchable
    assert widget.caption("Figure 7. What is seen.") is widget
    data, metadata = widget._repr_mimebundle_()
    picture, kind = picture_of(data)
    assert picture == widget.still().encoded()
    width, height = widget.still().shown_size
    assert metadata[kind] == {"width": width, "height": height, "alt": "Figure 7. What is seen."}
    assert data[WIDGET_VIEW]["model_id"] == widget.model_id
    assert data["text/plain"] == repr(widget) and len(repr(widget)) < 80
    assert "0x" not in repr(widget)


def test_its_second_output_shows_what_the_reader_did(touchable, messages):
    widget, changes = touchable
    widget.caption("</script>")
    assert messages == []  # it is not shown yet
    widget._ipython_display_()
    (first, _, no_id), (still, metadata, display_id) = messages
    assert WIDGET_VIEW in first and no_id is None and metadata == LIVE_OUTPUT and display_id
    assert set(still) == {"text/html"} and still["text/html"].count("</script>") == 1
    assert touch.NOTE in still["text/html"]
    for name, value in changes.items():
        before = messages[-1][0]
        setattr(widget, name, value)
        widget.wait()
        data, metadata, last_id = messages[-1]
        assert data != before and metadata == LIVE_OUTPUT and last_id == display_id
        assert base64.b64encode(widget.still().encoded()).decode() in data["text/html"]


def test_nothing_is_fetched_and_the_script_is_one_module(touchable):
    widget, _ = touchable
    addresses = set(re.findall(r"https?://[^\"']+", widget._esm + widget._css))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert widget._esm.count("export default") == 1 and "import" not in widget._esm.split()
    assert widget.source.startswith("data:image/") and json.dumps(widget.look)


def test_colors_come_from_the_style_of_the_pictures(touchable):
    colors = re.findall(r"#[0-9a-fA-F]{3,6}\b", touchable[0]._esm)
    assert colors == []


# ---- two boxes ----


def test_two_boxes_know_their_numbers():
    widget = two_boxes_player(anchor=[0, 0, 10, 20], gt=torch.tensor([5, 0, 15, 20]))
    assert widget.iou == pytest.approx(1 / 3) and widget.deltas == [0.5, 0, 0, 0]
    assert repr(widget) == "TwoBoxes(anchor=[0, 0, 10, 20], gt=[5, 0, 15, 20])"
    assert widget.size == (96, 96) and widget.grid == 8
    widget.anchor = [5.0, 0, 15, 20]
    assert widget.iou == 1


def test_two_boxes_begin_within_any_image():
    for height, width in ((40, 300), (300, 40), (1000, 1400)):
        widget = two_boxes_player(torch.rand(1, height, width))
        for x1, y1, x2, y2 in (widget.anchor, widget.gt):
            assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
        assert widget.size == (height, width) and widget.grid == 0 and 0 < widget.iou < 1


@pytest.mark.parametrize(
    "box", [[1, 2, 1, 4], [1, 5, 3, 4], [1, 2, 3], [0, 0, float("nan"), 1], [0, 0, float("inf"), 1]]
)
def test_a_box_without_area_is_refused(box):
    with pytest.raises(TraitError, match=r"gt is .* x1 < x2 and y1 < y2"):
        two_boxes_player(gt=box)


# ---- NMS ----


@pytest.mark.parametrize("n", [0, 1, 40])
@pytest.mark.parametrize("n_labels", [1, 3])
def test_steps_keep_what_nms_keeps(n, n_labels):
    boxes, labels = random_boxes(n), torch.arange(n) % n_labels + 1
    scores = torch.rand(n, generator=torch.Generator().manual_seed(2))
    widget = nms_steps_player(None, boxes, scores, labels, classes=["a", "b", "c"], threshold=0.2)
    steps = widget.steps()
    assert [step.kept for step in steps] == batched_nms(boxes, scores, labels, 0.2).tolist()
    seen = [index for step in steps for index in (step.kept, *step.suppressed)]
    assert sorted(seen) == list(range(n))
    iou = box_iou(boxes, boxes)
    for kept, suppressed in steps:
        assert all(iou[kept, i] > 0.2 and labels[i] == labels[kept] for i in suppressed)
    assert widget.names == [["a", "b", "c"][i % n_labels] for i in range(n)]
    widget.still().encoded()


def test_steps_beyond_the_end_and_below_the_start():
    widget = nms_steps_player(None, CHAIN, CHAIN_SCORES, threshold=0.3)
    assert [step.kept for step in widget.steps()] == [0, 2, 4]
    assert repr(widget) == "NMSSteps(6 boxes, threshold=0.3, step=0)"
    at_the_start, widget.step = widget.still().encoded(), 99
    assert widget.still().encoded() == at_the_start  # four panels show all of it
    with pytest.raises(TraitError, match="step is -1"):
        widget.step = -1
    with pytest.raises(TraitError, match=r"threshold is 1\.5: give an IoU in 0\.\.1"):
        widget.threshold = 1.5


def test_blank_paper_holds_all_boxes():
    assert nms_steps_player(None, CHAIN, CHAIN_SCORES).size == (96, 96)
    assert nms_steps_player(None, 3 * CHAIN, CHAIN_SCORES).size == (259, 259)


def test_boxes_scores_and_labels_must_agree():
    with pytest.raises(ValueError, match="scores"):
        nms_steps_player(None, CHAIN, CHAIN_SCORES[:5])
    with pytest.raises(ValueError, match="labels"):
        nms_steps_player(None, CHAIN, CHAIN_SCORES, torch.ones(7))
    with pytest.raises(ValueError, match="boxes"):
        nms_steps_player(None, CHAIN[:, :3], CHAIN_SCORES)


# ---- AP, step by step ----


def random_ranking(seed):
    """Ground-truth boxes, boxes and scores, many of them equal, and a threshold."""
    generator = torch.Generator().manual_seed(seed)
    gt = random_boxes(1 + seed % 4, seed)
    chosen = torch.randint(len(gt), (2 + seed % 5,), generator=generator)
    boxes = gt[chosen] + (4 * torch.randn(len(chosen), 4, generator=generator)).round().clamp(-4, 4)
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = torch.randint(1, 5, (len(chosen),), generator=generator) / 4
    return gt.round() + torch.tensor([0.0, 0, 1, 1]), boxes, scores, (0.5, 0.75)[seed % 2]


@pytest.mark.parametrize("seed", range(6))
def test_ap_steps_are_those_of_the_evaluator(seed):
    gt, boxes, scores, threshold = random_ranking(seed)
    widget = ap_steps_player(None, gt, boxes, scores, threshold)
    order = scores.argsort(descending=True, stable=True)
    assert [row.index for row in widget.ranking()] == order.tolist()
    matched = match_detections(
        overlap(boxes, gt), scores, torch.tensor([threshold], dtype=torch.float64)
    )[0]
    assert [row.match for row in widget.ranking()] == matched[order].tolist()
    precision, recall = precision_recall(matched[order] >= 0, len(gt))
    assert [row.precision for row in widget.ranking()] == precision.tolist()
    assert [row.recall for row in widget.ranking()] == recall.tolist()
    assert widget.ap == average_precision(matched[order] >= 0, len(gt))
    widget.still().encoded()


def test_ap_steps_begin_with_a_box_near_each_object():
    widget = ap_steps_player()
    assert widget.ap == 1 and repr(widget) == "APSteps(3 boxes, threshold=0.5, ap=1.000)"
    widget.boxes = [*widget.boxes[:2], widget.boxes[0]]
    assert [row.match for row in widget.ranking()] == [0, 1, -1]


def test_ap_steps_refuse_what_is_no_box_and_no_score():
    widget = ap_steps_player()
    with pytest.raises(TraitError, match=r"a box is .* x1 < x2 and y1 < y2"):
        widget.boxes = [[1.0, 1, 1, 4]]
    with pytest.raises(TraitError, match=r"scores is .*: give 0\.\.1"):
        widget.scores = [0.5, 1.5, 0.1]
    with pytest.raises(TraitError, match=r"threshold is -1"):
        widget.threshold = -1
    with pytest.raises(ValueError, match="boxes"):
        ap_steps_player(boxes=torch.rand(2, 4), scores=(0.5,))


# ---- class confusion ----


def test_the_cells_of_a_confusion_matrix_hold_their_objects():
    items, detections = confused()
    widget = confusion_player(items, detections, min_score=0.3)
    targets = [target for _, target in items]
    pairs = class_pairs(detections, targets, 6, min_score=0.3)
    assert widget.counts == confusion_matrix(pairs, 6).tolist()
    for (row, column), found in widget.found.items():
        assert len(found) == min(12, widget.counts[row][column])
        assert len(widget.items[f"{row},{column}"]) == len(found)
        for one in found:
            x, y, side = one.window
            atlas = widget.image[:, y : y + side, x : x + side]
            assert one.pixels.equal(atlas) and ("gt" in one.masks) == (row != 7)
            assert all(mask.shape == (side, side) and mask.any() for mask in one.masks.values())
    assert len(widget.found[6, int(targets[0]["labels"][0]) - 1]) >= 1  # the second time
    widget.cell = (7, 0)
    assert repr(widget) == "Confusion('background' as 'triangle': 0)"
    widget.still().encoded()
    with pytest.raises(TraitError, match="the matrix has 8 rows and 7 columns"):
        widget.cell = (8, 0)


def test_an_object_is_paired_whatever_its_class_and_only_once():
    items, detections = confused()
    targets = [target for _, target in items]
    pairs = class_pairs(detections, targets, 6, min_score=0.3)
    n = sum(len(target["labels"]) for target in targets)
    assert sum(pair.row < 6 for pair in pairs) == n  # each object once
    assert sum(pair.row == 6 for pair in pairs) == 3  # the first one again, in each scene
    wrong = [pair for pair in pairs if pair.row < 6 and pair.row != pair.column]
    assert [(pair.object, pair.detection) for pair in wrong] == [(0, 0)] * 3
    nothing = class_pairs([d[:0] for d in detections], targets, 6)
    assert len(nothing) == n and all(pair.column == 6 for pair in nothing)
    alone = class_pairs(detections, [{**t, "labels": t["labels"][:0], "masks": t["masks"][:0]}
                                     for t in targets], 6, min_score=0.3)  # fmt: skip
    assert all(pair.row == 7 and pair.object == -1 for pair in alone)


# ---- a location ----


def test_anchors_of_a_location_are_the_packages(model, scene):
    image, target = scene
    widget = location_player(model, image, target, predictions=True)
    grids, sizes = [(24, 24), (12, 12), (6, 6), (3, 3)], model.config.anchor_sizes
    levels = pyramid_anchors(grids, (96, 96), sizes, (0.5, 1.0, 2.0))
    assert [(level["grid"], level["stride"][0]) for level in widget.levels] == list(
        zip(grids, (4, 8, 16, 32), strict=True)
    )
    widget.level, widget.location = 1, (5, 7)
    here, first = widget.anchors(), 3 * (12 * 5 + 7)
    assert here["box"] == levels[1][first : first + 3].tolist() and widget.point == (56, 40)
    everything = torch.cat(levels)
    iou = box_iou(target["boxes"], everything)
    first += len(levels[0])
    assert here["iou"] == pytest.approx(iou.amax(dim=0)[first : first + 3].tolist(), abs=1e-4)
    matched = match(iou, 0.7, 0.3, allow_low_quality_matches=True)
    names = [name for level in widget.levels for name in level["anchors"]["match"]]
    assert [name == "positive" for name in names] == (matched >= 0).tolist()
    assert names.count("negative") == (matched == -1).sum()
    trace = model.trace([image])
    assert here["score"] == pytest.approx(
        trace.objectness[0, first : first + 3].sigmoid().tolist(), abs=1e-4
    )
    assert widget.anchors(3)["box"] == levels[3][15:18].tolist()  # row 1, column 2 is nearest


def test_it_begins_where_the_labels_differ_most(model, scene):
    widget = location_player(model, *scene)
    assert len(set(widget.anchors()["match"])) == 3 and "score" not in widget.anchors()
    assert repr(widget) == "Location(stride=4, row=22, column=8)"


def test_an_image_of_another_size_and_without_objects(model):
    image = torch.rand(3, 300, 200)
    widget = location_player(model, image, {"boxes": torch.tensor([[50.0, 75, 150, 225]])})
    height, width = widget.size
    assert (height, width) == (144, 96)  # as the network sees it
    assert widget.objects[0] == pytest.approx([24, 36, 72, 108], abs=1e-3)
    empty = location_player(model, image, {"boxes": torch.zeros(0, 4)})
    assert empty.objects == [] and set(empty.anchors()["match"]) == {"negative"}
    for one in (widget, empty):
        one.still().encoded()


def test_a_location_beyond_the_end(model, scene):
    widget = location_player(model, *scene)
    widget.location = 99, 99
    assert widget.anchors()["box"] == widget.levels[0]["anchors"]["box"][-3:]
    widget.level = 3
    assert widget.anchors()["box"] == widget.levels[3]["anchors"]["box"][-3:]
    for name, value in {"location": (-1, 0), "level": 4}.items():
        with pytest.raises(TraitError, match=f"{name} is"):
            setattr(widget, name, value)
    with pytest.raises(ValueError, match="target has no boxes"):
        location_player(model, scene[0], {})


def test_receptive_fields_are_those_of_the_layers(model, scene):
    """C4 sees 135 pixels; the pyramid's and the RPN's 3x3 convolutions add two strides each."""
    fields = [Field(**level["field"]) for level in location_player(model, *scene).levels]
    assert [field.full for field in fields] == [151, 167, 135 + 2 * 16 + 2 * 16, 231]
    assert all(field.half < field.full / 3 for field in fields)


def test_a_field_is_measured():
    effect = torch.zeros(40, 40)
    effect[10:30, 12:28] = 0.1
    effect[18:22, 18:22] = 10
    assert measure(effect) == Field(full=16, half=4)
    assert measure(torch.ones(40, 40)).full == 0  # it may be wider
    assert measure(torch.zeros(40, 40)).full == 0


# ---- a RoI ----


def test_a_roi_pools_what_the_operations_do(model, scene):
    widget = dragged_roi(model, scene)
    assert repr(widget) == "DraggedRoI(box=[130, 58, 208, 150], bin=(1, 1), operation='pool')"
    features, roi = torch.tensor(widget.map)[None, None], boxes_to_rois(torch.tensor(widget.box))
    for name, values in widget.pooled().items():
        torch.testing.assert_close(values, OPERATIONS[name](features, roi, 7, 1 / 16)[0, 0])
    x1, y1 = ((position - 0.5) * 16 for position in widget.origin)
    assert x1 <= 130 - 16 and y1 <= 58 - 16  # there is paper around the RoI
    assert x1 + widget.size[1] >= 208 + 16 and y1 + widget.size[0] >= 150 + 16


def test_a_roi_at_the_border_of_the_map():
    for box in ([0, 0, 20, 20], [300, 350, 320, 384]):
        widget = roi_player(torch.rand(1, 24, 20), torch.tensor(box), stride=16, output_size=3)
        for name in OPERATIONS:
            widget.operation = name
            widget.still().encoded()


@pytest.mark.parametrize(
    ("name", "value"),
    [("box", [1, 2, 1, 4]), ("box", [1, 2, 3]), ("bin", (0, 7)), ("operation", "max")],
)
def test_what_is_no_roi_is_refused(model, scene, name, value):
    with pytest.raises(TraitError, match=f"{name} is"):
        setattr(dragged_roi(model, scene), name, value)


# ---- a RoI and its parts ----


def test_a_roi_is_assembled_as_the_model_does_it(scene):
    image, target = scene
    fcis = ancestors.load("fcis-3x3")
    widget = assembly_player(fcis, image, target, label=2)
    assert widget.box == target["boxes"][0].tolist() and widget.reading == "inside"
    scores = fcis.predict_on_boxes(image, target["boxes"][:1])
    for reading, values in (
        ("inside", scores.inside), ("outside", scores.outside), ("mask", scores.mask_logits),
    ):  # fmt: skip
        widget.reading = reading  # its maps are rounded to two decimals
        torch.testing.assert_close(widget.assembled(), values[0, 2], rtol=0, atol=0.011)
    assert repr(widget).startswith("Assembly(box=[") and repr(widget).endswith("reading='mask')")
    large = torch.nn.functional.interpolate(image[None], scale_factor=2)[0]
    twice = assembly_player(fcis, large, {"boxes": 2 * target["boxes"]}, label=2)
    assert twice.box == widget.box and twice.objects == widget.objects


@pytest.mark.parametrize(
    ("name", "value"), [("box", [1, 2, 1, 4]), ("box", [1, 2]), ("reading", "class")]
)
def test_a_box_without_area_and_an_unknown_reading_are_refused(scene, name, value):
    with pytest.raises(TraitError, match=f"{name} is "):
        setattr(assembly(None, scene), name, value)


# ---- polygons ----


def test_python_reads_the_polygons_that_were_drawn(model, scene):
    widget = polygons(model, scene)
    assert widget.by_name() == {"a": TRIANGLE, "b": SQUARE} and not widget.is_changed
    assert repr(widget) == "PolygonEditor(vertices=[3, 4], chosen='a')"
    widget.polygons = [SQUARE, SQUARE]
    assert widget.is_changed and widget.given == [TRIANGLE, SQUARE]
    for polygon in (
        [[1.0, 2], [3, 4]],
        [[1.0, 2], [3, 4], [5]],
        [[1, 2], [3, 4], [5, float("nan")]],
    ):
        with pytest.raises(TraitError, match="is no polygon: give at least 3 corners"):
            widget.polygons = [polygon, SQUARE]
    with pytest.raises(TraitError, match=r"chosen is 2: give 0\.\.1"):
        widget.chosen = 2


# ---- gradients ----


def test_all_maps_are_computed_before_the_first_click(model, scene):
    widget, found = gradients(model, scene), model.detect([scene[0]])[0]
    n = int((found.scores >= 0.5).sum())
    assert len(widget.boxes) == len(widget.urls) == len(widget.maps) == n >= 2
    assert widget.outputs == ["class score", "box", "mask"]
    for urls, inside in zip(widget.urls, widget.inside, strict=True):
        assert list(urls) == list(inside) == widget.outputs
        assert all(url.startswith("data:image/png") for url in urls.values())
        assert all(0 < fraction <= 1 for fraction in inside.values())
    assert repr(widget) == "InputGradients(detection=0, output='class score')"
    with pytest.raises(TraitError, match="detection is 99"):
        widget.detection = 99
    with pytest.raises(TraitError, match="output is 'name': choose one of class score, box, mask"):
        widget.output = "name"
    with pytest.raises(ValueError, match=r"detects nothing with a score of 0\.5"):
        gradient_player(model, torch.full((3, 96, 96), 0.5))


# ---- in a browser ----


@pytest.fixture(scope="module")
def page():
    if browser.find_chromium() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find_chromium(), args=options)
        page = chromium.new_page()
        page.add_script_tag(content=(touch.FOLDER / "geometry.js").read_text("utf-8"))
        script = (touch.FOLDER / "assembly.js").read_text("utf-8")
        page.add_script_tag(content=script.replace("export default", "window.assembly ="))
        yield page
        chromium.close()


def test_the_browsers_formulas_are_pythons(page):
    a, b = random_boxes(50).double(), random_boxes(50, seed=7).double()
    a[:3] = b[:3] + torch.tensor([[0.0], [1], [100]])  # equal, moved, and apart
    computed = page.evaluate(
        """([a, b]) => a.map((box, i) =>
            [boxIou(box, b[i]), boxIntersection(box, b[i]), ...encodeBox(box, b[i])])""",
        [a.tolist(), b.tolist()],
    )
    iou, intersection = box_iou(a, b).diagonal(), box_intersection(a, b).diagonal()
    expected = torch.cat((iou[:, None], intersection[:, None], encode_boxes(a, b)), dim=1)
    torch.testing.assert_close(torch.tensor(computed, dtype=torch.float64), expected)
    assert page.evaluate("boxIou([1, 1, 1, 1], [1, 1, 1, 1])") == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_browsers_nms_is_pythons(page, seed):
    n = (0, 1, 2, 30, 300)[seed % 5]
    boxes, labels = random_boxes(n, seed), torch.arange(n) % (1 + seed % 3)
    scores = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    scores = (8 * scores).round() / 8  # many are equal
    widget = nms_steps_player(None, boxes, scores, labels, threshold=0.1 * seed)
    arguments = [boxes.tolist(), scores.tolist(), labels.tolist(), 0.1 * seed]
    steps = page.evaluate("(given) => nmsSteps(...given)", arguments)
    assert [(s["kept"], [gone["index"] for gone in s["suppressed"]]) for s in steps] == [
        tuple(step) for step in widget.steps()
    ]
    iou = box_iou(boxes, boxes)
    for step in steps:
        for gone in step["suppressed"]:
            assert gone["iou"] == pytest.approx(iou[step["kept"], gone["index"]].item(), abs=1e-5)


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_browsers_pooling_is_pythons(page, op):
    script = (touch.FOLDER / "roi_align.js").read_text("utf-8").partition("function render")[0]
    generator = torch.Generator().manual_seed(3)
    values = torch.rand(12, 9, generator=generator)
    corners = 60 * torch.rand(60, 2, generator=generator)
    boxes = torch.cat((corners, corners + 1 + 60 * torch.rand(60, 2, generator=generator)), dim=1)
    boxes = (4 * boxes).round() / 4  # some edges lie halfway between two positions
    expected = OPERATIONS[op](values[None, None], boxes_to_rois(boxes), 7, 1 / 16)[:, 0]
    computed = page.evaluate(
        """([script, op, map, boxes]) => {
            const pool = new Function(script + "; return poolRoi;")();
            return boxes.map((box) => pool(op, map, box, 7).values);
        }""",
        [script, op, values.tolist(), (boxes / 16).tolist()],
    )
    torch.testing.assert_close(torch.tensor(computed), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_the_browsers_average_precision_is_pythons(page, seed):
    gt, boxes, scores, threshold = random_ranking(seed)
    widget = ap_steps_player(None, gt, boxes, scores, threshold)
    load_functions(page, "ap_steps")
    arguments = [widget.gt, widget.boxes, widget.scores, threshold]
    ranking = page.evaluate("(given) => rankDetections(...given)", arguments)
    keys = ("index", "match", "precision", "recall")
    assert [tuple(row[key] for key in keys) for row in ranking] == [
        (row.index, row.match, row.precision, row.recall) for row in widget.ranking()
    ]
    ious = [row["iou"] for row in ranking]
    assert ious == pytest.approx([row.iou for row in widget.ranking()], abs=1e-9)
    ap = page.evaluate("(given) => averagePrecision(rankDetections(...given))", arguments)
    assert ap == pytest.approx(widget.ap, abs=1e-9)


def load_functions(page, name):
    """Make the functions of a widget's script known to the page."""
    script = (touch.FOLDER / f"{name}.js").read_text("utf-8")
    script = script.replace("export default { render };", "").replace("const ", "var ")
    page.add_script_tag(content=script)


RENDER = """async ([script, style, state]) => {
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const { default: widget } = await import(address);
    const acts = {};
    window.told = 0;
    window.model = {
        get: (name) => state[name],
        set: (name, value) => {
            state[name] = value;
            for (const act of acts[`change:${name}`] ?? []) act();
        },
        on: (name, act) => (acts[name] ??= []).push(act),
        save_changes: () => (window.told += 1),
    };
    document.head.replaceChildren(document.createElement("style"));
    document.head.firstChild.textContent = style;
    document.body.replaceChildren(document.createElement("div"));
    widget.render({ model: window.model, el: document.body.firstChild });
}"""


def render(page, widget):
    """Show a widget on the page, without Jupyter; its traits are those of `model`."""
    hidden = {"layout", "tabbable", "tooltip"}
    names = [n for n in widget.trait_names(sync=True) if not n.startswith("_") and n not in hidden]
    state = {name: getattr(widget, name) for name in names}
    page.evaluate(RENDER, [widget._esm, widget._css, state])


BOXES = ".mrcnn-held[aria-roledescription='box that can be moved']"


def test_every_touchable_draws_itself_and_its_boxes_move_with_the_arrow_keys(page, touchable):
    widget, _ = touchable
    render(page, widget)
    assert page.locator(".mrcnn-touch").count() == 1
    assert page.locator(".mrcnn-caption").text_content().strip() == widget.note
    for box in page.query_selector_all(BOXES):  # whatever lies on top
        before = box.get_attribute("aria-label")
        x1, y1, x2, y2 = edges(before)
        box.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        assert edges(box.get_attribute("aria-label")) == [x1 - 1, y1 + 1, x2 - 1, y2 + 1]
        page.keyboard.press("Shift+ArrowLeft")
        assert edges(box.get_attribute("aria-label")) == [x1 - 1, y1 + 1, x2 - 2, y2 + 1]
        for _ in range(int(x2 - x1)):
            page.keyboard.press("Shift+ArrowLeft")  # until it is as narrow as it can be
        narrow = edges(box.get_attribute("aria-label"))
        assert 0 < narrow[2] - narrow[0] <= 8 and narrow[0] == x1 - 1
    for name in widget.remembered:
        setattr(widget, name, page.evaluate(f"model.get({name!r})"))  # Python takes it


def edges(label):
    """x1, y1, x2, y2 of a label such as "RoI: x1 3, y1 4, x2 10, y2 12."."""
    return [float(number) for number in re.findall(r"[xy][12] (-?[0-9.]*[0-9])", label)]


def drag(page, start, end):
    """Drag with the mouse from one point of the paper to another, in pixels of the picture."""
    frame = page.locator(".mrcnn-paper svg").bounding_box()
    scale = frame["width"] / (page.evaluate("model.get('size')[1]") + 2 * 2)
    page.mouse.move(*(frame[axis] + (v + 2) * scale for axis, v in zip("xy", start, strict=True)))
    page.mouse.down()
    for part in (0.5, 1):
        at = [a + part * (b - a) for a, b in zip(start, end, strict=True)]
        page.mouse.move(*(frame[axis] + (v + 2) * scale for axis, v in zip("xy", at, strict=True)))
    page.mouse.up()


def test_a_reader_drags_draws_and_scores_boxes(page):
    widget = ap_steps_player()
    render(page, widget)
    says = page.locator(".mrcnn-says")
    assert "AP = (101 × 1.00) / 101 = 1.000" in says.inner_text()
    drag(page, (22, 24), (30, 24))  # the first box, by its inside
    assert page.evaluate("model.get('boxes')[0]") == [16, 10, 44, 38]
    drag(page, (70, 60), (90, 90))  # free paper: the first box is drawn anew there
    assert page.evaluate("model.get('boxes')[0]") == [70, 60, 90, 90]
    assert "AP = (67 × 0.67) / 101" in says.inner_text()
    page.get_by_role("spinbutton").nth(0).fill("0.1")
    assert page.evaluate("model.get('scores')") == [0.1, 0.8, 0.6]
    assert page.locator("tbody tr").nth(2).get_attribute("data-outcome") == "wrong"
    assert "AP = (67 × 1.00) / 101 = 0.663" in says.inner_text()
    page.get_by_role("spinbutton").nth(0).fill("7")  # no score
    assert page.evaluate("model.get('scores')") == [0.1, 0.8, 0.6]
    page.wait_for_function("told === 1")  # once the hand rests


def test_two_boxes_are_held_in_the_same_way(page):
    widget = two_boxes_player(anchor=[10, 10, 40, 40], gt=[50, 50, 80, 80])
    render(page, widget)
    drag(page, (20, 30), (25, 33))
    assert page.evaluate("model.get('anchor')") == [15, 13, 45, 43]
    drag(page, (80, 80), (90, 95))  # a corner
    assert page.evaluate("model.get('gt')") == [50, 50, 90, 95]
    page.locator("[data-box=gt]").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert page.evaluate("model.get('gt')") == [49, 50, 89, 96]
    label = page.locator("[data-box=gt]").get_attribute("aria-label")
    assert label.startswith("ground truth: x1 49, y1 50, x2 89, y2 96. Arrow keys move it")


def test_a_cell_of_the_matrix_opens_its_objects(page):
    items, detections = confused()
    widget = confusion_player(items, detections, min_score=0.3)
    render(page, widget)
    for (row, column), found in list(widget.found.items())[:4]:
        page.locator(".mrcnn-matrix tbody tr").nth(row).get_by_role("button").nth(column).click()
        assert page.evaluate("model.get('cell')") == [row, column]
        titles = page.locator(".mrcnn-thumbs figcaption")
        assert titles.all_inner_texts() == [one.title for one in found]
    assert page.locator("[aria-pressed=true]").count() == 1
    page.keyboard.press("ArrowLeft" if column else "ArrowRight")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert f"as {widget.columns[column - 1 if column else 1]}" in label


def test_the_browser_assembles_as_python_does(page, scene):
    widget = assembly(None, scene)
    for box in ([20.0, 30, 52, 49], [0.0, 0, 96, 96], [90.0, 3, 93, 95], [7.0, 8, 10, 11]):
        widget.box = box
        for reading in ("inside", "mask"):
            widget.reading = reading
            values = page.evaluate(
                """([maps, reading, rows, columns, box, k, m, stride]) => assembleMaps(
                    mapsOf(maps, reading), { rows, columns }, box, k, m, stride)""",
                [widget.maps, reading, *widget.grid, box, 3, widget.mask_size, widget.stride],
            )
            computed = torch.tensor(values).view_as(widget.assembled())
            torch.testing.assert_close(computed, widget.assembled(), rtol=1e-4, atol=1e-4)


def vertex(page, index):
    return page.locator(f"[data-vertex='{index}']")


def on_paper(page, x, y):
    """The point of the screen for a point of the picture, where no margin is around it."""
    frame = page.locator(".mrcnn-paper svg").bounding_box()
    scale = frame["width"] / page.evaluate("model.get('size')[1]")
    return frame["x"] + x * scale, frame["y"] + y * scale


def test_a_reader_corrects_a_polygon(page, model, scene):
    render(page, polygons(model, scene))
    says = page.locator(".mrcnn-says")
    assert "a: 3 vertices" in says.inner_text() and "as large as it was" in says.inner_text()
    page.mouse.move(*on_paper(page, 40, 8))
    page.mouse.down()
    page.mouse.move(*on_paper(page, 50, 20), steps=3)
    page.mouse.up()
    x, y = page.evaluate("model.get('polygons')[0][1]")
    assert x == pytest.approx(50, abs=0.2) and y == pytest.approx(20, abs=0.2)
    page.mouse.dblclick(*on_paper(page, 17.5, 32.5))  # in the middle of the edge from 2 to 0
    assert page.evaluate("model.get('polygons')[0].length") == 4
    vertex(page, 3).dblclick()
    assert page.evaluate("model.get('polygons')[0].length") == 3
    vertex(page, 0).dblclick()  # a polygon keeps three
    assert page.evaluate("model.get('polygons')[0].length") == 3
    page.get_by_role("button", name="As it was").click()
    assert page.evaluate("model.get('polygons')") == [TRIANGLE, SQUARE]
    page.get_by_role("button", name="Take back").click()
    assert page.evaluate("model.get('polygons')[0][1][0]") == pytest.approx(50, abs=0.2)
    page.wait_for_function("told >= 1")


def test_a_polygon_is_corrected_with_the_keyboard(page, model, scene):
    render(page, polygons(model, scene))
    page.get_by_text("b", exact=True).click()
    assert page.evaluate("model.get('chosen')") == 1
    vertex(page, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert page.evaluate("model.get('polygons')[1][0]") == [51, 55]
    page.keyboard.press("+")
    assert page.evaluate("model.get('polygons')[1][1]") == [65.5, 52.5]
    page.keyboard.press("Delete")
    assert page.evaluate("model.get('polygons')[1].length") == 4
    label = vertex(page, 0).get_attribute("aria-label")
    assert label == "b, vertex 1 of 4: x 51, y 55"


def test_a_click_chooses_a_detection_without_a_kernel(page, model, scene):
    widget = gradients(model, scene)
    render(page, widget)
    for index, (x1, y1, x2, y2) in enumerate(widget.boxes[:2]):
        page.mouse.click(*on_paper(page, (x1 + x2) / 2, (y1 + y2) / 2))
        chosen = page.evaluate("model.get('detection')")
        a1, b1, a2, b2 = widget.boxes[chosen]
        assert a1 <= (x1 + x2) / 2 <= a2 and b1 <= (y1 + y2) / 2 <= b2
        assert f"Detection {chosen + 1} of" in page.locator(".mrcnn-says").inner_text()
        shown = page.locator(".mrcnn-paper image").get_attribute("href")
        assert shown == widget.urls[chosen]["class score"], index
    page.get_by_text("mask", exact=True).click()
    assert page.evaluate("model.get('output')") == "mask"
    page.locator(".mrcnn-paper svg").focus()
    before = page.evaluate("model.get('detection')")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("model.get('detection')") == (before + 1) % len(widget.boxes)
