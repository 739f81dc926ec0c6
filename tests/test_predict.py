"""mrcnn-edu predict: what is read, what is passed over and said, and where results go."""

import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mrcnn_edu
from mrcnn_edu import cli
from mrcnn_edu.cli import photos
from mrcnn_edu.cli.naming import RESULT, ids_of, result_names
from mrcnn_edu.data import CocoFolder, Shapes, write_coco
from mrcnn_edu.detections import Detections
from mrcnn_edu.viz import full_size_png


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def photo(file, size=(20, 16), **options):
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, **options)


def found(folder="predictions"):
    """The images whose pictures are in the folder of results."""
    names = [path.relative_to(folder).as_posix() for path in Path(folder).rglob("*" + RESULT)]
    return sorted(name.removesuffix(RESULT) for name in names)


def listed(folder="predictions"):
    return json.loads((Path(folder) / "detections.json").read_text())


# Files


def test_files_of_all_kinds_and_a_broken_one(run):
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for name, shape in [("00012.png", (50, 60)), ("clear.png", (40, 40, 4)), ("b.jpg", (9, 8, 3))]:
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(f"photos/{name}")
    Path("photos/broken.png").write_bytes(Path("photos/clear.png").read_bytes()[:60])

    code, out, err = run("predict", "photos", "--out", "found")
    assert code == 1 and "in 3 images: found/detections.json" in out
    assert "1 of 4 images failed" in err and "broken.png: " in err
    assert {result["image_id"] for result in listed("found")} == {12, "clear", "b"}
    first = listed("found")[0]
    assert set(first["segmentation"]) == {"size", "counts"} and len(first["bbox"]) == 4
    assert Path(first["file_name"]).parent == Path("photos")
    assert first["category"] in Shapes().classes
    assert found("found") == ["00012", "b", "clear"]
    assert not list(Path("found").glob("*.unfinished"))

    code, out, err = run("predict", "photos/b.jpg")
    assert code == 0 and "in 1 image: predictions/detections.json" in out and "fail" not in err


def test_if_every_image_fails_nothing_is_listed(run):
    Path("a.jpg").write_bytes(b"no image")
    code, out, err = run("predict", "a.jpg")
    assert code == 1 and "1 of 1 image failed" in err and "detections" not in out
    assert not Path("predictions/detections.json").exists()


def test_missing_files_are_named_before_any_work(run, monkeypatch):
    monkeypatch.setattr(cli.predict, "open_model", None)
    photo("here.png")
    for given, missing in [
        (["nope.jpg"], "nope.jpg"),
        (["here.png", "a/b.png", "c"], "a/b.png, c"),
        (["https://example.org/a.jpg"], "a.jpg: download the image first"),
    ]:
        code, out, err = run("predict", *given)
        assert code == 2 and err.endswith(f"{missing}\n") and "there is no file or folder" in err
        assert out == "" and not Path("predictions").exists() and err.count("\n") == 1


def test_what_is_no_ordinary_file_is_refused(run):
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe.jpg")
        code, _, err = run("predict", "pipe.jpg")
        assert code == 2 and "pipe.jpg is no ordinary file" in err


def test_settings_that_cannot_be_meant(run):
    photo("a.png")
    for args in ([], ["a.png", "--data", "shapes"]):
        code, _, err = run("predict", *args)
        assert code == 2 and "either images" in err
    for score in ("50", "-0.1", "nan"):
        code, _, err = run("predict", "a.png", "--min-score", score)
        assert code == 2 and f"min-score is {score}: give a number from 0 to 1" in err


# Folders


def test_subfolders_are_searched_and_kept(run):
    for name in ("1.png", "a/1.png", "a/deep/er/1.png", "b/1.jpg", "b/1.png", "b/2.JPG"):
        photo(f"photos/{name}")
    assert run("predict", "photos")[0] == 0
    assert found() == ["1", "a/1", "a/deep/er/1", "b/1.jpg", "b/1.png", "b/2"]
    ids = {entry["image_id"]: entry["file_name"] for entry in listed()}
    assert len(ids) == 6 and Path(ids["a/1"]) == Path("photos/a/1.png")

    assert run("predict", "photos/a", Path("photos/b").resolve(), "--out", "two")[0] == 0
    assert found("two") == ["a/1", "a/deep/er/1", "b/1.jpg", "b/1.png", "b/2"]
    assert run("predict", "photos/b", "photos/b/2.JPG", "photos", "--out", "once")[0] == 0
    assert len(found("once")) == 6


