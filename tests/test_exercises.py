"""The exercises' checks accept the solution and typical other ways, and reject typical mistakes."""

import ast
import importlib.util
import inspect
import pkgutil
import re
from copy import deepcopy
from math import ceil
from pathlib import Path

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course import exercises
from mrcnn_edu.course.exercises import (
    ablations,
    anchors,
    annotations,
    average_precision,
    backbone,
    boxes,
    fcis,
    gpu,
    heads,
    history,
    mask_loss,
    roi_align,
    rpn,
    start_here,
    training,
)
from mrcnn_edu.course.exercises.check import kind, show

LESSONS = [
    importlib.import_module(f"mrcnn_edu.course.exercises.{lesson.name}")
    for lesson in pkgutil.iter_modules(exercises.__path__)
]
CHECKS = {
    name: getattr(lesson, name)
    for lesson in LESSONS
    for name in vars(lesson)
    if name.startswith("check_")
}
SOURCES = sorted((Path(__file__).parent.parent / "notebooks" / "src").glob("*.py"))


def solution_of(check):
    return getattr(inspect.getmodule(check), check.__name__.removeprefix("check_"))


@pytest.fixture
def output(capsys):
    """A function that returns what a check prints about an attempt, without the name."""

    def output(check, attempt) -> str:
        check(attempt)
        return capsys.readouterr().out.partition(": ")[2]

    return output


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_solution_is_accepted_and_has_a_docstring(output, check):
    assert output(check, solution_of(check)) == "ok\n"
    assert solution_of(check).__doc__


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_empty_attempt_is_reported_in_one_line(output, check):
    assert output(check, lambda *_: None) == "not yet: your function returned nothing\n"


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_no_check_gives_the_answer_away(output, check):
    """A wrong answer of the right shape is shown; the right one is not."""
    solution, arguments = solution_of(check), []
    output(check, lambda *a: arguments.append(a))
    right = solution(*deepcopy(arguments[0]))
    line, *shown = output(check, lambda *arguments: "a guess").splitlines()
    returned, expected = line.split("; ")
    assert returned == "not yet: in case 1, your function returned 'a guess'"
    assert expected == f"expected {kind(right)}"  # its type and its shape, not its values
    assert str(right) not in line
    assert all(f"= {show(right)}" not in line for line in shown if "out =" in line)


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
    for name, parameters in stubs.items():
        solution = solution_of(CHECKS[f"check_{name}"])
        assert list(inspect.signature(solution).parameters) == parameters


def test_every_exercise_has_typical_mistakes_to_reject():
    rejected = [check for check, _, _ in MISTAKES]
    assert all(rejected.count(check) >= 2 for check in CHECKS.values())


def test_another_way_to_the_same_answer_is_accepted(output):
    def tensors(a, b):
        return (a & b).sum() / (a | b).sum().clamp(min=1)

    assert output(start_here.check_mask_iou, tensors) == "ok\n"

    def plain_lists(start, end, n_bins, n_points):
        n = n_bins * n_points
        return [start + (end - start) * (i + 0.5) / n for i in range(n)]

    assert output(roi_align.check_sample_points, plain_lists) == "ok\n"


# Typical mistakes: (check, attempt, the first case that it gets wrong)


def forgets_that_0_is_background(labels, classes):
    names = [classes[min(label, len(classes) - 1)] for label in labels.tolist()]
    return {name: names.count(name) for name in names}


def names_all_classes(labels, classes):
    return {name: (labels == k).sum().item() for k, name in enumerate(classes, start=1)}


def reads_row_by_row(counts, height, width):
    return annotations.decode_rle(counts, width, height).T


def starts_with_ones(counts, height, width):
    return ~annotations.decode_rle(counts, height, width)


def forgets_the_end(mask):
    return annotations.mask_to_box(mask) - torch.tensor([0, 0, 1, 1])


def swaps_x_and_y(mask):
    return annotations.mask_to_box(mask.T)


