"""COCO folders: what is written is read back, unusual files are understood, wrong ones named."""

import contextlib
import io
import json
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data import Augmented, Cached, CocoFolder, Figures, Reading, check, write_coco
from mrcnn_edu.data.regions import decode_mask, encode_mask
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import coco_results, evaluate


class Items(list):
    classes = ("disc", "square")


def scenes(n=4, height=20, width=30, seed=0):
    """Scenes with noisy masks, crowds and boxes of fractional corners; the first has no object."""
    generator = torch.Generator().manual_seed(seed)
    items = Items()
    for i in range(n):
        m = i % 3
        masks = torch.rand(m, height, width, generator=generator) < 0.4
        corner = torch.rand(m, 2, generator=generator) * 10
        size = torch.rand(m, 2, generator=generator) * 10 + 0.1
        target = {
            "boxes": torch.cat((corner, corner + size), dim=1),
            "labels": torch.randint(1, 3, (m,), generator=generator),
            "masks": masks,
            "iscrowd": torch.rand(m, generator=generator) < 0.3,
            "area": torch.rand(m, generator=generator) * 100,
            "image_id": 10 * i + 5,
        }
        items.append((torch.rand(3, height, width, generator=generator), target))
    return items


def folder_of(path, annotations=(), categories=None, size=(20, 30), **record):
    """A COCO folder of one image, number 7; returns the arguments of CocoFolder."""
    (path / "images").mkdir(exist_ok=True)
    Image.new("RGB", size[::-1], (255, 0, 51)).save(path / "images" / "a.png")
    image = {"id": 7, "file_name": "a.png", "height": size[0], "width": size[1], **record}
    categories = [{"id": 3, "name": "cat"}] if categories is None else categories
    contents = {"images": [image], "annotations": list(annotations), "categories": categories}
    (path / "a.json").write_text(json.dumps(contents))
    return path / "images", path / "a.json"


def annotation(**changes):
    polygon = [2, 3, 12, 3, 12, 8, 2, 8]
    whole = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 3, 10, 5], "area": 50}
    return whole | {"iscrowd": 0, "segmentation": [polygon]} | changes


def read(path):
    return CocoFolder(path / "images", path / "annotations.json")


def oracle_decode(runs):
    with warnings.catch_warnings():  # pycocotools 2.0.11 and NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return rle.decode(runs)


def test_a_written_folder_is_read_back(tmp_path):
    dataset = scenes(6)
    write_coco(dataset, tmp_path)
    folder = read(tmp_path)
    assert len(folder) == 6 and folder.classes == ["disc", "square"]
    for (image, target), (read_image, read_target) in zip(dataset, folder, strict=True):
        assert read_image.dtype == torch.float32
        torch.testing.assert_close(read_image, image, rtol=0, atol=0.5 / 255 + 1e-6)
        assert read_target.pop("image_id") == target.pop("image_id")
        assert read_target.keys() == target.keys()
        for name, column in target.items():
            assert read_target[name].dtype == column.dtype
            assert read_target[name].shape == column.shape
            assert torch.equal(read_target[name], column), name


def test_writing_again_changes_nothing(tmp_path):
    write_coco(scenes(), tmp_path / "a")
    write_coco(read(tmp_path / "a"), tmp_path / "b")
    write_coco(read(tmp_path / "a"), tmp_path / "b")
    for file in (tmp_path / "a").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_image_files_are_copied_under_their_names(tmp_path):
    write_coco(scenes(), tmp_path / "a")
    dataset = read(tmp_path / "a")
    sources = [tmp_path / "a" / "images" / f"{i:06d}.png" for i in range(4)]
    files = [(f"cats/{i}.png", source) for i, source in enumerate(sources[:3])]
    files.append(("inline.png", sources[3].read_bytes))
    write_coco(dataset, tmp_path / "b", files)
    copy = read(tmp_path / "b")
    assert [r["file_name"] for r in copy.records] == [name for name, _ in files]
    for (name, _), source in zip(files, sources, strict=True):
        assert (tmp_path / "b" / "images" / name).read_bytes() == source.read_bytes()
    for (image, target), (same_image, same_target) in zip(dataset, copy, strict=True):
        assert torch.equal(image, same_image) and target.keys() == same_target.keys()
        assert all(torch.equal(target[k], same_target[k]) for k in target if k != "image_id")


