"""Every kind of wrong data is found, with its location, and correct data gives no problem."""

import json
import random
import re

import pytest
import torch
from PIL import Image

from mrcnn_edu.data import Augmented, Cached, CocoFolder, Figures, Shapes, check, write_coco
from mrcnn_edu.data.problem import Problem


def contents():
    """Two images (1 and 2), each with one object (11 and 12) of its own category."""
    square = [2, 3, 12, 3, 12, 8, 2, 8]
    images = [{"id": i, "file_name": f"{i}.png", "height": 20, "width": 30} for i in (1, 2)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    annotations = [
        {"id": 10 + i, "image_id": i, "category_id": i, "bbox": [2, 3, 10, 5], "area": 50}
        | {"iscrowd": 0, "segmentation": [square]}
        for i in (1, 2)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def folder(path, data):
    (path / "images").mkdir(exist_ok=True)
    for i in (1, 2):
        Image.new("RGB", (30, 20)).save(path / "images" / f"{i}.png")
    (path / "a.json").write_text(json.dumps(data))
    return CocoFolder(path / "images", path / "a.json")


def test_correct_data_has_no_problem(tmp_path):
    assert check(folder(tmp_path, contents())) == []
    shapes = Shapes(20, size=48)
    assert check(shapes) == []
    write_coco(shapes, tmp_path / "shapes")
    assert (
        check(CocoFolder(*(tmp_path / "shapes" / n for n in ("images", "annotations.json")))) == []
    )


RUNS = {"size": [20, 30], "counts": [600]}
ANNOTATIONS = {
    "the box has no area": {"bbox": [2, 3, 0, 5]},
    r"the box has no area: corners \(2, 3, -2, 8\)": {"bbox": [2, 3, -4, 5]},
    "the bbox is not .*: it has the number NaN": {"bbox": [float("nan"), 3, 4, 5]},
    r"box leaves the image of 30 x 20: corners \(25, 3, 35, 8\)": {"bbox": [25, 3, 10, 5]},
    "the box leaves the image": {"bbox": [-3, 3, 15, 5]},
    r"the bbox is not \[x, y, width, height\]": {"bbox": [1, 2]},
    "category_id is the number 5, which no category has": {"category_id": 5},
    "category_id is the number 0, which no category has": {"category_id": 0},
    "the category_id is the list .1.": {"category_id": [1]},
    "there is no category_id": {"category_id": None},
    "iscrowd is the list .0.": {"iscrowd": [0]},
    "are height and width swapped": {"segmentation": {"size": [30, 20], "counts": [600]}},
    "odd number of coordinates, 7": {"segmentation": [[2, 3, 12, 3, 12, 8, 2]]},
    "far outside of the image": {"segmentation": [[2, 3, 1e7, 3, 12, 8]]},
    "area and mask disagree: the area is 600": {"area": 600},
    r"bbox looks like x1, y1, x2, y2: the list \[2, 3, 12, 8\]": {"bbox": [2, 3, 12, 8]},
    "bbox looks like fractions": {"bbox": [0.1, 0.2, 0.4, 0.3]},
    "the mask is 8 x 9, the image 30 x 20": {"segmentation": {"size": [9, 8], "counts": [72]}},
    "runs do not add up": {"segmentation": {"size": [20, 30], "counts": [5]}},
    "neither polygons nor RLE": {"segmentation": 7},
    "the mask is empty": {"segmentation": RUNS},
    "there is no segmentation": {"segmentation": []},
    r"no area: corners \(12, 3, 12, 8\)": {"bbox": [12, 3, 1e-14, 5]},  # not in float32
    "it has the number Infinity": {"bbox": [2, 3, float("inf"), 5]},
    'area is not used, .* it is the text "big"': {"area": "big"},
    "it is the number -3, which is negative": {"area": -3},
    "fewer than three points": {"segmentation": [[2, 3, 12, 3, 12, 8, 2, 8], [1, 1, 2, 2]]},
    r"box and mask disagree: .* around the mask \(2, 3, 12, 8\)": {"bbox": [15, 3, 10, 5]},
}


@pytest.mark.parametrize("message", ANNOTATIONS)
def test_a_wrong_annotation_is_found(tmp_path, message):
    data = contents()
    data["annotations"][1].update(ANNOTATIONS[message])
    found = [p for p in check(folder(tmp_path, data)) if not p.is_note]
    file = str(tmp_path / "images" / "2.png")
    assert {p[:3] for p in found} == {(file, 2, 12)}
    assert any(_matches(message, p.message) for p in found)
    # A wrong box often disagrees with the mask or leaves the image, too.
    others = "disagree|leaves" if "bbox" in ANNOTATIONS[message] else "$never"
    assert all(_matches(message, p.message) or _matches(others, p.message) for p in found)


def test_data_without_any_annotation_is_found(tmp_path):
    data = contents() | {"annotations": []}
    (problem,) = check(folder(tmp_path, data))
    assert "no annotation, so nothing can be learned" in problem.message


def _matches(pattern, text):
    return re.search(pattern, text) is not None


def test_small_differences_are_no_problem(tmp_path):
    data = contents()
    data["annotations"][0]["bbox"] = [1.2, 2.4, 11.5, 6]  # rounded by a labeling tool
    data["annotations"][1].update(bbox=[-0.3, 0, 30.5, 20.2], area=300)
    data["annotations"][1]["segmentation"] = [[0, 0, 30, 0, 30, 20]]
    tiny = {"id": 13, "bbox": [5, 5, 0.6, 0.4], "segmentation": [[5, 5, 7, 5, 7, 6, 5, 6]]}
    data["annotations"].append(data["annotations"][0] | tiny)
    assert check(folder(tmp_path, data)) == []


def test_wrong_image_files_are_found(tmp_path):
    dataset = folder(tmp_path, contents())
    first, second = (tmp_path / "images" / f"{i}.png" for i in (1, 2))
    first.unlink()
    second.write_bytes(second.read_bytes()[:50])
    problems = check(dataset)
    assert [p[:3] for p in problems] == [(str(first), 1, None), (str(second), 2, None)]
    assert "no such image" in problems[0].message
    assert "cannot be read as an image" in problems[1].message
    Image.new("RGB", (30, 20)).save(first)
    Image.new("RGB", (31, 20)).save(second)
    (problem,) = check(dataset)
    assert problem[:3] == (str(second), 2, None)
    assert problem.message == "the image is 31 x 20 pixels, the JSON says 30 x 20"


def test_images_without_a_size_in_the_json_are_found_and_their_files_used(tmp_path):
    data = contents()
    del data["images"][0]["width"]
    data["annotations"][0]["bbox"] = [2, 3, 50, 5]
    data["annotations"][0].update(segmentation=[[2, 3, 30, 3, 30, 8, 2, 8]], area=140)
    problems = check(folder(tmp_path, data))
    assert [p.annotation_id for p in problems] == [None, 11]
    assert "no width and height" in problems[0].message
    assert "leaves the image of 30 x 20" in problems[1].message


def test_wrong_ids_are_found(tmp_path):
    json_file = str(tmp_path / "a.json")

    def problems(change):
        data = contents()
        change(data)
        return [p for p in check(folder(tmp_path, data)) if not p.is_note]

    def same_image_id(data):
        data["images"][1]["id"] = 1
        data["annotations"][1]["image_id"] = 1

    assert problems(same_image_id)[0] == Problem(json_file, 1, None, "2 images have this id")

    def and_a_wrong_box(data):
        same_image_id(data)
        data["annotations"][1]["bbox"] = [2, 3, 0, 5]

    assert [p.annotation_id for p in problems(and_a_wrong_box) if not p.is_note] == [None, 12]
    assert problems(lambda data: data["annotations"][1].update(id=11)) == [
        Problem(json_file, None, 11, "2 annotations have this id")
    ]
    assert problems(lambda data: data["categories"].append({"id": 2, "name": "owl"})) == [
        Problem(json_file, None, None, "2 categories have the id 2")
    ]
    assert problems(lambda data: data["categories"][1].update(name="cat")) == [
        Problem(json_file, None, None, "2 categories have the name 'cat'")
    ]
    assert problems(lambda data: data["annotations"][1].update(image_id=9)) == [
        Problem(json_file, None, 12, "no image has the image_id of this annotation, the number 9")
    ]


def test_all_problems_are_listed_at_once(tmp_path):
    data = contents()
    for row in data["annotations"]:
        row.update(bbox=[2, 3, 0, 5], category_id=5)
    data["annotations"].append({})
    found = check(folder(tmp_path, data))
    assert len([p for p in found if p.annotation_id in (11, 12)]) == 4  # box and category of both
    assert any("no image has the image_id of this annotation, null" in p.message for p in found)
    assert any("no object can be learned" in p.message for p in found)
    assert len(found) == 6


def test_problems_are_found_through_wrappers(tmp_path):
    data = contents()
    data["annotations"][0].update(bbox=[2, 3, 0, 5])
    data["annotations"][1].update(category_id=5)
    wrong = folder(tmp_path, data)
    expected = check(wrong)
    assert [p.annotation_id for p in expected if not p.is_note] == [None, 11, 12]
    correct = folder(tmp_path, contents())

    def brighten(image, objects):
        return image + 2, objects

    def keep(image, objects):
        return image, objects

    assert check(Cached(wrong, 1e6)) == check(Augmented(Cached(wrong, 1e6), keep)) == expected
    assert check(Cached(correct, 1e6)) == check(Augmented(correct, keep)) == []
    too_bright = check(Augmented(correct, brighten))
    assert [p.image_id for p in too_bright] == [1, 2]
    assert all("values are 2..2, not within 0..1" in p.message for p in too_bright)
    assert len(check(Cached(_with(lambda t: t["labels"].fill_(9)), 1e6))) == 2


def test_a_problem_names_its_location():
    assert str(Problem("a.png", 3, 4, "bad")) == "a.png, image 3, annotation 4: bad"
    assert str(Problem("a.png", 0, None, "bad")) == "a.png, image 0: bad"
    assert str(Problem(None, None, None, "bad")) == "dataset: bad"


class Items(list):
    classes = ("cat", "dog")


def items():
    masks = torch.zeros(2, 20, 30, dtype=torch.bool)
    masks[0, 3:8, 2:12] = True
    masks[1, 10:20, 20:30] = True
    boxes = torch.tensor([[2.0, 3, 12, 8], [20, 10, 30, 20]])

    def item():
        target = {"boxes": boxes.clone(), "labels": torch.tensor([1, 2]), "masks": masks.clone()}
        return torch.rand(3, 20, 30), target

    return Items([item(), item()])


def _set_box(target, box):
    target["boxes"][1] = torch.tensor(box)


TARGETS = {
    "box has no area": lambda t: _set_box(t, [20.0, 10, 20, 20]),
    "the box has no area: ": lambda t: _set_box(t, [20.0, 10, float("inf"), 20]),
    "leaves the image of 30 x 20": lambda t: _set_box(t, [20.0, 10, 31, 20]),
    "box and mask disagree": lambda t: _set_box(t, [0.0, 10, 10, 20]),
    "label 0 is none of 1..2": lambda t: t["labels"][1:].fill_(0),
    "label 3 is none of 1..2": lambda t: t["labels"][1:].fill_(3),
    "the mask is empty": lambda t: t["masks"][1:].fill_(False),
}


@pytest.mark.parametrize("message", TARGETS)
def test_a_wrong_object_in_memory_is_found(message):
    dataset = items()
    assert check(dataset) == []
    TARGETS[message](dataset[1][1])
    (problem,) = check(dataset)
    assert problem[:3] == (None, 1, 1) and message in problem.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(labels=t["labels"].float()), "labels are torch.float32, not torch.int"),
        (lambda t: t.update(masks=t["masks"].byte()), "masks are torch.uint8, not torch.bool"),
        (lambda t: t.update(labels=t["labels"][:1]), "'boxes': 2, 'labels': 1, 'masks': 2"),
        (lambda t: t.update(area=torch.ones(3)), "columns differ in length: .*'area': 3"),
        (lambda t: t.pop("masks"), "^the target has no masks$"),
        (lambda t: t.update(boxes=t["boxes"].long()), "^the boxes are torch.int64, not torch.flo"),
        (lambda t: t.update(boxes=t["boxes"].half()), "^the boxes are torch.float16, not torch.fl"),
        (lambda t: t.update(boxes=t["boxes"].T), r"^the shape of boxes is \[4, 2\], not \[M, 4\]$"),
        (lambda t: t.update(boxes=t["boxes"].tolist()), "^the boxes are of type list: give a tens"),
        (
            lambda t: t.update(labels=t["labels"][:, None]),
            r"shape of labels is \[2, 1\], not \[M\]",
        ),
        (lambda t: t.update(labels=t["labels"].int()), "labels are torch.int32, not torch.int64"),
        (lambda t: t.update(masks=t["masks"].float()), "masks are torch.float32, not torch.bool"),
        (lambda t: t.update(masks=t["masks"][0]), r"masks is \[20, 30\], not \[M, H, W\]"),
        (lambda t: t.update(iscrowd=torch.zeros(2).long()), "iscrowd are torch.int64, not torch.b"),
    ],
)
def test_a_wrong_target_in_memory_is_found(change, message):
    dataset = items()
    change(dataset[1][1])
    (problem,) = check(dataset)
    assert problem[:3] == (None, 1, None) and _matches(message, problem.message)


