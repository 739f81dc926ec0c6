"""Typical mistakes in the exercises of lessons 07 to 16, for test_exercises.py.

An entry of MISTAKES is a check, an attempt, and the number of the first case that shows it wrong.
"""

from math import ceil

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from mrcnn_edu.course.exercises import (
    ablations,
    average_precision,
    fcis,
    gpu,
    heads,
    mask_loss,
    roi_align,
    training,
)


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


def ends_of_the_interval(base, other, t):
    mean, half = ablations.paired(base, other, t).tolist()
    return mean - half, mean + half


def takes_the_mean(base, other, t, matters):
    return "better" if (other - base).mean() > 0 else "worse"


def looks_at_one_end(base, other, t, matters):
    low, high = ends_of_the_interval(base, other, t)
    if low > 0 or high < 0:
        return "better" if low > 0 else "worse"
    return "the same" if high < matters else "undecided"


def asks_first_what_matters(base, other, t, matters):
    low, high = ends_of_the_interval(base, other, t)
    if max(-low, high) < matters:
        return "the same"
    return ablations.verdict(base, other, t, matters)


def turns_the_sign(base, other, t, matters):
    return ablations.verdict(other, base, t, matters)


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
    (ablations.check_pairing_factor, lambda a, b: (b - a).std() / (a.std() + b.std()), 1),
    (ablations.check_pairing_factor, lambda a, b: (b - a).var() / (a.var() + b.var()), 1),
    (ablations.check_pairing_factor, lambda a, b: (a.var() + b.var()).sqrt() / (b - a).std(), 1),
    (ablations.check_verdict, takes_the_mean, 4),
    (ablations.check_verdict, looks_at_one_end, 8),
    (ablations.check_verdict, asks_first_what_matters, 3),
    (ablations.check_verdict, turns_the_sign, 1),
    (ablations.check_relative_gain, lambda old, new: 100 * (new - old) / new, 1),
    (ablations.check_relative_gain, lambda old, new: new - old, 1),
    (ablations.check_relative_gain, lambda old, new: 100 * abs(new - old) / old, 3),
    (ablations.check_seeds_needed, rounds_seeds_down, 3),
    (ablations.check_seeds_needed, takes_one_seed, 4),
    (ablations.check_seeds_needed, lambda spread, gap: ceil(2 * spread / gap), 1),
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
    (heads.check_fcn_parameters, counts_no_bias, 1),
    (heads.check_fcn_parameters, forgets_the_background_channel, 1),
    (heads.check_fcn_parameters, takes_all_widths_to_be_equal, 2),
    (heads.check_deconvolve, overwrites_where_kernels_overlap, 2),
    (heads.check_deconvolve, turns_the_kernel_round, 1),
    (heads.check_deconvolve, never_overlaps, 2),
    (heads.check_upper_bound, reads_one_pixel_of_each_block, 1),
    (heads.check_upper_bound, wants_more_than_half, 1),
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