def test_targets_without_extras_are_written(tmp_path):
    dataset = scenes()
    for _, target in dataset:
        del target["iscrowd"], target["area"], target["image_id"]
    write_coco(dataset, tmp_path)
    for index, (_, target) in enumerate(read(tmp_path)):
        assert target["image_id"] == index
        assert torch.equal(target["area"], target["masks"].sum(dim=(1, 2)).float())
        assert not target["iscrowd"].any()


def test_targets_without_masks_are_written(tmp_path):
    dataset = scenes()
    for _, target in dataset:
        del target["masks"], target["area"]
    write_coco(dataset, tmp_path)
    for (_, target), (_, expected) in zip(read(tmp_path), dataset, strict=True):
        assert torch.equal(target["boxes"], expected["boxes"])
        width, height = (expected["boxes"][:, 2:] - expected["boxes"][:, :2]).unbind(1)
        torch.testing.assert_close(target["area"], width * height)
        assert not target["masks"].any()


def test_writing_that_fails_leaves_no_old_list_behind(tmp_path):
    dataset = scenes()
    write_coco(dataset, tmp_path)
    dataset[3][1]["image_id"] = dataset[1][1]["image_id"]
    with pytest.raises(ValueError, match="items 000001 and 000003 both have image_id 15"):
        write_coco(dataset, tmp_path)
    assert not (tmp_path / "annotations.json").exists()
    dataset = scenes()
    dataset[1][1]["labels"][0] = 3
    with pytest.raises(ValueError, match=r"item 1, object 0: label 3 is none of 1\.\.2"):
        write_coco(dataset, tmp_path)


def test_pycocotools_agrees_on_the_written_folder(tmp_path):
    dataset = scenes(12, seed=3)
    write_coco(dataset, tmp_path)
    folder = read(tmp_path)
    detections = []
    generator = torch.Generator().manual_seed(1)
    for _, target in folder:
        n = len(target["labels"])
        noise = torch.rand(target["masks"].shape, generator=generator) < 0.15
        boxes = target["boxes"] + torch.rand(n, 4, generator=generator)
        scores = torch.rand(n, generator=generator)
        masks = target["masks"] ^ noise
        detections.append(Detections(boxes, target["labels"], scores, masks, None))
    for kind in ("segm", "bbox"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(tmp_path / "annotations.json"))
            results = coco.loadRes(coco_results(folder, detections, kind))
            evaluator = COCOeval(coco, results, kind)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        scores = evaluate(folder, detections, kind)
        assert 0.1 < scores.ap < 0.9
        ours = [scores.ap, scores.ap50, scores.ap75, scores.ap_small]
        np.testing.assert_allclose(ours, evaluator.stats[:4], rtol=0, atol=1e-9)


def test_results_have_the_format_of_coco(tmp_path):
    folder = CocoFolder(*folder_of(tmp_path, [annotation()]))
    mask = torch.zeros(1, 20, 30, dtype=torch.bool)
    mask[0, 3:8, 2:12] = True
    box = torch.tensor([[2.0, 3.0, 12.0, 8.5]])
    detections = Detections(box, torch.tensor([1]), torch.tensor([0.75]), mask, None)
    (result,) = json.loads(json.dumps(coco_results(folder, [detections])))
    runs = result.pop("segmentation")
    assert result == {"image_id": 7, "category_id": 3, "score": 0.75, "bbox": [2, 3, 10, 5.5]}
    assert np.array_equal(oracle_decode(runs), mask[0])
    assert "segmentation" not in coco_results(folder, [detections], "bbox")[0]
    assert "bbox" not in coco_results(folder, [detections], "segm")[0]
    without = replace(detections, masks=None)
    assert coco_results(folder, [without]) == coco_results(folder, [detections], "bbox")
    with pytest.raises(ValueError, match="no masks to write: iou_type='bbox' writes boxes"):
        coco_results(folder, [without], "segm")
    detections.labels += 1  # a label without a class is written as it is
    assert coco_results(folder, [detections])[0]["category_id"] == 2
    with pytest.raises(ValueError, match="2 detections for 1 images"):
        coco_results(folder, [detections, detections])