def test_what_is_passed_over_is_said(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(photos, "_is_built_in", lambda feature: feature != "avif")
    for name in ("a.png", ".hidden.jpg", "._a.png", ".cache/x.png", "a-detections.png"):
        photo(f"photos/{name}")
    for name in ("b.HEIC", "c.heif", "d.avif", "e.txt", "f.cr2", "g.txt", ".DS_Store"):
        Path("photos", name).write_bytes(b"")
    code, out, _ = run("predict", "photos")
    assert code == 0 and found() == ["a"]
    for line in (
        "2 hidden files (._a.png, .hidden.jpg)",
        "1 hidden folder (.cache)",
        "1 picture of an earlier prediction (a-detections.png)",
        "2 HEIC photographs: to read HEIC, pip install pillow-heif (b.HEIC, c.heif)",
        "1 file of a kind that this Pillow does not read (.avif)",
        "3 files of another kind (.txt, .cr2)",
    ):
        assert line in out
    assert out.count("passed over") == 1 and "DS_Store" not in out


def test_every_kind_that_pillow_reads_is_read(run):
    names = ["a.jfif", "b.jpe", "c.tif", "d.bmp", "e.gif", "f.ppm", "g.tga"]
    names += [f"{feature}{suffix}" for suffix, feature in photos.OPTIONAL.items()]
    names = [n for n in names if Path(n).suffix not in photos.OPTIONAL or
             photos._is_built_in(photos.OPTIONAL[Path(n).suffix])]  # fmt: skip
    for name in names:
        photo(f"photos/{name}", format={".jfif": "jpeg", ".jpe": "jpeg"}.get(Path(name).suffix))
    code, out, _ = run("predict", "photos")
    assert code == 0 and "passed over" not in out and len(found()) == len(names)


def test_heic_is_read_where_the_plugin_is(run, monkeypatch):
    """The plug-in teaches Pillow, and that is all that is asked of it."""
    Path("a.heic").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    code, _, err = run("predict", "a.heic")
    assert code == 1 and "a.heic: to read HEIC, pip install pillow-heif" in err
    photo("b.heic", format="png")  # it stands for what the plug-in would decode
    calls = []
    plugin = types.SimpleNamespace(register_heif_opener=lambda: calls.append(1))
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    code, _, err = run("predict", "b.heic")
    assert code == 0 and calls and found() == ["b"]


def test_a_folder_without_images(run):
    Path("empty").mkdir()
    for name in ("empty", "photos"):
        Path(name).mkdir(exist_ok=True)
        code, out, err = run("predict", name)
        assert code == 2 and f"there is no image in {name}" in err
        Path("photos").mkdir(exist_ok=True)
        Path("photos/a.txt").touch()
    assert "1 file of another kind (.txt)" in out and not Path("predictions").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links(run):
    photo("photos/a/1.png")
    photo("elsewhere/2.png")
    os.symlink("..", "photos/a/loop")
    os.symlink("b", "photos/0_link")
    photo("photos/b/3.png")
    os.symlink("../elsewhere", "photos/other")
    os.symlink("nowhere.png", "photos/broken.png")
    code, out, _ = run("predict", "photos")
    assert code == 0 and found() == ["a/1", "b/3", "other/2"]
    assert "1 broken link (broken.png)" in out
    assert "2 links to a folder that is read anyway" in out


def test_a_folder_that_may_not_be_opened(run, monkeypatch):
    photo("photos/a/1.png")
    photo("photos/b/2.png")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    code, out, _ = run("predict", "photos")
    assert code == 0 and found() == ["b/2"] and "1 folder that may not be opened (a)" in out


@pytest.mark.parametrize("out", ["photos", "photos/results", ".", "elsewhere"])
def test_results_are_never_read_as_images(run, out):
    photo("photos/1.png")
    photo("photos/a/1.png")
    for _ in range(3):
        assert run("predict", "photos", "--out", out)[0] == 0
        assert [entry["file_name"] for entry in listed(out)]
        assert found(out) == ["1", "a/1"]
    assert run("predict", "photos", "--out", "another")[0] == 0
    assert found("another") == ["1", "a/1"]


# Names


@pytest.mark.parametrize(
    "images, names",
    [
        (["a.jpg", "b.tar.png"], ["a", "b.tar"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "a.png", "b"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a", "y/a"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg-2"]),
        (["a.jpg", "a.jpg", "a-2.jpg"], ["a", "a-2", "a-2-2"]),
        (["../../etc/a.jpg", "/b.jpg", "./c.jpg"], ["etc/a", "b", "c"]),
        (["C:\\data\\a.jpg", "https://host/b.jpg?x=1"], ["C_/data/a", "https_/host/b"]),
        (["", "..", ".jpg"], ["image", "image-2", ".jpg"]),
        (["scene-0", "scene-1"], ["scene-0", "scene-1"]),
    ],
)
def test_every_image_has_a_result_of_its_own(images, names):
    assert result_names(images) == names


def test_long_names_are_cut():
    names = result_names(["ä" * 120 + f"{i}.jpg" for i in range(3)])
    assert len(set(names)) == 3
    assert all(len((name + RESULT + ".unfinished").encode()) < 200 for name in names)


def test_ids_are_numbers_where_these_differ():
    assert ids_of(["000012", "clear", "7"]) == [12, "clear", 7]
    assert ids_of(["7", "007", "8"]) == ["7", "007", "8"]


# Data


def test_data_in_subfolders_keeps_them(run):
    write_coco(Shapes(n=4, size=48, seed=5), "coco")
    contents = json.loads(Path("coco/annotations.json").read_text())
    names = ["cam0/1.png", "cam1/1.png", "cam1/1.jpg", "2.png"]
    for image, name in zip(contents["images"], names, strict=True):
        Path("coco/images", name).parent.mkdir(exist_ok=True)
        Path("coco/images", image["file_name"]).rename(Path("coco/images", name))
        image["file_name"] = name
    contents["images"][3]["file_name"] = "C:\\me\\2.png"  # found as 2.png
    Path("coco/annotations.json").write_text(json.dumps(contents))
    assert run("predict", "--data", "coco")[0] == 0
    assert found() == ["2", "cam0/1", "cam1/1.jpg", "cam1/1.png"]
    assert {entry["image_id"] for entry in listed()} == {0, 1, 2, 3}


def test_a_data_set_with_its_own_ids(run):
    write_coco(Shapes(n=3, size=48, seed=5), "coco")
    contents = json.loads(Path("coco/annotations.json").read_text())
    for image in contents["images"]:
        image["id"] += 100
    for category in contents["categories"]:
        category["id"] *= 10
    for annotation in contents["annotations"]:
        annotation["image_id"] += 100
        annotation["category_id"] *= 10
    Path("ids.json").write_text(json.dumps(contents))
    assert run("predict", "--data", "coco/images", "--annotations", "ids.json")[0] == 0
    assert {result["image_id"] for result in listed()} == {100, 101, 102}
    dataset = CocoFolder("coco/images", "ids.json")
    for result in listed():
        assert dataset.classes[result["category_id"] // 10 - 1] == result["category"]
        assert result["file_name"] == f"{result['image_id'] - 100:06d}.png"

    assert run("predict", "--data", "shapes", "--scenes.n", 2)[0] == 0
    assert Path("predictions/scene-1-detections.png").is_file()


def test_entries_that_are_left_out_are_said(run):
    write_coco(Shapes(n=3, size=48, seed=5), "coco")
    contents = json.loads(Path("coco/annotations.json").read_text())
    contents["images"][1]["file_name"] = None
    Path("coco/annotations.json").write_text(json.dumps(contents))
    code, out, _ = run("predict", "--data", "coco")
    assert code == 0 and found() == ["000000", "000002"]
    assert "entry 1 of 'images'" in out and "mrcnn-edu check-data" in out


# The model of synthetic shapes


def test_the_model_of_shapes_says_that_it_knows_nothing_else(run):
    photo("a.png")
    code, out, _ = run("predict", "a.png")
    (line,) = [line for line in out.splitlines() if "synthetic shapes only" in line]
    assert code == 0 and "shapes-tiny" in line and "coco-resnet50-fpn" in line
    write_coco(Shapes(n=1, size=48), "coco")
    assert "synthetic shapes only" in run("predict", "--data", "coco")[1]
    assert "synthetic" not in run("predict", "--data", "shapes", "--scenes.n", 1)[1]

    other = mrcnn_edu.MaskRCNN(mrcnn_edu.Config.tiny(2))
    mrcnn_edu.save("other.pt", other, ["cat", "dog"])
    assert "synthetic" not in run("predict", "a.png", "--weights", "other.pt")[1]


# Pictures


@pytest.mark.parametrize(
    "size, expected",
    [
        ((96, 96), (672, 672)),
        ((640, 480), (640, 480)),
        ((601, 333), (601, 333)),
        ((599, 333), (1198, 666)),
        ((2000, 1501), (2000, 1501)),
        ((1000, 3), (1000, 3)),
        ((1, 1), (600, 600)),
    ],
)
def test_a_picture_has_every_pixel_of_its_image(run, size, expected):
    photo("a.png", size)
    assert run("predict", "a.png", "--min-score", 1)[0] == 0
    with Image.open("a.png") as image, Image.open("predictions/a-detections.png") as picture:
        assert picture.size == expected
        scale = picture.width // image.width
        pixels = np.asarray(image).repeat(scale, 0).repeat(scale, 1)
        assert (np.asarray(picture) == pixels).all()  # with nothing drawn onto it


@pytest.mark.parametrize("has_masks", [True, False])
def test_text_grows_with_the_picture(has_masks):
    """The name covers about the same part of a small and of a large picture."""
    parts = []
    for side in (800, 2400):
        boxes = torch.tensor([[0.2, 0.4, 0.9, 0.9]]) * side
        masks = torch.zeros(1, side, side, dtype=torch.bool) if has_masks else None
        d = Detections(boxes, torch.tensor([1]), torch.tensor([0.9]), masks, None)
        Path("a.png").write_bytes(full_size_png(torch.zeros(3, side, side), d, ["thing"]))
        with Image.open("a.png") as picture:
            parts.append((np.asarray(picture).max(axis=2) > 200).mean())
    assert parts[1] == pytest.approx(parts[0], rel=0.3)
