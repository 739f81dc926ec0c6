"""Folders of labelme, YOLO, Pascal VOC and PNG masks become COCO folders with the same objects."""

import base64
import io
import json
import os
import unicodedata
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.measure import euler_number, find_contours, label

from mrcnn_edu import cli
from mrcnn_edu.data import CocoFolder, Shapes, check
from mrcnn_edu.data.convert import convert, read_folder
from mrcnn_edu.data.convert.class_lists import read_label_map, read_list
from mrcnn_edu.data.convert.instance_png import objects_in
from mrcnn_edu.data.rle import decode_masks, encode_masks

SIZE = 20, 30  # height, width
SQUARE = [[4, 3], [14, 3], [14, 13], [4, 13]]


def read(folder):
    return CocoFolder(folder / "images", folder / "annotations.json")


def save(file, pixels=None, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*SIZE, 3), 90, np.uint8) if pixels is None else pixels
    Image.fromarray(pixels).save(file, **options)
    return file


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return file


def shape(points=SQUARE, kind="polygon", label="cat", **changes):
    whole = {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}
    return whole | changes


def labelme(file, *shapes, image="a.png", **changes):
    contents = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": image}
    sides = {"imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    return write(file, contents | sides | changes)


def square_mask(x1=4, y1=3, x2=14, y2=13):
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def masks_of(folder, index=0):
    return read(folder)[index][1]["masks"]


def in_base64(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def iou(a, b):
    return float((a & b).sum() / (a | b).sum())


# ---- a round trip: synthetic scenes, written in each format by this test ----


@pytest.fixture(scope="module")
def scenes():
    """Scenes of objects that do not overlap; the last image has none."""
    items = []
    for image, target in Shapes(n=6, size=128, seed=3, n_objects=(2, 4)):
        masks = target["masks"].clone()
        for i in range(len(masks)):  # what is in front hides what is behind it
            masks[:i] &= ~masks[i]
        seen = masks.sum(dim=(1, 2)) > 40
        items.append((image, masks[seen], target["labels"][seen]))
    items.append((items[0][0], items[0][1][:0], items[0][2][:0]))
    return items


NAMES = Shapes(1).classes


def pixels_of(image):
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


def contours(mask):
    """The outlines of a mask's parts, as points x, y between pixels; holes are left out."""
    padded = np.pad(mask.numpy(), 1)
    parts = label(padded, connectivity=1)
    for k in range(1, parts.max() + 1):
        longest = max(find_contours(parts == k, 0.5), key=len)
        yield longest[:, ::-1] - 0.5  # a pixel's center is at 0.5


def is_simple(mask):
    return label(mask.numpy(), connectivity=1).max() == 1 and euler_number(mask.numpy(), 1) == 1


def compare(folder, scenes, lowest, kept=lambda mask: True):
    """The converted objects are those of the scenes that `kept` chooses, with that IoU or more."""
    dataset = read(folder)
    assert [str(problem) for problem in check(dataset) if not problem.is_note] == []
    assert len(dataset) == len(scenes)
    n = 0
    for index, (image, masks, labels) in enumerate(scenes):
        found_image, target = dataset[index]
        torch.testing.assert_close(found_image, image, rtol=0, atol=0.51 / 255)
        expected = [(m, NAMES[k - 1]) for m, k in zip(masks, labels, strict=True) if kept(m)]
        assert len(expected) == len(target["masks"])
        for mask, name in expected:
            overlaps = [iou(mask, other) for other in target["masks"]]
            best = int(np.argmax(overlaps))
            assert overlaps[best] >= lowest, (index, name)
            assert dataset.classes[target["labels"][best] - 1] == name
            n += 1
    assert n > 8


def test_a_round_trip_through_labelme(tmp_path, scenes):
    for index, (image, masks, labels) in enumerate(scenes):
        save(tmp_path / "in" / f"{index}.png", pixels_of(image))
        shapes = [
            shape(points.tolist(), label=NAMES[k - 1], group_id=row)
            for row, (mask, k) in enumerate(zip(masks, labels, strict=True))
            if euler_number(mask.numpy(), 1) == label(mask.numpy(), connectivity=1).max()
            for points in contours(mask)
        ]
        sides = {"imageHeight": image.shape[1], "imageWidth": image.shape[2]}
        labelme(tmp_path / "in" / f"{index}.json", *shapes, image=f"{index}.png", **sides)
    convert(tmp_path / "in", tmp_path / "out")

    def without_holes(mask):
        return euler_number(mask.numpy(), 1) == label(mask.numpy(), connectivity=1).max()

    compare(tmp_path / "out", scenes, 0.9, without_holes)


def test_a_round_trip_through_yolo(tmp_path, scenes):
    for index, (image, masks, labels) in enumerate(scenes):
        save(tmp_path / "in" / "images" / f"{index}.png", pixels_of(image))
        lines = []
        for mask, k in zip(masks, labels, strict=True):
            if is_simple(mask):
                (points,) = contours(mask)
                numbers = (points / (image.shape[2], image.shape[1])).round(6).flatten()
                lines.append(" ".join(map(str, [int(k) - 1, *numbers.tolist()])))
        if lines:
            write(tmp_path / "in" / "labels" / f"{index}.txt", "\n".join(lines) + "\n")
    write(tmp_path / "in" / "data.yaml", f"path: .\nnames: {NAMES}\n")
    data = convert(tmp_path / "in", tmp_path / "out")
    assert data.classes == NAMES
    compare(tmp_path / "out", scenes, 0.9, is_simple)


def instances(masks):
    values = np.zeros(masks.shape[1:], np.uint8)
    for value, mask in enumerate(masks, start=1):
        values[mask.numpy()] = value
    return values


def palette_png(file, values):
    """A PNG with VOC's palette, of which only the first colors matter."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values, mode=None).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128] + [9] * 753)
    picture.putdata(values.flatten().tolist())
    picture.save(file)


def voc_xml(file, masks, names):
    root = ElementTree.Element("annotation")
    for mask, name in zip(masks, names, strict=True):
        rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        entry = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(entry, "name").text = name
        box = ElementTree.SubElement(entry, "bndbox")
        sides = columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True):
            ElementTree.SubElement(box, side).text = str(int(value))
    write(file, ElementTree.tostring(root, encoding="unicode"))


@pytest.mark.parametrize("classes_from", ["xml", "picture", "colors"])
def test_a_round_trip_through_voc(tmp_path, scenes, classes_from):
    folder = tmp_path / "in" / "VOC2012"
    palette = np.array([[0, 0, 0], *([40 * k, 0, 9] for k in range(1, 7))], np.uint8)
    for index, (image, masks, labels) in enumerate(scenes):
        save(folder / "JPEGImages" / f"{index}.png", pixels_of(image))
        by_object = instances(masks)
        by_class = np.zeros_like(by_object)
        for mask, k in zip(masks, labels, strict=True):
            by_class[mask.numpy()] = int(k)
        if classes_from == "colors":
            save(folder / "SegmentationObject" / f"{index}.png", palette[by_object])
            save(folder / "SegmentationClass" / f"{index}.png", palette[by_class])
        else:
            palette_png(folder / "SegmentationObject" / f"{index}.png", by_object)
            if classes_from == "picture":
                palette_png(folder / "SegmentationClass" / f"{index}.png", by_class)
            else:
                names = [NAMES[k - 1] for k in labels]
                voc_xml(folder / "Annotations" / f"{index}.xml", masks, names)
    if classes_from == "picture":
        write(folder / "class_names.txt", "\n".join(["_background_", *NAMES]) + "\n")
    if classes_from == "colors":
        rows = zip(["background", *NAMES], palette.tolist(), strict=True)
        rows = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in rows]
        write(folder / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *rows]))
    convert(tmp_path / "in", tmp_path / "out")
    compare(tmp_path / "out", scenes, 1)


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "tiff", "colors", "palette"])
def test_a_round_trip_through_masks(tmp_path, scenes, kind):
    for index, (image, masks, labels) in enumerate(scenes):
        save(tmp_path / "in" / "images" / f"{index}.png", pixels_of(image))
        values = instances(masks).astype(np.int64)
        numbers = torch.cat((torch.zeros(1, dtype=torch.int64), 1000 * labels)).numpy()
        values = np.where(values > 0, numbers[values] + values, 0)
        file = tmp_path / "in" / "masks" / f"{index}_mask.png"
        if kind in ("16 bits", "tiff"):
            file = file.with_suffix(".tif") if kind == "tiff" else file
            save(file, values.astype(np.uint16))
        elif kind == "8 bits":
            save(file, (40 * instances(masks)).astype(np.uint8))
        elif kind == "palette":
            palette_png(file, instances(masks))
        else:
            red = (37 * instances(masks)).astype(np.uint8)
            save(file, np.stack((red, 0 * red, 2 * red), axis=2))
    if kind in ("16 bits", "tiff"):
        convert(tmp_path / "in", tmp_path / "out", classes=NAMES)
        compare(tmp_path / "out", scenes, 1)
        return
    data = convert(tmp_path / "in", tmp_path / "out")
    assert data.classes == ["object"] and check(read(tmp_path / "out")) == []
    for index, (_, masks, _) in enumerate(scenes):
        found = read(tmp_path / "out")[index][1]["masks"]
        assert {mask.numpy().tobytes() for mask in found} == {m.numpy().tobytes() for m in masks}


def test_all_objects_of_a_picture_are_found_in_one_pass():
    rng = np.random.default_rng(0)
    for size in [(1, 1), (5, 7), (40, 30)]:
        values = rng.integers(0, 6, size)
        values[-1, -1] = values[0, 0] = 5  # the last pixel of one mask, the first of the next
        found, masks = objects_in(values)
        assert found == sorted(set(values.flatten().tolist()) - {0})
        expected = torch.stack([torch.from_numpy(values == value) for value in found])
        assert torch.equal(decode_masks(masks), expected)
        for ours, theirs in zip(masks[:2], encode_masks(expected)[:2], strict=True):
            assert np.array_equal(ours, theirs)


# ---- labelme ----


def test_every_shape_of_labelme(tmp_path):
    folder = tmp_path / "in"
    save(folder / "a.png")
    ring = np.zeros((6, 8), np.uint8)
    ring[1:] = 255
    labelme(
        folder / "a.json",
        shape([[14, 13], [4, 3]], "rectangle", "dog"),  # corners in any order
        shape([[1, 1], [3, 1], [3, 3], [1, 3]], group_id=1),
        shape([[20, 10], [29, 10], [29, 19], [20, 19]], group_id=1),
        shape([[1, 15], [3, 15], [3, 19], [1, 19]], label="dog", group_id=1),  # another label
        shape([[16, 2], [23, 7]], "mask", "cup", mask=in_base64(ring)),
        shape([[25, 1], [29, 1], [29, 3], [25, 3]], "oriented_rectangle", "cup"),
        shape([[5, 5], [9, 5]], "circle"),
        shape([[5, 5], [9, 5]], "circle"),
        shape([[5, 5]], "point"),
        shape([[5, 5], [9, 5]], "line"),
        shape([[5, 5], [9, 5], [9, 9]], "linestrip"),
        shape([[5, 5], [9, 5]]),
        shape([[5, 5], [5.1, 5], [5, 5.1]], label="dust"),
        shape(label="__ignore__"),
    )
    data = convert(folder, tmp_path / "out")
    skipped = {what: len(files) for what, files in data.findings.skipped.items()}
    assert skipped == {
        "circle": 2, "point": 1, "line": 1, "linestrip": 1,
        "polygon with fewer than three points": 1, "object without a single pixel": 1,
        "shape with the label __ignore__": 1,
    }  # fmt: skip
    dataset = read(tmp_path / "out")
    assert dataset.classes == ["cat", "cup", "dog"] and check(dataset) == []
    _, target = dataset[0]
    assert [dataset.classes[k - 1] for k in target["labels"]] == ["dog", "cat", "dog", "cup", "cup"]
    painted = torch.zeros(SIZE, dtype=torch.bool)
    painted[3:8, 16:24] = True
    both = square_mask(1, 1, 3, 3) | square_mask(20, 10, 29, 19)
    expected = [square_mask(), both, square_mask(1, 15, 3, 19), painted]
    expected.append(square_mask(25, 1, 29, 3))
    assert torch.equal(target["masks"], torch.stack(expected))


def test_the_images_of_labelme_are_found_or_taken_from_the_file(tmp_path):
    folder = tmp_path / "in"
    name = unicodedata.normalize("NFC", "猫 café.jpg")
    save(folder / "cats" / name)
    save(folder / "pictures" / "b.png")
    save(tmp_path / "elsewhere" / "c.png")
    labelme(folder / "cats" / "one.json", shape(), image=name)
    labelme(folder / "labels" / "b.json", shape(), image="C:\\work\\pictures\\b.png")
    labelme(folder / "labels" / "c.json", shape(), image="..\\..\\elsewhere\\c.png")
    labelme(folder / "labels" / "empty.json", image="../empty.png")  # no shapes
    save(folder / "empty.png", np.full((*SIZE, 4), 9, np.uint8))
    inline = in_base64(np.full((*SIZE, 3), 200, np.uint8), "jpeg")
    labelme(folder / "d.json", shape(), image="lost.png", imageData=inline)
    old = {"imageHeight": None, "imageWidth": None, "imagePath": None}
    labelme(folder / "e.json", shape(shape_type=None), imageData=inline, **old)
    write(folder / "notes.json", {"author": "me"})
    save(folder / "unlabeled.png")
    data = convert(folder, tmp_path / "out")
    dataset = read(tmp_path / "out")
    names = [record["file_name"] for record in dataset.records]
    assert sorted(names) == sorted(
        [f"cats/{name}", "pictures/b.png", "labels/c.png", "empty.png", "d.jpg", "e.jpg"]
    )
    assert check(dataset) == []
    assert (tmp_path / "out/images/cats" / name).read_bytes() == (
        folder / "cats" / name
    ).read_bytes()
    for index, record in enumerate(dataset.records):
        image, target = dataset[index]
        assert len(target["masks"]) == (record["file_name"] != "empty.png")
        if record["file_name"][0] in "de" and "empty" not in record["file_name"]:
            assert (image - 200 / 255).abs().max() < 0.02
    assert {what: len(files) for what, files in data.findings.skipped.items()} == {
        "file in JSON of another kind": 1,
        "image without a JSON file": 1,
    }


def photograph(file, orientation=6):
    """A photograph of 30 x 20 pixels that is stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((30, 20, 3), np.uint8)
    pixels[:, 10:] = 255
    save(file, pixels, exif=exif)


def test_a_photograph_that_the_camera_turned(tmp_path):
    folder = tmp_path / "in"
    photograph(folder / "a.jpg")
    labelme(folder / "a.json", shape(), image="a.jpg")  # 20 high, as viewers show it
    convert(folder, tmp_path / "out")
    image, target = read(tmp_path / "out")[0]
    assert image.shape[1:] == SIZE and torch.equal(target["masks"][0], square_mask())
    assert check(read(tmp_path / "out")) == []
    labelme(folder / "a.json", shape(), image="a.jpg", imageHeight=30, imageWidth=20)
    convert(folder, tmp_path / "as-stored")
    assert read(tmp_path / "as-stored")[0][0].shape[1:] == (30, 20)
    (problem,) = check(read(tmp_path / "as-stored"))
    assert "the camera's turn" in problem.message


@pytest.mark.parametrize(
    ("pixels", "suffix"),
    [
        (np.full(SIZE, 40000, np.uint16), ".png"),
        (np.full(SIZE, 40000, np.uint16), ".tif"),
        (np.full(SIZE, True), ".png"),
        (np.full((*SIZE, 2), 90, np.uint8), ".png"),
    ],
)
def test_images_of_every_kind_are_copied_as_they_are(tmp_path, pixels, suffix):
    file = save(tmp_path / "in" / f"a{suffix}", pixels)
    labelme(tmp_path / "in" / "a.json", shape(), image=file.name)
    convert(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "images" / file.name).read_bytes() == file.read_bytes()
    assert check(read(tmp_path / "out")) == []


def test_classes_that_differ_in_case_are_one_and_it_is_said(tmp_path):
    folder = tmp_path / "in"
    save(folder / "a.png")
    names = ["Cat", "cat", "cat ", "dog"]
    labelme(folder / "a.json", *(shape(label=name) for name in names))
    data = convert(folder, tmp_path / "out")
    assert data.classes == ["Cat", "dog"] or data.classes == ["cat", "dog"]
    assert sum("are one" in note for note in data.findings.notes) == 2
    assert read(tmp_path / "out")[0][1]["labels"].tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shapes": None}, "shapes is null: expected a list"),
        ({"shapes": [7]}, "shape 0: it is the number 7, not an object"),
        ({"shapes": [shape(label=None)]}, "shape 0: label is null .*give the shape a class"),
        ({"shapes": [shape(), shape("x")]}, 'shape 1: points is the text "x": expected a list'),
        ({"shapes": [shape([[1, 2], [3]])]}, r"shape 0: points has the list \[3\] where \[x, y\]"),
        ({"shapes": [shape([[1, 2], [3, "x"]])]}, 'shape 0: points has the text "x" where a num'),
        ({"shapes": [shape([[1, 2], [3, float("nan")]])]}, "shape 0: points has the number NaN"),
        ({"shapes": [shape([[1, 2], [3, 4], [1e6, 1]])]}, "shape 0: .* far outside of the image"),
        ({"shapes": [shape([[1, 2]], "rectangle")]}, "shape 0: points has 1 .*draw the rectangle"),
        ({"shapes": [shape(SQUARE, "mask", mask="!")]}, "shape 0: mask is no PNG in base64"),
        ({"imagePath": "zebra.png"}, 'imagePath is the text "zebra.png", but there is no such ima'),
        ({"imagePath": None}, "imagePath is null where a text belongs: write the image's name"),
        ({"imagePath": ["a.png"]}, "imagePath is the list .* where a text belongs"),
        ({"imagePath": None, "imageData": "AAAA"}, "imageData is no image"),
        ({"imageHeight": 40}, "imageWidth x imageHeight is 30 x 40 pixels, but the im.* 30 x 20"),
        ({"imageHeight": "tall"}, 'height the text "tall" and width the number 30: correct them'),
        ({"imagePath": "broken.png"}, "broken.png: this file cannot be read as an image"),
    ],
)  # fmt: skip
def test_a_label_file_that_is_wrong_is_named_with_its_field(tmp_path, changes, words):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"PNG")
    save(tmp_path / "in" / "good.png")
    labelme(tmp_path / "in" / "good.json", shape(), image="good.png")
    file = labelme(tmp_path / "in" / "wrong.json", **changes)
    with pytest.raises(ValueError, match=words) as error:
        convert(tmp_path / "in", tmp_path / "out")
    assert str(file) in str(error.value) and "1 problem, and nothing was written" in str(
        error.value
    )
    assert os.listdir(tmp_path) == ["in"]


