"""Typical mistakes in the exercises of lessons 00 to 06, and 17, for test_exercises.py.

An entry of MISTAKES is a check, an attempt, and the number of the first case that shows it wrong.
"""

import torch
from torch.nn.functional import conv2d, max_pool2d

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises import (
    anchors,
    annotations,
    backbone,
    boxes,
    cost,
    history,
    rpn,
    start_here,
)

# Exercises that are as old as the lessons


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


def forgets_the_input_channels(height, width, inputs, outputs, kernel, stride):
    return cost.convolution_cost(height, width, 1, outputs, kernel, stride)


def counts_the_kernel_once(height, width, inputs, outputs, kernel, stride):
    return cost.convolution_cost(height, width, inputs, outputs, kernel, stride) // kernel


def divides_by_the_stride_once(height, width, inputs, outputs, kernel, stride):
    return height * width // stride * inputs * outputs * kernel * kernel


def rounds_sides_down(height, width, inputs, outputs, kernel, stride):
    return (height // stride) * (width // stride) * inputs * outputs * kernel * kernel


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


# Lesson 00


def counts_all_detections(iou, scores, threshold):
    return start_here.count_errors(iou, torch.ones_like(scores), threshold)


def must_exceed_the_score(iou, scores, threshold):
    return start_here.count_errors(iou, scores, threshold + 1e-6)


def counts_found_detections(iou, scores, threshold):
    good = (iou[scores >= threshold] >= 0.5).any(dim=1)
    return int(good.sum()), iou.shape[1] - int(good.sum()), int((~good).sum())


def counts_pairs_that_do_not_match(iou, scores, threshold):
    found, missed, _ = start_here.count_errors(iou, scores, threshold)
    return found, missed, int((iou[scores >= threshold] < 0.5).sum())


def must_exceed_one_half(iou, scores, threshold):
    return start_here.count_errors(iou - 1e-6, scores, threshold)


def forgets_the_missed(iou, scores, threshold):
    found, _, false = start_here.count_errors(iou, scores, threshold)
    return found, false


def places_in_the_given_order(masks, labels, scores, min_score, min_visible):
    in_order = torch.where(scores < min_score, 0.0, torch.linspace(1, 0.9, len(scores)))
    return start_here.panoptic_map(masks, labels, in_order, min_score, min_visible)


def paints_over(masks, labels, scores, min_score, min_visible):
    """The best one last, over all others: nothing tells how much of a mask is visible."""
    placed = torch.zeros(masks.shape[1:], dtype=torch.long)
    order = scores.argsort()
    order = order[scores[order] >= min_score]
    for d in order.tolist():
        better = (labels == labels[d]) & (scores >= scores[d])
        placed[masks[d]] = 1000 * labels[d] + better.sum()
    return placed


def numbers_over_all_classes(masks, labels, scores, min_score, min_visible):
    one_label = start_here.panoptic_map(masks, 0 * labels, scores, min_score, min_visible)
    right = start_here.panoptic_map(masks, labels, scores, min_score, min_visible)
    return right // 1000 * 1000 + one_label


def shows_the_labels(masks, labels, scores, min_score, min_visible):
    return start_here.panoptic_map(masks, labels, scores, min_score, min_visible) // 1000


def places_hidden_ones(masks, labels, scores, min_score, min_visible):
    return start_here.panoptic_map(masks, labels, scores, min_score, 0.0)


def must_be_more_visible(masks, labels, scores, min_score, min_visible):
    return start_here.panoptic_map(masks, labels, scores, min_score, min_visible + 1e-6)


def numbers_hidden_ones(masks, labels, scores, min_score, min_visible):
    """A hidden object is not drawn, but counts."""
    right = start_here.panoptic_map(masks, labels, scores, min_score, min_visible)
    with_hidden = start_here.panoptic_map(masks, labels, scores, min_score, 0.0)
    return torch.where(right > 0, with_hidden, 0)


def compares_with_the_best_only(masks, labels, scores, min_score, min_visible):
    best_first = scores.argsort(descending=True)
    covered = masks & masks[best_first[:1]]
    covered[best_first[:1]] = False
    is_visible = (masks & ~covered).sum(dim=(1, 2)) >= min_visible * masks.sum(dim=(1, 2))
    shown = torch.where(is_visible, scores, 0.0)
    return start_here.panoptic_map(masks, labels, shown, min_score, 0.0)


# Lesson 01


def finds(kinds):
    """A function that finds only these kinds of mistakes, or finds others in their place."""

    def attempt(contents):
        found = annotations.find_mistakes(contents)
        return {n: kinds.get(kind, kind) for n, kind in found.items() if kinds.get(kind, kind)}

    return attempt


def takes_ids_for_positions(contents):
    numbered = {**contents, "images": [{**im, "id": i} for i, im in enumerate(contents["images"])]}
    return annotations.find_mistakes(numbered)


def takes_every_image_for_the_first(contents):
    first = contents["images"][0]
    alike = [{**first, "id": image["id"]} for image in contents["images"]]
    return annotations.find_mistakes({**contents, "images": alike})


def allows_empty_masks(contents):
    found = annotations.find_mistakes(contents)
    for annotation in contents["annotations"]:
        if sum(annotation["segmentation"]["counts"][1::2]) == 0:
            found.pop(annotation["id"], None)
    return found


def compares_masks_alone(contents):
    found = annotations.find_mistakes(contents)
    seen = []
    for annotation in contents["annotations"]:
        if annotation["segmentation"] in seen and annotation["id"] not in found:
            found[annotation["id"]] = "twice"
        seen.append(annotation["segmentation"])
    return found


def names_the_last_kind(contents):
    found = annotations.find_mistakes(contents)
    categories = {category["id"] for category in contents["categories"]}
    for annotation in contents["annotations"]:
        if annotation["category_id"] not in categories:
            found[annotation["id"]] = "category"
    return found


# Lesson 02


def lowers_by_the_plain_iou(some, scores, sigma, min_score):
    return soft_nms_with(lambda iou: torch.exp(-iou / sigma), some, scores, min_score)


def lowers_linearly(some, scores, sigma, min_score):
    return soft_nms_with(lambda iou: 1 - iou, some, scores, min_score)


def soft_nms_with(factor, some, scores, min_score, again=True):
    iou = box_iou(some, some)
    scores, left, kept = scores.clone(), list(range(len(some))), []
    order = scores.argsort(descending=True).tolist()
    while left:
        best = max(left, key=scores.__getitem__) if again else next(i for i in order if i in left)
        left.remove(best)
        if scores[best] >= min_score:
            kept.append(best)
            scores[left] *= factor(iou[best, left])
    return torch.tensor(kept, dtype=torch.long), scores[kept]


def sorts_only_once(some, scores, sigma, min_score):
    return soft_nms_with(
        lambda iou: torch.exp(-(iou**2) / sigma), some, scores, min_score, again=False
    )


def returns_the_first_scores(some, scores, sigma, min_score):
    kept, _ = boxes.soft_nms(some, scores, sigma, min_score)
    return kept, scores[kept]


def forgets_min_score(some, scores, sigma, min_score):
    return boxes.soft_nms(some, scores, sigma, 0.0)


def lowers_by_the_first_only(some, scores, sigma, min_score):
    best = scores.argmax() if len(scores) else 0
    lowered = (
        scores * torch.exp(-(box_iou(some, some)[best] ** 2) / sigma) if len(scores) else scores
    )
    lowered[best] = scores[best]
    kept = lowered.argsort(descending=True)
    kept = kept[lowered[kept] >= min_score]
    return kept, lowered[kept]


# Lesson 03


def masks_in_parallel(steps):
    """The heads side by side, as in training: masks of proposals, not of detections."""
    order = [*history.STEPS[:5], *history.STEPS[7:9], *history.STEPS[5:7], history.STEPS[9]]
    return sorted(steps, key=order.index)


def suppresses_before_it_classifies(steps):
    order = [*history.STEPS[:5], history.STEPS[6], history.STEPS[5], *history.STEPS[7:]]
    return sorted(steps, key=order.index)


def changes_one_run(detector, part, n):
    """A function that is wrong about one detector's part alone."""

    def attempt(*arguments):
        if arguments[:2] == (detector, part):
            return n
        return history.count_runs(*arguments)

    return attempt


def without_size(colors, sizes, some, neighbors):
    return history.group_regions(1e6 * colors, sizes, some, neighbors)  # it hardly counts


def with_equal_sizes(colors, sizes, some, neighbors):
    return history.group_regions(colors, torch.ones_like(sizes), some, neighbors)


def without_colors(colors, sizes, some, neighbors):
    return history.group_regions(0 * colors, sizes, some, neighbors)


def merges_any_two(colors, sizes, some, neighbors):
    pairs = [(i, j) for j in range(len(some)) for i in range(j)]
    return history.group_regions(colors, sizes, some, pairs)


def returns_the_merged_only(colors, sizes, some, neighbors):
    return history.group_regions(colors, sizes, some, neighbors)[len(some) :]


def stops_after_the_first(colors, sizes, some, neighbors):
    return history.group_regions(colors, sizes, some, neighbors)[: len(some) + 1]


# Lesson 04


def counts_the_last_pixel(layers, index):
    first, end = backbone.pixels_seen(layers, index)
    return first, end - 1


def forgets_the_padding(layers, index):
    return backbone.pixels_seen([(k, s, 0, d) for k, s, _, d in layers], index)


def forgets_the_dilation(layers, index):
    return backbone.pixels_seen([(k, s, p, 1) for k, s, p, _ in layers], index)


def walks_forward(layers, index):
    return backbone.pixels_seen(layers[::-1], index)


def clips_to_the_image(layers, index):
    first, end = backbone.pixels_seen(layers, index)
    return max(0, first), end


def adds_what_was_smoothed(maps, lateral, output):
    levels = [backbone.top_down(maps[-1:], lateral[-1:], output[-1:])[0]]
    for features, mixing, kernel in list(zip(maps, lateral, output, strict=True))[-2::-1]:
        larger = levels[0].repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        total = torch.einsum("dc,chw->dhw", mixing, features)
        total = total + larger[:, : total.shape[1], : total.shape[2]]
        levels.insert(0, conv2d(total[None], kernel, padding=1)[0])
    return [*levels, levels[-1][:, ::2, ::2]]


def lists_the_coarsest_first(maps, lateral, output):
    return backbone.top_down(maps, lateral, output)[::-1]


def forgets_the_extra_map(maps, lateral, output):
    return backbone.top_down(maps, lateral, output)[:-1]


def pools_the_extra_map(maps, lateral, output):
    *levels, _ = backbone.top_down(maps, lateral, output)
    return [*levels, max_pool2d(levels[-1][None], 2, ceil_mode=True)[0]]


def takes_the_first_kernel_for_all(maps, lateral, output):
    return backbone.top_down(maps, lateral, [output[0]] * len(maps))


def forgets_to_add(maps, lateral, output):
    alone = zip(maps, lateral, output, strict=True)
    levels = [backbone.top_down([m], [w], [k]) for m, w, k in alone]
    return [level[0] for level in levels] + [levels[-1][1]]


# Lesson 05


def lists_columns_first(index, width, k, stride):
    x, y, which = anchors.locate_anchor(index, width, k, stride)
    return y, x, which


def lists_each_shape_apart(index, width, k, stride):
    n = width * width
    return index % n % width * stride, index % n // width * stride, index // n


def forgets_the_stride(index, width, k, stride):
    return anchors.locate_anchor(index, width, k, 1)


def gives_the_center_of_the_cell(index, width, k, stride):
    x, y, which = anchors.locate_anchor(index, width, k, stride)
    return x + stride // 2, y + stride // 2, which


def makes_them_negative(labels, some, height, width):
    inside = anchors.ignore_crossing(torch.ones_like(labels), some, height, width) == 1
    return torch.where(inside, labels, 0)


def takes_the_height_for_the_width(labels, some, height, width):
    return anchors.ignore_crossing(labels, some, width, height)


def must_not_touch(labels, some, height, width):
    return anchors.ignore_crossing(labels, some * 1.0001 - 0.001, height, width)


def drops_them(labels, some, height, width):
    kept = anchors.ignore_crossing(torch.ones_like(labels), some, height, width) == 1
    return labels[kept]


def measures_in_pixels(shapes, start, n_rounds):
    found = start.clone()
    for _ in range(n_rounds):
        joined = torch.cdist(shapes, found).argmin(dim=1)
        for i in joined.unique().tolist():
            found[i] = shapes[joined == i].mean(dim=0)
    return found[found.prod(dim=1).argsort()]


def runs_once(shapes, start, n_rounds):
    return anchors.anchor_shapes(shapes, start, min(n_rounds, 1))


def sorts_by_width(shapes, start, n_rounds):
    found = anchors.anchor_shapes(shapes, start, n_rounds)
    return found[found[:, 0].argsort()]


def loses_empty_ones(shapes, start, n_rounds):
    found = anchors.anchor_shapes(shapes, start, n_rounds)
    return found[(found[:, None] != start).any(dim=2).all(dim=1)] if n_rounds else found


# Lesson 06


def counts_from_0(proposals, boxes, iou_threshold):
    n = rpn.proposals_needed(proposals, boxes, iou_threshold)
    return n - 1 if n > 0 else n


def stops_at_the_first_object(proposals, boxes, iou_threshold):
    return max((rpn.proposals_needed(proposals, boxes[:1], iou_threshold)), 0)


def adds_up_the_needed(proposals, boxes, iou_threshold):
    return sum(rpn.proposals_needed(proposals, box[None], iou_threshold) for box in boxes)


def gives_up_one_too_early(proposals, boxes, iou_threshold):
    return rpn.proposals_needed(proposals[:-1], boxes, iou_threshold)


def proposes_with(**changes):
    """The solution with some of its arguments changed, by functions of all arguments by name."""

    def attempt(objectness, deltas, anchors, image_size, n_before, n_after, iou_threshold):
        given = {name: value for name, value in vars().items() if name != "changes"}
        given |= {name: change(given) for name, change in changes.items()}
        return rpn.propose(**given)

    return attempt


def one_level(given):
    return [torch.cat(given["anchors"])]


def swapped_size(given):
    return given["image_size"][::-1]


def without_exp(given):
    return torch.cat((given["deltas"][:, :2], (1 + given["deltas"][:, 2:]).log()), dim=1)


def proposes_unclipped(*arguments):
    large = 10_000, 10_000  # nothing is clipped on the right and below
    return rpn.propose(*arguments[:3], large, *arguments[4:])


def proposes_level_by_level(objectness, deltas, anchors, size, n_before, n_after, threshold):
    found, first = [], 0
    for level in anchors:
        rows = slice(first, first + len(level))
        found.append(
            rpn.propose(objectness[rows], deltas[rows], [level], size, n_before, n_after, threshold)
        )
        first += len(level)
    return torch.cat(found)[:n_after]


# Lesson 17


def pays_when_it_costs_as_much(*arguments):
    separate, shared, n = cost.detector_cost(*arguments)
    return separate, shared, n - 1


def rounds_maps_down(layers, widths, image_size, crop_size, n_regions):
    def even(size):
        return tuple(side // 4 * 4 for side in size)

    return cost.detector_cost(layers, widths, even(image_size), even(crop_size), n_regions)


MISTAKES = [
    (start_here.check_count_by_name, forgets_that_0_is_background, 1),
    (start_here.check_count_by_name, names_all_classes, 1),
    (start_here.check_mask_iou, lambda a, b: (a & b).sum() / a.sum(), 2),
    (
        start_here.check_mask_iou,
        lambda a, b: (a & b).sum() / (a.sum() + b.sum()),
        1,
    ),
    (start_here.check_mask_iou, lambda a, b: (a & b).sum() / (a | b).sum(), 6),
    (start_here.check_mask_iou, lambda a, b: (a & b).float(), 1),
    (start_here.check_mask_iou, lambda a, b: "much", 1),
    (anchors.check_anchor_at, swaps_width_and_height, 2),
    (anchors.check_anchor_at, multiplies_the_height_alone, 2),
    (anchors.check_anchor_at, starts_at_the_center, 1),
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).amax(dim=0), 1),
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).mean(dim=1), 1),
    (anchors.check_best_iou, lambda boxes, a: box_iou(boxes, a).argmax(dim=1), 1),
    (anchors.check_label_anchors, calls_everything_else_background, 1),
    (anchors.check_label_anchors, forgets_the_best_anchor, 3),
    (anchors.check_label_anchors, forgets_ties, 4),
    (anchors.check_label_anchors, looks_at_the_last_object_only, 2),
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
    (cost.check_convolution_cost, forgets_the_input_channels, 2),
    (cost.check_convolution_cost, counts_the_kernel_once, 3),
    (cost.check_convolution_cost, divides_by_the_stride_once, 4),
    (cost.check_convolution_cost, rounds_sides_down, 5),
    (cost.check_sharing_pays_from, lambda image, crop: -(-image // crop), 2),
    (cost.check_sharing_pays_from, lambda image, crop: image // crop, 1),
    (cost.check_sharing_pays_from, lambda image, crop: image / crop, 1),
    (backbone.check_map_size, lambda size, kernel, stride, padding: size // stride, 2),
    (backbone.check_map_size, lambda n, k, s, p: (n + p - k) // s + 1, 2),
    (backbone.check_receptive_field, adds_kernels_without_strides, 3),
    (backbone.check_receptive_field, steps_too_early, 3),
    (backbone.check_level_of, lambda box, size: backbone.level_of(box, 224), 6),
    (backbone.check_level_of, rounds_the_level, 2),
    (backbone.check_level_of, takes_the_longer_side, 3),
    (start_here.check_count_errors, counts_all_detections, 2),
    (start_here.check_count_errors, must_exceed_the_score, 4),
    (start_here.check_count_errors, counts_found_detections, 5),
    (start_here.check_count_errors, counts_pairs_that_do_not_match, 1),
    (start_here.check_count_errors, must_exceed_one_half, 6),
    (start_here.check_count_errors, forgets_the_missed, 1),
    (start_here.check_panoptic_map, places_in_the_given_order, 3),
    (start_here.check_panoptic_map, paints_over, 9),
    (start_here.check_panoptic_map, numbers_over_all_classes, 2),
    (start_here.check_panoptic_map, shows_the_labels, 1),
    (start_here.check_panoptic_map, places_hidden_ones, 9),
    (start_here.check_panoptic_map, must_be_more_visible, 8),
    (start_here.check_panoptic_map, numbers_hidden_ones, 9),
    (start_here.check_panoptic_map, compares_with_the_best_only, 10),
    (annotations.check_decode_rle, lambda counts, h, w: annotations.decode_rle(counts, w, h), 1),
    (annotations.check_find_mistakes, finds({"image": ""}), 3),
    (annotations.check_find_mistakes, finds({"category": ""}), 4),
    (annotations.check_find_mistakes, finds({"mask": "box"}), 6),
    (annotations.check_find_mistakes, finds({"box": ""}), 8),
    (annotations.check_find_mistakes, finds({"twice": ""}), 12),
    (annotations.check_find_mistakes, lambda contents: list(contents), 1),
    (annotations.check_find_mistakes, takes_ids_for_positions, 1),
    (annotations.check_find_mistakes, takes_every_image_for_the_first, 1),
    (annotations.check_find_mistakes, allows_empty_masks, 7),
    (annotations.check_find_mistakes, compares_masks_alone, 1),
    (annotations.check_find_mistakes, names_the_last_kind, 14),
    (boxes.check_shift_at_iou, lambda width, iou: width * (1 - iou), 2),
    (boxes.check_shift_at_iou, lambda width, iou: (1 - iou) / (1 + iou), 2),
    (boxes.check_shift_at_iou, lambda width, iou: width * (1 - iou) / (2 - iou), 2),
    (boxes.check_nms, lambda b, s, k, t: boxes.nms(b, s, k, t - 1e-6), 5),
    (boxes.check_soft_nms, lowers_by_the_plain_iou, 3),
    (boxes.check_soft_nms, lowers_linearly, 3),
    (boxes.check_soft_nms, sorts_only_once, 3),
    (boxes.check_soft_nms, returns_the_first_scores, 3),
    (boxes.check_soft_nms, forgets_min_score, 5),
    (boxes.check_soft_nms, lowers_by_the_first_only, 7),
    (boxes.check_soft_nms, lambda *a: boxes.soft_nms(*a)[0], 1),
    (history.check_in_order, lambda steps: steps, 1),
    (history.check_in_order, masks_in_parallel, 3),
    (history.check_in_order, suppresses_before_it_classifies, 2),
    (history.check_count_runs, changes_one_run("R-CNN", "backbone", 1), 2),
    (history.check_count_runs, changes_one_run("Fast R-CNN", "selective search", 0), 6),
    (history.check_count_runs, changes_one_run("Faster R-CNN", "RPN", 300), 13),
    (history.check_count_runs, changes_one_run("Mask R-CNN", "mask", 300), 20),
    (history.check_group_regions, without_size, 6),
    (history.check_group_regions, with_equal_sizes, 5),
    (history.check_group_regions, without_colors, 4),
    (history.check_group_regions, merges_any_two, 3),
    (history.check_group_regions, returns_the_merged_only, 1),
    (history.check_group_regions, stops_after_the_first, 4),
    (cost.check_detector_cost, lambda b, w, i, c, n: cost.detector_cost(b, w[:1], i, c, n), 4),
    (cost.check_detector_cost, lambda b, w, i, c, n: cost.detector_cost(b, w, c, c, n), 3),
    (cost.check_detector_cost, lambda b, w, i, c, n: cost.detector_cost(b, w, i, c, 1), 2),
    (cost.check_detector_cost, lambda b, w, i, c, n: cost.detector_cost(b[:1], w, i, c, n), 5),
    (cost.check_detector_cost, pays_when_it_costs_as_much, 1),
    (cost.check_detector_cost, rounds_maps_down, 6),
    (backbone.check_pixels_seen, counts_the_last_pixel, 1),
    (backbone.check_pixels_seen, forgets_the_padding, 3),
    (backbone.check_pixels_seen, forgets_the_dilation, 7),
    (backbone.check_pixels_seen, walks_forward, 8),
    (backbone.check_pixels_seen, clips_to_the_image, 3),
    (backbone.check_top_down, adds_what_was_smoothed, 5),
    (backbone.check_top_down, lists_the_coarsest_first, 1),
    (backbone.check_top_down, forgets_the_extra_map, 1),
    (backbone.check_top_down, pools_the_extra_map, 1),
    (backbone.check_top_down, takes_the_first_kernel_for_all, 5),
    (backbone.check_top_down, forgets_to_add, 4),
    (anchors.check_locate_anchor, lists_columns_first, 3),
    (anchors.check_locate_anchor, lists_each_shape_apart, 2),
    (anchors.check_locate_anchor, forgets_the_stride, 3),
    (anchors.check_locate_anchor, gives_the_center_of_the_cell, 1),
    (anchors.check_ignore_crossing, makes_them_negative, 2),
    (anchors.check_ignore_crossing, takes_the_height_for_the_width, 5),
    (anchors.check_ignore_crossing, must_not_touch, 6),
    (anchors.check_ignore_crossing, drops_them, 2),
    (anchors.check_anchor_shapes, measures_in_pixels, 5),
    (anchors.check_anchor_shapes, runs_once, 8),
    (anchors.check_anchor_shapes, sorts_by_width, 2),
    (anchors.check_anchor_shapes, loses_empty_ones, 5),
    (anchors.check_anchor_shapes, lambda shapes, start, n: start, 1),
    (rpn.check_proposals_needed, counts_from_0, 1),
    (rpn.check_proposals_needed, stops_at_the_first_object, 2),
    (rpn.check_proposals_needed, adds_up_the_needed, 2),
    (rpn.check_proposals_needed, gives_up_one_too_early, 5),
    (rpn.check_propose, proposes_with(anchors=one_level), 7),
    (rpn.check_propose, proposes_with(image_size=swapped_size), 1),
    (rpn.check_propose, proposes_with(deltas=without_exp), 2),
    (rpn.check_propose, proposes_with(deltas=lambda given: 0 * given["deltas"]), 2),
    (rpn.check_propose, proposes_with(objectness=lambda given: -given["objectness"]), 1),
    (rpn.check_propose, proposes_with(iou_threshold=lambda given: 1.0), 5),
    (rpn.check_propose, proposes_with(n_before=lambda given: 99), 8),
    (rpn.check_propose, proposes_with(n_after=lambda given: 99), 10),
    (rpn.check_propose, proposes_unclipped, 3),
    (rpn.check_propose, proposes_level_by_level, 7),
]
