"""The folders that labeling tools write, each of its tool's shape, are found and read."""

import json
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from mrcnn_edu.cli import open_data
from mrcnn_edu.data import check
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.data.image_names import ImageNames
from mrcnn_edu.data.layout import find_layout
from mrcnn_edu.data.tally import tally

SQUARE = [4, 3, 14, 3, 14, 13, 4, 13]


def save(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20)).save(file)


def write(file, names, categories=None, ids=None, **changes):
    """A COCO file with one object in each image."""
    file.parent.mkdir(parents=True, exist_ok=True)
    ids = ids or list(range(1, len(names) + 1))
    categories = categories or [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    annotation = {"category_id": categories[-1]["id"], "bbox": [4, 3, 10, 10], "area": 100}
    annotation |= {"iscrowd": 0, "segmentation": [SQUARE]} | changes
    images = [
        {"id": i, "file_name": n, "height": 20, "width": 30}
        for i, n in zip(ids, names, strict=True)
    ]
    annotations = [annotation | {"id": k, "image_id": i} for k, i in enumerate(ids)]
    contents = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(contents, ensure_ascii=False), encoding="utf-8")


def roboflow(folder):
    """train/ with the images and the JSON file together; a root category with the id 0."""
    names = ["cat_jpg.rf.0a1b.jpg", "dog_jpg.rf.2c3d.jpg"]
    for name in names:
        save(folder / name)
    root = [{"id": 0, "name": "pets", "supercategory": "none"}]
    pets = [{"id": i, "name": n, "supercategory": "pets"} for i, n in ((1, "cat"), (2, "dog"))]
    write(folder / "_annotations.coco.json", names, root + pets, ids=[0, 1])


def cvat(folder):
    names = ["a.png", "b.png"]
    for name in names:
        save(folder / "images" / "default" / name)
    write(folder / "annotations" / "instances_default.json", names, attributes={"occluded": False})


def label_studio(folder):
    """Backslashes on Windows, category ids from 0."""
    names = ["1a2b-a.png", "3c4d-b.png"]
    for name in names:
        save(folder / "images" / name)
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    write(folder / "result.json", [f"images\\{name}" for name in names], categories, ids=[0, 1])


def labelme(folder):
    for name in ("a.png", "b.png"):
        save(folder / "JPEGImages" / name)
    background = {"id": 0, "name": "_background_", "supercategory": None}
    names = ["JPEGImages/a.png", "JPEGImages/b.png"]
    write(folder / "annotations.json", names, [background, {"id": 1, "name": "cat"}], ids=[0, 1])


def fiftyone(folder):
    for name in ("000001.jpg", "000002.jpg"):
        save(folder / "data" / name)
    write(folder / "labels.json", ["000001.jpg", "000002.jpg"])


def supervisely(folder):
    """A folder for each of its datasets."""
    for name in ("a.jpg", "b.jpg"):
        save(folder / "ds1" / "img" / name)
    write(folder / "ds1" / "annotations" / "instances.json", ["a.jpg", "b.jpg"])


def datumaro(folder):
    """Masks are stored as RLE, with iscrowd set."""
    for name in ("a.jpg", "b.jpg"):
        save(folder / "images" / "train" / name)
    mask = {"size": [20, 30], "counts": [83, 10, 10, 10, 487]}
    box = {"bbox": [4, 3, 2, 10], "area": 20, "iscrowd": 1}
    write(
        folder / "annotations" / "instances_train.json",
        ["a.jpg", "b.jpg"],
        segmentation=mask,
        **box,
    )


def coco_annotator(folder):
    """The path on its server as the name, text as ids."""
    for name in ("a.jpg", "b.jpg"):
        save(folder / "images" / name)
    write(folder / "pets.json", ["/datasets/pets/a.jpg", "/datasets/pets/b.jpg"], ids=["1", "2"])


def coco(folder):
    """COCO's own: captions beside the instances."""
    for name in ("000000000139.jpg", "000000000285.jpg"):
        save(folder / "val2017" / name)
    names = ["000000000139.jpg", "000000000285.jpg"]
    write(folder / "annotations" / "instances_val2017.json", names, ids=[139, 285])
    captions = {"images": [], "annotations": [{"id": 1, "image_id": 139, "caption": "a cat"}]}
    (folder / "annotations" / "captions_val2017.json").write_text(json.dumps(captions))


TOOLS = [
    roboflow, cvat, label_studio, labelme, fiftyone, supervisely, datumaro, coco_annotator, coco
]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_tools_export_is_found_and_read(tmp_path, tool):
    tool(tmp_path / "export")
    dataset = open_data(str(tmp_path / "export"))
    problems = [str(problem) for problem in check(dataset) if not problem.is_note]
    items = [dataset[i] for i in range(len(dataset))]
    assert len(items) == 2 and all(len(target["labels"]) == 1 for _, target in items)
    assert all(target["masks"].any() for _, target in items)
    if tool is datumaro:
        assert len(problems) == 1 and "--crowds objects" in problems[0]
    else:
        assert problems == [] and tally(dataset).objects == 2


