"""COCO's average precision against pycocotools, its definition, and values computed by hand."""

import contextlib
import io
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.dataset import Wrapper
from mrcnn_edu.data.regions import encode_mask
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import (
    IOU_THRESHOLDS,
    DetectionList,
    Scores,
    average_precision,
    coco_results,
    detect_all,
    evaluate,
    evaluate_by_definition,
    match_detections,
    overlap,
    overlaps,
    precision_recall,
)
from mrcnn_edu.evaluate.batched import match_in_ranges

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


class Items(list):
    classes = ("disc", "square", "star")


def _detections(boxes, labels, scores, masks):
    n = len(labels)
    return Detections(
        boxes=torch.as_tensor(boxes, dtype=torch.float32).view(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.int64),
        scores=torch.as_tensor(scores, dtype=torch.float32),
        masks=masks,
        mask_probs=torch.zeros(n, 28, 28),
    )


def _paint(boxes, size):
    """Masks [N, size, size] that fill boxes of whole numbers."""
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, np.asarray(boxes, int).reshape(-1, 4), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def _random_boxes(rng, n, size):
    sides = rng.choice([1, 3, 4, 6, 8, 16, 32, 96], size=(n, 2))  # 32² and 96² are area limits
    corner = rng.integers(0, np.maximum(size - sides, 0) + 1)
    return np.concatenate((corner, np.minimum(corner + sides, size)), axis=1).astype(float)


def _random_case(seed):
    """Images with few objects, labels and scores (ties), with copies and crowds; some are empty."""
    rng = np.random.default_rng(seed)
    dataset, detections = Items(), []
    for _ in range(rng.integers(1, 6)):
        size = int(rng.choice([8, 40, 110]))
        n, m = rng.integers(0, 7), rng.integers(0, 5)
        gt_boxes = _random_boxes(rng, m, size)
        if m > 2 and rng.random() < 0.3:
            gt_boxes[1] = gt_boxes[0]  # two objects in the same place: a tie in IoU
        boxes = _random_boxes(rng, n, size)
        for i in range(n):
            if m and rng.random() < 0.7:  # near an object, a copy of it, or a copy of a detection
                shift = rng.integers(-2, 3, size=4) * rng.integers(0, 2)
                boxes[i] = np.clip(gt_boxes[rng.integers(m)] + shift, 0, size)
            if i and rng.random() < 0.2:
                boxes[i] = boxes[i - 1]
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        gt_masks, predicted_masks = _paint(gt_boxes, size), _paint(boxes, size)
        holes = torch.from_numpy(rng.random((2, size, size)) < 0.9)
        gt_masks, predicted_masks = gt_masks & holes[0], predicted_masks & holes[1]
        fraction = 0.25 * rng.integers(0, 2)  # boxes need not be of whole numbers
        area = rng.choice([5, 1024, 1024.5, 9216, 9216.5, 20000], size=m)
        target = {
            "boxes": torch.tensor(gt_boxes + fraction, dtype=torch.float32),
            "labels": torch.from_numpy(rng.integers(1, 4, size=m)),
            "masks": gt_masks,
            "iscrowd": torch.from_numpy(rng.random(m) < 0.2),
            "area": torch.tensor(area, dtype=torch.float32),
        }
        if rng.random() < 0.3:
            del target["area"], target["iscrowd"]
        dataset.append((torch.zeros(3, size, size), target))
        labels = rng.choice([1, 1, 2, 2, 3, 3, 4], size=n)  # 4 is none of the classes
        scores = rng.choice([0.25, 0.5, 0.75, 0.9, 1.0], size=n)
        n = 0 if rng.random() < 0.1 else n
        detections.append(_detections(boxes[:n], labels[:n], scores[:n], predicted_masks[:n]))
    return dataset, detections