def test_wrapped_folders_keep_their_category_ids(tmp_path):
    categories = [{"id": 2, "name": "cat"}, {"id": 70, "name": "owl"}]
    objects = [annotation(category_id=70), annotation(id=2, category_id=2)]
    folder = CocoFolder(*folder_of(tmp_path, objects, categories))
    box = torch.tensor([[2.0, 3.0, 12.0, 8.0]])
    detections = [Detections(box, torch.tensor([2]), torch.tensor([0.75]), None, None)]

    def keep(image, objects):
        return image, objects

    for dataset in (folder, Cached(folder, 1e6), Augmented(Cached(folder, 1e6), keep)):
        assert coco_results(dataset, detections)[0]["category_id"] == 70
        assert dataset.category_ids == [2, 70] and dataset.classes == ["cat", "owl"]
        assert dataset.fingerprint == folder.fingerprint and dataset.image_size(0) == (20, 30)
        assert dataset.target(0)["labels"].tolist() == [2, 1]


def test_a_folder_can_be_read_with_other_channels(tmp_path):
    folder = CocoFolder(*folder_of(tmp_path, [annotation()]))
    gray = folder.with_channels(1)
    assert gray[0][0].shape == (1, 20, 30) and folder[0][0].shape == (3, 20, 30)
    assert gray[0][1]["masks"].equal(folder[0][1]["masks"])
    assert gray.fingerprint == folder.fingerprint and gray.with_channels(3).channels == 3
    assert check(Cached(gray, 1e6)) == check(gray) == check(folder, channels=1) == []
    assert "not height, width and 4 channels" in check(folder, channels=4)[0].message


def test_labels_of_category_ids(tmp_path):
    categories = [{"id": 9, "name": "owl"}, {"id": 2, "name": "cat"}, {"id": 4, "name": "dog"}]
    objects = [annotation(id=i, category_id=i) for i in (9, 2, 4)]
    arguments = folder_of(tmp_path, objects, categories)
    folder = CocoFolder(*arguments)
    assert folder.classes == ["cat", "dog", "owl"] and folder.category_ids == [2, 4, 9]
    assert folder[0][1]["labels"].tolist() == [3, 1, 2]
    folder = CocoFolder(*arguments, keep_ids=True)
    assert folder[0][1]["labels"].tolist() == [9, 2, 4]
    assert len(folder.classes) == 9
    assert [folder.classes[k - 1] for k in (1, 2, 3, 4, 9)] == [
        "unused 1", "cat", "unused 3", "dog", "owl"
    ]  # fmt: skip
    assert folder.category_ids == list(range(1, 10))
    folder = CocoFolder(*folder_of(tmp_path, [annotation(category_id=3)], categories), True)
    with pytest.raises(ValueError, match="category_id is the number 3, which no category has"):
        folder[0]


