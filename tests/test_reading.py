"""Whatever stands in a field of a COCO file: a value or a problem, never an exception of Python's.

What `check` says agrees with what loading does: an item that cannot be read has a problem, and an
annotation without a problem is read.
"""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from mrcnn_edu.data import CocoFolder, Reading, check
from mrcnn_edu.data.coco_json import read_coco_json
from mrcnn_edu.data.fields import read_id, read_integer, read_number, read_truth
from mrcnn_edu.data.overview import overview
from mrcnn_edu.data.regions import decode_mask
from mrcnn_edu.data.tally import tally

SQUARE = [4, 3, 14, 3, 14, 13, 4, 13]
HOSTILE = [
    None, True, False, 0, 1, -1, 2, 3.5, -0.0, 1e12, 1e308, -1e308, 10**30, 10**400, float("nan"),
    float("inf"), "", " ", "0", "1", "7", "1e400", "nan", "text", "ÿ\x00", [], [0], [[]], [[0]],
    [None] * 4, [1, 2, 3], [1, 2, 3, 4], ["1", "2", "3", "4"], [float("nan")] * 4, [1e300] * 4,
    [[1, 2, 3, 4, 5, 6, 7]], [[1e9] * 6], [[0, 0, 1e7, 0, 5e7, 9]], [["a"] * 6], [SQUARE, 5],
    [SQUARE, {}], [{}], {}, {"size": [20, 30]}, {"size": [20, 30], "counts": []},
    {"size": [20, 30], "counts": [1e18, -1e18]}, {"size": [20, 30], "counts": "~" * 99},
    {"size": [20, 30], "counts": "o" * 5000}, {"size": [2**40, 2**40], "counts": [2**80]},
    {"size": "2030", "counts": [600]}, {"size": [20, 30], "counts": {"a": 1}},
    {"size": [30, 20], "counts": [600]}, {"counts": [600]}, {"$oid": "5"}, "[[1,2,", "[]", "{}",
]  # fmt: skip
FIELDS = {
    "annotations": ["id", "image_id", "category_id", "bbox", "segmentation", "area", "iscrowd"],
    "images": ["id", "file_name", "height", "width"],
    "categories": ["id", "name"],
}
READINGS = [
    Reading(),
    Reading(crowds="objects", boxes="from-masks"),
    Reading(boxes_only=True),
]


def contents():
    annotations = [
        {"id": i, "image_id": i, "category_id": i, "bbox": [4, 3, 10, 10], "area": 100}
        | {"iscrowd": 0, "segmentation": [SQUARE]}
        for i in (1, 2)
    ]
    images = [{"id": i, "file_name": f"{i}.png", "height": 20, "width": 30} for i in (1, 2)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for i in (1, 2):
        Image.new("RGB", (30, 20)).save(folder / f"{i}.png")
    return folder


def opened(images, tmp_path, data, reading=None):
    (tmp_path / "a.json").write_text(json.dumps(data))
    return CocoFolder(images, tmp_path / "a.json", reading=reading)


def sound(images, tmp_path):
    return [opened(images, tmp_path, contents())[i][1] for i in (0, 1)]


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("name, field", [(n, f) for n, fields in FIELDS.items() for f in fields])
def test_any_value_is_read_or_a_problem(images, tmp_path, name, field, reading):
    n_read = n_refused = 0
    for value in [*HOSTILE, "missing"]:
        data = contents()
        if value == "missing":
            del data[name][1][field]
        else:
            data[name][1][field] = deepcopy(value)
        folder = opened(images, tmp_path, data, reading)
        problems = [problem for problem in check(folder) if not problem.is_note]
        assert all(isinstance(str(problem), str) for problem in problems)
        count = tally(folder)
        assert count.annotations == len(data["annotations"])
        overview(folder)
        n_items = 0
        for index in range(len(folder)):
            try:
                image, target = folder[index]
            except (ValueError, FileNotFoundError) as error:
                assert "a.json" in str(error) or "check-data" in str(error)
                assert problems, (value, error)
                n_refused += 1
                continue
            n_items += 1
            assert len({len(target[n]) for n in ("boxes", "labels", "area", "iscrowd")}) == 1
            assert target["boxes"].dtype == torch.float32 and target["boxes"].isfinite().all()
            assert target["area"].isfinite().all() and image.shape == (3, 20, 30)
        if not problems:  # then nothing is lost
            assert n_items == 2 and count.of_no_image == count.unreadable == 0, value
            n_read += 1
    assert n_read + n_refused > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"image_id": "2", "category_id": "2", "id": "2"},
        {"image_id": 2.0, "category_id": 2.0},
        {"iscrowd": "0"}, {"iscrowd": False}, {"iscrowd": None}, {"iscrowd": "False"},
        {"bbox": ["4", "3", "10", "10"], "area": "100"},
        {"area": None}, {"area": float("nan")}, {"area": -3}, {"area": []},
        {"segmentation": SQUARE},
        {"segmentation": [[str(v) for v in SQUARE]]},
        {"segmentation": [[4, 3], [14, 3], [14, 13], [4, 13]]},
        {"segmentation": [[[4, 3], [14, 3], [14, 13], [4, 13]]]},
        {"segmentation": json.dumps([SQUARE])},
        {"segmentation": [SQUARE, [1, 1, 2, 2]]},
    ],
    ids=str,
)  # fmt: skip
def test_what_tools_write_is_read_as_it_is_meant(images, tmp_path, changes):
    expected = sound(images, tmp_path)[1]
    data = contents()
    data["annotations"][1].update(changes)
    target = opened(images, tmp_path, data)[1][1]
    for name, value in expected.items():
        same = torch.equal(value, target[name]) if torch.is_tensor(value) else value == target[name]
        assert same, name


