"""Typical mistakes in the exercises of lessons 07 to 16, for test_exercises.py.

An entry of MISTAKES is a check, an attempt, and the number of the first case that shows it wrong.
"""

from itertools import pairwise
from math import ceil, inf

import torch
from torch.nn import functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises import (
    ablations,
    align_kernel,
    average_precision,
    coco_ap,
    fcis,
    gpu,
    heads,
    loss_and_gradient,
    make_targets,
    mask_head,
    mask_loss,
    merge_tiles,
    photos,
    precise_roi,
    puzzles,
    read_rois,
    roi_align,
    training,
)
from mrcnn_edu.roi_ops import boxes_to_rois
from mrcnn_edu.roi_ops import roi_align as roi_ops_align


def knows_no_long_side(size, short_side, long_side, multiple):
    return photos.seen_size(size, short_side, 10**9, multiple)


def scales_each_side_by_itself(size, short_side, long_side, multiple):
    height, width = sorted((short_side, min(long_side, round(1.5 * short_side))))
    return photos.seen_size((height, width), short_side, long_side, multiple)


def rounds_to_the_nearest_pixel(size, short_side, long_side, multiple):
    scale = min(short_side / min(size), long_side / max(size))
    height, width = (round(scale * side) for side in size)
    return height, width, *(-(-side // multiple) * multiple for side in (height, width))


def never_enlarges(size, short_side, long_side, multiple):
    return photos.seen_size(size, min(short_side, min(size)), long_side, multiple)


def pads_what_needs_no_padding(size, short_side, long_side, multiple):
    height, width, *_ = photos.seen_size(size, short_side, long_side, multiple)
    return height, width, *((side // multiple + 1) * multiple for side in (height, width))


def gives_width_first(size, short_side, long_side, multiple):
    height, width, *padded = photos.seen_size(size, short_side, long_side, multiple)
    return width, height, *padded[::-1]


def asks_the_corners_of_pixels(polygon, height, width):
    return photos.fill_polygon([(x + 0.5, y + 0.5) for x, y in polygon], height, width)


def fills_the_box(polygon, height, width):
    xs, ys = zip(*polygon, strict=True)
    box = [(min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys))]
    return photos.fill_polygon(box, height, width)


def takes_polygons_for_convex(polygon, height, width):
    y = torch.arange(height)[:, None] + 0.5
    x = torch.arange(width) + 0.5
    sides = [
        (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    ]
    sides = torch.stack(sides)
    return (sides >= 0).all(dim=0) | (sides <= 0).all(dim=0)


def forgets_the_last_edge(polygon, height, width):
    y = torch.arange(height)[:, None] + 0.5
    x = torch.arange(width) + 0.5
    inside = torch.zeros(height, width, dtype=torch.bool)
    for (x1, y1), (x2, y2) in pairwise(polygon):
        if y1 != y2:
            reaches = (y >= min(y1, y2)) & (y < max(y1, y2))
            inside ^= reaches & (x1 + (y - y1) * (x2 - x1) / (y2 - y1) > x)
    return inside


def counts_both_ends(polygon, height, width):
    y = torch.arange(height)[:, None] + 0.5
    x = torch.arange(width) + 0.5
    inside = torch.zeros(height, width, dtype=torch.bool)
    for (x1, y1), (x2, y2) in pairwise([*polygon, polygon[0]]):
        if y1 != y2:
            reaches = (y >= min(y1, y2)) & (y <= max(y1, y2))
            inside ^= reaches & (x1 + (y - y1) * (x2 - x1) / (y2 - y1) > x)
    return inside


def swaps_the_axes_of_a_polygon(polygon, height, width):
    return photos.fill_polygon([(y, x) for x, y in polygon], height, width)


def splits_by_centers(boxes, cut):
    centers = (boxes[:, 0] + boxes[:, 2]) / 2
    return centers <= cut, centers > cut, torch.zeros(len(boxes), dtype=torch.bool)


def wants_a_gap(boxes, cut):
    train, test = boxes[:, 2] < cut, boxes[:, 0] > cut
    return train, test, ~(train | test)


def tiles_with(**changes):
    """`merge_tiles` with some arguments replaced."""

    def merge(corners, boxes, scores, tile_size, image_size, margin=2.0, nms_iou=0.5):
        given = {"tile_size": tile_size, "image_size": image_size, "margin": margin}
        given |= {"nms_iou": nms_iou}
        given |= {name: change(given) for name, change in changes.items()}
        return merge_tiles.merge_tiles(corners, boxes, scores, **given)

    return merge


def moves_nothing(corners, boxes, *others):
    return merge_tiles.merge_tiles(0 * corners, boxes, *others)


def swaps_x_and_y_of_corners(corners, boxes, scores, tile_size, image_size, *others):
    return merge_tiles.merge_tiles(
        corners.flip(1), boxes, scores, tile_size, image_size[::-1], *others
    )


def drops_at_every_edge(corners, boxes, scores, tile_size, image_size, margin=2.0, nms_iou=0.5):
    height, width = tile_size
    whole = [
        (b[:, :2] > margin).all(1) & (b[:, 2] < width - margin) & (b[:, 3] < height - margin)
        for b in boxes
    ]
    boxes = [b[rows] for b, rows in zip(boxes, whole, strict=True)]
    scores = [s[rows] for s, rows in zip(scores, whole, strict=True)]
    return merge_tiles.merge_tiles(corners, boxes, scores, tile_size, image_size, -1e9, nms_iou)


def has_an_nms_for_each_tile(corners, boxes, scores, *others):
    parts = [
        merge_tiles.merge_tiles(corners[i : i + 1], [boxes[i]], [scores[i]], *others)
        for i in range(len(corners))
    ]
    boxes, scores = (torch.cat(values) for values in zip(*parts, strict=True))
    order = scores.argsort(descending=True)
    return boxes[order], scores[order]


def forgets_to_sort(corners, boxes, scores, *others):
    merged, kept = merge_tiles.merge_tiles(corners, boxes, scores, *others)
    order = kept.argsort()
    return merged[order], kept[order]


def jumps_of_python(start, end, stride):
    middles = [(round(edge / stride) + 0.5) * stride for edge in (start, end)]  # halves to even
    return min(middles[0] - start, middles[1] - end)


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


def reads_four_points(features, box, stride, n_bins):
    rois = boxes_to_rois(box)
    return roi_ops_align(features[None], rois, n_bins, 1 / stride)[0]


def forgets_the_area(features, box, stride, n_bins):
    size = (box[2:] - box[:2]) / stride / n_bins
    return precise_roi.precise_roi_pool(features, box, stride, n_bins) * size.prod()


def swaps_the_axes(features, box, stride, n_bins):
    swapped = box[[1, 0, 3, 2]]
    return precise_roi.precise_roi_pool(features.transpose(1, 2), swapped, stride, n_bins)


def takes_values_for_squares(features, box, stride, n_bins):
    def weights(start, end, length):
        edges = start + (end - start) * torch.arange(n_bins + 1)[:, None] / n_bins
        area = (edges - torch.arange(length)).clamp(-0.5, 0.5)
        return area.diff(dim=0) * n_bins / (end - start)

    (x1, y1, x2, y2), (_, h, w) = (box / stride).tolist(), features.shape
    return weights(y1, y2, h) @ features @ weights(x1, x2, w).T


def forgets_the_stride(features, box, stride, n_bins):
    return precise_roi.precise_roi_pool(features, box, 1, n_bins)


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


def gradient_of(loss_of):
    """An attempt that lets autograd differentiate a wrong loss."""

    def attempt(logits, labels, targets, loss_type):
        logits = logits.clone().requires_grad_()
        loss = loss_of(logits, labels, targets, loss_type)
        return loss.detach(), torch.autograd.grad(loss, logits)[0]

    return attempt


def takes_logarithms_of_probabilities(logits, labels, targets, loss_type):
    if loss_type == "softmax":
        p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
        loss = targets * class_logits(p, labels).log() + (1 - targets) * p[:, 0].log()
    else:
        p = 1 / (1 + (-class_logits(logits, labels)).exp())
        loss = targets * p.log() + (1 - targets) * (1 - p).log()
    return -loss.sum() / max(loss.numel(), 1)


def forgets_to_divide_the_gradient(logits, labels, targets, loss_type):
    loss, gradient = loss_and_gradient.loss_and_gradient(logits, labels, targets, loss_type)
    return loss, gradient * max(targets.numel(), 1)


def divides_by_the_pixels_of_one_mask(logits, labels, targets, loss_type):
    loss, gradient = loss_and_gradient.loss_and_gradient(logits, labels, targets, loss_type)
    return loss * len(labels), gradient * len(labels)


def lets_sigmoids_learn_from_all(logits, labels, targets, loss_type):
    if loss_type == "sigmoid":
        return counts_every_mask(logits, labels, targets) if len(labels) else logits.sum()
    return takes_logarithms_of_probabilities(logits, labels, targets, loss_type)


def has_no_background(logits, labels, targets, loss_type):
    loss, gradient = loss_and_gradient.loss_and_gradient(logits, labels, targets, loss_type)
    if loss_type == "softmax":
        gradient[:, 0] = 0
    return loss, gradient


def rounds_the_targets(logits, labels, targets, loss_type):
    rounded = (targets >= 0.5).float()
    return loss_and_gradient.loss_and_gradient(logits, labels, rounded, loss_type)


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


def stops_at_the_first_that_is_too_low(scores, correct, wanted):
    reached = inf
    for score in scores.sort(descending=True).values.tolist():
        if correct[scores >= score].double().mean() < wanted:
            break
        reached = score
    return reached


def takes_the_scores_as_sorted(scores, correct, wanted):
    precision = correct.cumsum(0) / torch.arange(1, len(correct) + 1)
    reached = torch.where(precision >= wanted)[0]
    return scores[reached[-1]].item() if len(reached) else inf


def splits_equal_scores(scores, correct, wanted):
    order = scores.argsort(descending=True, stable=True)
    return takes_the_scores_as_sorted(scores[order], correct[order], wanted)


def wants_more_than_the_precision(scores, correct, wanted):
    return average_precision.score_for(scores, correct, wanted + 1e-6)


def with_images(change):
    """The larger task, with a mistake in what is done to each image before all else."""

    def attempt(images, iou_threshold, area_range, max_detections):
        changed = [change(dict(image)) for image in images]
        return coco_ap.coco_ap(changed, iou_threshold, area_range, max_detections)

    return attempt


def takes_crowds_for_objects(image):
    return image | {"crowd": torch.zeros_like(image["crowd"])}


def drops_crowds(image):
    objects = ~image["crowd"]
    return image | {"gt_boxes": image["gt_boxes"][objects], "crowd": image["crowd"][objects]}


def means_the_images(images, iou_threshold, area_range, max_detections):
    each = [coco_ap.coco_ap([i], iou_threshold, area_range, max_detections) for i in images]
    return sum(each) / len(each)


def knows_no_areas(images, iou_threshold, area_range, max_detections):
    return coco_ap.coco_ap(images, iou_threshold, coco_ap.EVERY, max_detections)


def knows_no_limit(images, iou_threshold, area_range, max_detections):
    return coco_ap.coco_ap(images, iou_threshold, area_range, 100)


def limits_all_images_together(images, iou_threshold, area_range, max_detections):
    scores = torch.cat([image["scores"] for image in images]).sort(descending=True).values
    last = scores[:max_detections][-1]

    def best(image):
        kept = image["scores"] >= last
        return image | {"boxes": image["boxes"][kept], "scores": image["scores"][kept]}

    return coco_ap.coco_ap([best(i) for i in images], iou_threshold, area_range, 100)


def drops_what_has_another_area(images, iou_threshold, area_range, max_detections):
    low, high = area_range

    def within(image):
        for boxes, other in (("gt_boxes", "crowd"), ("boxes", "scores")):
            sides = image[boxes][:, 2:] - image[boxes][:, :2]
            kept = (sides.prod(dim=1) >= low) & (sides.prod(dim=1) <= high)
            image = image | {boxes: image[boxes][kept], other: image[other][kept]}
        return image

    return coco_ap.coco_ap([within(i) for i in images], iou_threshold, area_range, max_detections)


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


def flips_the_kernels(roi_features, convs, deconv, predictor):
    flipped = [(weight.flip(2, 3), bias) for weight, bias in convs]
    return mask_head.mask_head(roi_features, flipped, deconv, predictor)


def head_of_pytorch(roi_features, convs, deconv, predictor, pad=None, relu=(True, True), bias=True):
    x = roi_features
    for weight, b in convs:
        padded = F.pad(x, (1, 1, 1, 1)) if pad is None else F.pad(x, (1, 1, 1, 1), mode=pad)
        x = F.conv2d(padded, weight, b)
        x = x.relu() if relu[0] else x
    x = F.conv_transpose2d(x, deconv[0], deconv[1] if bias else None, stride=2)
    return F.conv2d(x.relu() if relu[1] else x, *predictor)


def repeats_the_border(*arguments):
    return head_of_pytorch(*arguments, pad="replicate")


def forgets_the_relu_of_the_convolutions(*arguments):
    return head_of_pytorch(*arguments, relu=(False, True))


def forgets_the_relu_of_the_deconvolution(*arguments):
    return head_of_pytorch(*arguments, relu=(True, False))


def forgets_the_bias_of_the_deconvolution(*arguments):
    return head_of_pytorch(*arguments, bias=False)


def transposes_the_stamps(roi_features, convs, deconv, predictor):
    transposed = deconv[0].transpose(2, 3), deconv[1]
    return mask_head.mask_head(roi_features, convs, transposed, predictor)


def has_no_relu_after_the_first_layers(roi_features, convs, deconv, predictor):
    x = roi_features
    for weight, bias in convs:
        x = F.conv2d(x, weight, bias, padding=1)
    return mask_head.mask_head(x.relu(), [], deconv, predictor)


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


def clips_each_alone(gradients, longest):
    return [training.clipped([g], longest)[0] for g in gradients]


def stretches_short_ones(gradients, longest):
    norm = torch.cat([g.flatten() for g in gradients]).norm().clamp(min=1e-9)
    return [longest / norm * g for g in gradients]


def clips_the_values(gradients, longest):
    return [g.clamp(-longest, longest) for g in gradients]


def divides_by_zero(gradients, longest):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * longest / norm if norm > longest or norm == 0 else g for g in gradients]


def is_undecided(labels, n_labels):
    return torch.tensor(float(n_labels)).log()


def cannot_take_the_log_of_0(labels, n_labels):
    fractions = torch.bincount(labels, minlength=n_labels) / len(labels)
    return -(fractions * fractions.log()).sum()


def predicts_the_commonest(labels, n_labels):
    return -torch.log((labels == labels.mode().values).float().mean())


def _changed_targets(change):
    """The solution with a change to its arguments, or to what it returns."""

    def attempt(proposals, boxes, labels, masks, iou_threshold, n, fraction, mask_size):
        arguments = dict(
            proposals=proposals, boxes=boxes, labels=labels, masks=masks, n=n,
            iou_threshold=iou_threshold, fraction=fraction, mask_size=mask_size,
        )  # fmt: skip
        return change(arguments, make_targets.make_targets)

    return attempt


@_changed_targets
def forgets_the_gt_boxes(given, solve):
    rois, labels, deltas, masks = solve(**given)
    own = (rois[:, None] == given["boxes"][None]).all(dim=2).any(dim=1)
    return rois[~own], labels[~own], deltas, masks


@_changed_targets
def swaps_rows_and_columns(given, solve):
    rois, labels, deltas, masks = solve(**given)
    return rois, labels, deltas, masks.mT


@_changed_targets
def encodes_backward(given, solve):
    rois, labels, deltas, masks = solve(**given)
    return rois, labels, -deltas, masks


@_changed_targets
def must_be_over_the_iou(given, solve):
    return solve(**given | {"iou_threshold": given["iou_threshold"] + 1e-3})


@_changed_targets
def always_takes_one_half(given, solve):
    return solve(**given | {"iou_threshold": 0.5})


@_changed_targets
def keeps_the_ratio(given, solve):
    rois, labels, deltas, masks = solve(**given)
    positive = labels > 0
    n_negative = int(positive.sum() * (1 / given["fraction"] - 1))
    few = ~positive & ((~positive).cumsum(0) <= n_negative)
    return rois[positive | few], labels[positive | few], deltas, masks


@_changed_targets
def puts_positives_first(given, solve):
    rois, labels, deltas, masks = solve(**given)
    order = (labels == 0).int().argsort(stable=True)
    return rois[order], labels[order], deltas, masks


@_changed_targets
def squeezes_the_whole_object(given, solve):
    rois, labels, deltas, masks = solve(**given)
    gt_masks = solve(**given | {"proposals": given["proposals"][:0], "n": 99, "fraction": 1.0})[3]
    positive = rois[labels > 0]
    if len(positive) == 0:
        return rois, labels, deltas, masks
    nearest = box_iou(given["boxes"], positive).argmax(dim=0)
    return rois, labels, deltas, gt_masks[nearest]


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
    return fcis.bins_of(points, box, k).flip(1)


def forgets_where_the_box_starts(points, box, k):
    return (points / (box[2:] - box[:2]) * k).long().clamp(max=k - 1).flip(1)


def takes_the_bins_for_squares(points, box, k):
    return ((points - box[:2]) / (box[2] - box[0]) * k).long().clamp(max=k - 1).flip(1)


def forgets_the_border(points, box, k):
    return ((points - box[:2]) / (box[2:] - box[:2]) * k).long().flip(1)


def takes_the_bias_of_the_row(rows, bias, out, C, BLOCK):
    return out.copy_((rows + bias[torch.arange(len(rows)) % C, None]).relu())


def forgets_later_blocks(rows, bias, out, C, BLOCK):
    out[:, :BLOCK] = (rows + bias).relu()[:, :BLOCK]
    return out


def adds_in_the_type_of_the_rows(rows, out, N, C, BLOCK):
    total = torch.zeros(C, dtype=rows.dtype)
    for row in rows:
        total = total + row
    return out.copy_(total / N)


def takes_the_index_of_the_first_sum(rows, index, weight, out, taps, C, BLOCK):
    return puzzles.weighted_gather(rows, index[:1].expand_as(index), weight, out, taps, C, BLOCK)


def forgets_the_weights(rows, index, weight, out, taps, C, BLOCK):
    return puzzles.weighted_gather(rows, index, torch.ones_like(weight), out, taps, C, BLOCK)


def counts_a_row_once(rows, index, weight, out, taps, C, BLOCK):
    for i, (own_rows, weights) in enumerate(zip(index, weight, strict=True)):
        chosen = torch.zeros(len(rows))
        chosen[own_rows] = weights  # the last weight of a row replaces those before it
        out[i] = chosen @ rows
    return out


def merges_without_scores(probs, scores, inside):
    return (probs * inside).mean(dim=0)


def does_not_divide(probs, scores, inside):
    return torch.einsum("n,nij->ij", scores, probs * inside)


def takes_the_best_mask(probs, scores, inside):
    return (probs * inside)[scores.argmax()]


def votes_outside_of_the_box(probs, scores, inside):
    return fcis.merge(probs, scores, torch.ones_like(inside))


def abstains_outside_of_the_box(probs, scores, inside):
    weights = scores[:, None, None] * inside
    return (weights * probs).sum(dim=0) / weights.sum(dim=0)


def knows_one_direction(first, second, k):
    first, second = first.clone(), second.clone()
    first[[1, 3]], second[[1, 3]] = torch.tensor([0.0, 1]), torch.tensor([0.0, 1])
    return fcis.asked_alike(first, second, k)


def knows_equal_sizes(first, second, k):
    fraction = 1.0
    for low, high in ((0, 2), (1, 3)):
        width, shift = float(first[high] - first[low]), abs(float(second[low] - first[low]))
        fraction *= max(0.0, width - k * shift) / (width - shift) if shift < width else 0.0
    return fraction


def divides_by_the_first_box(first, second, k):
    corner, end = torch.maximum(first[:2], second[:2]), torch.minimum(first[2:], second[2:])
    shared = (end - corner).clamp(min=0).prod() / (first[2:] - first[:2]).prod()
    return fcis.asked_alike(first, second, k) * float(shared)


def forgets_that_boxes_may_be_apart(first, second, k):
    if min(first[2], second[2]) <= max(first[0], second[0]):
        return 1.0
    return fcis.asked_alike(first, second, k)


def reads_one_map(maps, boxes, stride, size):
    return read_rois.read_rois(maps[:, :, :1, :1], boxes, stride, size)


def takes_inside_alone(maps, boxes, stride, size):
    labels, scores, _ = read_rois.read_rois(maps, boxes, stride, size)
    no_outside = maps.clone()
    no_outside[1] = 0
    return labels, scores, read_rois.read_rois(no_outside, boxes, stride, size)[2]


def lets_background_win(maps, boxes, stride, size):
    labels, scores, masks = read_rois.read_rois(maps, boxes, stride, size)
    is_background = scores < 0.5
    return labels.where(~is_background, 0), scores, masks


def swaps_x_and_y(maps, boxes, stride, size):
    return read_rois.read_rois(maps, boxes[:, [1, 0, 3, 2]], stride, size)


def cuts_off_the_fraction(maps, boxes, stride, size):
    return read_rois.read_rois(maps, boxes - stride / 2, stride, size)


def starts_at_the_corner(maps, boxes, stride, size):
    half = (boxes[:, 2:] - boxes[:, :2]) / size / 2
    return read_rois.read_rois(maps, boxes - torch.cat((half, half), dim=1), stride, size)


def launches_too_few_programs(x, y, factor, out):
    n = len(x) // 16 * 16
    out[:n] = factor * x[:n] + y[:n]
    return out


def swaps_the_fractions(rows, points, out, width, C, BLOCK):
    swapped = points.floor() + (points - points.floor()).flip(1)
    return puzzles.read_points(rows, swapped, out, width, C, BLOCK)


def reads_the_nearest_cell(rows, points, out, width, C, BLOCK):
    y, x = points.round().long().unbind(1)
    return out.copy_(rows[y * width + x])


def takes_another_width(rows, points, out, width, C, BLOCK):
    return puzzles.read_points(rows, points, out, 3, C, BLOCK)


def reads_the_first_point(rows, points, out, width, C, BLOCK):
    return puzzles.read_points(rows, points[:1].expand_as(points), out, width, C, BLOCK)


def adds_all_times(durations, launch, reads):
    return sum(durations) + launch * len(durations)


def forgets_the_launches(durations, launch, reads):
    return launch + sum(durations) if durations else 0.0


def never_waits_for_a_result(durations, launch, reads):
    return gpu.time_of_queue(durations, launch, [])


def waits_for_the_gpu_alone(durations, launch, reads):
    done = 0.0
    for i, duration in enumerate(durations):  # what is launched while the GPU computes is free
        done = max(done, launch * (i + 1)) + duration
    return done


def takes_the_larger_sum(operations, n_bytes, rate, bandwidth):
    seconds = max(float(operations.sum()) / rate, float(n_bytes.sum()) / bandwidth)
    return seconds, n_bytes / bandwidth > operations / rate


def adds_both_times(operations, n_bytes, rate, bandwidth):
    compute, move = operations / rate, n_bytes / bandwidth
    return float((compute + move).sum()), move > compute


def calls_a_tie_bytes(operations, n_bytes, rate, bandwidth):
    seconds, _ = gpu.least_time(operations, n_bytes, rate, bandwidth)
    return seconds, n_bytes / bandwidth >= operations / rate


def aligns_with(change):
    """The solution with changed boxes: change(boxes)."""

    def attempt(rows, boxes, out, *numbers):
        return align_kernel.align_boxes(rows, change(boxes), out, *numbers)

    return attempt


def swaps_row_and_column_of_a_bin(rows, boxes, out, height, width, P, C, BLOCK):
    numbers = height, width, P, C, BLOCK
    bins = align_kernel.align_boxes(rows, boxes, torch.empty_like(out), *numbers)
    return out.copy_(bins.view(-1, P, P, C).transpose(1, 2).flatten(0, 2))


def forgets_to_divide_by_four(rows, boxes, out, *numbers):
    return align_kernel.align_boxes(rows, boxes, out, *numbers).mul_(4)


def reads_one_point_a_bin(rows, boxes, out, height, width, P, C, BLOCK):
    fractions = (torch.arange(P) + 0.5) / P
    points = []
    for x1, y1, x2, y2 in boxes.tolist():
        y, x = y1 + fractions * (y2 - y1), x1 + fractions * (x2 - x1)
        points.append(torch.cartesian_prod(y, x))
    return puzzles.read_points(rows, torch.cat(points), out, width, C, BLOCK)


def reads_beyond_the_last_column(rows, boxes, out, height, width, P, C, BLOCK):
    longer = torch.cat((rows, rows.new_zeros(width + 1, C)))
    fractions = (torch.arange(2 * P) + 0.5) / (2 * P)
    points = []
    for x1, y1, x2, y2 in boxes.tolist():
        y, x = y1 + fractions * (y2 - y1), x1 + fractions * (x2 - x1)
        points.append(torch.cartesian_prod(y, x))
    values = rows.new_zeros(len(boxes) * 4 * P * P, C)
    puzzles.read_points(longer, torch.cat(points), values, width, C, BLOCK)
    return out.copy_(values.view(len(boxes), P, 2, P, 2, C).mean(dim=(2, 4)).flatten(0, 2))


MISTAKES = [
    (puzzles.check_bias_and_relu, lambda rows, bias, out, C, B: out.copy_(rows + bias), 1),
    (puzzles.check_bias_and_relu, takes_the_bias_of_the_row, 1),
    (puzzles.check_bias_and_relu, forgets_later_blocks, 4),
    (puzzles.check_mean_of_rows, lambda rows, out, N, C, B: out.copy_(rows.float().sum(0)), 2),
    (puzzles.check_mean_of_rows, lambda rows, out, N, C, B: out.copy_(rows.mean(0) * N / C), 1),
    (puzzles.check_mean_of_rows, adds_in_the_type_of_the_rows, 4),
    (puzzles.check_weighted_gather, forgets_the_weights, 2),
    (puzzles.check_weighted_gather, takes_the_index_of_the_first_sum, 3),
    (puzzles.check_weighted_gather, counts_a_row_once, 3),
    (puzzles.check_read_points, takes_another_width, 2),
    (puzzles.check_read_points, swaps_the_fractions, 3),
    (puzzles.check_read_points, reads_the_nearest_cell, 3),
    (puzzles.check_read_points, reads_the_first_point, 6),
    (gpu.check_time_of_queue, adds_all_times, 2),
    (gpu.check_time_of_queue, forgets_the_launches, 3),
    (gpu.check_time_of_queue, never_waits_for_a_result, 5),
    (gpu.check_time_of_queue, waits_for_the_gpu_alone, 5),
    (gpu.check_least_time, takes_the_larger_sum, 3),
    (gpu.check_least_time, adds_both_times, 1),
    (gpu.check_least_time, calls_a_tie_bytes, 4),
    (align_kernel.check_align_boxes, aligns_with(torch.round), 2),
    (align_kernel.check_align_boxes, aligns_with(lambda boxes: boxes[:, [1, 0, 3, 2]]), 2),
    (align_kernel.check_align_boxes, aligns_with(lambda boxes: boxes[:1].expand_as(boxes)), 4),
    (align_kernel.check_align_boxes, swaps_row_and_column_of_a_bin, 3),
    (align_kernel.check_align_boxes, forgets_to_divide_by_four, 1),
    (align_kernel.check_align_boxes, reads_one_point_a_bin, 1),
    (align_kernel.check_align_boxes, reads_beyond_the_last_column, 7),
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
    (roi_align.check_next_jump, lambda start, end, s: s - max(start % s, end % s), 1),
    (roi_align.check_next_jump, lambda start, end, s: (0.5 - start / s % 1) % 1 * s, 2),
    (roi_align.check_next_jump, jumps_of_python, 5),
    (roi_align.check_sample_points, takes_the_ends, 1),
    (roi_align.check_sample_points, forgets_the_half, 1),
    (roi_align.check_sample_points, rounds_the_roi, 2),
    (roi_align.check_align_1d, reads_the_nearest, 2),
    (roi_align.check_align_1d, takes_the_larger, 1),
    (roi_align.check_align_1d, swaps_the_weights, 2),
    (precise_roi.check_precise_roi_pool, reads_four_points, 6),
    (precise_roi.check_precise_roi_pool, forgets_the_area, 1),
    (precise_roi.check_precise_roi_pool, swaps_the_axes, 2),
    (precise_roi.check_precise_roi_pool, takes_values_for_squares, 6),
    (precise_roi.check_precise_roi_pool, forgets_the_stride, 1),
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
    (
        loss_and_gradient.check_loss_and_gradient,
        gradient_of(takes_logarithms_of_probabilities),
        9,
    ),
    (loss_and_gradient.check_loss_and_gradient, gradient_of(lets_sigmoids_learn_from_all), 1),
    (loss_and_gradient.check_loss_and_gradient, forgets_to_divide_the_gradient, 1),
    (loss_and_gradient.check_loss_and_gradient, divides_by_the_pixels_of_one_mask, 3),
    (loss_and_gradient.check_loss_and_gradient, rounds_the_targets, 4),
    (loss_and_gradient.check_loss_and_gradient, has_no_background, 5),
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
    (average_precision.check_score_for, stops_at_the_first_that_is_too_low, 4),
    (average_precision.check_score_for, takes_the_scores_as_sorted, 3),
    (average_precision.check_score_for, splits_equal_scores, 6),
    (average_precision.check_score_for, wants_more_than_the_precision, 2),
    (coco_ap.check_coco_ap, means_the_images, 5),
    (coco_ap.check_coco_ap, with_images(takes_crowds_for_objects), 7),
    (coco_ap.check_coco_ap, with_images(drops_crowds), 7),
    (coco_ap.check_coco_ap, knows_no_areas, 10),
    (coco_ap.check_coco_ap, drops_what_has_another_area, 10),
    (coco_ap.check_coco_ap, knows_no_limit, 14),
    (coco_ap.check_coco_ap, limits_all_images_together, 14),
    (heads.check_fcn_parameters, counts_no_bias, 1),
    (heads.check_fcn_parameters, forgets_the_background_channel, 1),
    (heads.check_fcn_parameters, takes_all_widths_to_be_equal, 2),
    (heads.check_deconvolve, overwrites_where_kernels_overlap, 2),
    (heads.check_deconvolve, turns_the_kernel_round, 1),
    (heads.check_deconvolve, never_overlaps, 2),
    (heads.check_upper_bound, reads_one_pixel_of_each_block, 1),
    (heads.check_upper_bound, wants_more_than_half, 1),
    (mask_head.check_mask_head, flips_the_kernels, 3),
    (mask_head.check_mask_head, repeats_the_border, 3),
    (mask_head.check_mask_head, forgets_the_relu_of_the_convolutions, 9),
    (mask_head.check_mask_head, forgets_the_relu_of_the_deconvolution, 6),
    (mask_head.check_mask_head, forgets_the_bias_of_the_deconvolution, 7),
    (mask_head.check_mask_head, transposes_the_stamps, 6),
    (mask_head.check_mask_head, has_no_relu_after_the_first_layers, 10),
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
    (training.check_clipped, clips_each_alone, 3),
    (training.check_clipped, stretches_short_ones, 2),
    (training.check_clipped, clips_the_values, 1),
    (training.check_clipped, divides_by_zero, 5),
    (training.check_blind_loss, is_undecided, 2),
    (training.check_blind_loss, cannot_take_the_log_of_0, 2),
    (training.check_blind_loss, predicts_the_commonest, 2),
    (make_targets.check_make_targets, forgets_the_gt_boxes, 1),
    (make_targets.check_make_targets, swaps_rows_and_columns, 1),
    (make_targets.check_make_targets, encodes_backward, 2),
    (make_targets.check_make_targets, squeezes_the_whole_object, 2),
    (make_targets.check_make_targets, must_be_over_the_iou, 3),
    (make_targets.check_make_targets, always_takes_one_half, 4),
    (make_targets.check_make_targets, puts_positives_first, 2),
    (make_targets.check_make_targets, keeps_the_ratio, 4),
    (fcis.check_bins_of, swaps_row_and_column, 1),
    (fcis.check_bins_of, takes_the_bins_for_squares, 2),
    (fcis.check_bins_of, forgets_where_the_box_starts, 3),
    (fcis.check_bins_of, forgets_the_border, 3),
    (fcis.check_mask_logit, lambda inside, outside: outside - inside, 1),
    (fcis.check_mask_logit, lambda inside, outside: inside.exp() / outside.exp(), 1),
    (fcis.check_mask_logit, lambda *maps: torch.stack(maps).softmax(0)[0], 1),
    (fcis.check_merge, merges_without_scores, 3),
    (fcis.check_merge, does_not_divide, 1),
    (fcis.check_merge, takes_the_best_mask, 2),
    (fcis.check_merge, votes_outside_of_the_box, 4),
    (fcis.check_merge, abstains_outside_of_the_box, 4),
    (fcis.check_asked_alike, knows_one_direction, 3),
    (fcis.check_asked_alike, knows_equal_sizes, 5),
    (fcis.check_asked_alike, divides_by_the_first_box, 2),
    (fcis.check_asked_alike, forgets_that_boxes_may_be_apart, 8),
    (read_rois.check_read_rois, reads_one_map, 2),
    (read_rois.check_read_rois, takes_inside_alone, 1),
    (read_rois.check_read_rois, lets_background_win, 3),
    (read_rois.check_read_rois, swaps_x_and_y, 5),
    (read_rois.check_read_rois, cuts_off_the_fraction, 4),
    (photos.check_seen_size, knows_no_long_side, 3),
    (photos.check_seen_size, scales_each_side_by_itself, 2),
    (photos.check_seen_size, rounds_to_the_nearest_pixel, 4),
    (photos.check_seen_size, never_enlarges, 1),
    (photos.check_seen_size, pads_what_needs_no_padding, 1),
    (photos.check_seen_size, gives_width_first, 1),
    (photos.check_split_objects, splits_by_centers, 2),
    (photos.check_split_objects, wants_a_gap, 3),
    (
        photos.check_split_objects,
        lambda boxes, cut: (boxes[:, 0] < cut, boxes[:, 0] >= cut, boxes[:, 0] < 0),
        2,
    ),
    (photos.check_fill_polygon, asks_the_corners_of_pixels, 2),
    (photos.check_fill_polygon, fills_the_box, 3),
    (photos.check_fill_polygon, takes_polygons_for_convex, 5),
    (photos.check_fill_polygon, forgets_the_last_edge, 1),
    (photos.check_fill_polygon, counts_both_ends, 6),
    (photos.check_fill_polygon, swaps_the_axes_of_a_polygon, 1),
    (merge_tiles.check_merge_tiles, moves_nothing, 2),
    (merge_tiles.check_merge_tiles, swaps_x_and_y_of_corners, 2),
    (merge_tiles.check_merge_tiles, tiles_with(margin=lambda _: -1e9), 5),
    (merge_tiles.check_merge_tiles, drops_at_every_edge, 6),
    (merge_tiles.check_merge_tiles, tiles_with(nms_iou=lambda _: 1.0), 4),
    (merge_tiles.check_merge_tiles, has_an_nms_for_each_tile, 4),
    (merge_tiles.check_merge_tiles, tiles_with(margin=lambda _: 2.0), 8),
    (merge_tiles.check_merge_tiles, tiles_with(nms_iou=lambda _: 0.5), 8),
    (merge_tiles.check_merge_tiles, tiles_with(tile_size=lambda g: g["tile_size"][::-1]), 7),
    (merge_tiles.check_merge_tiles, forgets_to_sort, 1),
    (read_rois.check_read_rois, starts_at_the_corner, 4),
]
