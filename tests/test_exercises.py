"""The exercises' checks accept the solution and typical other ways, and reject typical mistakes."""

import ast
import inspect
import re
from copy import deepcopy
from importlib import import_module
from pathlib import Path

import mistakes_00_06
import mistakes_07_16
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from style import is_rewritten

from mrcnn_edu import losses
from mrcnn_edu.backbone import FPN
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course import exercises, gpu_kernels, small_triton
from mrcnn_edu.course.exercises import (
    align_kernel,
    anchors,
    backbone,
    boxes,
    coco_ap,
    loss_and_gradient,
    mask_head,
    puzzles,
    roi_align,
    rpn,
    start_here,
)
from mrcnn_edu.course.exercises.show import kind, masks_of, show
from mrcnn_edu.course.progress import all_exercises
from mrcnn_edu.heads import MaskHeadFCN
from mrcnn_edu.nms import nms
from mrcnn_edu.roi_ops import align_rois, feature_table
from mrcnn_edu.rpn import propose

CHECKS = {
    name: check
    for modules in exercises.LESSONS.values()
    for module in (import_module(f"{exercises.__name__}.{module}") for module in modules)
    for name, check in vars(module).items()
    if name.startswith("check_") and check.__module__ == module.__name__
}
SOURCES = sorted((Path(__file__).parent.parent / "notebooks" / "src").glob("[0-9][0-9]_*.py"))
MISTAKES = mistakes_00_06.MISTAKES + mistakes_07_16.MISTAKES
each_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)


def solution_of(check):
    return getattr(inspect.getmodule(check), check.__name__.removeprefix("check_"))


def parameters_of(check):
    return list(inspect.signature(solution_of(check)).parameters)


@pytest.fixture
def output(capsys):
    """A function that returns what a check prints about an attempt, without the name."""

    def output(check, attempt) -> str:
        check(attempt)
        name, _, text = capsys.readouterr().out.partition(": ")
        assert name == check.__name__.removeprefix("check_")
        return text

    return output


# ---- all exercises ----


@each_check
def test_the_solution_is_accepted_and_has_a_docstring(output, check):
    assert output(check, solution_of(check)) == "ok\n"
    assert solution_of(check).__doc__


@each_check
def test_an_empty_attempt_is_reported_in_one_line(output, check):
    for empty in (lambda *_: None, lambda *_: ...):
        assert output(check, empty) == "not yet: your function returned nothing\n"


@each_check
def test_no_check_gives_the_answer_away(output, check):
    """A wrong answer of the right shape is shown; the right one is not."""
    solution, arguments = solution_of(check), []
    output(check, lambda *a: arguments.append(a))
    right = solution(*deepcopy(arguments[0]))
    guess = 7 if isinstance(right, str) else "a guess"
    first, line, *shown = output(check, lambda *arguments: guess).splitlines()
    assert re.fullmatch(r"not yet \(case 1 of \d+(: .+)?\)", first)
    returned, expected = line.split("; ")
    assert returned == f"  your function returned {guess!r}"
    assert expected == f"expected {kind(right)}"  # its type and its shape, not its values
    assert str(right) not in line
    assert all(f"= {show(right)}" not in line for line in shown if "out =" in line)


@each_check
def test_the_first_case_shows_each_argument_by_its_name(output, check):
    text = output(check, lambda *arguments: "a guess")
    for name in parameters_of(check):
        assert re.search(rf"\n  {name}(\[0\])? = ", text)


@each_check
def test_a_case_says_what_it_is_about(output, check):
    lesson = re.match(r"Lesson (\d\d)", inspect.getmodule(check).__doc__)[1]
    if lesson <= "06" or lesson == "17":
        first, *_ = output(check, lambda *arguments: "a guess").splitlines()
        assert re.fullmatch(r"not yet \(case 1 of ([3-9]|\d\d): \S.{4,}\)", first)


def test_every_exercise_has_typical_mistakes_to_reject():
    rejected = [check for check, _, _ in MISTAKES]
    assert all(rejected.count(check) >= 2 for check in CHECKS.values())