def gives_width_and_height(mask):
    x1, y1, x2, y2 = annotations.mask_to_box(mask)
    return torch.stack((x1, y1, x2 - x1, y2 - y1))


def numbers_the_objects(masks, labels):
    return annotations.semantic_map(masks, torch.arange(1, len(labels) + 1))


def has_no_background(masks, labels):
    return labels[masks.int().argmax(dim=0)]


def swaps_width_and_height(x, y, size, ratio):
    return anchors.anchor_at(x, y, size, 1 / ratio)


def multiplies_the_height_alone(x, y, size, ratio):
    half = torch.tensor([size, size * ratio]) / 2
    return torch.cat((torch.tensor([x, y]) - half, torch.tensor([x, y]) + half))


def starts_at_the_center(x, y, size, ratio):
    return torch.tensor([x, y, x + size / ratio**0.5, y + size * ratio**0.5])


def calls_everything_else_background(iou, high, low):
    return torch.where(anchors.label_anchors(iou, high, low) == 1, 1, 0)


def forgets_the_best_anchor(iou, high, low):
    best = iou.amax(dim=0)
    return torch.where(best >= high, 1, torch.where(best < low, 0, -1))


def forgets_ties(iou, high, low):
    labels = forgets_the_best_anchor(iou, high, low)
    labels[iou.argmax(dim=1)] = 1
    return labels


def looks_at_the_last_object_only(iou, high, low):
    return anchors.label_anchors(iou[-1:], high, low)


def takes_the_ends(start, end, n_bins, n_points):
    return torch.linspace(start, end, n_bins * n_points)


def forgets_the_half(start, end, n_bins, n_points):
    n = n_bins * n_points
    return start + torch.arange(n) * (end - start) / n


def rounds_the_roi(start, end, n_bins, n_points):
    return roi_align.sample_points(round(start), round(end), n_bins, n_points)


def reads_the_nearest(values, start, end, n_bins):
    at = roi_align.sample_points(start, end, n_bins, 2).round().long()
    return values[at].view(n_bins, 2).mean(dim=1)


def takes_the_larger(values, start, end, n_bins):
    two = roi_align.align_1d(values, start, end, 2 * n_bins)
    return two.view(n_bins, 2).amax(dim=1)


def swaps_the_weights(values, start, end, n_bins):
    at = roi_align.sample_points(start, end, n_bins, 2)
    low = at.floor().long()
    weight = at - low
    high = (low + 1).clamp(max=len(values) - 1)
    return (weight * values[low] + (1 - weight) * values[high]).view(n_bins, 2).mean(dim=1)


def class_logits(logits, labels):
    return logits[range(len(labels)), labels]


def counts_every_mask(logits, labels, targets):
    return cross_entropy(logits, targets[:, None].expand_as(logits))


def others_should_be_empty(logits, labels, targets):
    empty = torch.zeros_like(logits)
    empty[range(len(labels)), labels] = targets
    return cross_entropy(logits[:, 1:], empty[:, 1:])


def takes_0_for_the_first_class(logits, labels, targets):
    return cross_entropy(class_logits(logits, labels - 1), targets)


def forgets_the_sigmoid(logits, labels, targets):
    p = class_logits(logits, labels).clamp(1e-3, 1 - 1e-3)
    return -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()


def smooths_the_target(logits, label):
    target = torch.full_like(logits, 0.1)
    target[label] = 1
    return logits.softmax(dim=0) - target


def forgets_the_clamp(a, b):
    width, height = torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])
    areas = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()
    return width * height / (areas - width * height)


def forgets_that_the_union_counts_once(a, b):
    both = boxes.iou(a, b)
    return both / (1 + both)  # intersection / (area + area)


def adds_a_pixel(a, b):
    one_more = torch.tensor([0, 0, 1, 1])
    return boxes.iou(a + one_more, b + one_more)