def test_all_problems_are_named_at_once(tmp_path):
    save(tmp_path / "in" / "a.png")
    labelme(tmp_path / "in" / "a.json", shape())
    labelme(tmp_path / "in" / "again.json", shape())
    write(tmp_path / "in" / "cut.json", '{"shapes": [')
    labelme(tmp_path / "in" / "lost.json", shape(), image="lost.png")
    with pytest.raises(ValueError) as error:
        read_folder(tmp_path / "in")
    first, *problems = str(error.value).splitlines()
    assert "3 problems, and nothing was written" in first and len(problems) == 3
    assert "again.json: its image a.png is that of" in problems[0] and "a.json, too" in problems[0]
    assert problems[1].count("cut.json") == 1 and "is not valid JSON" in problems[1]


# ---- YOLO ----

LINE = "1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"


def yolo(folder, *lines, names="names: [dog, cat]\n"):
    save(folder / "images" / "a.png")
    write(folder / "labels" / "a.txt", "\n".join(lines))
    write(folder / "data.yaml", names)
    return folder


def test_yolo_lines_are_outlines_in_fractions_of_the_image(tmp_path):
    yolo(tmp_path / "in", LINE, "", "0.0 -0.005 0 1.002 0 1 1 0 1")
    save(tmp_path / "in" / "images" / "b" / "c.png")
    write(tmp_path / "in" / "labels" / "b" / "c.txt", "")
    save(tmp_path / "in" / "images" / "d.png")
    save(tmp_path / "in" / "results.png")
    write(tmp_path / "in" / "labels" / "classes.txt", "x\ny\n")
    data = convert(tmp_path / "in", tmp_path / "out")
    dataset = read(tmp_path / "out")
    assert dataset.classes == ["dog", "cat"] and check(dataset) == []
    assert [r["file_name"] for r in dataset.records] == ["a.png", "b/c.png", "d.png"]
    expected = [square_mask(3, 2, 15, 10), square_mask(0, 0, 30, 20)]
    assert torch.equal(masks_of(tmp_path / "out"), torch.stack(expected))
    assert [len(dataset[i][1]["labels"]) for i in range(3)] == [2, 0, 0]
    assert any("1 of 3 images have no text file" in note for note in data.findings.notes)
    assert list(data.findings.skipped) == ["image outside of images/"]