@pytest.mark.parametrize(("check", "attempt", "case"), MISTAKES)
def test_a_typical_mistake_is_rejected_at_the_first_case_that_shows_it(
    output, check, attempt, case
):
    text = output(check, attempt)
    assert text.startswith(f"not yet (case {case} of "), text
    assert text.splitlines()[1].startswith("  your function returned ")


def test_names_are_unique_because_they_are_noted():
    names = [name for modules in exercises.LESSONS.values() for name in modules]
    assert len(set(names)) == len(names)
    files = {path.stem for path in Path(exercises.__file__).parent.glob("*.py")}
    assert files - set(names) == {"__init__", "check", "compare", "show"}
    for lesson, modules in exercises.LESSONS.items():
        for name in modules:
            module = import_module(f"{exercises.__name__}.{name}")
            assert module.__doc__.startswith(f"Lesson {lesson[:2]}, ")
            checks = [n for n in vars(module) if n.startswith("check_")]
            own = [n for n in checks if getattr(module, n).__module__ == module.__name__]
            assert own and all(CHECKS[n] is getattr(module, n) for n in own)


# ---- what a reader may hand in ----


class Strange:
    """A value that can be neither shown nor compared."""

    def __repr__(self):
        raise RuntimeError("no text")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


class StrangeError(Exception):
    def __str__(self):
        raise RuntimeError("no message")


def raises(error):
    def attempt(*arguments):
        raise error

    return attempt


def calls_itself(*arguments):
    return calls_itself(*arguments)


def yields(*arguments):
    yield 1


RETURNED = [
    *("a guess", b"", float("nan"), float("inf"), -1e30, 10**400, 1j, {}, set(), [], (), [[]]),
    *([1, [2, 3]], [None], [Strange()], Strange(), object(), int, torch, torch.float32),
    *(torch.tensor([]), torch.zeros(0, 4), torch.full((2, 3), torch.nan), torch.tensor(1 + 1j)),
    *(torch.zeros(3, requires_grad=True), torch.zeros(1000, 1000), torch.zeros(2, device="meta")),
    *(np.array(["text"]), np.zeros((2, 0)), np.float64("nan"), np.array([None]), np.ones(3)[::-1]),
    *([torch.zeros(2), torch.zeros(3)], "x" * 10**5, dict.fromkeys(range(10**4))),
]
ATTEMPTS = [
    *(raises(e) for e in (ValueError("no"), StrangeError(), SystemExit(1), StopIteration())),
    *(raises(ValueError("a line\n" * 1000)), raises(ValueError("x" * 10**5)), yields, calls_itself),
    *(5, None, ..., "text", lambda: 1, lambda a, b, c, d, e, f, g, h: 1, lambda *, x: 1, len, dict),
]


@each_check
def test_whatever_is_handed_in_is_not_yet_in_a_few_lines(output, check):
    for value in RETURNED:
        text = output(check, lambda *arguments, value=value: value)
        assert text.startswith("not yet (case ") and len(text) < 8000
        assert "your function returned " in text
    for attempt in ATTEMPTS:
        text = output(check, attempt)
        assert text.startswith("not yet") and len(text) < 8000


@each_check
def test_a_check_does_not_mind_prints_and_changed_arguments(output, check, capsys):
    def clears(*arguments):
        print("here")
        returned = deepcopy(solution_of(check)(*arguments))
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                argument.zero_()
            elif isinstance(argument, list | dict):
                argument.clear()
        return returned

    check(clears)
    assert capsys.readouterr().out.endswith(f"here\n{check.__name__[6:]}: ok\n")


def as_lists(value):
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return [as_lists(v) for v in value] if isinstance(value, list | tuple) else value


def as_arrays(value):
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, int | float):
        return np.array(value)
    return [as_arrays(v) for v in value] if isinstance(value, list | tuple) else value


def as_other_dtypes(value):
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype != torch.bool else value.int()
    return type(value)(as_other_dtypes(v) for v in value) if isinstance(value, list) else value