def test_the_images_beside_a_json_file_are_found(tmp_path):
    cvat(tmp_path)
    file = tmp_path / "annotations" / "instances_default.json"
    for folder in (tmp_path, tmp_path / "images", tmp_path / "images" / "default"):
        dataset = open_data(str(folder), file)
        assert dataset.image(0).shape == (3, 20, 30)


def test_several_files_are_named_and_none_says_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no COCO file with annotations, only 0 other"):
        find_layout(tmp_path)
    for split in ("train", "valid"):
        roboflow(tmp_path / split)
    with pytest.raises(FileNotFoundError, match=r"several COCO files, .*train.*valid.*--annot"):
        find_layout(tmp_path)
    assert find_layout(tmp_path / "train").images == tmp_path / "train"
    (tmp_path / "yolo" / "labels").mkdir(parents=True)
    (tmp_path / "yolo" / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(FileNotFoundError, match=r"only 1 text files \(YOLO's labels\?\)"):
        find_layout(tmp_path / "yolo")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.json").write_text('{"shapes": [], "imagePath": "a.png"}')
    with pytest.raises(FileNotFoundError, match="only 1 JSON files, none of them a COCO file"):
        find_layout(tmp_path / "one")


def test_a_hidden_folder_is_passed_over(tmp_path):
    cvat(tmp_path)
    write(tmp_path / ".cache" / "old.json", ["a.png"])
    assert find_layout(tmp_path).annotations.name == "instances_default.json"


@pytest.mark.parametrize(
    ("listed", "on_disk"),
    [
        ("a.png", "a.png"), ("a.PNG", "a.png"), ("a.png", "A.PNG"), ("sub\\a.png", "sub/a.png"),
        ("images\\1/a.png", "a.png"), ("C:\\photos\\a.png", "a.png"), ("/data/x/a.png", "a.png"),
        ("./a.png", "a.png"), ("my%20photo%20%281%29.png", "my photo (1).png"),
        ("100%.png", "100%.png"), ("https://host/files/a.png?token=1", "a.png"),
        ("/data/local-files/?d=pets/a.png", "pets/a.png"), ("file:///home/me/a.png", "a.png"),
        (unicodedata.normalize("NFC", "café.png"), unicodedata.normalize("NFD", "café.png")),
        (unicodedata.normalize("NFD", "café.png"), unicodedata.normalize("NFC", "café.png")),
        ("a.png", "deep/er/a.png"), ("猫.png", "猫.png"), ("a b.png", "a b.png"),
    ],
)  # fmt: skip
def test_a_file_is_found_under_the_names_that_tools_give_it(tmp_path, listed, on_disk):
    save(tmp_path / on_disk)
    names = ImageNames(tmp_path)
    assert names.find(listed).samefile(tmp_path / on_disk)
    assert bool(names.taken) == (listed.removeprefix("./") != on_disk)
    assert names.unlisted([listed]) == []


def test_a_file_that_may_be_two_or_none_is_not_guessed(tmp_path):
    for name in ("cam0/1.png", "cam1/1.png", "photo_001.png"):
        save(tmp_path / name)
    names = ImageNames(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"2 of its name: cam0/1.png, cam1/1.png"):
        names.find("1.png")
    with pytest.raises(FileNotFoundError, match=r"the nearest name is photo_001.png"):
        names.find("photo_01.png")
    with pytest.raises(FileNotFoundError, match=r"there is no such image$"):
        names.find("zebra.png")
    for name in ("..", "/", "\\", "%", "a\x00b", "x" * 5000, "cam0"):
        with pytest.raises(FileNotFoundError):
            names.find(name)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((4, 5), 0.5, np.float32), 0.5),
        (np.full((4, 5), 65535, np.uint16), 1),
        (np.full((4, 5), 255, np.uint8), 1),
        (np.full((4, 5), 200.0, np.float32), "its values are 200 to 200, and 1 should be"),
        (np.full((4, 5), -0.5, np.float32), "its values are -0.5"),
        (np.full((4, 5), np.nan, np.float32), "its values are nan"),
        (np.full((4, 5), 2**20, np.int32), "its values are 1.04858e.06.*8 or 16 bits"),
    ],
)
def test_pixels_are_in_range_or_refused(tmp_path, pixels, expected):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            read_image(tmp_path / "a.tif")
    else:
        image = read_image(tmp_path / "a.tif")
        assert image.shape == (3, 4, 5) and torch.all(image == expected)
