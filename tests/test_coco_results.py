"""Detections as COCO's results JSON: pycocotools and `evaluate` score the same file equally."""

import contextlib
import io
import json
from math import nan

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data import CocoFolder, Shapes, Wrapper
from mrcnn_edu.data.regions import encode_mask
from mrcnn_edu.data.rle import decode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import (
    coco_results,
    evaluate,
    image_results,
    read_results,
    write_results,
)


@pytest.fixture
def folder(tmp_path):
    """A COCO folder with gaps in its ids, polygons, a crowd and an image without objects."""
    (tmp_path / "images").mkdir()
    crowd = torch.zeros(90, 120, dtype=torch.bool)
    crowd[60:, ::2] = True
    rows = [  # image, category, box, crowd
        (30, 7, [10, 10, 30, 40], 0),
        (30, 3, [50.5, 5, 40, 60], 0),
        (30, 3, [0, 60, 120, 30], 1),
        (5, 90, [0, 0, 120, 90], 0),
        (5, 3, [100, 70, 4, 9], 0),
    ]
    annotations = []
    for i, (image, category, (x, y, w, h), is_crowd) in enumerate(rows, start=1):
        region = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        region = encode_mask(crowd) if is_crowd else region
        annotation = {"id": i, "image_id": image, "category_id": category, "bbox": [x, y, w, h]}
        annotation |= {"area": w * h / (1 + is_crowd), "iscrowd": is_crowd}
        annotations.append(annotation | {"segmentation": region})
    images = [{"id": i, "file_name": f"{i}.png", "height": 90, "width": 120} for i in (30, 5, 12)]
    for image in images:
        Image.new("RGB", (120, 90)).save(tmp_path / "images" / image["file_name"])
    categories = [{"id": i, "name": f"kind {i}"} for i in (90, 3, 7)]
    contents = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations.json").write_text(json.dumps(contents))
    return tmp_path


def _open(folder):
    return CocoFolder(folder / "images", folder / "annotations.json")