@each_check
@pytest.mark.parametrize("convert", [as_lists, as_arrays, as_other_dtypes])
def test_only_the_meaning_of_what_is_returned_counts(output, check, convert):
    assert output(check, lambda *arguments: convert(solution_of(check)(*arguments))) == "ok\n"


def test_the_wrong_number_of_parameters_is_named(output):
    text = output(boxes.check_iou, lambda a: 0)
    assert text == "not yet: your function has the parameters (a); it needs (a, b)\n"
    assert output(boxes.check_iou, lambda a, b, extra=3: boxes.iou(a, b)) == "ok\n"
    assert output(boxes.check_iou, lambda *both: boxes.iou(*both)) == "ok\n"


def test_a_returned_value_in_place_of_the_function_is_named(output):
    text = output(boxes.check_iou, 0.5)
    assert text == "not yet: give the function itself, check_iou(iou); this is 0.5\n"


def test_an_attempt_that_raises_is_not_yet_and_says_why_and_where(output):
    def helper(a):
        return a.nothing  # found by the file's name

    def attempt(a, b):
        union = (a | b).sum()
        return helper(a) / union

    text = output(start_here.check_mask_iou, attempt)
    assert "\n  your function raised AttributeError: 'Tensor' object has no attribute " in text
    assert "\n    in the line: return a.nothing  # found" in text
    assert text.startswith("not yet (case 1 of ") and "\n  a = " in text and "\n  b = " in text


def test_a_reader_can_interrupt_a_loop_without_an_end():
    with pytest.raises(KeyboardInterrupt):
        start_here.check_mask_iou(raises(KeyboardInterrupt()))


def test_a_forgotten_return_in_one_branch_shows_the_case(output):
    text = output(boxes.check_iou, lambda a, b: boxes.iou(a, b) if a[2] > b[0] else None)
    assert text.startswith("not yet (case 4 of 6: they touch)\n  your function returned nothing\n")


def test_a_wrong_shape_is_named(output):
    text = output(anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a))
    assert text.startswith(
        "not yet (case 1 of 4: one object)\n"
        "  your function returned a tensor of shape [1, 4]; expected a tensor of shape [1]\n"
    )
    text = output(roi_align.check_sample_points, lambda start, end, n_bins, n_points: 7)
    assert "\n  your function returned a number; expected a tensor of shape [8]\n" in text
    text = output(anchors.check_best_iou, lambda boxes, a: [[0.5, 0.5]])
    assert "returned a list of shape [1, 2]; expected a tensor of shape [1]\n" in text


def test_what_was_returned_is_shown_with_the_index_of_the_first_difference(output):
    def wrong_in_the_end(start, end, n_bins, n_points):
        points = roi_align.sample_points(start, end, n_bins, n_points)
        return torch.cat((points[:2], torch.zeros(1), points[3:]))

    text = output(roi_align.check_sample_points, wrong_in_the_end)
    assert text.startswith(
        "not yet (case 1 of 4: four bins with two points each)\n  your function returned "
        "tensor([0.5000, 1.5000, 0.0000, 3.5000, 4.5000, 5.5000, 6.5000, 7.5000]), wrong at index "
        "[2]\n  start = 0.0\n"
    )
    text = output(boxes.check_soft_nms, lambda *a: (boxes.soft_nms(*a)[0], torch.zeros(3)))
    assert "\n  your function returned tensor([0., 0., 0.]) as value 1, wrong at index [0]" in text


def test_masks_are_shown_as_they_are_drawn():
    masks = masks_of("##. ...", ".#. .#.")
    assert masks.shape == (2, 2, 3)
    assert show(masks) == "##.   .#.\n...   .#." and show(masks[0]) == "##.\n..."
    assert show(torch.zeros(0, 3) > 0) == "tensor([], size=(0, 3), dtype=torch.bool)"
    assert show(torch.zeros(99, 99) > 0) == "a tensor of shape [99, 99]"