def _with(change):
    """Items, the second of which has a changed target."""
    dataset = items()
    change(dataset[1][1])
    return dataset


def test_soft_masks_in_memory_are_found():
    dataset = _with(lambda t: t.update(masks=0.7 * t["masks"]))
    kind, value = check(dataset)
    assert kind[:3] == value[:3] == (None, 1, None)
    assert kind.message == "the masks are torch.float32, not torch.bool"
    assert _matches("^the target has masks with the value 0.7: give bool", value.message)


def test_objects_of_a_wrong_type_are_examined_all_the_same():
    def change(target):
        target["boxes"] = target["boxes"].long()
        target["boxes"][1] = torch.tensor([20, 10, 20, 20])
        target["labels"][0] = 3

    messages = [(p.annotation_id, p.message) for p in check(_with(change))]
    assert messages == [
        (None, "the boxes are torch.int64, not torch.float32"),
        (0, "label 3 is none of 1..2"),
        (1, "the box has no area: corners (20, 10, 20, 20)"),
    ]


def test_masks_of_another_size_in_memory_are_found():
    dataset = items()
    dataset[1][1]["masks"] = torch.ones(2, 9, 8, dtype=torch.bool)
    problems = check(dataset)
    assert [p[:3] for p in problems] == [(None, 1, 0), (None, 1, 1)]
    assert problems[0].message == "the mask's shape is [9, 8], the image's [20, 30]"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 20, 30) * 255, r"the image's values are .*, not within 0\.\.1"),
        (torch.rand(3, 20, 30) - 0.5, r"the image's values are -0"),
        (torch.full((3, 20, 30), float("nan")), "values that are not finite"),
        (torch.zeros(3, 20, 30, dtype=torch.uint8), r"the image is torch.uint8, not torch.float32"),
        (torch.rand(1, 20, 30), r"the image's shape is \[1, 20, 30\], not \[3, H, W\]"),
    ],
)
def test_a_wrong_image_in_memory_is_found(image, message):
    dataset = items()
    dataset[1] = (image, dataset[1][1])
    (problem,) = check(dataset)
    assert problem[:3] == (None, 1, None) and _matches(message, problem.message)


