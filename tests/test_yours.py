"""A reader's own parts inside the network: they are used, looked at, and gone afterwards."""

import sys
from types import ModuleType

import pytest
import torch

from mrcnn_edu import (
    boxes,
    detections,
    evaluate,
    load,
    losses,
    matching,
    nms,
    roi_ops,
    rpn,
    targets,
)
from mrcnn_edu.course.yours import PARTS, board, keep_part, start_parts, yours
from mrcnn_edu.course.yours.board import first_difference, mask_ap
from mrcnn_edu.course.yours.cases import cases_of
from mrcnn_edu.course.yours.returned import PartError
from mrcnn_edu.data import Shapes

SCENES = Shapes(3, seed=1)
SLOW = {"bilinear"}  # one call for each point


@pytest.fixture(scope="module")
def model():
    return load("shapes-tiny")


@pytest.fixture(scope="module")
def images():
    return [SCENES[i][0] for i in range(len(SCENES))]


@pytest.fixture(autouse=True)
def everything_is_as_it_was():
    before = places_of_ours()
    yield
    assert before <= places_of_ours()


def places_of_ours():
    """Where in the package a function stands that a part can replace."""
    ours = [part.ours for part in PARTS.values()]
    names = [name for name in sys.modules if name.partition(".")[0] == "mrcnn_edu"]
    return {
        (module, name)
        for module in names
        for name, value in vars(sys.modules[module]).items()
        if any(value is function for function in ours)
    }