def test_run_lengths_in_every_form(images, tmp_path):
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:13, 4:14] = True
    changes = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0))
    counts = np.diff([0, *changes.tolist(), 600]).tolist()
    from pycocotools import mask as coco

    text = coco.encode(np.asfortranarray(mask))["counts"].decode()
    halves = []
    for columns in (slice(0, 9), slice(7, 30)):
        half = np.zeros_like(mask)
        half[:, columns] = mask[:, columns]
        halves.append({"size": [20, 30], "counts": coco.encode(np.asfortranarray(half))["counts"]})
    forms = [
        {"size": [20, 30], "counts": counts},
        {"size": [20.0, "30"], "counts": [float(count) for count in counts]},
        {"size": [20, 30], "counts": text},
        {"size": [20, 30], "counts": repr(text.encode())},
        [{"size": [20, 30], "counts": text}],
        json.dumps({"size": [20, 30], "counts": counts}),
        halves,
    ]
    for form in forms:
        assert np.array_equal(decode_mask(form, 20, 30), mask), form


def test_a_far_off_point_is_refused_before_it_is_drawn():
    for far in (1e5, 1e7, 5e7, 1e18, 1e308):
        with pytest.raises(ValueError, match="far outside of the image of 128 x 96"):
            decode_mask([[0, 0, far, 0, 9, 9]], 96, 128)
    for near in (-50, 200, 900):  # tools let polygons leave the image
        assert decode_mask([[0, 0, near, 0, 9, 60]], 96, 128).shape == (96, 128)


def test_crowds_that_are_objects(images, tmp_path):
    data = contents()
    for annotation in data["annotations"]:
        annotation["iscrowd"] = 1
    folder = opened(images, tmp_path, data)
    assert folder[0][1]["iscrowd"].tolist() == [True]
    assert tally(folder).crowds == 2 and tally(folder).objects == 0
    with pytest.raises(ValueError, match=r"2 of 2 annotations are crowds.*--crowds objects"):
        tally(folder).check("here")
    assert any("no object can be learned" in str(problem) for problem in check(folder))
    folder = opened(images, tmp_path, data, Reading(crowds="objects"))
    assert folder[0][1]["iscrowd"].tolist() == [False]
    assert check(folder) == [] and tally(folder).objects == 2
    assert folder.fingerprint != opened(images, tmp_path, data).fingerprint


@pytest.mark.parametrize("box", [None, [], [1, 1, 2, 2], ["a"] * 4, [0, 0, 0, 0], "text"])
def test_boxes_from_masks(images, tmp_path, box):
    data = contents()
    data["annotations"][1]["bbox"] = box
    assert check(opened(images, tmp_path, data))
    folder = opened(images, tmp_path, data, Reading(boxes="from-masks"))
    assert check(folder) == []
    assert folder[1][1]["boxes"].tolist() == [[4, 3, 14, 13]]
    assert overview(folder).boxes[1].tolist() == [[4, 3, 14, 13]]
    data["annotations"][1]["segmentation"] = []  # without a mask, there is no box either
    folder = opened(images, tmp_path, data, Reading(boxes="from-masks"))
    assert [len(folder[1][1][name]) for name in ("boxes", "labels", "masks", "area")] == [0] * 4