def encodes_in_pixels(box, anchor):
    size = anchor[2:] - anchor[:2]
    return boxes.encode_box(box, anchor) * torch.cat((size, torch.ones(2)))


def encodes_without_the_logarithm(box, anchor):
    deltas = boxes.encode_box(box, anchor)
    return torch.cat((deltas[:2], deltas[2:].exp()))


def encodes_corners(box, anchor):
    deltas, size = boxes.encode_box(box, anchor), anchor[2:] - anchor[:2]
    return torch.cat(((box[:2] - anchor[:2]) / size, deltas[2:]))


def nms_without_sorting(some, scores, labels, threshold):
    order = torch.arange(len(some), 0, -1)  # as if the best came first
    return boxes.nms(some, order, labels, threshold)


def nms_in_one_pass(some, scores, labels, threshold):
    order = scores.argsort(descending=True)
    rivals = (box_iou(some, some) > threshold) & (labels[:, None] == labels)
    beaten = rivals[order][:, order].triu(diagonal=1).any(dim=0)  # by the suppressed ones too
    return order[~beaten]


def nms_without_classes(some, scores, labels, threshold):
    return boxes.nms(some, scores, torch.zeros_like(labels), threshold)


def forgets_the_biases(channels, k):
    return 9 * channels**2 + 5 * k * channels


def has_a_convolution_for_each_channel(channels, k):
    return 9 * channels + channels + (channels + 1) * 5 * k


def counts_every_position(channels, k):
    return 24 * 24 * rpn.head_parameters(channels, k)


def counts_proposals(proposals, boxes, iou_threshold):
    return (box_iou(proposals, boxes) >= iou_threshold).any(dim=1).float().mean()


def must_exceed_the_threshold(proposals, boxes, iou_threshold):
    return (box_iou(boxes, proposals) > iou_threshold).any(dim=1).float().mean()


def takes_the_mean_iou(proposals, boxes, iou_threshold):
    return box_iou(boxes, proposals).amax(dim=1).mean()


def takes_the_best_of_all(objectness, sizes, n):
    return objectness.topk(min(n * len(sizes), len(objectness))).indices


def starts_each_level_at_0(objectness, sizes, n):
    return torch.cat([level.topk(min(n, len(level))).indices for level in objectness.split(sizes)])


def gives_them_in_order_of_index(objectness, sizes, n):
    return rpn.best_of_each_level(objectness, sizes, n).sort().values


def matches_an_object_twice(iou, threshold):
    best, at = iou.max(dim=1)
    return torch.where(best >= threshold, at, -1)


def takes_the_first(iou, threshold):
    matched = []
    for row in iou.tolist():
        enough = [m for m, value in enumerate(row) if value >= threshold and m not in matched]
        matched.append(enough[0] if enough else -1)
    return torch.tensor(matched)


def wants_more_than_the_threshold(iou, threshold):
    return average_precision.match(iou, threshold + 1e-6)


def gives_up_if_the_best_is_matched(iou, threshold):
    matched = []
    for row, m in zip(iou, iou.argmax(dim=1).tolist(), strict=True):
        matched.append(m if row[m] >= threshold and m not in matched else -1)
    return torch.tensor(matched)


def divides_by_the_detections(correct, n_objects):
    precision, _ = average_precision.precision_recall(correct, n_objects)
    return torch.stack((precision, correct.cumsum(0) / len(correct)))


def does_not_add_up(correct, n_objects):
    return torch.stack((correct / torch.arange(1, len(correct) + 1), correct / n_objects))


def divides_by_all(correct, n_objects):
    n = correct.cumsum(0)
    return torch.stack((n / len(correct), n / n_objects))


def takes_the_mean_of_the_precisions(correct, n_objects):
    return average_precision.precision_recall(correct, n_objects)[0].mean()