def test_every_kind_of_region(tmp_path):
    square = np.zeros((20, 30), np.uint8)
    square[3:8, 2:12] = 1
    two = square.copy()
    two[12:15, 20:25] = 1
    polygons = [[2, 3, 12, 3, 12, 8, 2, 8], [20, 12, 25, 12, 25, 15, 20, 15]]
    changes = np.flatnonzero(np.diff(two.ravel(order="F"), prepend=0))
    runs = {"size": [20, 30], "counts": np.diff([0, *changes, 600]).tolist()}
    compressed = encode_mask(torch.from_numpy(two))
    assert isinstance(compressed["counts"], str)
    regions = [polygons[:1], polygons, runs, compressed, [], [[2, 3, 12, 3]]]
    objects = [annotation(id=i, segmentation=region) for i, region in enumerate(regions)]
    del objects[4]["segmentation"], objects[4]["area"]
    target = CocoFolder(*folder_of(tmp_path, objects))[0][1]
    expected = [square, two, two, two, 0 * two, 0 * two]
    assert np.array_equal(target["masks"], np.array(expected, bool))
    assert target["area"].tolist() == [50, 50, 50, 50, 10 * 5, 50]  # without a region, the box's


def test_boxes_without_area_are_left_out(tmp_path):
    boxes = [[2, 3, 0, 5], [2, 3, 10, 5], [2, 3, 4, -1], [2, 3, 1e-14, 4]]  # no width in float32
    objects = [annotation(id=i, bbox=box) for i, box in enumerate(boxes)]
    target = CocoFolder(*folder_of(tmp_path, objects))[0][1]
    assert target["boxes"].tolist() == [[2, 3, 12, 8]]
    assert [len(target[name]) for name in ("labels", "masks", "area", "iscrowd")] == [1] * 4


def test_an_image_without_objects(tmp_path):
    image, target = CocoFolder(*folder_of(tmp_path))[0]
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    assert image.shape == (3, 20, 30) and image.is_contiguous()
    shapes = {name: list(target[name].shape) for name in target if name != "image_id"}
    assert shapes == {
        "boxes": [0, 4], "labels": [0], "masks": [0, 20, 30], "iscrowd": [0], "area": [0]
    }  # fmt: skip
    assert target["masks"].dtype == torch.bool and target["labels"].dtype == torch.int64


def test_crowds_and_order_of_images(tmp_path):
    arguments = folder_of(tmp_path, [annotation(iscrowd=1), annotation(id=2, image_id=4)])
    contents = json.loads(arguments[1].read_text())
    contents["images"].append({**contents["images"][0], "id": 4})
    arguments[1].write_text(json.dumps(contents))
    folder = CocoFolder(*arguments)
    assert [target["image_id"] for _, target in folder] == [4, 7]
    assert [target["iscrowd"].tolist() for _, target in folder] == [[False], [True]]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "CMYK", "1", "transparent P"])
def test_images_of_every_mode_become_rgb(tmp_path, mode):
    arguments = folder_of(tmp_path)
    path = arguments[0] / "a.png"
    if mode == "I;16":
        image, expected = Image.fromarray(np.full((20, 30), 26214, np.uint16)), [0.4] * 3
    elif mode in ("RGBA", "CMYK"):
        image, expected = Image.open(path).convert(mode), [1, 0, 0.2]
        if mode == "RGBA":
            image.putalpha(100)
    elif mode.endswith("P"):
        image, expected = Image.new("P", (30, 20), 1), [1, 0, 0.2]
        image.putpalette([0, 0, 0, 255, 0, 51])
    else:
        image = Image.new(mode, (30, 20), {"L": 102, "LA": (102, 9), "1": 1}[mode])
        expected = [1] * 3 if mode == "1" else [0.4] * 3
    if mode == "CMYK":
        image.save(path, format="tiff")
    elif mode == "transparent P":
        image.save(path, transparency=b"\x10\x20")
    else:
        image.save(path)
    pixels = CocoFolder(*arguments)[0][0]
    assert pixels.shape == (3, 20, 30)
    torch.testing.assert_close(pixels[:, 5, 5], torch.tensor(expected).float(), rtol=0, atol=1e-4)