def test_image_ids_in_memory():
    dataset = items()
    for _, target in dataset:
        target["image_id"] = torch.tensor(8)
    assert check(dataset) == [Problem(None, 8, None, "2 items have this image_id")]


NAMES = ["head", "left_hand", "right_hand"]
KEYPOINTS = [7, 4, 2, 3, 4, 1, 0, 0, 0]


def with_keypoints(**changes):
    """The contents with keypoints, and the changes made in the second annotation."""
    data = contents()
    for category in data["categories"]:
        category |= {"keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
    for annotation in data["annotations"]:
        annotation |= {"keypoints": list(KEYPOINTS), "num_keypoints": 2}
    data["annotations"][1] |= changes
    return data


def _changed(at, value):
    return [*KEYPOINTS[:at], value, *KEYPOINTS[at + 1 :]]


def test_correct_keypoints_are_no_problem(tmp_path):
    assert check(folder(tmp_path, with_keypoints())) == []
    nested = [KEYPOINTS[:3], KEYPOINTS[3:6], KEYPOINTS[6:]]
    for changes in (
        {"keypoints": nested},
        {"keypoints": [str(number) for number in KEYPOINTS]},
        {"keypoints": [], "num_keypoints": 0},
        {"keypoints": None, "num_keypoints": 0},
        {"keypoints": [0] * 9, "num_keypoints": 0},
        {"keypoints": _changed(1, -1.5)},  # a little outside
        {"keypoints": _changed(6, 1000)},  # not labeled
    ):
        assert check(folder(tmp_path, with_keypoints(**changes))) == [], changes
    data = with_keypoints()
    del data["annotations"][1]["num_keypoints"], data["annotations"][0]["keypoints"]
    data["annotations"][0]["num_keypoints"] = 0
    assert check(folder(tmp_path, data)) == []
    scenes = Figures(10, size=48, n_objects=(0, 3))
    assert check(scenes) == []
    write_coco(scenes, tmp_path / "figures")
    written = CocoFolder(*(tmp_path / "figures" / n for n in ("images", "annotations.json")))
    assert check(written) == []


WRONG_KEYPOINTS = {
    "the keypoints are 8 numbers: expected 9": {"keypoints": KEYPOINTS[:8]},
    "the keypoints are 12 numbers: expected 9": {"keypoints": [*KEYPOINTS, 1, 1, 2]},
    'the keypoints are the text "left": expected a list': {"keypoints": "left"},
    "the keypoints have the number NaN": {"keypoints": _changed(0, float("nan"))},
    "the keypoints have the number Infinity": {"keypoints": _changed(4, float("inf"))},
    r"the keypoints have the list \[\]": {"keypoints": _changed(4, [])},
    "the keypoints have null": {"keypoints": _changed(1, None)},
    "the keypoints have the number 1e.300: give pixels": {"keypoints": _changed(1, 1e300)},
    "keypoint 0 has the visibility 3": {"keypoints": _changed(2, 3)},
    "keypoint 1 has the visibility -1": {"keypoints": _changed(5, -1)},
    "keypoint 2 has the visibility 0.5": {"keypoints": _changed(8, 0.5)},
    r"far outside of the image of 30 x 20: head is at \(700, 4\)": {"keypoints": _changed(0, 700)},
    r"far outside of the image of 30 x 20: left_hand is at \(3, -9\)": {
        "keypoints": _changed(4, -9)
    },
    "num_keypoints is 3, 2 are labeled": {"num_keypoints": 3},
    "num_keypoints is 0, 2 are labeled": {"num_keypoints": 0},
    'num_keypoints is the text "two" where 2 belongs': {"num_keypoints": "two"},
    "look like fractions of the image": {"keypoints": [0.3, 0.2, 2, 0.1, 0.2, 1, 0, 0, 0]},
    "box and keypoints disagree": {"keypoints": [27, 16, 2, 26, 15, 2, 0, 0, 0]},
}


@pytest.mark.parametrize("message", WRONG_KEYPOINTS)
def test_wrong_keypoints_are_found(tmp_path, message):
    dataset = folder(tmp_path, with_keypoints(**WRONG_KEYPOINTS[message]))
    problems = check(dataset)
    of_object = [p for p in problems if p.annotation_id is not None]
    (problem,) = of_object
    assert problem[:3] == (str(tmp_path / "images" / "2.png"), 2, 12)
    assert _matches(message, problem.message) and not problem.is_note


@pytest.mark.parametrize(
    ("category", "message", "n_read"),
    [
        ({"keypoints": "head"}, 'keypoints are the text "head", not a list of names', 0),
        ({"keypoints": ["head", None, "x"]}, "keypoints have null where a text belongs", 0),
        ({"keypoints": ["head", "x", "head"]}, "2 keypoints with the name 'head'", 0),
        ({"keypoints": ["head", "x", "y"]}, "other keypoints, head, x, y and head, left_hand", 0),
        ({"skeleton": [[1, 4]]}, r"skeleton has the list \[1, 4\] where two keypoints belong", 3),
        ({"skeleton": [[0, 1]]}, "counted from 1: skeleton is not used", 3),
        ({"skeleton": [7]}, "skeleton has the number 7 where", 3),
        ({"sigmas": [0.1]}, r"sigmas is the list \[0.1\] where 3 numbers above 0 belong", 3),
        ({"sigmas": [0.1, 0.1, 0]}, "numbers above 0 belong: sigmas is not used", 3),
        ({"sigmas": "small"}, 'sigmas is the text "small" where', 3),
    ],
)
def test_wrong_names_of_keypoints_are_found(tmp_path, category, message, n_read):
    data = with_keypoints()
    data["categories"][0] |= category
    dataset = folder(tmp_path, data)
    problems = check(dataset)
    assert _matches(message, problems[0].message) and not problems[0].is_note
    assert len(dataset.keypoints) == n_read and ("keypoints" in dataset[0][1]) == (n_read > 0)
    not_read = [p.message for p in problems[1:]]
    expected = "2 annotations with keypoints, which no category names: they are not read"
    assert not_read == ([] if n_read else [expected])


def test_a_twin_that_is_missing_is_worth_a_note(tmp_path):
    data = with_keypoints()
    for category in data["categories"]:
        category["keypoints"] = ["nose", "left_hand", "rigth_hand"]
    (note,) = check(folder(tmp_path, data))
    assert note.is_note and "the keypoint 'left_hand' has no twin on the other side" in note.message


def test_wrong_keypoints_in_memory_are_found():
    def change(**changes):
        dataset = Figures(2, size=48, n_objects=(1, 1), object_size=(0.5, 0.5))

        class Items(list):
            classes, keypoints = dataset.classes, dataset.keypoints

        for name, value in changes.items():
            setattr(Items, name, value)
        return Items(dataset)

    assert check(change()) == []
    (problem,) = check(change(mirrored=[0, 1, 2]))
    assert "mirrored is [0, 1, 2]: give the index of each keypoint's twin" in problem.message
    (problem,) = check(change(mirrored=[1, 2, 0, 3, 4, 5, 6]))
    assert "mirrored is" in problem.message
    names = ["head", "left_ear", *"abcde"]
    (note,) = check(change(keypoints=names))
    assert note.is_note and "'left_ear' has no twin" in note.message
    problems = check(change(keypoints=[]))
    assert [p.message for p in problems] == [
        "the target has keypoints, which the dataset does not name (`keypoints`)"
    ] * 2

    def wrong(make):
        items = change()
        items[1][1]["keypoints"] = make(items[1][1]["keypoints"])
        (problem,) = check(items)
        assert problem.image_id == 1
        return problem.annotation_id, problem.message

    def with_value(index, value):
        def make(keypoints):
            keypoints = keypoints.clone()
            keypoints[:, 2, 2] = 2
            keypoints[0, 2, index] = value
            return keypoints

        return make

    assert wrong(lambda k: k[:, :6]) == (None, "the shape of keypoints is [1, 6, 3], not [1, 7, 3]")
    assert wrong(lambda k: k.tolist()) == (None, "the keypoints are of type list: give a tensor")
    assert wrong(lambda k: k.long())[1] == "the keypoints are torch.int64, not torch.float32"
    assert wrong(with_value(0, float("nan"))) == (
        0,
        "the keypoints have values that are not finite",
    )
    assert wrong(with_value(2, 3))[1].startswith("a keypoint's visibility is not 0")
    assert "far outside of the image of 48 x 48: right_elbow" in wrong(with_value(1, 99))[1]
    items = change()
    del items[0][1]["keypoints"]
    (problem,) = check(items)
    assert problem.message == "the target has no keypoints, but the dataset names 7"


def test_check_and_loading_agree_on_whatever_keypoints_may_be(tmp_path):
    junk = [None, True, 0, -1, 2, 3, 1.5, "1", "", "x", [], [1], {}, 1e308, 10**400, float("nan")]
    junk += [[1, 2, 2], "2", 1e39, -7]
    rng, n_refused = random.Random(0), 0
    for _ in range(300):
        keypoints = list(KEYPOINTS)
        for _ in range(rng.randint(1, 3)):
            keypoints[rng.randrange(len(keypoints))] = rng.choice(junk)
        if rng.random() < 0.2:
            keypoints = rng.choice([*junk, keypoints[: rng.randrange(9)], [keypoints]])
        dataset = folder(tmp_path, with_keypoints(keypoints=keypoints))
        (annotation,) = dataset.annotations_of(dataset.records[1])
        unreadable = list(dataset.reader.problems(annotation, None))
        found = check(dataset)
        try:
            target = dataset[1][1]
        except ValueError as error:
            n_refused += 1
            assert "annotation id 12" in str(error) and len(unreadable) == 1
            assert [p for p in found if p.message == unreadable[0]], keypoints
        else:
            assert unreadable == [] and target["keypoints"].shape == (1, 3, 3)
            assert target["keypoints"].isfinite().all()
    assert 50 < n_refused < 290