def test_boxes_only(images, tmp_path):
    data = contents()
    for annotation in data["annotations"]:
        annotation["segmentation"] = []
    folder = opened(images, tmp_path, data)
    with pytest.raises(ValueError, match="--boxes-only"):
        tally(folder).check("here")
    folder = opened(images, tmp_path, data, Reading(boxes_only=True))
    assert check(folder) == [] and "masks" not in folder[0][1] and tally(folder).objects == 2
    with pytest.raises(ValueError, match="boxes-only leaves the masks out"):
        Reading(boxes="from-masks", boxes_only=True)


def test_a_tally_counts_each_annotation_once(images, tmp_path):
    data = contents()
    kinds = [
        {"iscrowd": 1}, {"image_id": 9}, {"image_id": None}, {"bbox": [1, 2, 0, 3]},
        {"category_id": 5}, {"segmentation": []}, {"segmentation": "text"}, {"bbox": None},
    ]  # fmt: skip
    data["annotations"] += [data["annotations"][0] | {"id": i} | k for i, k in enumerate(kinds, 3)]
    data["annotations"].append(7)
    count = tally(opened(images, tmp_path, data))
    assert str(count) == (
        "2 images, 3 objects to learn, 1 crowd, 1 object without a mask, 1 box without area, "
        "4 annotations that cannot be read, 2 annotations of no image"
    )
    assert count.annotations == 11
    with pytest.raises(ValueError, match="here: 4 of 11 annotations cannot be read"):
        count.check("here")


def test_classes_are_matched_by_name(images, tmp_path):
    folder = opened(images, tmp_path, contents())
    matched = folder.with_classes(["owl", " Dog ", "cat"])
    assert matched.classes == ["owl", " Dog ", "cat"] and matched.category_ids == [1, 2, 1]
    assert [matched[i][1]["labels"].tolist() for i in (0, 1)] == [[3], [2]]
    assert [folder[i][1]["labels"].tolist() for i in (0, 1)] == [[1], [2]]
    with pytest.raises(ValueError, match=r"a.json: 'dog' is none of \['cat'\]"):
        folder.with_classes(["cat"])
    with pytest.raises(ValueError, match="two classes have one name"):
        folder.with_classes(["cat", "dog", "Dog"])


def test_the_rules():
    assert [read_id(v) for v in (7, 7.0, "7", " 7 ", "007", "a b", -1)] == [
        7, 7, 7, 7, "007", "a b", -1
    ]  # fmt: skip
    assert [read_truth(v) for v in (None, 0, 1, True, 1.0, "true", "No", "0")] == [
        False, False, True, True, True, True, False, False
    ]  # fmt: skip
    assert [read_number(v) for v in (1, "1.5", " -2e3 ")] == [1, 1.5, -2000]
    assert [read_integer(v) for v in (1, "1", 1.0, 10**30)] == [1, 1, 1, 10**30]
    for rule in (read_id, read_truth, read_number, read_integer):
        for value in ([0], {}, "", float("nan"), [1, 2]):
            with pytest.raises(ValueError, match="belong"):
                rule(value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_are_read(tmp_path, encoding):
    file = tmp_path / "a.json"
    file.write_bytes(json.dumps(contents()).encode(encoding))
    assert len(read_coco_json(file).records) == 2


def test_latin_1_is_refused_with_its_line(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes('{"images": [],\n"name": "café"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"a.json is not in UTF-8 \(line 2\)"):
        read_coco_json(file)


def test_a_box_outside_of_its_image_is_a_problem_before_training(images, tmp_path):
    for box in ([30, 3, 5, 5], [-9, 3, 9, 5], [4, -8, 5, 8], [4, 20, 5, 1], [1e6, 1e6, 5, 5]):
        data = contents()
        data["annotations"][1].update(bbox=box, id="b")
        folder = opened(images, tmp_path, data)
        with pytest.raises(ValueError, match=r"2, annotation b: the box .* is outside of the im"):
            tally(folder).check("here")
        with pytest.raises(ValueError, match="outside of the image"):
            folder[1]
        assert any(problem.annotation_id == "b" for problem in check(folder))