def test_a_kernel_that_writes_beyond_the_end_is_rejected(output):
    def has_no_mask(rows, out, N, C, BLOCK):
        whole_blocks = -C // BLOCK * -BLOCK
        out.as_strided((whole_blocks,), (1,)).zero_()
        return puzzles.mean_of_rows(rows, out, N, C, BLOCK)

    text = output(puzzles.check_mean_of_rows, has_no_mask)
    assert text.startswith("not yet (case 3 of 4: a part of a block)\n")
    assert "your function raised IndexError: it writes beyond the end of out" in text


KERNELS = [name for name in vars(gpu_kernels) if f"check_{name}" in CHECKS]


def test_there_is_a_kernel_for_each_puzzle():
    assert len(KERNELS) == 5


@pytest.mark.parametrize("name", KERNELS)
def test_our_kernels_are_right(output, name):
    check, kernel = CHECKS[f"check_{name}"], getattr(gpu_kernels, name)
    assert output(check, kernel) == "ok\n"
    assert output(check, small_triton.Kernel(kernel.fn)) == "ok\n"  # where there is no Triton
    assert list(inspect.signature(kernel.fn).parameters) == parameters_of(check)


def test_a_kernel_without_a_body_returns_nothing(output):
    def mean_of_rows(rows, out, N, C, BLOCK): ...

    text = output(puzzles.check_mean_of_rows, small_triton.Kernel(mean_of_rows))
    assert text == "not yet: your function returned nothing\n"


# ---- the solutions are what the package computes ----


def test_soft_nms_becomes_nms_where_any_overlap_lowers_a_score_to_nothing(random_boxes):
    some, scores = random_boxes(30), torch.rand(30)
    kept, kept_scores = boxes.soft_nms(some, scores, sigma=1e-9, min_score=1e-6)
    assert kept.equal(nms(some, scores, 0.0)) and kept_scores.equal(scores[kept])


def test_pixels_seen_are_those_with_a_gradient():
    layers = [(7, 2, 0, 1), (3, 1, 0, 3), (2, 3, 0, 1), (3, 2, 0, 2)]
    pixels = torch.zeros(1, 1, 200, requires_grad=True)
    values = pixels
    for kernel, stride, _, dilation in layers:
        ones = torch.ones(1, 1, kernel)
        values = torch.nn.functional.conv1d(values, ones, stride=stride, dilation=dilation)
    for index in (0, 3):
        (gradient,) = torch.autograd.grad(values[0, 0, index], pixels, retain_graph=True)
        seen = gradient[0, 0].nonzero()
        assert backbone.pixels_seen(layers, index) == (seen.min(), seen.max() + 1)


def test_top_down_is_the_fpn_of_the_package():
    fpn = FPN((3, 5, 4), channels=6).requires_grad_(False)  # its biases begin at zero
    maps = [torch.rand(3, 9, 13), torch.rand(5, 5, 7), torch.rand(4, 3, 4)]
    lateral = [block[0].weight[:, :, 0, 0] for block in fpn.inner_blocks]
    by_hand = backbone.top_down(maps, lateral, [block[0].weight for block in fpn.layer_blocks])
    for level, expected in zip(by_hand, fpn([m[None] for m in maps]), strict=True):
        torch.testing.assert_close(level, expected[0])


def test_align_boxes_is_the_align_rois_of_the_package():
    maps = torch.randn(1, 6, 9, 13)
    corners, sizes = torch.rand(2, 5, 2)
    boxes = torch.cat((4 * corners, 4 * corners + 1 + 3 * sizes), dim=1)
    table = feature_table([maps])
    zeros = torch.zeros(5, dtype=torch.long)
    theirs = align_rois(table, zeros, zeros, boxes, 3, 2)  # [5, 6, 3, 3]
    out = torch.zeros(5 * 9, 6)
    ours = align_kernel.align_boxes(table.rows, boxes, out, 9, 13, 3, 6, 16)
    torch.testing.assert_close(ours, theirs.permute(0, 2, 3, 1).flatten(0, 2))