def forgets_the_envelope(correct, n_objects):
    precision, recall = average_precision.precision_recall(correct, n_objects)
    at = [torch.where(recall >= r)[0] for r in torch.linspace(0, 1, 101)]
    return sum(float(precision[i[0]]) if len(i) else 0.0 for i in at) / 101


def forgets_what_is_missed(correct, n_objects):
    return average_precision.average_precision(correct, max(1, int(correct.sum())))


def forgets_the_input_channels(height, width, inputs, outputs, kernel, stride):
    return history.convolution_cost(height, width, 1, outputs, kernel, stride)


def counts_the_kernel_once(height, width, inputs, outputs, kernel, stride):
    return history.convolution_cost(height, width, inputs, outputs, kernel, stride) // kernel


def divides_by_the_stride_once(height, width, inputs, outputs, kernel, stride):
    return height * width // stride * inputs * outputs * kernel * kernel


def rounds_sides_down(height, width, inputs, outputs, kernel, stride):
    return (height // stride) * (width // stride) * inputs * outputs * kernel * kernel


def counts_no_bias(in_channels, channels, n_convs, n_classes):
    convs = 9 * in_channels * channels + (n_convs - 1) * 9 * channels**2
    return convs + 4 * channels**2 + channels * (n_classes + 1)


def forgets_the_background_channel(in_channels, channels, n_convs, n_classes):
    return heads.fcn_parameters(in_channels, channels, n_convs, n_classes - 1)


def takes_all_widths_to_be_equal(in_channels, channels, n_convs, n_classes):
    return heads.fcn_parameters(channels, channels, n_convs, n_classes)


def overwrites_where_kernels_overlap(values, kernel, stride):
    k = len(kernel)
    out = torch.zeros([(n - 1) * stride + k for n in values.shape])
    for i, j in torch.cartesian_prod(*map(torch.arange, values.shape)).tolist():
        out[i * stride : i * stride + k, j * stride : j * stride + k] = values[i, j] * kernel
    return out


def turns_the_kernel_round(values, kernel, stride):
    return heads.deconvolve(values, kernel.flip(0, 1), stride)


def never_overlaps(values, kernel, stride):
    return torch.kron(values, kernel)


def reads_one_pixel_of_each_block(mask, m):
    block = len(mask) // m
    back = mask[::block, ::block].repeat_interleave(block, 0).repeat_interleave(block, 1)
    return ((mask & back).sum() / (mask | back).sum()).item()


def wants_more_than_half(mask, m):
    block = len(mask) // m
    small = mask.float().view(m, block, m, block).mean(dim=(1, 3)) > 0.5
    back = small.repeat_interleave(block, 0).repeat_interleave(block, 1)
    return ((mask & back).sum() / (mask | back).sum()).item()


def adds_kernels_without_strides(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def steps_too_early(layers):
    field = step = 1
    for kernel, stride in layers:
        step *= stride
        field += (kernel - 1) * step
    return field


def rounds_the_level(box, canonical_size):
    side = (box[2:] - box[:2]).prod().sqrt() / canonical_size
    return (4 + side.log2()).round().clamp(2, 5).long().item()


def takes_the_longer_side(box, canonical_size):
    side = (box[2:] - box[:2]).max() / canonical_size
    return (4 + side.log2()).floor().clamp(2, 5).long().item()


def has_no_warmup(step, highest, warmup_steps, milestones):
    return highest / 10 ** sum(step >= milestone for milestone in milestones)


def starts_at_0(step, highest, warmup_steps, milestones):
    return (
        highest
        * min(1, step / max(warmup_steps, 1))
        / 10 ** sum(step >= milestone for milestone in milestones)
    )


def drops_only_once(step, highest, warmup_steps, milestones):
    return training.rate_of_step(step, highest, warmup_steps, milestones[:1])


def drops_a_step_late(step, highest, warmup_steps, milestones):
    return training.rate_of_step(step, highest, warmup_steps, [m + 1 for m in milestones])


def keeps_the_steps(rate, steps, batch, new_batch):
    return rate * new_batch / batch, steps


def divides_the_rate(rate, steps, batch, new_batch):
    return rate * batch / new_batch, steps * batch / new_batch


def takes_the_first_good_enough(iou, threshold):
    return torch.where((iou >= threshold).any(dim=0), (iou >= threshold).int().argmax(dim=0), -1)


def looks_for_the_best_roi(iou, threshold):
    return torch.where(iou.amax(dim=1) >= threshold, iou.argmax(dim=1), -1)


def knows_no_background(iou, threshold):
    return iou.argmax(dim=0)


def must_be_over_the_threshold(iou, threshold):
    return training.mask_of_roi(iou, threshold + 1e-3)


def compares_the_means(base, other, t):
    half = t * (base.var() + other.var()).sqrt() / len(base) ** 0.5  # as if seeds were not shared
    return torch.stack((other.mean() - base.mean(), half))


def forgets_the_root_of_n(base, other, t):
    return torch.stack(((other - base).mean(), t * (other - base).std()))


def divides_the_variance_by_n(base, other, t):
    difference = other - base
    half = t * difference.std(correction=0) / len(difference) ** 0.5
    return torch.stack((difference.mean(), half))


def rounds_seeds_down(spread, gap):
    return max(2, int((2 * spread / gap) ** 2))


def takes_one_seed(spread, gap):
    return ceil((2 * spread / gap) ** 2)


def swaps_row_and_column(points, box, k):
    return fcis.cells_of(points, box, k).flip(1)


def forgets_where_the_box_starts(points, box, k):
    return (points / (box[2:] - box[:2]) * k).long().clamp(max=k - 1).flip(1)


def takes_the_cells_for_squares(points, box, k):
    return ((points - box[:2]) / (box[2] - box[0]) * k).long().clamp(max=k - 1).flip(1)


def forgets_the_border(points, box, k):
    return ((points - box[:2]) / (box[2:] - box[:2]) * k).long().flip(1)


def launches_too_few_programs(x, y, factor, out):
    n = len(x) // 16 * 16
    out[:n] = factor * x[:n] + y[:n]
    return out


def swaps_the_fractions(rows, y, x, width, out):
    return gpu.read_point(rows, int(y) + x - int(x), int(x) + y - int(y), width, out)


def reads_the_nearest_cell(rows, y, x, width, out):
    return out.copy_(rows[round(y) * width + round(x)])


MISTAKES = [
    (gpu.check_scale_and_add, lambda x, y, factor, out: out.copy_(x + factor * y), 1),
    (gpu.check_scale_and_add, launches_too_few_programs, 2),
    (gpu.check_read_point, lambda rows, y, x, w, out: gpu.read_point(rows, y, x, 3, out), 2),
    (gpu.check_read_point, swaps_the_fractions, 3),
    (gpu.check_read_point, reads_the_nearest_cell, 3),
    (gpu.check_min_seconds, lambda n, b, rate, bandwidth: n / rate + b / bandwidth, 1),
    (gpu.check_min_seconds, lambda n, b, rate, bandwidth: min(n / rate, b / bandwidth), 1),
    (gpu.check_min_seconds, lambda n, b, rate, bandwidth: b / bandwidth, 2),
    (ablations.check_paired, compares_the_means, 1),
    (ablations.check_paired, forgets_the_root_of_n, 1),
    (ablations.check_paired, divides_the_variance_by_n, 1),
    (ablations.check_relative_gain, lambda old, new: 100 * (new - old) / new, 1),
    (ablations.check_relative_gain, lambda old, new: new - old, 1),
    (ablations.check_relative_gain, lambda old, new: 100 * abs(new - old) / old, 3),
    (ablations.check_seeds_needed, rounds_seeds_down, 3),
    (ablations.check_seeds_needed, takes_one_seed, 4),
    (ablations.check_seeds_needed, lambda spread, gap: ceil(2 * spread / gap), 1),
    (start_here.check_count_by_name, forgets_that_0_is_background, 1),
    (start_here.check_count_by_name, names_all_classes, 1),
    (start_here.check_mask_iou, lambda a, b: (a & b).sum() / a.sum(), 2),  # of the first mask
    (
        start_here.check_mask_iou,
        lambda a, b: (a & b).sum() / (a.sum() + b.sum()),
        1,
    ),  # counts twice
    (start_here.check_mask_iou, lambda a, b: (a & b).sum() / (a | b).sum(), 5),  # 0 / 0
    (start_here.check_mask_iou, lambda a, b: (a & b).float(), 1),  # a picture, not a number
    (start_here.check_mask_iou, lambda a, b: "much", 1),
    (anchors.check_anchor_at, swaps_width_and_height, 2),
    (anchors.check_anchor_at, multiplies_the_height_alone, 2),
    (anchors.check_anchor_at, starts_at_the_center, 1),
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).amax(dim=0), 1),  # of each anchor
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).mean(dim=1), 1),
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).argmax(dim=1), 1),
    (anchors.check_label_anchors, calls_everything_else_background, 1),
    (anchors.check_label_anchors, forgets_the_best_anchor, 3),
    (anchors.check_label_anchors, forgets_ties, 4),
    (anchors.check_label_anchors, looks_at_the_last_object_only, 2),
    (
        roi_align.check_moved_by_rounding,
        lambda box, stride: (box / stride).round() - box / stride,
        2,
    ),
    (roi_align.check_moved_by_rounding, lambda box, s: (box / s).floor() * s - box, 2),
    (roi_align.check_moved_by_rounding, lambda box, s: box - (box / s).round() * s, 2),
    (roi_align.check_sample_points, takes_the_ends, 1),
    (roi_align.check_sample_points, forgets_the_half, 1),
    (roi_align.check_sample_points, rounds_the_roi, 2),
    (roi_align.check_align_1d, reads_the_nearest, 2),
    (roi_align.check_align_1d, takes_the_larger, 1),
    (roi_align.check_align_1d, swaps_the_weights, 2),
    (mask_loss.check_mask_loss, counts_every_mask, 2),
    (mask_loss.check_mask_loss, others_should_be_empty, 2),
    (mask_loss.check_mask_loss, takes_0_for_the_first_class, 2),
    (mask_loss.check_mask_loss, forgets_the_sigmoid, 1),
    (mask_loss.check_read_masks, lambda logits, labels: class_logits(logits, labels - 1) > 0, 1),
    (mask_loss.check_read_masks, lambda logits, labels: class_logits(logits, labels) > 0.5, 2),
    (mask_loss.check_read_masks, lambda x, k: x.argmax(dim=1) == k[:, None, None], 1),
    (mask_loss.check_softmax_gradient, lambda x, k: smooths_the_target(x, k), 1),
    (mask_loss.check_softmax_gradient, lambda x, k: -mask_loss.softmax_gradient(x, k), 1),
    (mask_loss.check_softmax_gradient, lambda x, k: x.sigmoid() - torch.eye(len(x))[k], 1),
    (annotations.check_decode_rle, reads_row_by_row, 1),
    (annotations.check_decode_rle, starts_with_ones, 1),
    (annotations.check_mask_to_box, forgets_the_end, 1),
    (annotations.check_mask_to_box, swaps_x_and_y, 2),
    (annotations.check_mask_to_box, gives_width_and_height, 1),
    (annotations.check_semantic_map, numbers_the_objects, 1),
    (annotations.check_semantic_map, has_no_background, 1),
    (boxes.check_iou, forgets_the_clamp, 5),
    (boxes.check_iou, forgets_that_the_union_counts_once, 1),
    (boxes.check_iou, adds_a_pixel, 1),
    (boxes.check_encode_box, encodes_in_pixels, 2),
    (boxes.check_encode_box, encodes_without_the_logarithm, 1),
    (boxes.check_encode_box, encodes_corners, 3),
    (boxes.check_nms, nms_without_sorting, 3),
    (boxes.check_nms, nms_in_one_pass, 2),
    (boxes.check_nms, nms_without_classes, 4),
    (rpn.check_head_parameters, forgets_the_biases, 1),
    (rpn.check_head_parameters, has_a_convolution_for_each_channel, 1),
    (rpn.check_head_parameters, counts_every_position, 1),
    (rpn.check_recall, counts_proposals, 1),
    (rpn.check_recall, must_exceed_the_threshold, 2),
    (rpn.check_recall, takes_the_mean_iou, 2),
    (rpn.check_best_of_each_level, takes_the_best_of_all, 2),
    (rpn.check_best_of_each_level, starts_each_level_at_0, 2),
    (rpn.check_best_of_each_level, gives_them_in_order_of_index, 1),
    (average_precision.check_match, matches_an_object_twice, 3),
    (average_precision.check_match, takes_the_first, 3),
    (average_precision.check_match, gives_up_if_the_best_is_matched, 4),
    (average_precision.check_match, wants_more_than_the_threshold, 2),
    (average_precision.check_precision_recall, divides_by_the_detections, 2),
    (average_precision.check_precision_recall, does_not_add_up, 1),
    (average_precision.check_precision_recall, divides_by_all, 1),
    (average_precision.check_average_precision, takes_the_mean_of_the_precisions, 2),
    (average_precision.check_average_precision, forgets_the_envelope, 4),
    (average_precision.check_average_precision, forgets_what_is_missed, 2),
    (history.check_convolution_cost, forgets_the_input_channels, 2),
    (history.check_convolution_cost, counts_the_kernel_once, 3),
    (history.check_convolution_cost, divides_by_the_stride_once, 4),
    (history.check_convolution_cost, rounds_sides_down, 5),
    (history.check_regions_cost, lambda n, i, crop, h: (n * crop + h, i + n * h), 2),
    (history.check_regions_cost, lambda n, i, crop, h: (n * (crop + h), i + h), 2),
    (history.check_regions_cost, lambda n, i, crop, h: (n * (i + h), i + n * h), 1),
    (history.check_sharing_pays_from, lambda image, crop: -(-image // crop), 2),
    (history.check_sharing_pays_from, lambda image, crop: image // crop, 1),
    (history.check_sharing_pays_from, lambda image, crop: image / crop, 1),
    (heads.check_fcn_parameters, counts_no_bias, 1),
    (heads.check_fcn_parameters, forgets_the_background_channel, 1),
    (heads.check_fcn_parameters, takes_all_widths_to_be_equal, 2),
    (heads.check_deconvolve, overwrites_where_kernels_overlap, 2),
    (heads.check_deconvolve, turns_the_kernel_round, 1),
    (heads.check_deconvolve, never_overlaps, 2),
    (heads.check_upper_bound, reads_one_pixel_of_each_block, 1),
    (heads.check_upper_bound, wants_more_than_half, 1),
    (backbone.check_map_size, lambda size, kernel, stride, padding: size // stride, 2),
    (backbone.check_map_size, lambda n, k, s, p: (n + p - k) // s + 1, 2),
    (backbone.check_receptive_field, adds_kernels_without_strides, 3),
    (backbone.check_receptive_field, steps_too_early, 3),
    (backbone.check_level_of, lambda box, size: backbone.level_of(box, 224), 6),
    (backbone.check_level_of, rounds_the_level, 2),
    (backbone.check_level_of, takes_the_longer_side, 3),
    (training.check_rate_of_step, has_no_warmup, 1),
    (training.check_rate_of_step, starts_at_0, 1),
    (training.check_rate_of_step, drops_only_once, 7),
    (training.check_rate_of_step, drops_a_step_late, 6),
    (training.check_scaled, keeps_the_steps, 2),
    (training.check_scaled, divides_the_rate, 2),
    (training.check_mask_of_roi, takes_the_first_good_enough, 3),
    (training.check_mask_of_roi, looks_for_the_best_roi, 1),
    (training.check_mask_of_roi, knows_no_background, 1),
    (training.check_mask_of_roi, must_be_over_the_threshold, 2),
    (fcis.check_cells_of, swaps_row_and_column, 1),
    (fcis.check_cells_of, takes_the_cells_for_squares, 2),
    (fcis.check_cells_of, forgets_where_the_box_starts, 3),
    (fcis.check_cells_of, forgets_the_border, 3),
    (fcis.check_mask_logit, lambda inside, outside: outside - inside, 1),
    (fcis.check_mask_logit, lambda inside, outside: inside.exp() / outside.exp(), 1),
    (fcis.check_mask_logit, lambda *maps: torch.stack(maps).softmax(0)[0], 1),
    (fcis.check_merge, lambda probs, scores: probs.mean(dim=0), 3),
    (fcis.check_merge, lambda probs, scores: torch.einsum("n,nij->ij", scores, probs), 1),
    (fcis.check_merge, lambda probs, scores: probs[scores.argmax()], 2),
]


@pytest.mark.parametrize(("check", "attempt", "case"), MISTAKES)
def test_a_typical_mistake_is_rejected_at_the_first_case_that_shows_it(
    output, check, attempt, case
):
    text = output(check, attempt)
    assert text.startswith(f"not yet: in case {case}, your function returned "), text
    for name in inspect.signature(solution_of(check)).parameters:
        assert f"\n  {name} = " in text


def test_an_attempt_that_raises_is_not_yet_and_says_why(output):
    text = output(start_here.check_mask_iou, lambda a, b: a.nothing)
    assert text.startswith("not yet: in case 1, your function raised AttributeError")
    assert "nothing" in text and "\n  a = " in text and "\n  b = " in text


def test_a_wrong_shape_is_named(output):
    text = output(anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a))
    assert text.startswith(
        "not yet: in case 1, your function returned a tensor of shape [1, 3]; "
        "expected a tensor of shape [1]\n"
    )


def test_the_index_of_the_first_difference_is_named(output):
    def wrong_in_the_end(start, end, n_bins, n_points):
        points = roi_align.sample_points(start, end, n_bins, n_points)
        return torch.cat((points[:-1], torch.zeros(1)))

    text = output(roi_align.check_sample_points, wrong_in_the_end)
    assert text.startswith(
        "not yet: in case 1, your function returned 0 at index [7]\n  start = 0.0\n"
    )


def test_a_kernel_that_writes_beyond_the_end_is_rejected(output):
    def has_no_mask(x, y, factor, out):
        whole_blocks = -len(out) // 16 * -16
        out.as_strided((whole_blocks,), (1,)).zero_()
        return gpu.scale_and_add(x, y, factor, out)

    text = output(gpu.check_scale_and_add, has_no_mask)
    assert "in case 2, your function raised IndexError: it writes beyond the end of out" in text


def test_the_kernels_shown_as_solutions_are_right(output, tmp_path):
    pytest.importorskip("triton")
    source = next(source for source in SOURCES if source.stem == "16_gpu").read_text()
    shown = re.search(r"^# ```python\n(.*?)^# ```", source, re.MULTILINE | re.DOTALL)[1]
    file = tmp_path / "solutions.py"  # Triton reads a kernel's lines from its file
    imports = "import triton\nimport triton.language as tl\n\n"
    file.write_text(imports + re.sub(r"^# ?", "", shown, flags=re.MULTILINE))
    specification = importlib.util.spec_from_file_location("solutions", file)
    solutions = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(solutions)
    assert output(gpu.check_scale_and_add, solutions.scale_and_add) == "ok\n"
    assert output(gpu.check_read_point, solutions.read_point) == "ok\n"