def test_rotated_photographs_follow_the_size_in_the_json(tmp_path):
    stored = np.zeros((20, 30, 3), np.uint8)
    stored[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to the right
    for size, corner in (((30, 20), (0, 19)), ((20, 30), (0, 0)), ((None, None), (0, 19))):
        arguments = folder_of(tmp_path, height=size[0], width=size[1])
        Image.fromarray(stored).save(arguments[0] / "a.png", exif=exif)
        image = CocoFolder(*arguments)[0][0]
        assert image.shape[1:] == (size if size[0] else (30, 20))
        assert image[:, *corner].tolist() == [1, 1, 1]
    exif[0x0112] = 3  # rotate by 180 degrees: both have the size, so the note is obeyed
    arguments = folder_of(tmp_path)
    Image.fromarray(stored).save(arguments[0] / "a.png", exif=exif)
    assert CocoFolder(*arguments)[0][0][:, 19, 29].tolist() == [1, 1, 1]


def test_a_folder_can_be_pickled_for_a_worker(tmp_path):
    folder = CocoFolder(*folder_of(tmp_path, [annotation()]))
    copy = pickle.loads(pickle.dumps(folder))
    assert torch.equal(copy[0][1]["masks"], folder[0][1]["masks"])
    assert len(pickle.dumps(folder)) < 5_000  # it contains no image


def test_nothing_is_printed(tmp_path, capsys):
    CocoFolder(*folder_of(tmp_path, [annotation()]))[0]
    assert capsys.readouterr().out == ""


def test_a_missing_or_broken_file_is_named(tmp_path):
    images, file = folder_of(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder of images"):
        CocoFolder(tmp_path / "nowhere", file)
    with pytest.raises(FileNotFoundError, match=r"no\.json: there is no such annotation file"):
        CocoFolder(images, tmp_path / "no.json")
    good = json.loads(file.read_text())
    for text, message in (
        ('{"images": [', "is not valid JSON, or was cut short"),
        ("[]", "there is no list 'images'; a COCO file is one JSON object"),
        (json.dumps(good | {"categories": None}), "there is no list 'categories'"),
        (json.dumps({"images": [], "categories": []}), "there is no list 'annotations'"),
        ('{"images": [],}', r"line 1, column 15, near .*\]"),
        ('[{"image_id": 1, "score": 0.5}]', "these are results, not annotations"),
        ('{"imagePath": "a.png", "shapes": []}', "this is labelme's file for one image"),
        ("[" * 100_000, "is not JSON that can be read"),
        ("9" * 5000, "is not JSON that can be read"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            CocoFolder(images, file)
        assert str(file) in str(caught.value)


def test_id_0_cannot_be_kept_as_a_label(tmp_path):
    arguments = folder_of(tmp_path, [annotation(category_id=0)], [{"id": 0, "name": "cat"}])
    with pytest.raises(ValueError, match="category ids 0 to 0 cannot be kept as labels"):
        CocoFolder(*arguments, keep_ids=True)
    assert CocoFolder(*arguments)[0][1]["labels"].tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 5}, "category_id is the number 5, which no category has"),
        ({"bbox": [1, 2, 3]}, r"the bbox is not \[x, y, width, height\] but the list \[1, 2, 3\]"),
        ({"bbox": [1, 2, None, 4]}, "the bbox is not .*: it has null where a number belongs"),
        ({"bbox": None}, "there is no bbox .--boxes from-masks"),
        ({"segmentation": {"size": [9, 8], "counts": [72]}}, "mask is 8 x 9, the image 30 x 20"),
        ({"segmentation": {"size": [20, 30], "counts": [5]}}, "runs do not add up to the image"),
        ({"segmentation": {"size": [20, 30], "counts": "oo"}}, "runs do not add up"),
        ({"segmentation": {"size": [20, 30], "counts": "~~"}}, "characters that are not COCO's"),
        ({"segmentation": {"size": [20, 30], "counts": [-5, 605]}}, "runs do not add up"),
        ({"segmentation": {"size": [20, 30], "counts": [1.5, 598.5]}}, "where a whole number"),
        ({"segmentation": {"size": [20, 30], "counts": "0"}}, "runs do not add up"),
        ({"segmentation": {"size": [20, 30]}}, "the RLE's counts are null"),
        ({"segmentation": [[float("nan")] * 6]}, "a polygon has the number NaN"),
        ({"segmentation": {"counts": "~~"}}, "the RLE's size is null"),
        ({"segmentation": "a cat"}, 'neither polygons nor RLE but the text "a cat"'),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "odd number of coordinates"),
        ({"segmentation": [[0, 0, 5e7, 0, 9, 9]]}, "far outside of the image of 30 x 20"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path, changes, message):
    folder = CocoFolder(*folder_of(tmp_path, [annotation(), annotation(id=8, **changes)]))
    with pytest.raises(ValueError, match=message) as caught:
        folder[0]
    assert "a.png (image id 7, annotation id 8)" in str(caught.value)
    assert "mrcnn-edu check-data" in str(caught.value)


def test_what_a_table_program_writes_is_read(tmp_path):
    """It turns whole numbers into floats, missing names into null and missing numbers into NaN."""
    images, file = folder_of(tmp_path, [annotation(area=float("nan"))])
    contents = json.loads(file.read_text())
    expected = CocoFolder(images, file)
    before = expected.fingerprint
    for record in contents["images"]:
        record |= {"height": float(record["height"]), "width": float(record["width"])}
        record["id"] = float(record["id"])
    contents["categories"][0]["name"] = None
    file.write_text(json.dumps(contents))
    folder = CocoFolder(images, file)
    assert folder.image_size(0) == expected.image_size(0)
    assert torch.equal(folder[0][1]["masks"], expected[0][1]["masks"])
    assert folder[0][1]["area"].tolist() == [folder[0][1]["masks"].sum()]
    assert folder.classes[0] == str(contents["categories"][0]["id"])
    assert folder.fingerprint != before == expected.fingerprint  # the fingerprint is the file's


@pytest.mark.parametrize("name", ["images", "categories", "annotations"])
@pytest.mark.parametrize("entry", [{"id": None}, {"id": [1]}, {"id": True}, {}, 5, None])
def test_an_entry_that_cannot_be_used_is_left_out_and_listed(tmp_path, name, entry):
    images, file = folder_of(tmp_path, categories=[{"id": 3}, {"id": 4}])
    contents = json.loads(file.read_text())
    contents[name].append(entry)
    file.write_text(json.dumps(contents))
    folder = CocoFolder(images, file)
    assert len(folder) == 1 and len(folder.classes) == 2
    assert any(p.file == str(file) and not p.is_note for p in check(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": "tall"}, 'the JSON gives height the text "tall" and width the number 30'),
        ({"width": 20.5}, "and width the number 20.5"),
        ({"width": float("nan")}, "and width the number NaN"),
        ({"height": 0}, "height the number 0"),
        ({"height": 1e9}, "height the number 1000000000.0"),
        ({"height": True}, "height true"),
    ],
)
def test_a_wrong_size_is_named(tmp_path, change, message):
    folder = CocoFolder(*folder_of(tmp_path, **change))
    for ask in (folder.__getitem__, folder.target, folder.image_size):
        with pytest.raises(ValueError, match=message) as caught:
            ask(0)
        assert "a.png (image id 7)" in str(caught.value) and "check-data" in str(caught.value)
    problems = check(folder)
    assert any(p.image_id == 7 and message in p.message for p in problems)


def test_a_wrong_image_is_named(tmp_path):
    images, file = folder_of(tmp_path, size=(20, 31))
    folder = CocoFolder(images, file)
    path = images / "a.png"
    whole = path.read_bytes()
    Image.new("RGB", (30, 20)).save(path)
    for change, kind, message in (
        (None, ValueError, "the image is 30 x 20 pixels, the JSON says 31 x 20"),
        (b"no image", ValueError, "this file cannot be read as an image"),
        (whole[:60], ValueError, "this file cannot be read as an image"),
        ("gone", FileNotFoundError, "there is no such image"),
    ):
        if change == "gone":
            path.unlink()
        elif change is not None:
            path.write_bytes(change)
        with pytest.raises(kind, match=message) as caught:
            folder[0]
        assert f"{path} (image id 7): " in str(caught.value)


def test_masks_are_encoded_and_decoded():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(50, 7, 300, generator=generator) < torch.rand(50, 1, 1, generator=generator)
    masks[10:, :, 20:280] = masks[10:, :1, :1]  # long runs
    masks[:2] = torch.tensor([False, True]).view(2, 1, 1)
    for mask in masks:
        runs = encode_mask(mask)
        assert np.array_equal(oracle_decode(runs), mask)
        assert torch.equal(decode_mask(runs, 7, 300), mask)
        assert torch.equal(decode_mask(runs | {"counts": runs["counts"].encode()}, 7, 300), mask)


def test_polygons_are_drawn_as_pycocotools_draws_them():
    rng = np.random.default_rng(0)
    for _ in range(50):
        polygons = [(rng.random(2 * n) * 40).tolist() for n in rng.integers(3, 8, size=2)]
        expected = oracle_decode(rle.merge(rle.frPyObjects(polygons, 30, 40)))
        assert np.array_equal(decode_mask(polygons, 30, 40), expected)


def test_counts_may_contain_zeros():
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.choice([0, 0, 1, 5, 20], size=rng.integers(1, 12)).tolist()
        runs = {"size": [20, 30], "counts": [*counts, 600 - sum(counts)]}
        expected = oracle_decode(rle.frPyObjects(runs, 20, 30))
        assert np.array_equal(decode_mask(runs, 20, 30), expected)


NAMES = ["nose", "left_eye", "right_eye"]


def test_keypoints_are_written_and_read_back(tmp_path):
    scenes = Figures(6, size=48, n_objects=(0, 3))
    write_coco(scenes, tmp_path)
    folder = read(tmp_path)
    for name in ("keypoints", "mirrored", "skeleton", "sigmas", "classes"):
        assert getattr(folder, name) == getattr(scenes, name)
        assert getattr(Cached(folder, 1e6), name) == getattr(scenes, name)
    for i in range(6):
        for target in (folder[i][1], folder.target(i), folder.encoded_item(i)[1]):
            assert target["keypoints"].dtype == torch.float32
            assert target["keypoints"].equal(scenes[i][1]["keypoints"])
    write_coco(folder, tmp_path / "again")
    first, second = (p / "annotations.json" for p in (tmp_path, tmp_path / "again"))
    first, second = (json.loads(file.read_text()) for file in (first, second))
    assert first["categories"] == second["categories"]
    assert [a["keypoints"] for a in first["annotations"]] == [
        a["keypoints"] for a in second["annotations"]
    ]


def test_keypoints_are_written_as_coco_has_them(tmp_path):
    class Eyes(Items):
        keypoints = NAMES
        skeleton = ((0, 1), (0, 2))

    items = Eyes(scenes(3))
    rows = torch.tensor([[[1.5, 2, 2], [3, 4, 1], [0, 0, 0]]])
    items[1][1]["keypoints"] = rows  # the others have none: they are not labeled
    write_coco(items, tmp_path)
    contents = json.loads((tmp_path / "annotations.json").read_text())
    assert contents["categories"] == [
        {"id": k, "name": name, "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
        for k, name in enumerate(("disc", "square"), start=1)
    ]
    first, *others = contents["annotations"]
    assert first["keypoints"] == [1.5, 2, 2, 3, 4, 1, 0, 0, 0] and first["num_keypoints"] == 2
    assert all(a["keypoints"] == [0] * 9 and a["num_keypoints"] == 0 for a in others)
    assert [type(number) for number in first["keypoints"][2::3]] == [int] * 3
    folder = read(tmp_path)
    assert folder.mirrored == [0, 2, 1] and folder.sigmas == []
    assert folder[1][1]["keypoints"].equal(rows)
    assert folder[0][1]["keypoints"].shape == (0, 3, 3)  # an image without objects
    assert folder[2][1]["keypoints"].equal(torch.zeros(2, 3, 3))


def test_pycocotools_reads_the_same_keypoints(tmp_path):
    scenes = Figures(4, size=48)
    write_coco(scenes, tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "annotations.json")
    assert coco.loadCats(1)[0]["keypoints"] == scenes.keypoints
    for i in range(4):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=i))
        expected = np.array([a["keypoints"] for a in annotations]).reshape(-1, 7, 3)
        np.testing.assert_array_equal(scenes[i][1]["keypoints"], expected)