def same_detections(one, other):
    assert len(one) == len(other)
    torch.testing.assert_close(one.boxes, other.boxes, atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(one.scores, other.scores, atol=1e-3, rtol=1e-3)
    assert torch.equal(one.labels, other.labels)
    assert (one.masks != other.masks).sum() <= 4


@pytest.mark.parametrize("name", PARTS)
def test_ours_in_place_of_ours_gives_the_same_detections(name, model, images):
    some = images[:1] if name in SLOW else images
    expected = model.detect(some)
    calls = []

    def spy(*arguments):
        calls.append(arguments)
        return PARTS[name].ours(*arguments)

    with yours(**{name: spy}):
        found = model.detect(some)
        if name == "average_precision":
            assert mask_ap_of(model) == pytest.approx(100, abs=40)
    for one, other in zip(found, expected, strict=True):
        same_detections(one, other)
    assert bool(calls) == (not PARTS[name].trains)
    wanted = PARTS[name].signature.partition("(")[2].count(",")
    assert all(len(arguments) <= wanted + 1 for arguments in calls)


def mask_ap_of(model):
    found = evaluate.detect_all(model, SCENES, progress=False)
    return 100 * evaluate.evaluate(SCENES, found, progress=False).ap


@pytest.mark.parametrize("name", PARTS)
def test_ours_in_place_of_ours_gives_the_same_losses(name, model):
    images, objects = zip(*(SCENES[i] for i in range(2)), strict=True)
    generators = lambda: [torch.Generator().manual_seed(i) for i in range(2)]  # noqa: E731
    expected = model(list(images), list(objects), generators())
    calls = []

    def spy(*arguments):
        calls.append(name)
        return PARTS[name].ours(*arguments)

    with yours(**{name: spy}):
        found = model(list(images), list(objects), generators())
    for loss, value in expected.items():
        torch.testing.assert_close(found[loss], value, atol=1e-3, rtol=1e-3)
    if PARTS[name].trains:
        assert calls
        found["loss_mask"].backward()
        model.zero_grad()


def test_all_parts_together_detect_and_learn(model, images):
    ours = {name: part.ours for name, part in PARTS.items() if name not in ("bilinear", "nms")}
    expected = model.detect(images)
    with yours(**ours):
        found = model.detect(images)
        losses = model(*map(list, zip(SCENES[0], strict=True)))
    for one, other in zip(found, expected, strict=True):
        same_detections(one, other)
    assert len(losses) == 5


def test_the_parts_are_gone_after_an_error_and_in_late_modules(model, images, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("not written yet")

    late = ModuleType("mrcnn_edu.imported_late")
    monkeypatch.setitem(sys.modules, late.__name__, late)
    with pytest.raises(RuntimeError, match="not written yet") as failure, yours(box_iou=fails):
        vars(late)["box_iou"] = boxes.box_iou  # from mrcnn_edu.boxes import box_iou
        assert vars(late)["box_iou"] is not PARTS["box_iou"].ours
        model.detect(images)
    assert "This happened in your box_iou" in failure.value.__notes__[0]
    assert vars(late)["box_iou"] is PARTS["box_iou"].ours
    assert nms.box_iou is targets.box_iou is boxes.box_iou is PARTS["box_iou"].ours
    assert roi_ops.ON_TABLES["align"] is roi_ops.align_rois


def test_blocks_may_lie_inside_one_another(model, images):
    calls = []

    def one(a, b):
        calls.append("one")
        return PARTS["box_iou"].ours(a, b)

    def suppress(*arguments):
        calls.append("suppress")
        return PARTS["nms"].ours(*arguments)

    with yours(box_iou=one):
        with yours(nms=suppress):
            model.detect(images)
        assert rpn.batched_nms is nms.batched_nms is PARTS["batched_nms"].ours
        assert boxes.box_iou is not PARTS["box_iou"].ours
    assert "suppress" in calls


WRONG = {
    "box_iou": [
        (lambda a, b: None, r"your box_iou returned nothing: return a tensor of shape"),
        (lambda a, b: torch.zeros(len(b), len(a) + 1), r"returned a tensor of shape \["),
        (lambda a, b: 0.5, r"returned a number: return a tensor of shape"),
    ],
    "decode_boxes": [(lambda d, a: d[:, :2], r"your decode_boxes returned a tensor of shape")],
    "nms": [
        (lambda b, s, t: s > 0, r"returned True and False: return indices"),
        (lambda b, s, t: torch.arange(len(b)) + 1, r"returned the index \d+ of \d+ boxes"),
        (lambda b, s, t: torch.zeros(len(b)), r"return indices from 0 on|returned an index twice"),
        (lambda b, s, t: torch.zeros(len(b), dtype=torch.long), r"an index twice"),
        (lambda b, s, t: b, r"your nms returned a tensor of shape"),
    ],
    "batched_nms": [(lambda b, s, g, t: None, "your batched_nms returned nothing")],
    "pyramid_level": [
        (lambda b, s, c: torch.full((len(b),), 9), "levels from 9 to 9: return 0 to"),
        (lambda b, s, c: torch.zeros(len(b)), "float32: return whole numbers"),
    ],
    "pyramid_anchors": [
        (lambda g, i, s, r: torch.zeros(3, 4), "return a list of"),
        (lambda g, i, s, r: [torch.zeros(3, 4)] * len(g), "your pyramid_anchors returned a tensor"),
    ],
    "roi_align": [(lambda f, r, o, s, n: torch.zeros(len(r), o, o), "your roi_align returned")],
    "bilinear": [(lambda f, y, x: torch.zeros(()), "your bilinear returned a number")],
    "paste_masks": [(lambda m, b, s: torch.zeros(len(b), 3, 3), "your paste_masks returned")],
}


@pytest.mark.parametrize(("name", "i"), [(n, i) for n in WRONG for i in range(len(WRONG[n]))])
def test_a_wrong_shape_or_type_is_told_in_words(name, i, model, images):
    function, message = WRONG[name][i]
    with pytest.raises(PartError, match=message), yours(**{name: function}):
        if name == "box_iou":
            model([images[0]], [SCENES[0][1]])
        model.detect(images[:1])


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("match", lambda i, p, n, a: torch.full((i.shape[1],), 99), "numbers from 99 to 99"),
        ("match", lambda i, p, n, a: i, "your match returned a tensor of shape"),
        ("mask_loss", lambda m, la, t: 0.7, "a number without a gradient"),
        ("mask_loss", lambda m, la, t: m.detach().mean(), "a number without a gradient"),
        ("mask_loss", lambda m, la, t: m, "your mask_loss returned a tensor"),
        ("encode_boxes", lambda b, a: None, "your encode_boxes returned nothing"),
    ],
)
def test_what_is_wrong_in_training_is_told_too(name, function, message, model):
    image, target = SCENES[0]
    with pytest.raises(PartError, match=message), yours(**{name: function}):
        model([image], [target])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no part of yours"),
        ({"nsm": print}, "there is no part nsm: choose of box_iou"),
        ({"nms": 3}, "nms is 3: give a function"),
        ({"nms": print, "batched_nms": print}, "batched_nms does what nms does, and more"),
    ],
)
def test_what_is_no_part_is_refused(given, message):
    with pytest.raises(ValueError, match=message), yours(**given):
        pass


# ---- what typical mistakes cost ----


def nms_across_classes(candidates, scores, groups, iou_threshold):
    return nms.nms(candidates, scores, iou_threshold)


def swapped(deltas, anchors):
    return boxes.decode_boxes(deltas[:, [1, 0, 3, 2]], anchors)


def rounded(features, rois, output_size, spatial_scale, sampling_ratio):
    rois = torch.cat((rois[:, :1], (rois[:, 1:] * spatial_scale).round() / spatial_scale), dim=1)
    return roi_ops.roi_align(features, rois, output_size, spatial_scale, sampling_ratio)


def half_a_pixel(mask_probs, at, size):
    return detections.paste_masks(mask_probs, at + 0.5, size)