def _detections(dataset, seed):
    """Objects moved a little, and others; also crowds, so that some detections fall into one."""
    rng, detections = np.random.default_rng(seed), []
    for index in range(len(dataset)):
        target = dataset.target(index)
        boxes = target["boxes"].repeat(3, 1)
        boxes = boxes + torch.from_numpy(rng.normal(scale=2, size=boxes.shape)).float()
        boxes = torch.cat((boxes, torch.tensor([[20.0, 20, 60, 50], [1, 62, 30, 80]])))
        boxes = boxes.clamp(torch.zeros(4), torch.tensor([120.0, 90, 120, 90]))
        labels = torch.cat((target["labels"].repeat(3), torch.tensor([1, 1])))
        masks = torch.zeros(len(boxes), 90, 120, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = True
        scores = torch.from_numpy(rng.choice([0.3, 0.6, 0.9], size=len(boxes))).float()
        detections.append(Detections(boxes, labels, scores, masks, None))
    return detections


def _pycocotools(folder, file, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(folder / "annotations.json")
        entries = json.loads(file.read_text())
        if kind == "segm":  # given both, it takes a mask to be as large as its box
            entries = [{k: v for k, v in entry.items() if k != "bbox"} for entry in entries]
        evaluator = COCOeval(coco, coco.loadRes(entries), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [nan if value < 0 else value for value in evaluator.stats[:6]]


def _scores(scores):
    return [getattr(scores, n) for n in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")]


def test_a_written_file_scores_equally_here_and_in_pycocotools(folder):
    dataset, file = _open(folder), folder / "out" / "results.json"
    for seed in range(5):
        detections = _detections(dataset, seed)
        assert write_results(dataset, detections, file) == sum(map(len, detections))
        assert {entry["category_id"] for entry in json.loads(file.read_text())} == {3, 7, 90}
        for kind in ("segm", "bbox"):
            ours = _scores(evaluate(dataset, detections, kind))
            assert 0.01 < ours[0] < 0.99
            expected = _pycocotools(folder, file, kind)
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
            read = _scores(evaluate(dataset, read_results(dataset, file), kind))
            np.testing.assert_array_equal(read, ours)


def test_what_is_read_is_what_was_written(folder):
    dataset, file = _open(folder), folder / "results.json"
    detections = _detections(dataset, 0)
    write_results(dataset, detections, file)
    for written, read in zip(detections, read_results(dataset, file), strict=True):
        assert torch.equal(written.masks, read.masks) and torch.equal(written.labels, read.labels)
        torch.testing.assert_close(read.boxes.float(), written.boxes, rtol=0, atol=0)
        assert torch.equal(read.scores.float(), written.scores)


def test_masks_alone_polygons_and_boxes_alone(folder):
    dataset, file = _open(folder), folder / "results.json"
    polygon = [[10, 10, 40, 10, 40, 50, 10, 50]]
    entry = {"image_id": 30, "category_id": 7, "score": 1}
    file.write_text(json.dumps([entry | {"segmentation": polygon}]))
    detections = read_results(dataset, file)
    assert [len(one) for one in detections] == [0, 0, 1] and detections.has_masks
    assert (
        detections[2].boxes.tolist() == [[10, 10, 40, 50]] and detections[2].masks.sum() == 30 * 40
    )
    assert evaluate(dataset, detections).per_class["kind 7"] == 1
    file.write_text(json.dumps([entry | {"bbox": [10, 10, 30, 40]}]))
    detections = read_results(dataset, file)
    assert (
        not detections.has_masks and evaluate(dataset, detections, "bbox").per_class["kind 7"] == 1
    )


def test_no_detection_is_a_file_too(folder):
    dataset, file = _open(folder), folder / "results.json"
    nothing = Detections(
        torch.zeros(0, 4),
        torch.zeros(0).long(),
        torch.zeros(0),
        torch.zeros(0, 90, 120).bool(),
        None,
    )
    assert write_results(dataset, [nothing] * 3, file) == 0
    assert json.loads(file.read_text()) == []
    detections = read_results(dataset, file)
    assert [len(one) for one in detections] == [0, 0, 0]
    assert evaluate(dataset, detections).ap == evaluate(dataset, detections, "bbox").ap == 0


def test_a_file_is_whole_or_as_it_was(folder):
    class Broken(Wrapper):
        def target(self, index):
            if index == 2:
                raise OSError("the disk is gone")
            return self.dataset.target(index)

    dataset, file = _open(folder), folder / "results.json"
    file.write_text("before")
    detections = _detections(dataset, 0)
    with pytest.raises(OSError, match="the disk is gone"):  # at the last image
        write_results(Broken(dataset), detections, file)
    assert file.read_text() == "before" and len(list(folder.glob("results*"))) == 1
    detections[2].boxes = None
    with pytest.raises(ValueError, match="image 2: the prediction has no boxes"):
        write_results(dataset, detections, file)
    assert file.read_text() == "before" and len(list(folder.glob("results*"))) == 1


def test_a_target_comes_without_its_image(folder):
    dataset = _open(folder)
    whole = [dataset[i][1] for i in range(3)]
    for image in (folder / "images").iterdir():
        image.unlink()
    for i, target in enumerate(whole):
        alone = dataset.target(i)
        assert alone.keys() == target.keys()
        alone["masks"] = decode_masks(alone["masks"])
        for name, value in target.items():
            assert torch.equal(torch.as_tensor(alone[name]), torch.as_tensor(value)), name
    del dataset.records[0]["height"]
    with pytest.raises(FileNotFoundError, match="no such image"):
        dataset.target(0)  # without a size in the JSON the image is needed


def test_bad_files_are_refused(folder):
    dataset, file = _open(folder), folder / "results.json"
    good = {"image_id": 30, "category_id": 7, "score": 0.5, "bbox": [1, 2, 3, 4]}
    small = {"size": [9, 9], "counts": "1"}
    for contents, message in (
        ("{", "is not valid JSON, or was cut short"),
        ("{}", "expected a list of detections"),
        ([{"image_id": 30}], "entry 0 has no 'category_id'"),
        ([good, good | {"category_id": 1}], "entry 1 has category id 1, which the data does not"),
        ([good | {"image_id": 31}], "entry 0 is of image 31, which the data lacks"),
        ([good | {"bbox": None}], "entry 0: there is no bbox"),
        ([good, good | {"score": None}], "entry 1 has the score null where a number belongs"),
        (
            [good, good | {"score": 10**400}],
            "entry 1 has the score the number 1000.* where a number",
        ),
        ([good | {"score": [0.5]}], r"entry 0 has the score the list \[0.5\] where a number"),
        ([good | {"score": True}], "entry 0 has the score true where a number"),
        ([good | {"score": float("nan")}], "entry 0 has the score the number NaN where a number"),
        ([good | {"image_id": None}], "entry 0 has the image_id null where an id belongs"),
        ([good | {"image_id": [30]}], "entry 0 has the image_id the list"),
        ([good | {"category_id": {}}], "entry 0 has the category_id the object {} where an id"),
        ([good, {k: v for k, v in good.items() if k != "bbox"}], "entry 1 has no bbox"),
        ([good, good | {"bbox": [1, 2, None, 4]}], "entry 1: the bbox .* null where a number"),
        ([good, good | {"bbox": [1, 2, 3]}], "entry 1: the bbox is not"),
        ([good, None], "entry 1 has no 'image_id'"),
        ([good | {"segmentation": small}], "entry 0 has .*: the mask is 9 x 9, the image 120"),
        ([good | {"segmentation": 3}], "entry 0 has a segmentation that cannot be read"),
        ([good | {"segmentation": small | {"size": [90, 120]}}], "do not add up"),
    ):
        file.write_text(contents if isinstance(contents, str) else json.dumps(contents))
        with pytest.raises(ValueError, match=message):
            read_results(dataset, file)
    with pytest.raises(FileNotFoundError, match="no such file of detections"):
        read_results(dataset, folder / "lost.json")


def test_scenes_have_labels_for_ids(tmp_path):
    scenes = Shapes(2, seed=3)
    targets = [scenes[i][1] for i in range(2)]
    detections = [
        Detections(t["boxes"], t["labels"], torch.ones(len(t["boxes"])), t["masks"], None)
        for t in targets
    ]
    write_results(scenes, detections, tmp_path / "results.json")
    assert evaluate(scenes, read_results(scenes, tmp_path / "results.json")).ap == 1


def test_labels_that_keep_the_category_ids_are_read_again(folder):
    dataset = CocoFolder(folder / "images", folder / "annotations.json", keep_ids=True)
    detections = _detections(dataset, 0)
    detections[0].labels[0] = 12  # the id of no category, which a model with 91 outputs may predict
    write_results(dataset, detections, folder / "results.json")
    read = read_results(dataset, folder / "results.json")
    for written, again in zip(detections, read, strict=True):
        assert torch.equal(written.labels, again.labels)


def test_a_wrapped_folder_keeps_its_category_ids(folder):
    dataset = _open(folder)
    detections = _detections(dataset, 0)
    assert coco_results(Wrapper(dataset), detections) == coco_results(dataset, detections)


def test_the_results_of_one_image_are_a_part_of_all(folder):
    dataset = _open(folder)
    detections = _detections(dataset, 0)
    expected = [r for r in coco_results(dataset, detections) if r["image_id"] == 30]
    assert list(image_results(detections[2], 30, dataset.category_ids)) == expected
    without_ids = list(image_results(detections[2], 30))
    assert [r["category_id"] for r in without_ids] == detections[2].labels.tolist()
    with pytest.raises(ValueError, match="'mask': choose 'segm', 'bbox' or 'keypoints'"):
        coco_results(dataset, detections, "mask")