def _one_class(dataset, detections, seed):
    """The same images with many crowds and copies, all of one class: many choices in matching."""
    rng, items = np.random.default_rng(seed), Items()
    for image, target in dataset:
        rows = torch.arange(len(target["labels"])).repeat(2)
        changed = {name: column[rows] for name, column in target.items()}
        changed["labels"] = torch.ones(len(rows), dtype=torch.int64)
        changed["iscrowd"] = torch.from_numpy(rng.random(len(rows)) < 0.4)
        items.append((image, changed))
    rows = [torch.arange(len(one)).repeat(3) for one in detections]
    copies = [one[r] for one, r in zip(detections, rows, strict=True)]
    return items, [replace(one, labels=torch.ones_like(one.labels)) for one in copies]


def _coco(dataset):
    """The dataset in pycocotools' form, made here and not by write_coco."""
    images, annotations = [], []
    for i, (image, target) in enumerate(dataset):
        images.append({"id": i, "height": image.shape[1], "width": image.shape[2]})
        for row, label in enumerate(target["labels"].tolist()):
            x1, y1, x2, y2 = target["boxes"][row].tolist()
            area = target["area"] if "area" in target else target["masks"].sum(dim=(1, 2))
            crowd = target.get("iscrowd", torch.zeros(len(area)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": encode_mask(target["masks"][row]),
                    "area": float(area[row]),
                    "iscrowd": int(crowd[row]),
                }
            )
    coco = COCO()
    categories = [{"id": k, "name": name} for k, name in enumerate(dataset.classes, 1)]
    coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
    coco.createIndex()
    return coco