def test_ours_reach_80_and_typical_mistakes_cost_much_or_little(monkeypatch):
    monkeypatch.setattr(sys.modules["mrcnn_edu.course.yours.board"], "SCENES", Shapes(15, seed=1))
    whole = mask_ap()
    assert 75 < whole < 87
    costs = {}
    for mistake, name in [
        (nms_across_classes, "batched_nms"), (swapped, "decode_boxes"), (rounded, "roi_align"),
        (half_a_pixel, "paste_masks"),
    ]:  # fmt: skip
        with yours(**{name: mistake}):
            costs[mistake.__name__] = whole - mask_ap()
        assert first_difference(mistake, name) != ""
    assert costs["swapped"] > 20  # 32 AP on the board's 40 scenes
    assert costs["rounded"] > 18  # 28
    assert 8 < costs["half_a_pixel"] < 20  # 14
    assert abs(costs["nms_across_classes"]) < 2  # 0.2: few objects of two classes overlap so much


# ---- the board ----


@pytest.mark.parametrize("name", PARTS)
def test_ours_agrees_with_ours_on_cases_that_are_not_all_alike(name):
    assert first_difference(PARTS[name].ours, name) == ""
    assert len({str(case) for case in cases_of(name)}) >= 6


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_returns_nothing_or_fails_differs(name):
    assert "returned nothing" in first_difference(lambda *_: None, name)
    assert "ZeroDivisionError" in first_difference(lambda *_: 1 / 0, name)


def test_the_board_says_what_agrees_what_it_is_worth_and_how_long_it_takes(monkeypatch):
    monkeypatch.setattr(sys.modules["mrcnn_edu.course.yours.board"], "SCENES", SCENES)
    made = board(
        nms=nms.nms, decode_boxes=swapped, mask_loss=losses.mask_loss, match=lambda *_: None,
        paste_masks=lambda m, b, s: None,
    )  # fmt: skip
    rows = {row.name: row for row in made.rows}
    assert rows["nms"].wrong == "" and rows["nms"].ap == pytest.approx(made.ap)
    assert rows["nms"].slowdown is not None and rows["nms"].slowdown > 0
    worse = rows["decode_boxes"].ap
    assert worse is not None and worse < made.ap - 20
    assert "deltas =" in rows["decode_boxes"].wrong
    assert rows["mask_loss"].ap is None and rows["mask_loss"].failure == ""
    assert "your paste_masks returned nothing" in rows["paste_masks"].failure
    text = str(made)
    assert "(training)" in text and "x ours" in text and "decode_boxes: your function" in text
    assert made._repr_html_().count("<tr>") == 6


# ---- the file ----

MINE = '''

def nms(boxes, scores, iou_threshold):
    """The best box alone."""
    return scores.argsort(descending=True)[:1]
'''


def best_box_alone():
    def nms(boxes, scores, iou_threshold):
        return torch.argsort(scores, descending=True)[:1]

    return nms


def test_a_file_is_started_kept_and_used(tmp_path, model, images):
    file = start_parts(tmp_path / "my_parts.py")
    text = file.read_text()
    assert all(part.signature in text for part in PARTS.values())
    with pytest.raises(ValueError, match="no part of yours"), yours(file):
        pass
    file.write_text(text + MINE)
    assert start_parts(file).read_text() == text + MINE
    with yours(file):
        assert all(len(found) <= 6 for found in model.detect(images))


def test_a_solved_function_is_kept_and_what_was_there_stays(tmp_path):
    file = tmp_path / "my_parts.py"
    nms = best_box_alone()
    keep_part(nms, file)
    once = file.read_text()
    assert "def nms(boxes, scores, iou_threshold):" in once
    keep_part(nms, file)
    assert file.read_text() == once  # the same function, once
    file.write_text(once + "\n# a note of mine\n")
    match = matching.match
    with pytest.raises(ValueError, match="your match uses BACKGROUND, IGNORED, which"):
        keep_part(match, file)
    assert file.read_text() == once + "\n# a note of mine\n"
    keep_part(nms, file)
    assert "# a note of mine" in file.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def nms(", "my_parts.py, line 1"),
        ("import no_such_thing", "cannot be run: ModuleNotFoundError"),
        ("1 / 0", "cannot be run: ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_run_says_why(tmp_path, text, message):
    file = tmp_path / "my_parts.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message), yours(file):
        pass


def test_a_file_that_is_not_there_or_no_python(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"start_parts\(\) makes one"),
        yours(tmp_path / "a.py"),
    ):
        pass
    (tmp_path / "parts.txt").write_text("")
    with pytest.raises(ValueError, match=r"must end in \.py"), yours(tmp_path / "parts.txt"):
        pass


def test_what_has_no_source_or_is_no_part_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="there is no part print"):
        keep_part(print, tmp_path / "my_parts.py")
    assert not list(tmp_path.iterdir())