def test_keypoints_that_a_file_cannot_hold_are_refused(tmp_path):
    items = Items([(torch.rand(3, 8, 8), {"keypoints": torch.zeros(1, 2, 3)})])
    items[0][1].update(boxes=torch.tensor([[1.0, 1, 5, 5]]), labels=torch.ones(1).long())
    with pytest.raises(ValueError, match="2 keypoints each, but the dataset names 0"):
        write_coco(items, tmp_path)

    class Hands(Items):
        keypoints = ("port", "starboard")
        mirrored = (1, 0)

    with pytest.raises(ValueError, match="can tell twins only by their names"):
        write_coco(Hands(items), tmp_path)
    Hands.mirrored = (0, 1)
    write_coco(Hands(items), tmp_path)
    assert read(tmp_path).mirrored == [0, 1]


def test_data_without_keypoints_is_written_and_read_as_before(tmp_path):
    write_coco(scenes(3), tmp_path)
    text = (tmp_path / "annotations.json").read_text()
    assert "keypoint" not in text and "skeleton" not in text
    folder = read(tmp_path)
    assert folder.keypoints == folder.mirrored == folder.skeleton == folder.sigmas == []
    assert "keypoints" not in folder[2][1]
    whole = annotation(keypoints="nonsense")  # which no category names
    assert "keypoints" not in CocoFolder(*folder_of(tmp_path, [whole]))[0][1]


