"""A user's own photographs, from the labeling tool's folder to predictions, on the command line."""

import json
import shutil

import numpy as np
import pytest
import torch
from own_data import CATEGORIES, make_folder
from PIL import Image
from reference import maskrcnn_of_the_same_layers
from skimage.io import imsave
from torchvision import models

from mrcnn_edu import Config, load, weights
from mrcnn_edu.data import CocoFolder
from mrcnn_edu.data.image_file import read_image

QUICK = ("--steps", "2", "--batch-size", "2", "--model.short-side", "48")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "photographs", 64)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Weights named coco-resnet50-fpn in torch.hub's cache, of a small model of torchvision's."""
    config = Config.tiny(90)
    theirs = maskrcnn_of_the_same_layers(config)
    name = "coco-resnet50-fpn"
    enum_name, _ = weights.PUBLISHED[name]
    monkeypatch.setitem(weights.PUBLISHED, name, (enum_name, config))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    cache = tmp_path / "home" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    file = models.get_weight(enum_name).url.rpartition("/")[2]
    torch.save(theirs.state_dict(), cache / file)
    return name


def test_rotated_gray_and_transparent_photographs_match_their_labels(folder):
    data = CocoFolder(folder / "images", folder / "annotations.json")
    assert data.classes == list(CATEGORIES.values()) and data.category_ids == [1, 4, 9]
    rotated, upright = data[2], data[4]  # the same photograph
    with Image.open(folder / "images" / "chelsea.jpg") as stored:
        assert stored.size == rotated[0].shape[1:] != upright[0].shape[:0:-1]
    assert (rotated[0] - upright[0]).abs().mean() < 0.05  # one is a JPEG
    assert rotated[1]["boxes"].equal(upright[1]["boxes"])
    assert data[3][0].std(dim=0).max() == 0 and len(data[5][1]["boxes"]) == 0
    for index in range(2):
        assert data[index][1]["iscrowd"].tolist()[-1] and data[index][1]["masks"][-1].any()


def test_from_check_to_predictions(run, folder, published, tmp_path):
    preset = ["--preset", "resnet50-fpn"]  # by their size, the tiny model would suit them
    code, out, _ = run("check-data", folder, "--out", "checked", *preset)
    assert "6 images, 6 objects to learn, 2 crowds" in out
    assert code == 0 and "6, and 2 crowds; 1 images without any" in out
    assert "person 3, cat 2, cup 1" in out and "6 objects are too few to suggest" in out
    for name in ("objects", "anchors", "images"):
        with Image.open(tmp_path / "checked" / f"{name}.png") as picture:
            assert picture.width > 300
    command = out.splitlines()[-1].removeprefix("Next: mrcnn-edu ").split()
    assert command == ["train", "--data", str(folder), "--weights", published]

    code, out, _ = run(
        *command, *QUICK, "--augment.flip", 0.5, "--augment.scale", 0.5, 2, "--cache", 1
    )
    assert code == 0, out
    assert (
        "classes copied by their names: person, cup, cat" in out
        and "try --learning-rate 1e-4" in out
    )
    model = load("runs/photographs/checkpoint.pt")
    assert model.classes == ["person", "cup", "cat"] and model.config.n_classes == 3

    code, out, _ = run("evaluate", "--data", folder, "--weights", "runs/photographs")
    assert code == 0 and "AP 50" in out and "cup" in out and "6 images" in out
    code, out, _ = run("predict", folder / "images", "--weights", "runs/photographs")
    assert code == 0 and "in 6 images" in out
    names = {path.name for path in (tmp_path / "predictions").iterdir()}
    assert "chelsea2-detections.png" in names and len(names) == 7
    code, out, _ = run("predict", "--data", folder, "--weights", "runs/photographs", "--out", "ids")
    results = json.loads((tmp_path / "ids" / "detections.json").read_text())
    assert code == 0 and {result["category_id"] for result in results} <= set(CATEGORIES)


def test_a_model_for_gray_images_reads_the_same_folder_in_gray(run, folder):
    code, out, _ = run("check-data", folder, "--channels", 1, "--preset", "tiny")
    assert code == 0 and out.splitlines()[-1].endswith(f"train --data {folder}")
    gray = ("--model.in-channels", 1, "--weights", "shapes-tiny", "--augment.flip", 1)
    code, out, _ = run("train", "--data", folder, *QUICK, *gray)
    assert code == 0 and "conv1 sums over its 3 channels" in out
    assert load("runs/photographs/checkpoint.pt").config.in_channels == 1
    assert run("evaluate", "--data", folder, "--weights", "runs/photographs")[0] == 0
    assert run("predict", folder / "images", "--weights", "runs/photographs")[0] == 0
    with pytest.raises(SystemExit):
        run("check-data", folder, "--channels", "many")


def test_images_of_many_channels(run, folder, tmp_path):
    contents = json.loads((folder / "annotations.json").read_text())
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i, record in enumerate(contents["images"]):
        pixels = rng.integers(0, 65536, (record["height"], record["width"], 5), dtype=np.uint16)
        record["file_name"] = f"{i}.npy" if i % 2 else f"{i}.tif"
        if i % 2:
            np.save(tmp_path / "images" / record["file_name"], pixels)
        elif i % 4:
            imsave(tmp_path / "images" / record["file_name"], pixels, check_contrast=False)
        else:  # stored channel after channel
            planes = pixels.transpose(2, 0, 1)
            imsave(tmp_path / "images" / record["file_name"], planes, check_contrast=False)
        found = read_image(tmp_path / "images" / record["file_name"], channels=5)
        expected = torch.from_numpy(pixels.astype("float32") / 65535).permute(2, 0, 1)
        assert found.equal(expected)
    (tmp_path / "annotations.json").write_text(json.dumps(contents))
    assert run("check-data", tmp_path, "--channels", 5, "--out", "checked")[0] == 0
    code, out, _ = run("check-data", tmp_path, "--channels", 4)
    assert code == 1 and "not height, width and 4 channels" in out
    many = ("--model.in-channels", 5, "--weights", "shapes-tiny", "--augment.scale", 0.5, 2)
    code, out, err = run("train", "--data", tmp_path, *QUICK, *many, "--out", "run")
    assert code == 0 and "the others start at 0" in out, err
    assert run("evaluate", "--data", tmp_path, "--weights", "run")[0] == 0
    assert run("predict", "images", "--weights", "run")[0] == 0


def test_the_json_of_another_tool_is_found_and_named(run, folder, tmp_path):
    (tmp_path / "export" / "annotations").mkdir(parents=True)
    other = tmp_path / "export" / "annotations" / "instances_default.json"
    other.write_bytes((folder / "annotations.json").read_bytes())
    code, out, _ = run("check-data", "export")
    assert code == 1 and str(other.relative_to(tmp_path)) in out and "no such image" in out
    shutil.copytree(folder / "images", tmp_path / "export" / "images" / "default")
    code, out, _ = run("check-data", "export")
    assert code == 0 and "images in export/images/default" in out


def test_a_reversed_range_of_factors_is_refused(run, folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("train", "--data", folder, *QUICK, "--augment.scale", 2, 1)
    assert "scale is 2.0 to 1.0: give two factors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"iscrowd": 1}, ["--crowds", "objects"], "--crowds objects learns them"),
        ({"segmentation": []}, ["--boxes-only"], "--boxes-only learns boxes alone"),
        ({"bbox": None}, ["--boxes", "from-masks"], "--boxes from-masks takes the mask's box"),
        ({"image_id": 99}, None, "compare the ids in 'images'"),
        ({"category_id": 5}, None, "which no category has"),
        ({"segmentation": [[0, 0, 9e7, 9, 9, 9]]}, None, None),  # known when it would be drawn
    ],
)
def test_nothing_is_lost_in_silence(run, folder, tmp_path, changes, options, words):
    contents = json.loads((folder / "annotations.json").read_text())
    for annotation in contents["annotations"]:
        annotation.update(changes)
    data = tmp_path / "data"
    shutil.copytree(folder / "images", data / "images")
    (data / "annotations.json").write_text(json.dumps(contents))
    code, out, _ = run("check-data", data)
    assert code == 1 and "Nothing is wrong" not in out
    for command in ("train", "evaluate"):
        code, out, err = run(command, "--data", data, *(QUICK if command == "train" else []))
        if words is not None:
            assert code == 2 and out.startswith("data") and words in err
            assert err.count("\n") <= 3 and "Traceback" not in err
    if options is not None:
        assert run("check-data", data, *options)[0] == 0
        code, out, err = run("train", "--data", data, *QUICK, *options)
        assert code == 0, err
        command = out.strip().splitlines()[-1].split()
        assert command[:2] == ["mrcnn-edu", "evaluate"] and command[-len(options) :] == options
        code, out, err = run(*command[1:])
        assert code == 0 and "AP 50" in out, err
