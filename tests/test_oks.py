"""Average precision of keypoints against pycocotools, its definition, and values found by hand."""

import contextlib
import io
import json
from dataclasses import replace
from math import exp, isnan, nan

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data import CocoFolder, Figures, as_dataset, write_coco
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import (
    AREAS,
    COCO_SIGMAS,
    coco_results,
    evaluate,
    evaluate_by_definition,
    overlaps,
    read_results,
    write_results,
)
from mrcnn_edu.evaluate.oks import keypoint_sigmas, keypoint_similarity

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
SIGMAS = (0.03, 0.06, 0.1)


class Items(list):
    classes = ("person", "cat")
    keypoints = ("nose", "left_hand", "right_hand")
    sigmas = SIGMAS


class People(Items):
    """Items with COCO's 17 keypoints, whose sigmas everybody knows."""

    keypoints = tuple(f"part {i}" for i in range(17))
    sigmas = ()


def _detections(boxes, labels, scores, keypoints):
    return Detections(
        boxes=torch.as_tensor(boxes, dtype=torch.float32).view(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.int64),
        scores=torch.as_tensor(scores, dtype=torch.float32),
        masks=None,
        mask_probs=None,
        keypoints=torch.as_tensor(keypoints, dtype=torch.float32),
    )


def _random_case(seed):
    """Images with people of every size, crowds, unlabeled ones, ties, and more than 20 detections.

    Some images are empty, some have objects but no detections, some the reverse.
    """
    rng = np.random.default_rng(seed)
    dataset, detections = (Items() if seed % 3 else People()), []
    n_keypoints = len(dataset.keypoints)
    for _ in range(rng.integers(1, 6)):
        m = int(rng.integers(0, 6))
        n = int(rng.choice([0, 3, 8, 30, 60]))
        sides = rng.choice([4, 20, 40, 90, 200], size=(m, 1)) * rng.uniform(0.7, 1.3, (m, 2))
        corner = rng.uniform(0, 300, (m, 2))
        gt_boxes = np.concatenate((corner, corner + sides), axis=1)
        points = corner[:, None] + sides[:, None] * rng.uniform(0, 1, (m, n_keypoints, 2))
        visibility = rng.integers(0, 3, (m, n_keypoints))
        visibility[rng.random(m) < 0.25] = 0
        points[visibility == 0] = 0
        gt_keypoints = np.concatenate((points, visibility[..., None]), axis=2)
        labels = rng.integers(1, 3, m)
        if m > 2 and rng.random() < 0.4:  # two objects in the same place: a tie
            gt_keypoints[1], gt_boxes[1], labels[1] = gt_keypoints[0], gt_boxes[0], labels[0]
        area = rng.choice([0.3, 1, 0], m, p=[0.6, 0.38, 0.02]) * sides.prod(axis=1)
        area[rng.random(m) < 0.2] = rng.choice([1024, 1024.5, 9216, 9216.5])
        target = {
            "boxes": torch.tensor(gt_boxes, dtype=torch.float32),
            "labels": torch.from_numpy(labels),
            "keypoints": torch.tensor(gt_keypoints, dtype=torch.float32),
            "iscrowd": torch.from_numpy(rng.random(m) < 0.2),
            "area": torch.tensor(area, dtype=torch.float32),
        }
        if rng.random() < 0.2:
            del target["area"], target["iscrowd"]
        dataset.append((torch.zeros(3, 8, 8), target))
        found = rng.uniform(0, 300, (n, n_keypoints, 3))
        found_labels = rng.integers(1, 3, n)
        for i in range(n):
            if m and rng.random() < 0.8:  # near an object, as a rule of its class, some exactly
                j = rng.integers(m)
                blur = rng.choice([0, 0.02, 0.06, 0.2]) * sides[j].mean()
                base = points[j] if visibility[j].any() else corner[j] + sides[j] * rng.random(2)
                found[i, :, :2] = base + rng.normal(0, 1, (n_keypoints, 2)) * blur
                found_labels[i] = labels[j] if rng.random() < 0.9 else found_labels[i]
            if i and rng.random() < 0.1:
                found[i] = found[i - 1]
        scores = rng.choice([0.25, 0.5, 0.75, 0.9, 1.0], size=n) if n < 30 else rng.random(n)
        boxes = np.concatenate((found[..., :2].min(1), found[..., :2].max(1)), axis=1)
        detections.append(_detections(boxes, found_labels, scores, found))
    return dataset, detections


