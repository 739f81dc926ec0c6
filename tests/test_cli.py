"""The command mrcnn-edu: every command run, and every mistake that is to be expected made once."""

import csv
import json
import pickle
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import mrcnn_edu.train
from mrcnn_edu import Config, MaskRCNN, cli, save
from mrcnn_edu.ablations import TABLES, WORLDS
from mrcnn_edu.ablations.worlds import World
from mrcnn_edu.cli.check_data import _kind_of
from mrcnn_edu.course.lessons import find_lessons
from mrcnn_edu.data import CocoFolder, Figures, Shapes, write_coco
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import evaluate, write_results
from mrcnn_edu.train.metrics import load_history
from mrcnn_edu.train.recipes import PAPER, RECIPES, Training
from mrcnn_edu.weights import read

QUICK = ("--steps", "2", "--batch-size", "2", "--model.short-side", "48")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that a few seconds of training, through the command, have made."""
    folder = tmp_path_factory.mktemp("run")
    assert cli.main(["train", *QUICK, "--out", str(folder), "--model.roi-op", "pool"]) == 0
    return folder / "checkpoint.pt"


@pytest.fixture(scope="module")
def box_checkpoint(tmp_path_factory):
    """A model that finds boxes only."""
    folder = tmp_path_factory.mktemp("boxes")
    assert cli.main(["train", *QUICK, "--out", str(folder), "--model.mask-head", "None"]) == 0
    return folder / "checkpoint.pt"


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    write_coco(Shapes(n=3, size=48, seed=5), folder)
    return folder


@pytest.fixture(scope="module")
def broken_coco(coco, tmp_path_factory):
    """Its images, but five boxes without an area, and one image that is not there."""
    folder = tmp_path_factory.mktemp("broken")
    contents = json.loads((coco / "annotations.json").read_text())
    for annotation in contents["annotations"][:5]:
        annotation["bbox"][2] = 0
    contents["images"].append({"id": 77, "file_name": "lost.png", "height": 9, "width": 9})
    (folder / "labels.json").write_text(json.dumps(contents))
    return folder / "labels.json"


def test_help_names_every_command_and_the_fields_of_the_dataclasses(capsys):
    for args, words in [
        (["--help"], ["lab", "demo", "train", "evaluate", "predict", "check-data", "ablate"]),
        (["train", "--help"], ["--steps", "images in a step", "--model.roi-op", "--scenes.noise"]),
        (["lab", "--help"], ["--no-browser"]),
        (["course", "--help"], ["--with-outputs", "[FOLDER]"]),
    ]:
        with pytest.raises(SystemExit) as end:
            cli.main(args)
        out = capsys.readouterr().out
        assert end.value.code == 0 and all(word in out for word in words)
    assert "n-classes" not in out


@pytest.mark.parametrize(
    "command", ["lab", "demo", "train", "evaluate", "predict", "check-data", "ablate"]
)
def test_every_option_is_explained(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    inside = [line[2:].rstrip(" │") for line in capsys.readouterr().out.splitlines()]
    options = re.findall(r"^(--[a-z].*?)(?=^\S|^$)", "\n".join(inside), re.MULTILINE | re.DOTALL)
    assert len(options) >= (0 if command == "lab" else 3)
    for option in options:
        if option.startswith("--model.anchor-sizes."):  # explained together, above the first
            continue
        text, _, default = " ".join(option.split()).partition("(default: ")
        assert re.search(r"[a-z]+ [a-z]+", text), option
        may_be_none = "--model.", "--augment.", "--scenes.render-size"  # their text says what it is
        assert default not in ("None)", ")") or option.startswith(may_be_none), option
        for line in option.splitlines()[1:-1]:  # it would be short where a line ends in the source
            assert len(line) > 70, option


def test_python_m_is_the_same_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mrcnn-edu", "evaluate", "--weights", "nowhere.pt"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("mrcnn_edu", run_name="__main__")
    assert end.value.code == 2 and "nowhere.pt" in capsys.readouterr().err


def test_the_version_is_the_packages(run):
    assert run("--version") == (0, f"mrcnn_edu {mrcnn_edu.__version__}\n", "")


# lab


def test_lab_starts_jupyterlab_with_the_first_notebook_through_the_installed_script(tmp_path):
    script = Path(sys.executable).with_name("mrcnn-edu")
    done = subprocess.run(
        [script, "lab", "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1][0].isdecimal()  # JupyterLab's version
    assert (tmp_path / "mrcnn_edu_course" / "00_start_here.ipynb").is_file()


def test_lab_copies_the_lessons_where_it_is_told_to(run, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr("mrcnn_edu.cli.lab.os.execve", lambda *command: started.append(command))
    _, out, _ = run("lab", str(tmp_path / "mine"), "--no-browser")
    assert "00_start_here.ipynb: copied" in out
    _, command, _ = started[0]
    assert f"--ServerApp.root_dir={tmp_path / 'mine'}" in command
    assert command[-1] == "--no-browser"


def test_lab_says_what_is_missing(run, monkeypatch, tmp_path):
    def nothing():
        return find_lessons((tmp_path,))

    with monkeypatch.context() as patch:
        patch.setattr("mrcnn_edu.cli.course.find_lessons", nothing)
        code, _, err = run("lab", "--no-browser")
        assert code == 2 and "00_start_here.ipynb" in err and "make notebooks" in err
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    code, _, err = run("lab")
    assert code == 2 and "pip install 'mrcnn_edu[notebooks]'" in err


# demo


def test_demo_prints_scores_and_draws_a_picture(run, checkpoint, tmp_path):
    code, out, _ = run("demo", "--weights", checkpoint, "--n", 3)
    assert code == 0
    assert "AP 50" in out and "triangle" in out and "lab" in out and str(tmp_path) in out
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.width > picture.height > 100


# train, evaluate


def test_the_last_line_of_train_is_the_command_that_evaluates(run, tmp_path):
    scenes = ("--scenes.noise", "0.1", "--scenes.n-objects", "1", "2", "--scenes.size", "64")
    code, out, _ = run("train", *QUICK, "--out", "my run", *scenes)
    assert code == 0
    assert "10,000 images, 6 classes (triangle" in out and "loss_mask" in out
    command = out.splitlines()[-1].strip()
    assert command == (
        "mrcnn-edu evaluate --weights 'my run/checkpoint.pt' --data shapes "
        "--scenes.size 64 --scenes.n-objects 1 2 --scenes.noise 0.1"
    )
    args = ["evaluate", "--weights", "my run", "--scenes.size", "64", "--scenes.n", "3"]
    code, out, err = run(*args, "--out", "scores/mine.json")
    assert code == 0 and "detect" in err
    assert "masks" in out and "boxes" in out and "3 images" in out and " ms " in out
    scores = json.loads((tmp_path / "scores" / "mine.json").read_text())
    assert scores["n_images"] == 3 and 0 <= scores["segm"]["ap50"] <= 1
    assert scores["bbox"]["ap_large"] is None  # no such object, and JSON has no nan


def test_train_takes_the_presets_numbers_and_changes_them(run, monkeypatch):
    made = []
    monkeypatch.setattr(cli.train, "MaskRCNN", lambda config: made.append(config) or 1 / 0)
    for args, expected in [
        (["--model.roi-op", "pool"], Config.tiny(roi_op="pool")),
        (["--preset", "tiny"], Config.tiny()),
        (["--preset", "resnet50-fpn", "--model.norm", "batch"], Config(6, norm="batch")),
        (["--preset=resnet50-fpn", "--scenes.outlines", "blobs"], Config(1)),
    ]:
        with pytest.raises(ZeroDivisionError):
            run("train", *args)
        assert made[-1] == expected


def test_train_starts_from_the_seed_or_from_weights(run, checkpoint, monkeypatch):
    started = []

    def fit(model, *_, **__):
        started.append(model.state_dict())
        return []

    monkeypatch.setattr(cli.train, "fit", fit)
    for args in (["--seed", 1], ["--seed", 1], ["--seed", 2], ["--weights", checkpoint]):
        assert run("train", *QUICK, *args)[0] == 0
    name = "rpn_head.cls_logits.weight"
    one, again, other, given = (state[name] for state in started)
    assert one.equal(again) and not one.equal(other)
    assert given.equal(read(checkpoint)["model"][name])


def test_weights_for_other_classes_are_fine_tuned(run, tmp_path):
    blobs = ("--scenes.outlines", "blobs", *QUICK)
    code, out, _ = run("train", "--weights", "shapes-tiny", *blobs)
    assert code == 0 and "copied all layers but those named here" in out
    assert "1 of 1 classes start as the mean of the 6 old ones" in out
    assert read("runs/shapes/checkpoint.pt")["classes"] == ["blob"]
    code, out, _ = run("train", "--weights", "shapes-tiny", *blobs)
    assert code == 0 and "is complete" in out and "kept" not in out


def test_without_a_preset_the_model_is_that_of_the_weights(run, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(cli.train, "MaskRCNN", lambda config: made.append(config) or 1 / 0)
    save(tmp_path / "my model.pt", MaskRCNN(Config.tiny(2, mask_convs=1)), ["yes", "no"])
    for args, expected in [
        (["--weights", "my model.pt"], Config.tiny(6, mask_convs=1)),
        (
            ["--weights=my model.pt", "--model.roi-op", "pool"],
            Config.tiny(mask_convs=1, roi_op="pool"),
        ),
        (["--weights", "coco-resnet50-fpn"], Config(6)),
        (["--weights", "my model.pt", "--preset", "tiny"], Config.tiny()),
        (["--weights", "shapes-tiny", "--model.in-channels", 1], Config.tiny().with_channels(1)),
    ]:
        with pytest.raises(ZeroDivisionError):
            run("train", *args)
        assert made[-1] == expected


def test_weights_are_read_once(run, checkpoint, monkeypatch):
    reads = []
    monkeypatch.setattr("mrcnn_edu.weights.read", lambda path: reads.append(path) or read(path))
    monkeypatch.setattr(cli.train, "fit", lambda *_, **__: [])
    for recipe in ([], ["--recipe", "paper-c4", "--preset", "tiny", "--model.roi-op", "pool"]):
        reads.clear()
        code, out, _ = run("train", *QUICK, "--weights", checkpoint, *recipe)
        assert code == 0 and "copied all layers" in out and reads == [str(checkpoint)]


def test_an_interrupted_training_goes_on(run, monkeypatch):
    rate = mrcnn_edu.train.learning_rate
    args = ["train", "--checkpoint-every", 2, *QUICK, "--steps", 4]

    def interrupt_at(stop):
        def learning_rate(step, training):
            if step == stop:
                raise KeyboardInterrupt
            return rate(step, training)

        monkeypatch.setattr("mrcnn_edu.train.loop.learning_rate", learning_rate)

    interrupt_at(1)
    code, _, err = run(*args)
    assert code == 130 and "the first checkpoint comes at step 2" in err
    interrupt_at(3)
    code, _, err = run(*args)
    assert code == 130 and "resumes from runs/shapes/checkpoint.pt" in err
    interrupt_at(None)
    code, out, _ = run(*args)
    assert code == 0 and "after step 2" in out
    assert len(read("runs/shapes/checkpoint.pt")["losses"]) == 4
    code, out, _ = run(*args)
    assert code == 0 and "is complete" in out
    code, _, err = run(*args, "--learning-rate", 1)
    assert code == 2 and "learning_rate was 0.003, and is 1.0 now" in err


@pytest.mark.parametrize(
    "args, expected, model",
    [
        ([], Training(), Config.tiny()),
        (["--recipe", "paper-fpn"], RECIPES["paper-fpn"].training, Config()),
        (["--recipe=paper-c4"], RECIPES["paper-c4"].training, Config.c4()),
        (["--recipe", "paper-c4", "--steps", 7], replace(PAPER, steps=7), Config.c4()),
        (["--recipe", "paper-fpn", "--preset", "tiny"], PAPER, Config.tiny()),
        (
            ["--recipe", "paper-fpn", "--batch-size", 2],  # as many images are seen, slower
            replace(PAPER, batch_size=2, learning_rate=0.0025, steps=1_280_000),
            Config(),
        ),
        (
            ["--batch_size", 8, "--recipe", "detectron2-1x", "--learning-rate", 1],
            replace(
                RECIPES["detectron2-1x"].training, batch_size=8, learning_rate=1.0, steps=180_000
            ),
            Config(rpn_post_nms_top_n_train=1000),
        ),
    ],
)
def test_a_recipe_gives_the_training_and_the_model(run, monkeypatch, args, expected, model):
    done = []
    monkeypatch.setattr(
        cli.train, "fit", lambda model, data, training, *_, **__: done.append(training)
    )
    monkeypatch.setattr(
        cli.train, "MaskRCNN", lambda config: configs.append(config) or nn.Linear(1, 1)
    )
    configs = []
    assert run("train", *args)[0] == 0
    assert done == [expected] and configs == [replace(model, n_classes=6)]


@pytest.mark.parametrize(
    "recipe, frozen_stages, flip, short_sides",
    [
        ([], "0", "0.0", "none"),
        (["--recipe", "paper-fpn"], "1", "0.5", "none"),
        (["--recipe", "paper-c4"], "1", "0.5", "none"),
        (["--recipe", "torchvision"], "1", "0.5", "none"),
        (["--recipe", "detectron2-1x"], "1", "0.5", "640 672 704 736 768 800"),
    ],
)
def test_the_command_has_the_recipes_defaults(
    capsys, monkeypatch, recipe, frozen_stages, flip, short_sides
):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.main(["train", *recipe, "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for option, default in [
        ("--frozen-stages", frozen_stages),
        ("--augment.flip", flip),
        ("--augment.scale", "1.0 1.0"),
        ("--augment.short-sides", short_sides),
    ]:
        assert re.search(rf"{option} .*?\(default: ?([^)]*)\)", text)[1] == default, option


def test_training_is_watched_on_images_held_out(run, coco):
    file = coco / "annotations.json"
    some = ["--data", coco, "--val-data", coco / "images", "--val-annotations", file]
    some += ["--eval-every", 1]
    code, _, err = run("train", *QUICK, *some, "--tensorboard", "--out", "seen")
    assert code == 0, err
    losses, measured = load_history("seen")
    assert len(losses) == 2 and set(measured["segm ap"]) == {1, 2}
    assert all(0 <= value <= 1 for values in measured.values() for value in values.values())
    assert "rpn box" in err and "images/s" in err and " GB" in err
    code, _, err = run("train", *QUICK, "--val-data", coco, "--scenes.outlines", "lobes")
    assert code == 2 and "a class must have the same name in both" in err


def test_train_and_evaluate_on_a_coco_folder(run, coco):
    code, out, _ = run("train", *QUICK, "--data", coco)
    assert code == 0 and "3 images, 11 objects to learn, 6 classes" in out
    assert f"runs/{coco.name}" in out
    weights, file = f"runs/{coco.name}", coco / "annotations.json"
    code, out, _ = run("evaluate", "--weights", weights, "--data", coco)
    again = run("evaluate", "--weights", weights, "--data", coco / "images", "--annotations", file)
    assert code == again[0] == 0
    tables = [text[text.index("masks") :].splitlines()[:-1] for text in (out, again[1])]
    assert tables[0] == tables[1]  # the last line has the time


def test_evaluate_writes_detections_and_scores_them_without_a_model(run, checkpoint, coco):
    data = ("--data", coco)
    code, out, _ = run("evaluate", "--weights", checkpoint, *data, "--results", "out/found.json")
    assert code == 0 and "detections are in out/found.json" in out
    args = ("evaluate", *data, "--detections", "out/found.json", "--out", "scores.json")
    code, again, _ = run(*args)
    table = [line for line in out.splitlines() if re.search(r"[a-z] +(\d\.|nan)", line)]
    assert code == 0 and [line for line in again.splitlines() if line in table] == table
    assert "detections from out/found.json" in again
    code, _, err = run("evaluate", *data, "--detections", "lost.json")
    assert code == 2 and "lost.json: there is no such file of detections" in err


def _figures(folder, sigmas=True):
    """A COCO folder of figures, and a file of detections that are a little off."""
    scenes, found = Figures(n=4, size=48, seed=2), []
    write_coco(scenes, folder)
    file = folder / "annotations.json"
    contents = json.loads(file.read_text())
    if not sigmas:
        del contents["categories"][0]["sigmas"]
    file.write_text(json.dumps(contents))
    for _, target in scenes:
        n, keypoints = len(target["boxes"]), target["keypoints"] + torch.tensor([1.0, 0.5, 0])
        scores = torch.linspace(0.9, 0.8, n)
        found.append(
            Detections(target["boxes"], target["labels"], scores, target["masks"], None, keypoints)
        )
    dataset = CocoFolder(folder / "images", file)
    write_results(dataset, found, folder / "found.json")
    return dataset, found


def test_keypoints_are_evaluated_where_the_data_has_them(run, tmp_path):
    dataset, found = _figures(tmp_path / "dolls")
    args = ("evaluate", "--data", "dolls", "--detections", "dolls/found.json")
    code, out, _ = run(*args, "--out", "scores.json")
    expected = evaluate(dataset, found, "keypoints", progress=False)
    assert code == 0 and 0.1 < expected.ap < 0.99
    assert re.search(r"masks +boxes +keypoints\n", out)
    assert re.search(rf"AP +1\.000 +1\.000 +{expected.ap:.3f}\n", out)
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["keypoints"]["ap"] == expected.ap
    for sigmas in ([0.2], [0.2] * 7):
        code, out, _ = run(*args, "--sigmas", *sigmas)
        wide = evaluate(dataset, found, "keypoints", progress=False, sigmas=[0.2] * 7)
        assert code == 0 and f"{wide.ap:.3f}\n" in out and wide.ap > expected.ap
    code, _, err = run(*args, "--sigmas", 0.1, 0.2)
    assert code == 2 and "give 7 numbers above 0, one a keypoint" in err


def test_keypoints_whose_sigmas_nobody_knows_are_not_scored(run, tmp_path):
    _figures(tmp_path / "dolls", sigmas=False)
    args = ("evaluate", "--data", "dolls", "--detections", "dolls/found.json")
    code, out, _ = run(*args)
    assert code == 0 and "Keypoints are not scored" in out and "boxes  keypoints" not in out
    code, out, _ = run(*args, "--sigmas", 0.05)
    assert code == 0 and "Keypoints are not scored" not in out and "boxes  keypoints" in out


def test_figures_are_checked_and_a_model_of_masks_learns_from_them(run, tmp_path):
    _figures(tmp_path / "dolls")
    code, out, _ = run("check-data", "dolls")
    assert code == 0 and "Nothing is wrong in 4 images" in out
    augment = ("--augment.flip", 0.5, "--augment.scale", 0.8, 1.2)
    no_head = ("--model.n-keypoints", 0)
    assert run("train", *QUICK, "--data", "dolls", *augment, *no_head)[0] == 0
    config = read("runs/dolls/checkpoint.pt")["config"]
    assert config == asdict(Config.tiny(1, short_side=48))  # as of data without keypoints
    code, out, _ = run("evaluate", "--data", "dolls", "--weights", "runs/dolls")
    assert code == 0 and "masks  boxes\n" in out  # it predicts no keypoints
    file = tmp_path / "dolls" / "annotations.json"
    contents = json.loads(file.read_text())
    contents["annotations"][0]["keypoints"][2] = 3
    contents["annotations"][1]["num_keypoints"] = 99
    file.write_text(json.dumps(contents))
    code, out, _ = run("check-data", "dolls")
    assert code == 1 and "1 x keypoint N has the visibility N" in out
    assert "num_keypoints is 99" in out and "2 problems in 4 images" in out
    code, _, err = run("train", *QUICK, "--data", "dolls")
    assert code == 2 and "keypoint 0 has the visibility 3" in err


def test_keypoints_are_learned_wherever_the_data_has_them(run, tmp_path):
    _figures(tmp_path / "dolls")
    watched = ("--val-data", "dolls", "--eval-every", 1)
    code, out, err = run("train", *QUICK, "--data", "dolls", *watched)
    assert code == 0 and "1 class (figure), 7 keypoints" in out, err
    losses, measured = load_history("runs/dolls")
    assert len(losses) == 2 and "loss_keypoint" in losses[0]
    assert set(measured["keypoints ap"]) == {1, 2} and "loss_keypoint" in out
    config = read("runs/dolls/checkpoint.pt")["config"]
    expected = Config.tiny(1, n_keypoints=7, short_side=48)  # with a head for a laptop
    assert config == asdict(expected)
    code, _, err = run("train", *QUICK, "--data", "dolls", "--model.n-keypoints", 5, "--out", "5")
    assert code == 2 and "n-keypoints is 5, but the data has 7" in err
    code, _, err = run("train", *QUICK, "--model.n-keypoints", 5, "--out", "5")
    assert code == 2 and "n-keypoints is 5, but the data has 0" in err


def test_scenes_of_figures_go_through_every_command(run, tmp_path, monkeypatch):
    monkeypatch.setattr("mrcnn_edu.cli.train.VAL_SCENES", Shapes(n=2, seed=1))
    scenes = ("--scenes.size", 48, "--scenes.n", 4)
    watched = ("--val-data", "figures", "--eval-every", 2)
    code, out, err = run("train", *QUICK, "--data", "figures", *scenes)
    assert code == 0 and "figures: 4 images, 1 class (figure), 7 keypoints" in out, err
    command = shlex.split(out.splitlines()[-1])[1:]
    assert command[-4:] == ["--data", "figures", "--scenes.size", "48"]
    code, out, err = run(*command, "--scenes.n", 2)
    assert code == 0 and "boxes  keypoints\n" in out and "\n2 images" in out, err
    weights = ("--weights", "runs/figures")
    code, out, err = run("demo", *weights, "--data", "figures", "--n", 2)
    assert code == 0 and "boxes  keypoints\n" in out and (tmp_path / "demo.png").is_file(), err
    shown = ("--min-score", 0, "--data", "figures", *scenes[:3], 2)
    code, out, err = run("predict", *weights, *shown)
    assert code == 0 and (tmp_path / "predictions" / "scene-1-detections.png").is_file(), err
    found = json.loads((tmp_path / "predictions" / "detections.json").read_text())
    assert found and all(len(entry["keypoints"]) == 21 for entry in found)
    code, _, err = run("train", *QUICK, "--data", "figures", "--scenes.outlines", "blobs")
    assert code == 2 and "figures have no outlines" in err
    code, _, err = run("train", *QUICK, "--data", "figures", *scenes, *watched, "--out", "two")
    assert code == 0 and set(load_history("two")[1]["keypoints ap"]) == {2}, err
    code, _, err = run("train", *QUICK, *watched, "--out", "three")  # shapes have other classes
    assert code == 2 and "a class must have the same name in both" in err


def test_a_new_keypoint_head_of_a_tiny_model_is_small(run):
    start = ("--weights", "shapes-tiny", "--data", "figures", "--scenes.n", 2, "--out", "tuned")
    code, out, err = run("train", *QUICK, *start)
    assert code == 0 and "reinitialized" in out and "keypoint_head.convs.0.0" in out, err
    config = Config(**read("tuned/checkpoint.pt")["config"])
    assert (config.n_keypoints, config.keypoint_channels, config.keypoint_convs) == (7, 64, 4)


def test_a_model_of_boxes_alone_goes_through_every_command(run, box_checkpoint, tmp_path):
    weights = ("--weights", box_checkpoint)
    code, out, _ = run("demo", *weights, "--n", 2)
    assert code == 0 and "  boxes\nAP " in out and "masks  boxes" not in out
    assert (tmp_path / "demo.png").is_file()
    code, out, _ = run("evaluate", *weights, "--scenes.n", 2, "--out", "scores.json")
    assert code == 0 and "  boxes\nAP " in out and "masks  boxes" not in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert "bbox" in scores and "segm" not in scores
    assert run("predict", "--data", "shapes", "--scenes.n", 1, *weights)[0] == 0
    assert (tmp_path / "predictions" / "scene-0-detections.png").is_file()
    results = json.loads((tmp_path / "predictions" / "detections.json").read_text())
    assert "bbox" in results[0] and "segmentation" not in results[0]
    code, out, _ = run("train", *QUICK, "--model.mask-head", "None", *weights)
    assert code == 0 and "loss_box_reg" in out and "loss_mask" not in out


# predict


def test_published_weights_keep_the_ids_with_their_gaps(
    run, checkpoint, coco, tmp_path, monkeypatch
):
    for command in (cli.evaluate, cli.predict):
        monkeypatch.setattr(command, "PUBLISHED", [str(checkpoint)])
    contents = json.loads((coco / "annotations.json").read_text())
    unused = contents["categories"].pop(1)["id"], contents["categories"].pop()["id"]
    annotations = [a for a in contents["annotations"] if a["category_id"] not in unused]
    (tmp_path / "gaps.json").write_text(json.dumps(contents | {"annotations": annotations}))
    args = ["--data", coco / "images", "--annotations", "gaps.json", "--weights", checkpoint]
    code, out, _ = run("evaluate", *args)
    assert code == 0 and "unused 2" in out
    assert run("predict", *args)[0] == 0
    for result in json.loads((tmp_path / "predictions" / "detections.json").read_text()):
        assert Shapes().classes[result["category_id"] - 1] == result["category"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("evaluate", *args)
    assert code == 0 and "are matched by name" in out


# check-data


def test_check_data(run, coco, broken_coco):
    code, out, _ = run("check-data", coco)
    assert code == 0 and "Nothing is wrong in 3 images" in out and "mrcnn-edu train" in out

    code, out, _ = run("check-data", coco / "images", "--annotations", broken_coco)
    assert code == 1 and "5 x the box has no area" in out and "lost.png" in out
    assert "and 2 more" in out and "6 problems in 4 images" in out
    code, out, _ = run("check-data", coco / "images", "--annotations", broken_coco, "--all")
    assert code == 1 and "--all prints" not in out and out.count("the box has no area: ") == 5


def test_check_data_suggests_anchors_that_can_be_given_to_train(run, tmp_path, monkeypatch):
    large = Shapes(n=20, size=64, seed=3, object_size=(0.3, 0.5))  # for the default anchors
    write_coco(large, tmp_path / "scenes")
    code, out, _ = run("check-data", "scenes")
    (line,) = [line for line in out.splitlines() if line.startswith("better ")]
    assert code == 0 and "at 0.7 or more" in out
    made = []
    monkeypatch.setattr(cli.train, "MaskRCNN", lambda config: made.append(config) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("train", "--preset", "tiny", *line.split()[1:])
    sizes = [size for (size,) in made[0].anchor_sizes]
    assert sizes == [float(size) for size in line.split()[2::2]] == sorted(sizes)


# What goes wrong


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def bad_checkpoints(folder, checkpoint):
    """Each kind with words of its message."""
    whole = checkpoint.read_bytes()
    (folder / "short.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").touch()
    (folder / "pickle.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    torch.save({"fc.weight": torch.zeros(2)}, folder / "other.pt")
    save(folder / "blobs.pt", MaskRCNN(Config.tiny(1)), ["blob"])
    return {
        "short.pt": "damaged or cut short",
        "empty.pt": "damaged or cut short",
        "pickle.pt": "not a file of weights",
        "other.pt": "not a checkpoint of mrcnn_edu",
        "blobs.pt": "1 class (blob), but shapes has 6 classes (triangle",
        "shapes-huge": "there is no file",
    }


@pytest.fixture
def small_lab(monkeypatch):
    """Ablations on a few scenes."""
    import mrcnn_edu.ablations.setup as setups

    few = [Shapes(4, n_objects=(1, 2)), Shapes(2, seed=1, n_objects=(1, 2))]
    monkeypatch.setattr(setups.Setup.__init__, "__defaults__", ("tiny", None, *few))
    monkeypatch.setattr("mrcnn_edu.ablations.costs.machine_factor", lambda: 1.0)
    monkeypatch.setattr("mrcnn_edu.ablations.dial.typical_spread", lambda: 1.2)
    tiny = {name: world._replace(train=few[0], val=few[1]) for name, world in WORLDS.items()}
    tiny["blobs"] = World("blobs", *(replace(data, outlines="blobs") for data in few))
    monkeypatch.setattr("mrcnn_edu.ablations.worlds.WORLDS", tiny)
    monkeypatch.setattr("mrcnn_edu.ablations.repeat.WORLDS", tiny)
    with ThreadPoolExecutor(1) as here:  # starting processes takes longer than these runs
        monkeypatch.setattr(cli.ablate, "_cluster", lambda address: nullcontext(here))
        yield


def test_ablate_measures_prints_and_draws(run, small_lab):
    args = "ablate", "2d", "--seeds", 1, "--steps", 1
    code, out, _ = run(*args)
    assert code == 0 and "Table 2d" in out and "RoIPool" in out and "-7.3, -10.5" in out
    with Image.open("runs/ablations/2d.png") as picture:
        assert picture.size[0] > 400
    kept = {path: path.stat().st_mtime_ns for path in Path("runs/ablations").glob("*.json")}
    assert len(kept) == 2
    assert run(*args)[:2] == (0, out)  # at once: nothing is written again
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_ablate_lists_its_tables_and_their_settings(run):
    code, out, _ = run("ablate", "--list")
    assert code == 0 and re.search(r"^2c +What does rounding cost at a small", out, re.MULTILINE)
    assert len(out.splitlines()) == len(TABLES) and max(map(len, out.splitlines())) < 80
    assert run("ablate", "list") == (0, out, "")
    for words in (["2d", "--list"], ["list", "2d"]):
        assert run("ablate", *words)[:2] == (0, "RoIAlign  the base\nRoIPool   roi_op=pool\n")
    code, _, err = run("ablate", "2c", "2d")
    assert code == 2 and "2c 2d: give one table at a time" in err
    code, out, err = run("ablate", "2q", "--list")
    assert code == 2 and "choose one of 2a" in err
    code, _, err = run("ablate")
    assert code == 2 and "mrcnn-edu ablate --list" in err
    for option in ("--seeds", "--seed"):
        code, _, err = run("ablate", "2d", option, -1)
        assert code == 2 and f"{option[2:]} is -1: give" in err


def test_ablate_prints_csv_and_markdown_alone(run, small_lab):
    args = "ablate", "2d", "--seeds", 1, "--steps", 1
    code, out, err = run(*args, "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 0 and [row["setting"] for row in rows] == ["RoIAlign", "RoIPool"]
    assert "runs/ablations/2d.png" in err
    code, out, _ = run(*args, "--format", "markdown")
    assert code == 0 and out.startswith("**Table 2d") and "| RoIPool |" in out
    assert "1 seed" in out and "1 seeds" not in out
    code, out, _ = run("ablate", "2d", "--precomputed", "--format", "csv")
    assert code == 0 and len(out.splitlines()) == 3


def test_ablates_plan_is_a_command_for_each_run(run, small_lab):
    code, out, _ = run("ablate", "2d", "--seeds", 2, "--steps", 1, "--dry-run")
    lines = [shlex.split(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == 4 and not Path("runs").exists()
    for line in lines:
        code, out, _ = run(*line[1:])
        assert code == 0 and line[line.index("--setting") + 1] in out
    assert len(list(Path("runs/ablations").glob("*.json"))) == 4


def test_a_plan_has_each_training_once(run):
    """Softmax masks are read in three ways, and learned once."""
    code, out, _ = run("ablate", "2b", "--seed", 0, "--dry-run")
    sigmoid, softmax = (shlex.split(line) for line in out.splitlines())
    first, last = softmax.index("--setting") + 1, softmax.index("--steps")
    assert code == 0 and len(softmax[first:last]) == 3 and "softmax" in softmax[first:last]
    assert sigmoid[first : sigmoid.index("--steps")] == ["sigmoid"]


def test_ablate_on_coco_folders(run, coco, small_lab, monkeypatch):
    """The full-size model is a small one here: what is tested is how it is put together."""
    import mrcnn_edu.ablations.setup as setups

    small = {
        neck: replace(base, n_classes=90) for neck, base in setups.BASE_CONFIGS["tiny"].items()
    }
    monkeypatch.setitem(setups.BASE_CONFIGS, "r50", small)
    monkeypatch.setitem(setups.BASE_TRAINING, "r50", mrcnn_edu.train.Training(batch_size=2))
    file = coco / "annotations.json"
    args = ["--data", coco / "images", "--annotations", file, "--val-data", coco / "images"]
    args += ["--val-annotations", file, "--config", "c4-r50", "--steps", 1, "--seeds", 1]
    code, out, _ = run("ablate", "2d", *args, "--dry-run")
    assert code == 0 and out.count(f"annotations {file}") == 4  # of both, in two commands
    assert run("ablate", "2d", *args)[0] == 0
    (record, _) = [json.loads(path.read_text()) for path in Path("runs/ablations").glob("*.json")]
    assert record["job"]["val_data"] == {
        "images": f"{coco}/images",
        "annotations": f"{coco}/annotations.json",
    }
    assert record["job"]["augmentation"] == {"flip": 0.5}
    assert record["job"]["config"]["n_classes"] == 6 and record["job"]["config"]["neck"] == "c4"


OWN = "--a", "--b", "roi_op=pool", "--steps", 1, "--neck", "c5"


def test_ablate_compares_settings_of_ones_own(run, small_lab):
    code, out, err = run("ablate", *OWN, "--seeds", 2, "--report", "my <report>")
    assert code == 0 and "Table yours: A: the base; B: roi_op=pool" in out
    assert re.search(r"^B and A: undecided|^B is (better|worse) than A", out, re.MULTILINE)
    assert err.startswith("4 runs of 1 steps: about ") and "4 of 4 runs" in err
    assert "The report: my <report>/report.html" in out
    page = Path("my <report>/report.html").read_text()
    command = re.search(r"mrcnn-edu (ablate --a .*)</code>", page)[1].split()
    assert command[-8:] == ["--world", "shapes", "--neck", "c5", "--steps", "1", "--seeds", "2"]
    kept = sorted(Path("runs/ablations").glob("*.json"))
    again, first, err = run(*command)
    assert again == 0 and out.startswith(first.rstrip()) and "all known already" in err
    assert kept == sorted(Path("runs/ablations").glob("*.json")) and len(kept) == 4


def test_ones_own_settings_are_those_of_the_lab(run, small_lab):
    """The same jobs, so that what the lab has computed is known to the command."""
    from mrcnn_edu.ablations import ask, parse_setting, worlds
    from mrcnn_edu.ablations.job_hash import job_hash

    assert run("ablate", *OWN, "--seeds", 1, "--world", "blobs")[0] == 0
    settings = [parse_setting("A", []), parse_setting("B", ["roi_op=pool"])]
    asked = ask(settings, worlds.open_world("blobs"), steps=1, seeds=1, neck="c5")
    names = {job_hash(job) for job in asked.jobs().values()}
    assert names == {file.stem for file in Path("runs/ablations").glob("*.json")}


def test_the_plan_of_ones_own_settings(run, small_lab):
    code, out, err = run("ablate", *OWN, "--seeds", 2, "--dry-run", "--setting", "B")
    lines = [shlex.split(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == 2 and not Path("runs").exists()
    assert err.startswith("2 runs of 1 steps: about ")
    code, out, _ = run(*lines[1][1:])
    assert code == 0 and len(list(Path("runs/ablations").glob("*.json"))) == 1
    assert re.search(r"^B +", out, re.MULTILINE) and not re.search(r"^A +", out, re.MULTILINE)


def test_a_table_in_another_world(run, small_lab):
    code, out, _ = run("ablate", "2d", "--world", "blobs", "--seed", 1, "--dry-run")
    assert code == 0 and out.count("--world blobs") == 2
    assert run("ablate", "2d", "--world", "blobs", "--seed", 1, "--steps", 1)[0] == 0
    records = [json.loads(file.read_text()) for file in Path("runs/ablations").glob("*.json")]
    assert [record["job"]["train_data"]["outlines"] for record in records] == ["blobs"] * 2


def test_ablate_in_minutes(run, small_lab):
    code, out, err = run("ablate", *OWN[:3], "--minutes", 60, "--dry-run")
    assert code == 0 and len(out.splitlines()) == 40 and "--steps 400" in out, err
    assert "With 20 seeds, expect 95 % intervals of about" in err
    code, out, err = run("ablate", *OWN[:3], "--minutes", 1, "--seeds", 2, "--dry-run")
    assert code == 0 and len(out.splitlines()) == 4 and "only beginning to learn" in err
    for minutes, words in [(0, "minutes is 0: give a number above 0"), ("nan", "minutes is nan"),
                           (0.01, "give 1 minute or more")]:  # fmt: skip
        code, _, err = run("ablate", "2c", "--minutes", minutes)
        assert code == 2 and words in err and err.count("\n") == 1, err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--b", "roi_op=pool"], "--a is missing, the setting that --b is compared with"),
        (["--a"], "--a is alone: give --b too"),
        (["--a", "--b"], "A and B are the same setting"),
        (["--a", "--b", "roi_op=align"], "A and B are the same setting"),
        (["--a", "--b", "roi_op = pool", "--c", "roi_op=pool"], "B and C are the same setting"),
        (["--a", "--b", "roi op=pool"], "neither Config nor Training has a field 'roi op'"),
        (["--a", "--b", "ｒoi_op=pööl"], "neither Config nor Training has a field"),
        (["--a", "--b", "roi_op=pööl"], "B: roi_op is 'pööl'"),
        (["--a", "--b", "roi_op"], "write field=value, for example roi_op=pool"),
        (["--a", "--b", "mask_hidden=7"], "mask_hidden has no effect here"),
        (["--a", "--b", "keypoint_size=28"], "keypoint_size has no effect here"),
        (["--a", "--b", "n_keypoints=17"], "the data has its own keypoints"),
        (["--a", "--b", "backbone=big"], "backbone is 'big'"),
        (["--a", "--b", "seed=3"], "every setting is run with the same seeds"),
        (["--a", "--b", "learning_rate=nan"], "B: learning_rate is 'nan'"),
        (["2c", "--a", "--b", "roi_op=pool"], "a table and --a, --b: give the one or the others"),
        (["--a", "--b", "roi_op=pool", "--world", "mars"], "no world 'mars': choose shapes, blobs"),
        (["2c", "--world", "mars"], "no world 'mars'"),
        (["2c", "--world", "blobs", "--data", "x"], "--world and --data: give one of them"),
        (["2c", "--neck", "fpn"], "--neck is for --a and --b"),
        (["--a", "--b", "roi_op=pool", "--config", "c4-r50"], "--config is for tables"),
        (["--a", "--b", "roi_op=pool", "--precomputed"], "--precomputed is for the paper's tables"),
        (["--a", "--b", "roi_op=pool", "--setting", "C"], "no setting 'C': choose one of 'A', 'B'"),
        (["--a", "--b", "roi_op=pool", "--steps", "0"], "steps is 0: give 1 or more"),
        (["2c", "--dry-run", "--report", "r"], "--dry-run has no results: leave out --report"),
        (["2c", "--seed", "1", "--seeds", "2"], "--seed and --seeds: give one of them"),
        (["2c", "--minutes", "2", "--seed", "1"], "leave out --seed"),
        (["2c", "--minutes", "2", "--precomputed"], "leave out --precomputed"),
        (["2c", "--minutes", "2", "--dask", "x"], "with --dask, give --steps and --seeds"),
        (["2c", "--minutes", "9", "--steps", "9", "--seeds", "2"], "leave out --steps or --seeds"),
        (["2c", "--report", "file/inside"], "file/inside: Not a directory"),
        (["2c", "--report", "file"], "file: File exists"),
    ],
)  # fmt: skip
def test_ablate_says_why_not_before_anything_runs(run, args, words):
    Path("file").write_text("")
    code, out, err = run("ablate", *args)
    assert code == 2 and words in err and err.count("\n") == 1, err
    assert out == "" and not Path("runs").exists()


def test_precomputed_results_can_be_reported(run):
    code, out, _ = run("ablate", "2d", "--precomputed", "--report", "a/b")
    assert code == 0 and "RoIPool is worse than RoIAlign: -10.5 ± 0.8" in out
    page = Path("a/b/report.html").read_text()
    assert "mrcnn-edu ablate 2d --precomputed" in page and Path("a/b/report.csv").is_file()


def test_a_bar_counts_the_steps_of_runs_that_others_compute(tmp_path, capsys, monkeypatch):
    from mrcnn_edu.ablations import ask, parse_setting, watch
    from mrcnn_edu.ablations.job_hash import job_hash

    monkeypatch.setattr(watch, "POLL", 0.01)
    settings = [parse_setting("A", []), parse_setting("B", ["roi_op=pool"])]
    jobs = list(ask(settings, WORLDS["shapes"], 10, 1).jobs().values())
    (tmp_path / f"{job_hash(jobs[0])}.json").write_text("{}")
    losses = tmp_path / job_hash(jobs[1]) / "losses.csv"
    losses.parent.mkdir()
    with watch.progress_in_steps(jobs, tmp_path):
        losses.write_text("step\n1\n2\n3\n")
    err = capsys.readouterr().err
    assert "13/20" in err and "1 of 2 runs" in err


def test_ablate_says_what_is_missing(run, coco, monkeypatch):
    code, _, err = run("ablate", "2c", "--data", coco)
    assert code == 2 and "give --data and --val-data together" in err
    code, _, err = run("ablate", "2q")
    assert code == 2 and "no table '2q': choose one of 2a" in err
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = run("ablate", "2c", "--dask", "tcp://nowhere:1")
    assert code == 2 and "pip install 'mrcnn_edu[dask]'" in err


def test_bad_weights(run, checkpoint, tmp_path):
    for name, words in bad_checkpoints(tmp_path, checkpoint).items():
        for command in ("evaluate", "demo"):
            code, _, err = run(command, "--weights", name)
            assert code == 2 and words in err and name in err and err.count("\n") == 1, err
    assert not (tmp_path / "executed").exists()
    other = "--model.backbone", "tiny-deep"
    code, _, err = run("train", *QUICK, "--weights", "blobs.pt", *other)
    assert code == 2 and "blobs.pt does not fit this model (n_classes=6" in err
    code, _, err = run("train", *QUICK, "--weights", "nowhere.pt")
    assert code == 2 and "there is no file nowhere.pt" in err
    assert err.count("\n") <= 5  # of many lines


def test_bad_data(run, coco, tmp_path):
    (tmp_path / "bad.json").write_text('{"images": [')
    (tmp_path / "none.json").write_text('{"images": [], "annotations": [], "categories": []}')
    images = ["--data", coco / "images", "--annotations"]
    for args, words in [
        (["--data", "nowhere"], "there is no folder nowhere"),
        (["--data", coco / "images"], "images: there is no COCO file with annotations, only 3 PNG"),
        ([*images, "nowhere.json"], "nowhere.json: there is no such annotation file"),
        ([*images, "bad.json"], "bad.json is not valid JSON"),
        ([*images, "none.json"], "0 images and 0 classes"),
        (["--annotations", "bad.json"], "there is no folder shapes"),
        (["--scenes.n", 0], "0 images"),
    ]:
        code, _, err = run("train", *QUICK, *args)
        assert code == 2 and words in err and err.count("\n") == 1, err


def test_a_broken_image_is_named_also_by_the_processes_that_prepare_images(run, coco, tmp_path):
    shutil.copytree(coco, "broken")
    for image in (tmp_path / "broken" / "images").iterdir():
        image.write_bytes(image.read_bytes()[:60])
    for workers in (0, 2):
        code, _, err = run("train", *QUICK, "--data", "broken", "--workers", workers)
        last = err.splitlines()[-1]
        assert code == 2 and last.startswith("mrcnn-edu: broken/images/0"), err
        assert "cannot be read as an image" in last and "(image id " in last


def test_bad_settings(run, monkeypatch):
    wild = ["--learning-rate", "1e30", "--warmup-fraction", 0, "--steps", 9]
    code, _, err = run("train", *QUICK, *wild, "--out", "wild")
    assert code == 2 and "is not finite" in err, err
    for args, words in [
        (["--model.short-side", 0], "short_side is 0: give 1 or more"),
        (["--steps", 0], "steps is 0: give 1 or more"),
        (["--eval-every", 0], "eval-every is 0: give 1 or more"),
    ]:
        code, _, err = run("train", *args)
        assert code == 2 and words in err and err.count("\n") == 1, err
    for args in (
        ["train", "--model.roi-op", "crop"],
        ["train", "--model.backbone", "vgg"],
        ["train", "--optimizer", "magic"],
        ["train", "--stepz", "3"],
        ["train", "--preset", "huge"],
        ["train", "--scenes.size", "4"],
        ["trian"],
        [],
    ):
        with pytest.raises(SystemExit) as end:
            run(*args)
        assert end.value.code == 2
    monkeypatch.setenv("MRCNN_EDU_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        run("evaluate", "--weights", "nowhere.pt")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            'the bbox is the text "5, 5 \\"x\\" 2", not a list',
            "the bbox is the text ..., not a list",
        ),
        ("the bbox is the object {'x': [1, 2]}", "the bbox is the object ..."),
        ("the area is the number -3", "the area is the number ..."),
        ("the bbox looks like x1, y1: the list [5, 6]", "the bbox looks like x1, y1"),
        ("the image is 64 x 48 pixels (as stored)", "the image is N x N pixels"),
        ("the file is broken: line 3, column 2", "the file is broken"),
    ],
)
def test_problems_of_one_kind_differ_in_their_values_alone(message, kind):
    assert _kind_of(message) == kind


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 GB")],
)
def test_a_full_memory_is_one_line(run, checkpoint, monkeypatch, error):
    def fill_memory(*_):
        raise error

    monkeypatch.setattr("mrcnn_edu.model.MaskRCNN.detect", fill_memory)
    code, _, err = run("evaluate", "--weights", checkpoint, "--scenes.n", 2)
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("mrcnn-edu: the memory is full: close other programs")
    assert "Traceback" not in err
    monkeypatch.setattr("mrcnn_edu.model.MaskRCNN.detect", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a mistake of ours keeps its traceback
        run("evaluate", "--weights", checkpoint, "--scenes.n", 2)


def test_places_that_cannot_be_written(run, checkpoint, tmp_path):
    (tmp_path / "file").touch()  # root may write everywhere, but not below a file
    Image.new("L", (20, 20)).save(tmp_path / "1.png")
    few = ["--weights", checkpoint, "--scenes.n", 2]
    for args in (
        ["train", *QUICK, "--out", "file/run"],
        ["evaluate", *few, "--out", "file/scores.json"],
        ["predict", "1.png", "--weights", checkpoint, "--out", "file/found"],
        ["demo", "--weights", checkpoint, "--n", 1, "--out", "file/demo.png"],
    ):
        code, _, err = run(*args)
        last = err.splitlines()[-1]
        assert code == 2 and last.startswith("mrcnn-edu: ") and "file" in last