def reference(coco, results, iou_type, n_classes):
    """pycocotools' six scores and the AP of each class, with nan for its -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        detections = coco.loadRes(results) if results else _no_results(coco)
        evaluator = COCOeval(coco, detections, iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"]  # [T, R, K, A, M]
    rows = [precision[:, :, k, 0, -1] for k in range(n_classes)]
    per_class = [row[row > -1].mean() if (row > -1).any() else -1 for row in rows]
    return [nan if value < 0 else value for value in [*evaluator.stats[:6], *per_class]]


def _no_results(coco):
    empty = COCO()
    empty.dataset = {**coco.dataset, "annotations": []}
    empty.createIndex()
    return empty


def ours(scores):
    return [getattr(scores, name) for name in NAMES] + list(scores.per_class.values())


class WithRLE(Wrapper):
    """The same dataset with run-length encoded masks, which a COCO folder gives."""

    def target(self, index):
        target = self.dataset.target(index)
        return target | {"masks": encode_masks(target["masks"])}


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_equals_pycocotools_on_random_cases(iou_type, monkeypatch):
    values = []
    for seed in range(100):
        # The number of images that are compared at once makes no difference.
        monkeypatch.setattr(overlaps, "BATCH_ROWS", (1, 10, 1000)[seed % 3])
        dataset, detections = _random_case(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            coco = _coco(dataset)
        expected = reference(coco, coco_results(dataset, detections, iou_type), iou_type, 3)
        compressed = DetectionList()
        for image_detections in detections:
            compressed.append(image_detections)
        scores = ours(evaluate(dataset, compressed, iou_type))
        np.testing.assert_array_equal(scores, ours(evaluate(dataset, detections, iou_type)))
        np.testing.assert_array_equal(
            scores, ours(evaluate(WithRLE(dataset), compressed, iou_type))
        )
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9, err_msg=f"seed {seed}")
        values.append(scores)
    # The cases reach every score, and with more than the easy answers nan, 0 and 1.
    middling = (np.array(values) > 0.01) & (np.array(values) < 0.99)
    assert (middling.sum(axis=0) > 10).all()
    assert np.isnan(values).any(axis=0).all()


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_evaluate_equals_the_definition_to_the_last_bit(iou_type, monkeypatch):
    for seed in range(100, 180):
        monkeypatch.setattr(overlaps, "BATCH_ROWS", (1, 10, 1000)[seed % 3])
        dataset, detections = _random_case(seed)
        if seed % 2:
            dataset, detections = _one_class(dataset, detections, seed)
        scores = ours(evaluate(dataset, detections, iou_type))
        by_definition = ours(evaluate_by_definition(dataset, detections, iou_type))
        np.testing.assert_array_equal(scores, by_definition, err_msg=f"seed {seed}")
        by_definition = ours(evaluate_by_definition(WithRLE(dataset), detections, iou_type))
        np.testing.assert_array_equal(scores, by_definition, err_msg=f"seed {seed}")


def test_more_than_100_detections_of_a_class_and_ties():
    rng = np.random.default_rng(0)
    gt_boxes = _random_boxes(rng, 3, 40)
    target = {
        "boxes": torch.tensor(gt_boxes, dtype=torch.float32),
        "labels": torch.tensor([1, 1, 2]),
        "masks": _paint(gt_boxes, 40),
    }
    dataset = Items([(torch.zeros(3, 40, 40), target)])
    boxes = np.concatenate((_random_boxes(rng, 200, 40), gt_boxes))  # the correct ones come last
    labels = [1, 2] * 100 + [1, 1, 2]
    for correct_score in (0.5, 0.6):  # in the first 100 of the class only with the higher score
        scores = [0.5] * 200 + [correct_score] * 3
        detections = [_detections(boxes, labels, scores, _paint(boxes, 40))]
        with contextlib.redirect_stdout(io.StringIO()):
            coco = _coco(dataset)
        expected = reference(coco, coco_results(dataset, detections, "segm"), "segm", 3)
        result = evaluate(dataset, detections)
        np.testing.assert_allclose(ours(result), expected, rtol=0, atol=1e-9)
        assert ours(evaluate_by_definition(dataset, detections)) == pytest.approx(
            ours(result), abs=0, nan_ok=True
        )
        assert result.per_class["square"] == (1.0 if correct_score == 0.6 else 0.0)


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_average_precision_and_match_detections_agree_with_evaluate(iou_type):
    dataset, detections = _random_case(7)
    for _, target in dataset:
        target.pop("iscrowd", None)
    for label, name in enumerate(dataset.classes, start=1):
        scores, correct, n_objects = [], [], 0
        for (_, target), image_detections in zip(dataset, detections, strict=True):
            chosen, gt = (
                image_detections[image_detections.labels == label],
                target["labels"] == label,
            )
            if iou_type == "segm":
                iou = overlap(chosen.masks, target["masks"][gt])
            else:
                iou = overlap(chosen.boxes, target["boxes"][gt])
            scores.append(chosen.scores)
            correct.append(match_detections(iou, chosen.scores) >= 0)
            n_objects += int(gt.sum())
        order = torch.cat(scores).argsort(descending=True, stable=True)
        rows = torch.cat(correct, dim=1)[:, order]
        ap = np.mean([average_precision(row, n_objects) for row in rows])
        result = evaluate(dataset, detections, iou_type).per_class[name]
        np.testing.assert_allclose(result, ap, rtol=0, atol=1e-12)


def test_matches_in_several_ranges_at_once_are_those_of_each_range():
    generator = torch.Generator().manual_seed(0)
    for d, m in ((6, 4), (9, 6), (3, 1), (0, 2), (2, 0)):
        iou = torch.rand(d, m, generator=generator).mul(8).round() / 8  # with ties
        scores = torch.rand(d, generator=generator).mul(4).round() / 4
        crowd = torch.arange(m) == 2
        ignored = torch.rand(5, m, generator=generator) < 0.5
        together = match_in_ranges(iou, scores, IOU_THRESHOLDS, ignored, crowd)
        each = [match_detections(iou, scores, IOU_THRESHOLDS, row, crowd) for row in ignored]
        assert torch.equal(together, torch.stack(each))


def test_a_detection_list_is_small_and_leaves_nothing_out():
    boxes = torch.tensor([[10.0, 20, 210, 220]]).repeat(100, 1)
    masks = _paint(boxes[:1], 400).repeat(100, 1, 1)
    detections = DetectionList()
    detections.append(_detections(boxes, [1] * 100, [0.5] * 100, masks))
    kept, encoded = detections.encoded(0)
    size = sum(map(len, encoded.strings)) + encoded.area.nbytes + encoded.box.nbytes
    assert kept.masks is kept.mask_probs is None and size < 100 * 28 * 28
    assert len(detections) == 1 and torch.equal(detections[0].masks, masks)
    assert [len(one) for one in detections] == [100]  # a plain loop gives what an index gives
    assert [len(one) for one in detections[:3]] == [100] and torch.equal(
        detections[-1:][0].masks, masks
    )
    with pytest.raises(IndexError):
        detections[1]


def _two_objects():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10]]
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32),
        "labels": torch.tensor([1, 1]),
        "masks": _paint(boxes, 40),
    }
    return Items([(torch.zeros(3, 40, 40), target)])


def test_a_case_worked_out_by_hand():
    # Best first: the first object with IoU 80 / 100; nothing; the second object exactly.
    boxes = [[0, 0, 8, 10], [10, 20, 20, 30], [20, 0, 30, 10]]
    detections = [_detections(boxes, [1, 1, 1], [0.9, 0.8, 0.7], _paint(boxes, 40))]
    # Up to IoU 0.8 (seven thresholds): precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1. The recalls
    # 0..0.5 (51 of 101) have precision 1, those above (50) have 2/3.
    loose = (51 * 1 + 50 * 2 / 3) / 101
    # Above (three): the first is wrong: precision 0, 0, 1/3; the recalls 0..0.5 have 1/3.
    strict = 51 / 3 / 101
    for iou_type in ("segm", "bbox"):
        scores = evaluate(_two_objects(), detections, iou_type)
        assert ours(evaluate_by_definition(_two_objects(), detections, iou_type)) == pytest.approx(
            ours(scores), abs=0, nan_ok=True
        )
        assert scores.ap50 == pytest.approx(loose)
        assert scores.ap75 == pytest.approx(loose)
        assert scores.ap == pytest.approx((7 * loose + 3 * strict) / 10)
        assert scores.ap_small == pytest.approx(scores.ap)
        assert isnan(scores.ap_medium) and isnan(scores.ap_large)
        assert scores.per_class["disc"] == pytest.approx(scores.ap)
        assert isnan(scores.per_class["square"])


def test_boxes_and_masks_are_scored_separately():
    dataset = _two_objects()
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10]]
    detections = [
        _detections(boxes, [1, 1], [0.9, 0.8], _paint([[0, 0, 10, 10], [0, 0, 1, 1]], 40))
    ]
    assert evaluate(dataset, detections, "bbox").ap == 1
    assert evaluate(dataset, detections, "segm").ap == pytest.approx(51 / 101)


def test_no_detection_is_0_and_no_object_is_nan():
    nothing = _detections([], [], [], torch.zeros(0, 40, 40).bool())
    assert evaluate(_two_objects(), [nothing]).ap == 0
    assert evaluate_by_definition(_two_objects(), [nothing]).ap == 0
    assert isnan(evaluate(Items(), []).ap) and isnan(evaluate_by_definition(Items(), []).ap)


def test_boxes_are_scored_without_any_mask():
    dataset = _two_objects()
    del dataset[0][1]["masks"]
    boxes = dataset[0][1]["boxes"]
    detections = [_detections(boxes, [1, 1], [0.9, 0.8], None)]
    assert evaluate(dataset, detections, "bbox").ap == 1
    for gt, masks in ((dataset, _paint(boxes, 40)), (_two_objects(), None)):
        other = _detections(boxes, [1, 1], [0.9, 0.8], masks)
        for before in (0, 1):  # alone, and behind an image that has masks
            good = [_detections(boxes, [1, 1], [0.9, 0.8], _paint(boxes, 40))] * before
            message = f"image {before}: .* no masks to compare: iou_type='bbox' compares boxes"
            with pytest.raises(ValueError, match=message):
                evaluate(Items(_two_objects() * before + gt), [*good, other])


def test_an_item_is_fetched_once():
    class Counted(Items):
        fetched = 0

        def __getitem__(self, index):
            self.fetched += 1
            return super().__getitem__(index)

    dataset = Counted(_two_objects() * 3)
    evaluate(dataset, [_detections([], [], [], torch.zeros(0, 40, 40).bool())] * 3)
    assert dataset.fetched == 3


def test_what_does_not_fit_is_refused():
    nothing = _detections([], [], [], torch.zeros(0, 40, 40).bool())
    other_size = _detections([], [], [], torch.zeros(0, 8, 40).bool())
    with pytest.raises(ValueError, match="2 detections for 1 images"):
        evaluate(_two_objects(), [nothing, nothing])
    with pytest.raises(ValueError, match=r"image 0: its masks are \[2, 40, 40\].* \[0, 8, 40\]"):
        evaluate(_two_objects(), [other_size])
    with pytest.raises(ValueError, match=r"image 1: its masks are \[2, 40, 40\].* \[0, 8, 40\]"):
        evaluate(WithRLE(Items(_two_objects() * 2)), [nothing, other_size])
    for score in (evaluate, evaluate_by_definition):
        with pytest.raises(ValueError, match="'mask': choose 'segm', 'bbox' or 'keypoints'"):
            score(_two_objects(), [nothing], iou_type="mask")
    with pytest.raises(TypeError, match="list is not a dataset, it has no classes"):
        evaluate(list(_two_objects()), [nothing])


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_other_dtypes_are_converted(iou_type):
    dataset, detections = _random_case(3)
    for _, target in dataset:  # whole numbers, which integers hold as well
        target["boxes"] = target["boxes"].round()
        target["area"] = torch.full((len(target["labels"]),), 500.0)
    expected = ours(evaluate(dataset, detections, iou_type))
    other = Items()
    for image, target in dataset:
        changes = {"boxes": target["boxes"].long(), "labels": target["labels"].int()}
        changes |= {"masks": target["masks"].byte(), "area": target["area"].half()}
        other.append((image, target | changes))
    other_detections = [
        replace(
            one,
            boxes=one.boxes.int(),
            labels=one.labels.to(torch.uint8),
            scores=one.scores.double(),
            masks=one.masks.float(),
        )
        for one in detections
    ]
    found = evaluate(other, other_detections, iou_type)
    np.testing.assert_array_equal(ours(found), expected)
    assert not np.isnan(expected[0])


def test_empty_images_may_have_tensors_of_any_dtype():
    empty = torch.tensor([])  # float32, of shape [0]
    target = {"boxes": empty, "labels": empty, "masks": torch.zeros(0, 40, 40)}
    dataset = Items([*_two_objects(), (torch.zeros(3, 40, 40), target)])
    boxes = dataset[0][1]["boxes"]
    nothing = Detections(empty, empty, empty, torch.zeros(0, 40, 40), None)
    detections = [_detections(boxes, [1, 1], [0.9, 0.8], _paint(boxes, 40)), nothing]
    assert evaluate(dataset, detections).ap == evaluate(dataset, detections, "bbox").ap == 1


def test_ground_truth_that_cannot_be_learned_is_scored_as_pycocotools_scores_it():
    (item,) = _two_objects()
    target = item[1] | {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [20, 0, 20, 10], [0, 20, 10, 30], [90, 0, 99, 9]]),
        "labels": torch.tensor([1, 1, 2, 2]),
        "masks": _paint([[0, 0, 10, 10], [20, 0, 20, 10], [0, 20, 10, 30], [30, 0, 39, 9]], 40),
        "iscrowd": torch.tensor([0, 0, 0, 0]),
    }
    dataset, boxes = Items([(item[0], target)]), target["boxes"]
    labels, scores = [1, 1, 7, 2], [0.9, 0.8, 0.7, 0.6]
    detections = [_detections(boxes, labels, scores, target["masks"])]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = _coco(dataset)
    for iou_type in ("segm", "bbox"):
        expected = reference(coco, coco_results(dataset, detections, iou_type), iou_type, 3)
        scores = evaluate(dataset, detections, iou_type)
        np.testing.assert_allclose(ours(scores), expected, rtol=0, atol=1e-9)
        assert 0 < scores.per_class["disc"] < 1  # the object without area is never found


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"boxes": torch.zeros(2, 5)}, ValueError, r"2 labels and boxes of shape \[2, 5\]"),
        ({"boxes": [[0, 0, 1, 1]] * 2}, TypeError, "boxes of type list: give a tensor"),
        ({"boxes": torch.ones(2, 4) > 0}, TypeError, "boxes of torch.bool: give x1, y1, x2, y2"),
        ({"labels": torch.ones(2)}, TypeError, "labels of torch.float32: give whole numbers"),
        ({"labels": torch.ones(2, 1).long()}, ValueError, r"labels of shape \[2, 1\]"),
        ({"labels": torch.ones(3).long()}, ValueError, "3 labels and "),
        ({"masks": torch.zeros(1, 40, 40)}, ValueError, r"masks of shape \[1, 40, 40\]"),
        ({"masks": torch.zeros(2, 1, 40, 40)}, ValueError, r"masks of shape \[2, 1, 40, 40\]"),
        ({"masks": torch.full((2, 40, 40), 0.7)}, ValueError, r"0\.7: give bool.* masks > 0\.5"),
    ],
)
def test_wrong_targets_and_detections_are_refused_with_the_image(change, error, message):
    (item,) = _two_objects()
    good_target, boxes = item[1] | {"iscrowd": torch.zeros(2)}, item[1]["boxes"]
    good = _detections(boxes, [1, 1], [0.9, 0.8], good_target["masks"])
    iou_type = "segm" if "masks" in change else "bbox"
    bad = replace(good, **change)
    for name in (evaluate, evaluate_by_definition, coco_results):
        with pytest.raises(error, match=f"image 1: the prediction has .*{message}"):
            name(Items([item, item]), [good, bad], iou_type)
    collected = DetectionList()
    collected.append(good)
    with pytest.raises(error, match=f"image 1: the prediction has .*{message}"):
        collected.append(bad)
    dataset = Items([item, (item[0], good_target | change)])
    for score in (evaluate, evaluate_by_definition):
        with pytest.raises(error, match=f"image 1: the target has .*{message}"):
            score(dataset, [good, good], iou_type)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": torch.ones(3)}, ValueError, r"2 labels and scores of shape \[3\]"),
        ({"scores": torch.tensor([0.5, nan])}, ValueError, "scores that are NaN"),
        ({"scores": None}, ValueError, "no scores: give a tensor"),
    ],
)
def test_wrong_scores_are_refused_with_the_image(change, error, message):
    (item,) = _two_objects()
    good = _detections(item[1]["boxes"], [1, 1], [0.9, 0.8], item[1]["masks"])
    with pytest.raises(error, match=f"image 1: the prediction has .*{message}"):
        evaluate(Items([item, item]), [good, replace(good, **change)])


def test_other_objects_than_detections_are_refused():
    (item,) = _two_objects()
    with pytest.raises(TypeError, match=r"image 0: the prediction is of type dict: give .*Detecti"):
        evaluate(Items([item]), [item[1]])


@pytest.mark.parametrize(
    ("change", "missing", "message"),
    [
        ({}, "boxes", "image 0: the target has no boxes"),
        ({}, "labels", "image 0: the target has no labels"),
        ({"area": torch.ones(3)}, None, r"2 labels and area of shape \[3\]"),
        ({"iscrowd": torch.ones(1)}, None, r"2 labels and iscrowd of shape \[1\]"),
    ],
)
def test_wrong_columns_of_a_target_are_refused(change, missing, message):
    (item,) = _two_objects()
    detections = [_detections(item[1]["boxes"], [1, 1], [0.9, 0.8], item[1]["masks"])]
    target = {name: value for name, value in item[1].items() if name != missing} | change
    with pytest.raises(ValueError, match=message):
        evaluate(Items([(item[0], target)]), detections, "bbox")
    encoded = encode_masks(item[1]["masks"][:1])
    with pytest.raises(ValueError, match="image 0: the target has 2 labels and 1 masks"):
        evaluate(Items([(item[0], item[1] | {"masks": encoded})]), detections)


def test_scores_print_as_a_table():
    text = str(Scores(0.5, 0.75, 0.25, 0.125, nan, 1.0, {"a long name": 0.5}))
    assert [line.split() for line in text.splitlines()] == [
        ["AP", "0.500"],
        ["AP50", "0.750"],
        ["AP75", "0.250"],
        ["AP", "small", "0.125"],
        ["AP", "medium", "nan"],
        ["AP", "large", "1.000"],
        ["a", "long", "name", "0.500"],
    ]


def test_match_detections():
    iou = torch.tensor([[0.9, 0.6], [0.8, 0.0], [0.55, 0.7]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    # The second goes first and takes object 0, the first is left with object 1.
    match = match_detections(iou, scores, torch.tensor([0.5, 0.65]))
    assert match.tolist() == [[1, 0, -1], [-1, 0, 1]]
    no = match_detections(torch.zeros(2, 0), scores[:2], torch.tensor([0.5]))
    assert no.tolist() == [[-1, -1]]
    assert match_detections(torch.zeros(0, 2), scores[:0]).shape == (10, 0)


def test_match_detections_with_ignored_objects_and_crowds():
    half = torch.tensor([0.5])
    iou = torch.tensor([[0.6, 0.9]])
    ignored = torch.tensor([False, True])
    assert match_detections(iou, torch.ones(1), half).tolist() == [[1]]
    assert match_detections(iou, torch.ones(1), half, ignored).tolist() == [[0]]
    iou = torch.tensor([[0.6], [0.9]])
    ignored = torch.tensor([True])
    assert match_detections(iou, torch.ones(2), half, ignored).tolist() == [[0, -1]]
    assert match_detections(iou, torch.ones(2), half, ignored, ignored).tolist() == [[0, 0]]
    ties = torch.tensor([[0.75, 0.75]])
    assert match_detections(ties, torch.ones(1), half).tolist() == [[1]]


def test_overlap():
    a = torch.tensor([[0.0, 0, 4, 2], [5, 5, 5, 5]])
    b = torch.tensor([[2.0, 0, 6, 2], [0, 0, 8, 8], [5, 5, 5, 5]])
    torch.testing.assert_close(overlap(a, b), box_iou(a.double(), b.double()))
    crowd = torch.tensor([False, True, False])
    assert overlap(a, b, crowd).tolist() == [[4 / 12, 1, 0], [0, 0, 0]]
    masks = _paint(a, 10), _paint(b, 10)
    assert overlap(*masks, crowd).tolist() == [[4 / 12, 1, 0], [0, 0, 0]]
    assert overlap(masks[0][:0], masks[1]).shape == (0, 3)


def test_precision_recall_and_average_precision():
    correct = torch.tensor([True, False, True])
    precision, recall = precision_recall(correct, 4)
    assert precision.tolist() == [1, 1 / 2, 2 / 3]
    assert recall.tolist() == [1 / 4, 1 / 4, 1 / 2]
    expected = (26 * 1 + 25 * 2 / 3) / 101  # recalls 0..0.25, then up to 0.5, then none
    assert average_precision(correct, 4) == pytest.approx(expected)
    assert average_precision(torch.tensor([False, True]), 1) == pytest.approx(1 / 2)
    assert average_precision(torch.ones(0, dtype=torch.bool), 3) == 0
    assert isnan(average_precision(correct, 0))


def test_detections_of_all_images_are_those_of_each(tiny_model):
    model, scenes = tiny_model(max_detections=5, score_threshold=0.0), Shapes(3, seed=2)
    detections = detect_all(model, scenes)
    assert len(detections) == len(detections.seconds) == 3 and min(detections.seconds) > 0
    for i in range(3):
        (alone,) = model.detect([scenes[i][0]])
        assert detections[i].mask_probs is None  # they would need ten times the memory
        for name in ("boxes", "labels", "scores", "masks"):
            assert torch.equal(getattr(alone, name), getattr(detections[i], name)), name
    boxes_only = detect_all(tiny_model(mask_head=None), scenes)
    assert boxes_only[0].masks is None
    assert len(detect_all(model, Shapes(0))) == 0