def test_boxes_of_yolo_are_counted_or_refused(tmp_path):
    data = read_folder(yolo(tmp_path / "some", LINE, "0 0.5 0.5 0.2 0.2"))
    assert {w: len(f) for w, f in data.findings.skipped.items()} == {"box without an outline": 1}
    with pytest.raises(ValueError, match=r"labels/a.txt: .* are boxes .* without outlines: export"):
        read_folder(yolo(tmp_path / "all", "0 0.5 0.5 0.2 0.2"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2 0.1 0.1 0.5 0.1 0.5 0.5", "line 2: the class 2 has no name: there are 2, from 0"),
        ("cat 0.1 0.1 0.5 0.1 0.5 0.5", 'line 2: the text "cat" where a number belongs'),
        ("0 0.1 0.1 0.5 0.1 0.5 x", 'line 2: the text "x" where a number belongs'),
        ("0 0.1 0.1 0.5 0.1 0.5 nan", 'line 2: the text "nan" where a number'),
        ("0 0.1 0.1 0.5 0.1 0.5", "line 2: 5 numbers follow the class"),
        ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.9", "line 2: 7 numbers follow .*keypoints and confidences"),
        ("0 0.1", "line 2: 1 numbers follow the class"),
        ("0 3 2 15 2 15 10", "line 2: 15 is no fraction of the image"),
        ("\x00\xff", "line 2: the text .* where a number belongs"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named(tmp_path, line, words):
    folder = yolo(tmp_path / "in", LINE, line)
    with pytest.raises(ValueError, match=f"labels/a.txt: {words}"):
        read_folder(folder)


def test_a_text_file_without_an_image_is_named(tmp_path):
    folder = yolo(tmp_path / "in", LINE)
    write(folder / "labels" / "lost.txt", LINE)
    with pytest.raises(
        ValueError, match=r"labels/lost.txt: there is no JPEG, PNG or TIFF image of this"
    ):
        read_folder(folder)


def test_two_images_of_one_text_file_are_named(tmp_path):
    folder = yolo(tmp_path / "in", LINE)
    save(folder / "images" / "a.jpg")
    with pytest.raises(ValueError, match=r"labels/a.txt: .*a.png is the second image of this name"):
        read_folder(folder)


def test_splits_of_yolo_are_named_and_each_is_converted_by_itself(tmp_path):
    for layout in ("images/{}", "{}/images"):
        folder = tmp_path / layout.replace("/", "-")
        for split in ("train", "val"):
            place = folder / layout.format(split)
            save(place / f"{split}.png")
            labels = str(place.relative_to(folder)).replace("images", "labels")
            write(folder / labels / f"{split}.txt", LINE)
        write(folder / "data.yaml", "nc: 2\nnames:\n  0: dog\n  1: cat\nroboflow:\n  version: 1\n")
        both = read_folder(folder)
        assert [image.name for image in both.images] == ["train/train.png", "val/val.png"]
        (note,) = [note for note in both.findings.notes if "keep them apart" in note]
        place = folder / ("images/train" if layout == "images/{}" else "train")
        assert str(place) in note
        one = read_folder(place)
        assert [image.name for image in one.images] == ["train.png"] and len(one.classes) == 2


def test_text_files_beside_the_images(tmp_path):
    save(tmp_path / "obj_train_data" / "a.png")
    write(tmp_path / "obj_train_data" / "a.txt", LINE)
    write(tmp_path / "obj.names", "dog\ncat\n\n")
    write(tmp_path / "train.txt", "data/obj_train_data/a.png\n")
    data = read_folder(tmp_path)
    assert data.classes == ["dog", "cat"] and data.images[0].name == "obj_train_data/a.png"


@pytest.mark.parametrize(
    "text",
    [
        "names: ['dog', \"cat: a\", it''s]",
        "names: ['dog', \"cat: a\",\n  it''s,\n]\nnc: 3",
        "# names: [x]\nnames:  # of classes\n- dog\n- 'cat: a'\n- \"it''s\"\ntrain: images/train",
        "names:\n  0: dog\n  1: \"cat: a\"\n  2: it''s\nval: x",
        "nc: 3\nnames: {0: dog, 1: 'cat: a', 2: it''s}",
    ],
)
def test_the_names_in_a_yaml_file(tmp_path, text):
    assert read_list(write(tmp_path / "a.yaml", text)) == {0: "dog", 1: "cat: a", 2: "it''s"}


def test_names_as_yaml_libraries_write_them(tmp_path):
    yaml = pytest.importorskip("yaml")
    names = [
        "dog",
        "it's",
        'a "b"',
        "café",
        "猫",
        "cat: a",
        "7",
        "traffic light",
        "- x",
        "[y]",
        "a, b",
    ]
    for contents in (names, dict(enumerate(names))):
        for options in ({}, {"default_flow_style": None}, {"allow_unicode": True}):
            text = yaml.safe_dump({"nc": 11, "names": contents, "train": "x"}, **options)
            found = read_list(write(tmp_path / "a.yaml", text))
            assert list(found.values()) == names, text


def test_missing_names_are_asked_for(tmp_path):
    folder = yolo(tmp_path / "in", LINE, names="train: images\n")
    with pytest.raises(FileNotFoundError, match=r"no file with the names .* or give --classes"):
        read_folder(folder)
    assert read_folder(folder, classes=("hund", "katze")).classes == ["hund", "katze"]
    write(folder / "data.yaml", "nc: 3\nnames: [dog, cat]\n")
    with pytest.raises(ValueError, match=r"data.yaml: nc is 3, but names has 2"):
        read_folder(folder)
    (folder / "data.yaml").unlink()
    write(folder / "classes.txt", "dog\n\ncat\n")
    with pytest.raises(ValueError, match=r"classes.txt: class 1 \(from 0\) has no name"):
        read_folder(folder)


# ---- Pascal VOC ----


def voc(folder, values, masks=None, names=(), stem="a"):
    save(folder / "JPEGImages" / f"{stem}.jpg")
    palette_png(folder / "SegmentationObject" / f"{stem}.png", values)
    if masks is not None:
        voc_xml(folder / "Annotations" / f"{stem}.xml", masks, names)
    return folder


def test_voc_objects_get_the_class_of_their_number_or_box_and_no_rim(tmp_path):
    a, b = square_mask(), square_mask(16, 5, 28, 18)
    values = np.full(SIZE, 0, np.uint8)
    values[2:14, 3:15] = 255  # the rim
    values[a.numpy()], values[b.numpy()] = 1, 7
    extra = square_mask(0, 0, 2, 2)
    folder = voc(tmp_path / "in", values, [a, extra, b], ["cat", "bird", "dog"])
    save(folder / "JPEGImages" / "unlabeled.jpg")
    save(folder / "JPEGImages" / "boxes.jpg")
    voc_xml(folder / "Annotations" / "boxes.xml", [a], ["cat"])
    save(folder / "JPEGImages" / "empty.jpg")
    voc_xml(folder / "Annotations" / "empty.xml", [], [])
    data = convert(folder, tmp_path / "out")
    dataset = read(tmp_path / "out")
    target = dataset[0][1]
    assert [dataset.classes[k - 1] for k in target["labels"]] == ["cat", "dog"]
    assert torch.equal(target["masks"], torch.stack((a, b)))
    assert [r["file_name"] for r in dataset.records] == ["a.jpg", "empty.jpg"]
    assert {what: len(files) for what, files in data.findings.skipped.items()} == {
        "object of an XML file without a mask": 1,
        "image without a picture in SegmentationObject": 2,
    }
    assert check(dataset) == []


def test_voc_folders_that_cannot_be_used(tmp_path):
    a = square_mask()
    values = a.numpy().astype(np.uint8)
    with pytest.raises(ValueError, match="an object whose class nobody gives"):
        read_folder(voc(tmp_path / "1", values))
    folder = voc(tmp_path / "2", values)
    palette_png(folder / "SegmentationClass" / "a.png", 3 * values)
    with pytest.raises(ValueError, match=r"has the value 3 in .*class_names.txt.*--classes"):
        read_folder(folder)
    assert read_folder(folder, classes=("x", "y", "z")).images[0].objects[0].name == "z"
    palette_png(folder / "SegmentationClass" / "a.png", 255 * values)
    with pytest.raises(ValueError, match=r"only 1 object without a class in SegmentationClass"):
        read_folder(folder)
    palette_png(folder / "SegmentationClass" / "a.png", values[1:])
    with pytest.raises(ValueError, match="has another size"):
        read_folder(folder)
    folder = voc(tmp_path / "3", values[:, 1:], [a], ["cat"])
    with pytest.raises(
        ValueError, match=r"the mask is 29 x 20 pixels, but the image .* is 30 x 20"
    ):
        read_folder(folder)
    (folder / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match=r"a.png: there is no such image in JPEGImages/"):
        read_folder(folder)
    (folder / "JPEGImages").rmdir()
    with pytest.raises(FileNotFoundError, match="there is no folder JPEGImages/: put the images"):
        read_folder(folder)
    folder = voc(tmp_path / "4", values)
    write(folder / "Annotations" / "a.xml", "<annotation><object>")
    with pytest.raises(ValueError, match=r"a.xml is no XML file"):
        read_folder(folder)
    write(folder / "Annotations" / "a.xml", "<a><object><name>cat</name></object></a>")
    with pytest.raises(ValueError, match=r"a.xml, object 1 has null where a number belongs"):
        read_folder(folder)
    save(tmp_path / "5" / "JPEGImages" / "a.jpg")
    voc_xml(tmp_path / "5" / "Annotations" / "a.xml", [a], ["cat"])
    with pytest.raises(ValueError, match=r"no folder SegmentationObject/.* have no outlines"):
        read_folder(tmp_path / "5")
    voc(tmp_path / "6" / "VOC2007", values)
    voc(tmp_path / "6" / "VOC2012", values)
    with pytest.raises(ValueError, match=r"VOC2007, .*VOC2012 have masks: give one"):
        read_folder(tmp_path / "6")


def test_a_label_map(tmp_path):
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\n"
    names = read_label_map(write(tmp_path / "labelmap.txt", text))
    assert names[1] == names[(128 << 16) + (1 << 24)] == "cat"
    with pytest.raises(ValueError, match="'cat:red' is not name:red,green,blue"):
        read_label_map(write(tmp_path / "labelmap.txt", "cat:red"))


# ---- PNG masks ----


def test_masks_are_found_by_their_images_names_and_folders(tmp_path):
    for sub, name in (("", "FudanPed1.png"), ("b/", "ü 2.jpg")):
        save(tmp_path / "in" / "PNGImages" / f"{sub}{name}")
        mask = f"{sub}{name.split('.')[0]}_mask.png"
        save(tmp_path / "in" / "PedMasks" / mask, 3 * square_mask().numpy().astype(np.uint8))
    save(tmp_path / "in" / "PNGImages" / "empty.png")
    save(tmp_path / "in" / "PedMasks" / "empty_mask.png", np.zeros(SIZE, np.uint8))
    save(tmp_path / "in" / "PNGImages" / "unlabeled.png")
    write(tmp_path / "in" / "Annotation" / "a.txt", "# Compatible with PASCAL")
    data = convert(tmp_path / "in", tmp_path / "out", classes=("pedestrian",))
    assert data.classes == ["pedestrian"] and check(read(tmp_path / "out")) == []
    assert sorted(i.name for i in data.images) == ["FudanPed1.png", "b/ü 2.jpg", "empty.png"]
    assert list(data.findings.skipped) == ["image without a mask"]
    assert any("no mask has more than one value" in note for note in data.findings.notes)
    assert torch.equal(masks_of(tmp_path / "out")[0], square_mask())


@pytest.mark.parametrize(
    ("values", "suffix", "classes", "words"),
    [
        (np.ones(SIZE, np.uint8), ".jpg", (), "masks are PNG or TIFF files"),
        (np.ones((9, 9), np.uint8), ".png", (), "the mask is 9 x 9 pixels, but the image"),
        (np.full(SIZE, 0.5, np.float32), ".tif", (), "values that are not whole"),
        (np.full(SIZE, -3, np.int32), ".tif", (), "has the value -3"),
        (np.full(SIZE, 7, np.uint8), ".png", ("a", "b"), "the value 7: with 2 classes, values are"),
        (np.full(SIZE, 3001, np.uint16), ".png", ("a", "b"), "the value 3001: with 2 classes"),
        (np.full((*SIZE, 3), 3, np.uint8), ".png", ("a", "b"), "has a color: with 2 classes"),
        (None, ".png", (), "this file cannot be read as a mask"),
    ],
)
def test_a_mask_that_is_wrong_is_named(tmp_path, values, suffix, classes, words):
    save(tmp_path / "in" / "images" / "a.png")
    file = tmp_path / "in" / "masks" / f"a{suffix}"
    if values is None:
        write(file, "no picture")
    else:
        save(file, values)
    with pytest.raises(ValueError, match=words) as error:
        read_folder(tmp_path / "in", classes=classes)
    assert str(file) in str(error.value)


def test_a_photograph_is_no_mask_and_a_mask_needs_an_image(tmp_path):
    save(tmp_path / "images" / "a.png", np.zeros((64, 64, 3), np.uint8))
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    save(tmp_path / "masks" / "a.png", pixels)
    save(tmp_path / "masks" / "b.png", np.ones(SIZE, np.uint8))
    with pytest.raises(ValueError, match=r"colors: is it a photograph\?") as error:
        read_folder(tmp_path)
    assert "b.png: there is no image of this name" in str(error.value)
    save(tmp_path / "images" / "a.jpg")
    with pytest.raises(ValueError, match=r"a.png: there is a.jpg, too: delete or rename one"):
        read_folder(tmp_path)


# ---- the command ----


def test_the_format_is_recognized_or_asked_for(tmp_path):
    save(tmp_path / "nothing" / "a.png")
    with pytest.raises(
        ValueError, match="no labels of labelme, yolo, voc, masks, only 1 PNG files"
    ):
        read_folder(tmp_path / "nothing")
    yolo(tmp_path / "two", LINE)
    labelme(tmp_path / "two" / "a.json", shape())
    with pytest.raises(ValueError, match="has labels of labelme and yolo: choose with --from"):
        read_folder(tmp_path / "two")
    assert len(read_folder(tmp_path / "two", "labelme")) == 1
    convert(tmp_path / "two", tmp_path / "coco", "yolo")
    with pytest.raises(ValueError, match="is a COCO folder already: mrcnn-edu check-data"):
        read_folder(tmp_path / "coco")
    with pytest.raises(ValueError, match="leave --classes out"):
        read_folder(tmp_path / "two", "labelme", ("cat",))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_folder(tmp_path / "three")
    with pytest.raises(ValueError, match="which folder has the images and which the masks"):
        read_folder(tmp_path / "nothing", "masks")


def test_nothing_is_overwritten_and_nothing_is_left_behind(tmp_path, monkeypatch):
    folder = yolo(tmp_path / "in", LINE)
    write(tmp_path / "full" / "mine.txt", "mine")
    write(tmp_path / "file", "mine")
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    for name in ("full", "file", "link"):
        with pytest.raises(FileExistsError, match=f"{name} exists already"):
            convert(folder, tmp_path / name)
    for inside in (folder, folder / "coco", folder / ".." / "in" / "coco"):
        with pytest.raises((ValueError, FileExistsError), match=r"is inside|exists already"):
            convert(folder, inside)
    (tmp_path / "empty").mkdir()
    convert(folder, tmp_path / "empty")
    assert len(read(tmp_path / "empty")) == 1
    convert(folder, tmp_path / "new" / "deep")
    before = sorted(os.listdir(tmp_path))
    monkeypatch.setattr("shutil.copyfile", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        convert(folder, tmp_path / "stopped")
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_hidden_files_and_circles_of_links(tmp_path):
    save(tmp_path / "far" / "a.png")
    labelme(tmp_path / "far" / "a.json", shape())
    (tmp_path / "in" / ".trash").mkdir(parents=True)
    write(tmp_path / "in" / "._a.json", "\x00\x05")
    labelme(tmp_path / "in" / ".trash" / "b.json", shape(), image="lost.png")
    os.symlink(tmp_path / "far", tmp_path / "in" / "linked")
    os.symlink(tmp_path / "in", tmp_path / "in" / "again")
    data = read_folder(tmp_path / "in")
    assert [image.name for image in data.images] == ["linked/a.png"]


def test_the_command_says_what_was_read_and_skipped(run, tmp_path):
    folder = tmp_path / "pets"
    save(folder / "a.png")
    save(folder / "b.png")
    labelme(folder / "a.json", shape(), shape(kind="circle"), shape(kind="circle"))
    labelme(folder / "b.json", image="b.png")
    code, out, _ = run("convert", "pets", "--out", "pets coco")
    assert code == 0
    assert out.splitlines() == [
        "read      pets (labelme): 2 images, 1 object, 1 class (cat); 1 image without any",
        "skipped   2 circles, the first in pets/a.json",
        "written   pets coco",
        "Next: mrcnn-edu check-data 'pets coco'",
    ]
    code, out, _ = run("check-data", "pets coco")
    assert code == 0 and "Nothing is wrong" in out
    code, _, err = run("convert", "pets", "--out", "pets coco")
    assert code == 2 and err == (
        "mrcnn-edu: pets coco exists already: delete it, or give another --out\n"
    )
    labelme(folder / "b.json", image="c.png")
    code, out, err = run("convert", "pets", "--out", "new", "--from", "labelme")
    assert code == 2 and out == "" and "pets/b.json: imagePath is" in err
    for i in range(30):
        labelme(folder / f"{i:02d}.json", image="c.png")
    code, _, err = run("convert", "pets", "--out", "new")
    lines = err[err.index("mrcnn-edu:") :].splitlines()
    assert code == 2 and "31 problems, and nothing was written:" in err and len(lines) == 22
    assert "19.json: imagePath" in lines[-2] and lines[-1] == "  ... and 11 more"
    for i in range(30):
        (folder / f"{i:02d}.json").unlink()
    labelme(folder / "a.json", shape(kind="circle"))
    labelme(folder / "b.json", image="b.png")
    code, _, err = run("convert", "pets", "--out", "new")
    assert code == 2 and "no object with an outline in 2 images, only 1 circle" in err
    code, _, err = run("check-data", "pets")
    assert code == 2 and "`mrcnn-edu convert`" in err


def test_an_option_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["convert", "pets", "--out", "x", "--from", "coco"])
    assert "labelme" in capsys.readouterr().err


def test_a_model_learns_from_a_converted_folder(run, tmp_path):
    yolo(tmp_path / "pets", LINE)
    assert run("convert", "pets", "--out", "coco")[0] == 0
    quick = ("--steps", 2, "--batch-size", 1, "--model.short-side", 48)
    assert run("train", "--data", "coco", *quick)[0] == 0
    code, out, _ = run("predict", "pets/images", "--weights", "runs/coco")
    assert code == 0 and "1 image" in out