def test_unusual_and_wrong_keypoints(tmp_path):
    categories = [{"id": 3, "name": "cat", "keypoints": NAMES}, {"id": 4, "name": "ball"}]

    def read_first(**changes):
        folder = CocoFolder(*folder_of(tmp_path, [annotation(**changes)], categories))
        return folder[0][1]["keypoints"].tolist()

    expected = [[[4, 5, 2], [6, 5, 1], [0, 0, 0]]]
    assert read_first(keypoints=[4, 5, 2, 6, 5, 1, 0, 0, 0]) == expected
    assert read_first(keypoints=["4", "5.0", "2", 6, 5.0, 1.0, 0, 0, 0]) == expected
    assert read_first(keypoints=[[4, 5, 2], [6, 5, 1], [0, 0, 0]]) == expected
    none = [[[0, 0, 0]] * 3]
    assert read_first() == read_first(keypoints=[]) == read_first(keypoints=None) == none
    assert read_first(category_id=4) == none
    for wrong in ([1, 2], [4, 5, 3, 6, 5, 1, 0, 0, 0], [float("nan")] * 9, {"x": 1}):
        with pytest.raises(ValueError, match=r"a.png \(image id 7, annotation id 1\).*keypoint"):
            read_first(keypoints=wrong)


def test_boxes_from_masks_keep_the_keypoints_of_their_objects(tmp_path):
    categories = [{"id": 3, "name": "cat", "keypoints": NAMES}]
    empty = annotation(id=1, segmentation=[], keypoints=[1, 1, 2] * 3)
    annotations = [empty, annotation(id=2, keypoints=[5, 5, 1] * 3)]
    paths = folder_of(tmp_path, annotations, categories)
    folder = CocoFolder(*paths, reading=Reading(boxes="from-masks"))
    assert folder[0][1]["keypoints"].tolist() == [[[5, 5, 1]] * 3]