def _coco(dataset):
    """The dataset in pycocotools' form, made here and not by write_coco."""
    images, annotations = [], []
    for i, (_, target) in enumerate(dataset):
        images.append({"id": i, "height": 400, "width": 400})
        for row, label in enumerate(target["labels"].tolist()):
            x1, y1, x2, y2 = target["boxes"][row].double().tolist()
            area = float(target["area"][row]) if "area" in target else (x2 - x1) * (y2 - y1)
            crowd = target["iscrowd"][row] if "iscrowd" in target else 0
            keypoints = target["keypoints"][row].double()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "keypoints": keypoints.flatten().tolist(),
                    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    coco = COCO()
    categories = [{"id": k, "name": name} for k, name in enumerate(dataset.classes, 1)]
    coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
    coco.createIndex()
    return coco


def reference(coco, results, sigmas, n_classes=2):
    """pycocotools' AP, AP50, AP75, small, medium, large and of each class; nan for its -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        detections = COCO()
        detections.dataset = {**coco.dataset, "annotations": []}
        detections.createIndex()
        if results:
            detections = coco.loadRes(results)
        evaluator = COCOeval(coco, detections, "keypoints")
        evaluator.params.kpt_oks_sigmas = np.array(sigmas)
        assert evaluator.params.maxDets == [20]
        # COCO's people have no small ones with keypoints, so it does not ask for them.
        evaluator.params.areaRng = [list(limits) for limits in AREAS.values()]
        evaluator.params.areaRngLbl = list(AREAS)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"]  # [T, R, K, A, 1]

    def mean(values):
        return values[values > -1].mean() if (values > -1).any() else nan

    by_area = [mean(precision[:, :, :, a]) for a in range(4)]
    by_threshold = [mean(precision[t, :, :, 0]) for t in (0, 5)]
    per_class = [mean(precision[:, :, k, 0]) for k in range(n_classes)]
    return [by_area[0], *by_threshold, *by_area[1:], *per_class]


def ours(scores):
    return [getattr(scores, name) for name in NAMES] + list(scores.per_class.values())


def test_equals_pycocotools_on_random_cases(monkeypatch):
    values, n_more = [], 0
    for seed in range(240):
        # The number of images that are compared at once makes no difference.
        monkeypatch.setattr(overlaps, "BATCH_ROWS", (1, 40, 1000)[seed % 3])
        dataset, detections = _random_case(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            coco = _coco(dataset)
        sigmas = dataset.sigmas or COCO_SIGMAS
        expected = reference(coco, coco_results(dataset, detections, "keypoints"), sigmas)
        scores = ours(evaluate(dataset, detections, "keypoints"))
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9, err_msg=f"seed {seed}")
        by_definition = ours(evaluate_by_definition(dataset, detections, "keypoints"))
        np.testing.assert_array_equal(scores, by_definition, err_msg=f"seed {seed}")
        values.append(scores)
        n_more += any(int((d.labels == 1).sum()) > 20 for d in detections)
    # The cases reach every score, and with more than the easy answers nan, 0 and 1.
    middling = (np.array(values) > 0.01) & (np.array(values) < 0.99)
    assert (middling.sum(axis=0) > 20).all() and n_more > 50
    assert np.isnan(values).any(axis=0).all()


def test_coco_sigmas_are_pycocotools_own():
    np.testing.assert_allclose(COCO_SIGMAS, COCOeval(iouType="keypoints").params.kpt_oks_sigmas)


def _similarity(points, gt, box=(0, 0, 10, 10), area=100.0, sigmas=(0.1, 0.1)):
    points = torch.tensor([[(*p, 0.0) for p in points]], dtype=torch.float64)
    gt, box = torch.tensor([gt], dtype=torch.float64), torch.tensor([box], dtype=torch.float64)
    sigmas = torch.tensor(sigmas, dtype=torch.float64)
    return float(keypoint_similarity(points, gt, box, torch.tensor([area]).double(), sigmas))


def test_similarity_worked_by_hand():
    gt = [(3, 4, 2), (6, 8, 1)]
    assert _similarity([(3, 4), (6, 8)], gt) == 1
    # s² = 100 and k = 0.2: at a distance of 2 pixels, exp(-4 / (2 * 100 * 0.04)) = exp(-0.5).
    assert _similarity([(3, 6), (6, 8)], gt) == pytest.approx((exp(-0.5) + 1) / 2, abs=1e-15)
    assert _similarity([(1, 4), (6, 10)], gt) == pytest.approx(exp(-0.5), abs=1e-15)
    assert _similarity([(3, 4), (1e9, 8)], gt) == 0.5
    # Twice the sigma, the same similarity at twice the distance; four times the area, too.
    wide = _similarity([(3, 8), (6, 8)], gt, sigmas=(0.2, 0.1))
    assert wide == pytest.approx((exp(-0.5) + 1) / 2, abs=1e-15)
    large = _similarity([(3, 8), (6, 8)], gt, area=400.0)
    assert large == pytest.approx((exp(-0.5) + 1) / 2, abs=1e-15)
    # One that is not labeled does not count.
    assert _similarity([(3, 4), (500, 500)], [(3, 4, 2), (0, 0, 0)]) == 1
    assert _similarity([(3, 4), (6, 8)], gt, area=0.0) == 1
    assert _similarity([(3, 5), (6, 9)], gt, area=0.0) == 0


def test_an_object_without_labels_is_similar_to_what_is_around_it():
    nothing = [(0, 0, 0), (0, 0, 0)]
    assert _similarity([(-10, -10), (20, 20)], nothing) == 1  # a box of three times its sides
    assert _similarity([(22, 5), (5, 5)], nothing) == pytest.approx((exp(-0.5) + 1) / 2, abs=1e-15)
    assert _similarity([(5, -12), (22, 5)], nothing) == pytest.approx(exp(-0.5), abs=1e-15)
    dataset = Items([(torch.zeros(3, 8, 8), _target([[0, 0, 10, 10]], torch.zeros(1, 3, 3)))])
    near = _detections([[0, 0, 9, 9]], [1], [0.9], [[[3, 3, 1]] * 3])
    assert isnan(evaluate(dataset, [near], "keypoints").ap)  # nothing to find, and no mistake


def _target(boxes, keypoints, **more):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    labels = torch.ones(len(boxes), dtype=torch.int64)
    return {"boxes": boxes, "labels": labels, "keypoints": keypoints} | more


def test_a_case_worked_by_hand():
    keypoints = torch.tensor([[[10.0, 10, 2], [20, 10, 1], [10, 30, 2]]])
    target = _target([[0, 0, 40, 50]], keypoints, area=torch.tensor([2000.0]))
    dataset = Items([(torch.zeros(3, 8, 8), target)])
    moved = keypoints.clone()
    moved[0, 0, 0] = 1e6  # two of three keypoints are right: OKS 2/3
    found = _detections([[0, 0, 40, 50]] * 2, [1, 1], [0.9, 0.8], torch.cat((moved, keypoints)))
    scores = evaluate(dataset, [found], "keypoints")
    # Up to 0.65 the first detection takes the object, from 0.7 the second does, behind a mistake.
    assert scores.ap == pytest.approx((4 * 1 + 6 * 0.5) / 10)
    assert (scores.ap50, scores.ap75) == (1, 0.5)
    assert isnan(scores.ap_small) and isnan(scores.ap_large)
    assert scores.ap_medium == 1  # the first detection is large, so that it is no mistake there
    assert scores.per_class["person"] == scores.ap and isnan(scores.per_class["cat"])


def test_only_twenty_detections_of_a_class_count():
    keypoints = torch.tensor([[[10.0, 10, 2], [20, 10, 2], [10, 30, 2]]])
    dataset = Items([(torch.zeros(3, 8, 8), _target([[0, 0, 40, 50]], keypoints))])
    far = keypoints + 500
    for n_wrong, ap in ((19, 1 / 20), (20, 0)):
        rows = torch.cat((far.repeat(n_wrong, 1, 1), keypoints))
        scores = torch.linspace(1, 0.1, n_wrong + 1)
        found = _detections(torch.rand(n_wrong + 1, 4), [1] * (n_wrong + 1), scores, rows)
        assert evaluate(dataset, [found], "keypoints").ap == pytest.approx(ap)


def test_figures_score_equally_here_and_in_pycocotools(tmp_path):
    scenes = Figures(8, size=96, n_objects=(0, 4), seed=5)
    rng, detections = torch.Generator().manual_seed(0), []
    for _, target in scenes:
        rows = torch.arange(len(target["boxes"])).repeat(3)
        keypoints = target["keypoints"][rows]
        keypoints = keypoints + 1.5 * torch.randn(keypoints.shape, generator=rng)
        scores = torch.rand(len(rows), generator=rng)
        detections.append(_detections(target["boxes"][rows], [1] * len(rows), scores, keypoints))
    write_coco(scenes, tmp_path)
    folder, file = _open(tmp_path), tmp_path / "results.json"
    scores = ours(evaluate(scenes, detections, "keypoints"))
    assert 0.05 < scores[0] < 0.95 and scores[3] > 0  # most figures are small
    np.testing.assert_array_equal(ours(evaluate(folder, detections, "keypoints")), scores)
    file.write_text(json.dumps(coco_results(scenes, detections, "keypoints")))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "annotations.json")
    expected = reference(coco, json.loads(file.read_text()), scenes.sigmas, 1)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    read = read_results(folder, file)
    np.testing.assert_array_equal(ours(evaluate(folder, read, "keypoints")), scores)


def _open(folder):
    return CocoFolder(folder / "images", folder / "annotations.json")


def test_results_are_written_and_read_in_cocos_format(tmp_path):
    scenes, file = Figures(3, size=48, n_objects=(1, 2)), tmp_path / "results.json"
    detections = []
    for _, target in scenes:
        n, masks = len(target["boxes"]), target["masks"]
        found = _detections(target["boxes"], [1] * n, torch.rand(n), target["keypoints"])
        detections.append(replace(found, masks=masks))
    detections[1] = detections[1][:0]
    (entry, *_) = coco_results(scenes, detections, "keypoints")
    assert set(entry) == {"image_id", "category_id", "score", "keypoints"}
    assert len(entry["keypoints"]) == 21
    whole = coco_results(scenes, detections)
    assert set(whole[0]) == {*entry, "bbox", "segmentation"}
    assert "keypoints" not in coco_results(scenes, detections, "segm")[0]
    assert "keypoints" not in coco_results(scenes, detections, "bbox")[0]
    assert write_results(scenes, detections, file) == len(whole)
    for written, found in zip(detections, read_results(scenes, file), strict=True):
        assert found.keypoints.float().equal(written.keypoints)
        assert found.boxes.float().equal(written.boxes) and found.masks.equal(written.masks)
    # Without boxes, as COCO's own files are: those around the keypoints take their place.
    file.write_text(json.dumps(coco_results(scenes, detections, "keypoints")))
    for written, found in zip(detections, read_results(scenes, file), strict=True):
        x, y, _ = written.keypoints.unbind(2)
        around = torch.stack((x.amin(1), y.amin(1), x.amax(1), y.amax(1)), dim=1)
        assert found.boxes.float().equal(around) and found.masks is None
    file.write_text("[]")
    assert [len(found) for found in read_results(scenes, file)] == [0, 0, 0]
    assert ours(evaluate(scenes, read_results(scenes, file), "keypoints"))[0] == 0


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([1, 2, 1], "the keypoints are 3 numbers: expected 21"),
        ("left", 'the keypoints are the text "left"'),
        ([float("nan")] * 21, "the keypoints have the number NaN"),
        ([None] * 21, "the keypoints have null"),
    ],
)
def test_results_that_cannot_be_read_are_named(tmp_path, keypoints, message):
    scenes, file = Figures(1, size=48), tmp_path / "results.json"
    entry = {"image_id": 0, "category_id": 1, "score": 0.5, "keypoints": keypoints}
    file.write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=f"results.json: entry 0: {message}"):
        read_results(scenes, file)


def test_what_cannot_be_compared_is_refused():
    keypoints = torch.ones(1, 3, 3)
    target = _target([[0, 0, 40, 50]], keypoints)
    good = _detections([[0, 0, 40, 50]], [1], [0.9], keypoints)

    def score(target=target, found=good, kind=Items, **settings):
        return evaluate(kind([(torch.zeros(3, 8, 8), target)]), [found], "keypoints", **settings)

    assert score().ap == 1
    with pytest.raises(ValueError, match="image 0: the prediction has no keypoints to compare"):
        score(found=replace(good, keypoints=None))
    with pytest.raises(ValueError, match="image 0: the target has no keypoints"):
        score({"boxes": target["boxes"], "labels": target["labels"]})
    with pytest.raises(ValueError, match=r"prediction has 1 labels and keypoints of shape \[1, 2"):
        score(found=replace(good, keypoints=keypoints[:, :2]))
    with pytest.raises(ValueError, match=r"target has 1 labels and keypoints of shape \[1, 4, 3"):
        score(target | {"keypoints": torch.ones(1, 4, 3)})
    with pytest.raises(ValueError, match=r"keypoints of shape \[2, 3, 3\]"):
        score(found=replace(good, keypoints=torch.ones(2, 3, 3)))
    with pytest.raises(ValueError, match="object 0 has keypoints that are NaN or infinite"):
        score(found=replace(good, keypoints=keypoints * float("nan")))
    with pytest.raises(ValueError, match="iou_type='bbox' writes boxes"):
        coco_results(
            Items([(torch.zeros(3, 8, 8), target)]), [replace(good, keypoints=None)], "keypoints"
        )

    class Nameless(Items):
        keypoints = ()

    class WithoutSigmas(Items):
        sigmas = ()

    with pytest.raises(ValueError, match="the data has no keypoints"):
        score(kind=Nameless)
    with pytest.raises(ValueError, match="the sigmas of 3 keypoints are not known: give them"):
        score(kind=WithoutSigmas)
    assert score(kind=WithoutSigmas, sigmas=SIGMAS).ap == 1
    for wrong in ((0.1, 0.1), (0.1, 0.1, 0), (0.1, 0.1, nan), (0.1, 0.1, -1)):
        with pytest.raises(ValueError, match="give 3 numbers above 0, one a keypoint"):
            score(sigmas=wrong)


def test_given_sigmas_count_more_than_the_datasets():
    assert keypoint_sigmas(as_dataset(Items())).tolist() == list(SIGMAS)
    assert keypoint_sigmas(as_dataset(Items()), [1, 2, 3]).tolist() == [1, 2, 3]
    assert keypoint_sigmas(as_dataset(People())).tolist() == list(COCO_SIGMAS)


def test_masks_give_the_area_of_an_object_that_has_none():
    masks = torch.zeros(1, 60, 60, dtype=torch.bool)
    masks[0, :30, :30] = True
    keypoints = torch.tensor([[[10.0, 10, 2], [20, 10, 2], [10, 30, 2]]])
    found = _detections([[0, 0, 40, 50]], [1], [0.9], keypoints + 1)
    target = _target([[0, 0, 60, 60]], keypoints)
    scores = []
    for more in ({"masks": masks}, {"masks": encode_masks(masks)}, {"area": torch.tensor([900.0])}):
        dataset = Items([(torch.zeros(3, 60, 60), target | more)])
        scores.append(ours(evaluate(dataset, [found], "keypoints")))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    dataset = Items([(torch.zeros(3, 60, 60), target)])  # the box's area is four times as large
    assert evaluate(dataset, [found], "keypoints").ap > scores[0][0]


def test_detections_keep_their_keypoints():
    keypoints = torch.rand(4, 3, 3)
    found = _detections(torch.rand(4, 4), [1] * 4, torch.rand(4), keypoints)
    assert found[1:3].keypoints.equal(keypoints[1:3]) and found[2].keypoints.equal(keypoints[2:3])
    assert found[found.scores > 2].keypoints.shape == (0, 3, 3)
    assert replace(found, keypoints=None)[0].keypoints is None
    assert Detections(found.boxes, found.labels, found.scores, None, None).keypoints is None