def test_propose_is_that_of_the_package(random_boxes):
    levels, deltas = [random_boxes(20), random_boxes(10)], 0.2 * torch.randn(30, 4)
    logits, numbers = torch.randn(30), ((48, 64), 8, 9, 0.5)
    size, n_before, n_after, iou = numbers
    (theirs,) = propose(logits[None], deltas[None], levels, [size], n_before, n_after, iou)
    assert (theirs.candidates[:, 2:] - theirs.candidates[:, :2]).min() > 1
    torch.testing.assert_close(rpn.propose(logits, deltas, levels, *numbers), theirs.boxes)


def test_mask_head_is_that_of_the_package():
    head = MaskHeadFCN(5, 4, 2, n_classes=3).requires_grad_(False)
    for parameter in head.parameters():
        parameter.normal_()
    convs = [(conv[0].weight, conv[0].bias) for conv in head.convs]
    last = [(layer.weight, layer.bias) for layer in (head.conv5_mask, head.mask_fcn_logits)]
    features = torch.randn(3, 5, 6, 6)
    by_hand = mask_head.mask_head(features, convs, *last)
    torch.testing.assert_close(by_hand, head(features), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss_type", ["sigmoid", "softmax"])
def test_loss_and_gradient_are_those_of_the_package_and_autograd(loss_type):
    logits = (30 * torch.randn(3, 5, 4, 4)).requires_grad_()
    labels, targets = torch.tensor([1, 4, 2]), torch.rand(3, 4, 4)
    loss = losses.mask_loss(logits, labels, targets, loss_type)
    expected = loss.detach(), torch.autograd.grad(loss, logits)[0]
    by_hand = loss_and_gradient.loss_and_gradient(logits.detach(), labels, targets, loss_type)
    torch.testing.assert_close(by_hand, expected)


# ---- the notebooks ----


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_stubs_in_the_notebook_are_the_exercises(source):
    tree = ast.parse(source.read_text())
    stubs = {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
        if getattr(node.body[0].value, "value", None) is ...
    }
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr.startswith("check_")
    }
    assert len(stubs) >= 2
    assert called == {f"check_{name}" for name in stubs}
    if is_rewritten(source):
        numbers = {lesson[:2]: names for lesson, names in all_exercises().items()}
        assert list(stubs) == numbers[source.stem[:2]]  # all that mrcnn-edu progress counts
    for name, parameters in stubs.items():
        assert parameters_of(CHECKS[f"check_{name}"]) == parameters


def test_the_larger_task_of_lesson_11_is_cocos_ap(monkeypatch):
    """pycocotools gives the same for every case of the check."""
    cases = {}
    monkeypatch.setattr(coco_ap, "check", lambda attempt, solution, given: cases.update(given))
    coco_ap.check_coco_ap(coco_ap.coco_ap)
    assert len(cases) > 10
    for topic, arguments in cases.items():
        assert coco_ap.coco_ap(*arguments) == pytest.approx(theirs(*arguments), abs=1e-9), topic


def theirs(images, iou_threshold, area_range, max_detections):
    """The AP that pycocotools computes of `coco_ap`'s arguments."""
    annotations, results = [], []
    for image_id, image in enumerate(images, start=1):
        for (x1, y1, x2, y2), crowd in zip(image["gt_boxes"], image["crowd"], strict=True):
            box = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
            entry = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1}
            entry |= {"bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
            annotations.append(entry)
        for (x1, y1, x2, y2), score in zip(image["boxes"], image["scores"], strict=True):
            box = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
            entry = {"image_id": image_id, "category_id": 1, "score": float(score), "bbox": box}
            results.append(entry)
    gt = COCO()
    gt.dataset = {"annotations": annotations, "categories": [{"id": 1, "name": "a class"}]}
    gt.dataset["images"] = [{"id": i + 1, "width": 99, "height": 99} for i in range(len(images))]
    gt.createIndex()
    evaluator = COCOeval(gt, gt.loadRes(results), "bbox")
    evaluator.params.iouThrs = np.array([iou_threshold])
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [list(area_range)], ["this"]
    evaluator.params.maxDets = [max_detections]
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval["precision"].mean()
