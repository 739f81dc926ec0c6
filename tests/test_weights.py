"""Checkpoints: written whole or not at all, read without running code, refused with reasons.

And torchvision's weights: all of them arrive, from the file, the cache or the web.
"""

import errno
import hashlib
import os
import pickle
import random
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from reference import maskrcnn_of_the_same_layers
from torch import nn
from torchvision import models
from torchvision.models import detection
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

import mrcnn_edu
from mrcnn_edu import load, save, weights
from mrcnn_edu.config import Config
from mrcnn_edu.data.keypoints import twins
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training
from mrcnn_edu.weights.published import COCO_SKELETON

FIRST = "backbone.conv1.weight"

CLASSES = ["ant", "bee", "cat", "dog", "eel", "fox"]


@pytest.fixture
def checkpoint(tmp_path, tiny_model):
    path = tmp_path / "runs" / "model.pt"  # the folder is made
    weights.save(path, tiny_model(), CLASSES, note=["a", 1, {"b": torch.ones(2)}])
    return path


def _equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_a_saved_model_comes_back(checkpoint, tiny_model):
    model = mrcnn_edu.load(checkpoint)
    assert _equal(model, tiny_model())
    assert model.config == tiny_model().config and isinstance(model.config, Config)
    assert model.classes == CLASSES
    assert not model.training
    assert mrcnn_edu.load(str(checkpoint)).classes == CLASSES
    note = weights.read(checkpoint)["note"]
    assert note[:2] == ["a", 1] and note[2]["b"].tolist() == [1, 1]


def test_saved_settings_come_back(tmp_path, tiny_model):
    model = tiny_model(n_classes=2, roi_op="pool", mask_size=14)
    weights.save(tmp_path / "model.pt", model, ["yes", "no"])
    assert mrcnn_edu.load(tmp_path / "model.pt").config == model.config


def test_names_of_keypoints_come_back(tmp_path):
    model, file = MaskRCNN(Config.tiny(1, n_keypoints=3)), tmp_path / "a.pt"
    save(file, model, ["figure"])
    assert load(file).keypoint_head.keypoints == ["keypoint 0", "keypoint 1", "keypoint 2"]
    model.keypoint_head.keypoints = ["nose", "left_eye", "right_eye"]
    model.keypoint_head.skeleton = [(0, 1), (0, 2)]
    save(file, model, ["figure"])
    head = load(file).keypoint_head
    assert (head.keypoints, head.skeleton) == (["nose", "left_eye", "right_eye"], [(0, 1), (0, 2)])
    contents = torch.load(file)
    del contents["keypoints"], contents["skeleton"]  # an older file has none
    torch.save(contents, file)
    assert load(file).keypoint_head.skeleton == []
    save(file, MaskRCNN(Config.tiny(1)), ["figure"])
    assert not {"keypoints", "skeleton"} & set(torch.load(file))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("keypoints", ["a", "b"], "names of the model's 3 keypoints"),
        ("keypoints", ["a", "b", 3], "names of the model's 3 keypoints"),
        ("keypoints", None, "its keypoints is a NoneType"),
        ("keypoints", {"a": 1, "b": 2, "c": 3}, "its keypoints is a dict"),
        ("skeleton", "ab", "its skeleton is a str"),
        ("skeleton", [[0, 3]], r"pairs of numbers from 0 to 2"),
        ("skeleton", [[-1, 0]], r"pairs of numbers from 0 to 2"),
        ("skeleton", [(0, 1, 2)], r"pairs of numbers from 0 to 2"),
        ("skeleton", [0], r"pairs of numbers from 0 to 2"),
        ("skeleton", [(0.0, True)], r"pairs of numbers from 0 to 2"),
        ("skeleton", [torch.zeros(2)], r"pairs of numbers from 0 to 2"),
    ],
)
def test_keypoints_of_another_form_are_refused(tmp_path, part, value, message):
    file = tmp_path / "a.pt"
    save(file, MaskRCNN(Config.tiny(1, n_keypoints=3)), ["figure"])
    torch.save(torch.load(file) | {part: value}, file)
    with pytest.raises(ValueError, match=message):
        load(file)


def test_the_skeleton_of_cocos_persons_is_the_same_in_a_mirror():
    names = models.get_weight("KeypointRCNN_ResNet50_FPN_Weights.COCO_V1").meta["keypoint_names"]
    pairs = {frozenset(pair) for pair in COCO_SKELETON}
    other = twins(names)
    assert len(pairs) == 19 and {frozenset(other[j] for j in pair) for pair in pairs} == pairs
    limb = {names[i]: names[j] for i, j in COCO_SKELETON if "wrist" in names[j]}
    assert limb == {"left_elbow": "left_wrist", "right_elbow": "right_wrist"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt") as error:
        mrcnn_edu.load(tmp_path / "nothing.pt")
    names = "shapes-tiny, shapes-tiny-agnostic, shapes-tiny-softmax, coco-resnet50-fpn"
    assert f"weights known by name are {names}, coco-resnet50-fpn-v2" in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.pt"):
        weights.read(tmp_path / "nothing.pt")
    with pytest.raises(FileNotFoundError):
        mrcnn_edu.load(tmp_path)  # a folder


@pytest.mark.parametrize("fraction", [0, 1e-6, 1e-5, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, -1])
def test_a_file_cut_short_is_refused(checkpoint, fraction):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-1] if fraction < 0 else whole[: round(fraction * len(whole))])
    with pytest.raises(ValueError, match=r"model\.pt"):
        mrcnn_edu.load(checkpoint)


def test_other_files_are_refused(checkpoint):
    noise = [random.Random(seed).randbytes(200) for seed in range(100)]
    for contents in (b"hello", b"\0" * 1000, b"PK\x03\x04" + b"\1" * 1000, *noise):
        checkpoint.write_bytes(contents)
        with pytest.raises(ValueError, match=r"model\.pt"):
            mrcnn_edu.load(checkpoint)


class Trap:
    """Unpickled, it makes a folder: a stand-in for any program."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda o, path: path.write_bytes(pickle.dumps(o, protocol=2))]
)
def test_a_checkpoint_runs_no_code(tmp_path, write):
    caught, path = tmp_path / "caught", tmp_path / "model.pt"
    write({"config": {}, "classes": [], "model": Trap(caught)}, path)
    with pytest.raises(ValueError, match=r"(?s)model\.pt.*nothing else is ever loaded"):
        mrcnn_edu.load(path)
    assert not caught.exists()
    with pytest.raises(ValueError, match="nothing else is ever loaded"):
        weights.load_torchvision(None, path)
    assert not caught.exists()
    torch.load(path, weights_only=False) if write is torch.save else pickle.loads(path.read_bytes())
    assert caught.exists()  # so the trap was a real one


@pytest.mark.parametrize(
    "contents, message",
    [
        ({"model": {}}, "has no classes, config: it is not a checkpoint of mrcnn_edu"),
        ({"weight": torch.ones(1)}, "has no classes, config, model"),
        (torch.ones(2), "holds a Tensor"),
        ([1], "holds a list"),
    ],
)
def test_weights_of_something_else_are_refused(tmp_path, contents, message):
    torch.save(contents, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message):
        mrcnn_edu.load(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(config=[1]), r"model.pt is not a checkpoint .* its config is a list"),
        (lambda c: c.update(classes="abc"), "its classes is a str, and should be a list"),
        (lambda c: c.update(model=None), "its model is a NoneType"),
        (lambda c: c["config"].update(depth=-1), "model.pt has unknown settings: depth"),
        (lambda c: c["config"].update(short_side="x"), "model.pt has a wrong setting: short_side"),
        (lambda c: c["config"].update({3: 4}), "model.pt has unknown settings: 3"),
        (lambda c: c.update(classes=["one"]), "give the names of the model's 6 classes"),
        (lambda c: c.update(classes=[1, 2, 3, 4, 5, 6]), "model.pt has the classes .1, 2"),
        (lambda c: c["model"].update({FIRST: [1.0]}), "no tensor: backbone.* is a list"),
        (lambda c: c["model"].update({FIRST: torch.ones(2)}), r"shape: backbone.* is \[2\], but"),
        (lambda c: c["model"].update({7: torch.ones(2)}), "unknown: 7"),
        (lambda c: c["model"].update({FIRST: c["model"][FIRST].int()}), "is torch.int32, but the"),
    ],
)
def test_contents_of_another_form_are_refused(checkpoint, change, message):
    contents = weights.read(checkpoint)
    change(contents)
    torch.save(contents, checkpoint)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        mrcnn_edu.load(checkpoint)


def test_settings_of_a_huge_model_take_no_memory(checkpoint):
    contents = weights.read(checkpoint)
    contents["config"].update(fpn_channels=1_000_000, mask_hidden=1_000_000, box_hidden=1_000_000)
    torch.save(contents, checkpoint)  # hundreds of terabytes, if it were made
    with pytest.raises(ValueError, match=r"shape: neck.* but the model needs \[1000000"):
        mrcnn_edu.load(checkpoint)
    with pytest.raises(ValueError, match="mask_convs is 1000000000: give 100 or less"):
        Config(mask_convs=10**9)


def test_weights_of_a_training_script_are_found_in_its_checkpoint(tmp_path):
    state = _theirs("v1").state_dict()
    for part in ("model", "state_dict"):
        given = {part: state, "optimizer": {"state": {}}, "epoch": 3}
        assert _equal(_ours("v1", given), _ours("v1", state))
    torch.save({"model": {"weight": 1.0}}, tmp_path / "given.pt")
    with pytest.raises(ValueError, match=r"given.pt has the entry 'weight': float, which is no"):
        _ours("v1", tmp_path / "given.pt")


def test_settings_of_another_version_are_refused(checkpoint):
    contents = weights.read(checkpoint)
    contents["config"]["flux_capacitor"] = 1.21
    torch.save(contents, checkpoint)
    with pytest.raises(ValueError, match="flux_capacitor"):
        mrcnn_edu.load(checkpoint)


def test_settings_of_older_files_get_their_present_names(tmp_path, tiny_model):
    model = tiny_model(rpn_batch_per_image=17, roi_aggregate="max", mask_decoding="strongest")
    training = asdict(Training(milestones=(0.5,), rng_scope="image"))
    weights.save(tmp_path / "new.pt", model, CLASSES, training=training)
    contents = torch.load(tmp_path / "new.pt")
    for part, names in weights.checkpoint.RENAMED.items():
        older = {new: old for old, new in names.items() if new in contents[part]}
        assert len(older) == len(names) - (part == "config")  # n_bins is a setting of FCIS
        contents[part] = {older.get(n, n): value for n, value in contents[part].items()}
    assert "rpn_batch" in contents["config"] and "drops" in contents["training"]
    torch.save(contents, tmp_path / "old.pt")
    assert mrcnn_edu.load(tmp_path / "old.pt").config == model.config
    assert weights.read(tmp_path / "old.pt")["training"] == training


def test_the_settings_of_every_shipped_file_are_known_by_their_present_names():
    from mrcnn_edu.ancestors.fcis import FCISConfig

    package = Path(mrcnn_edu.__file__).parent
    files = [*weights.SHIPPED.glob("*.pt"), *(package / "ancestors" / "shipped").glob("*.pt")]
    known = {field.name for settings in (Config, FCISConfig) for field in fields(settings)}
    assert len(files) >= 9
    for file in files:
        assert set(weights.read(file)["config"]) <= known, file


@pytest.mark.parametrize("file", sorted(weights.SHIPPED.glob("*.pt")), ids=lambda file: file.stem)
def test_shipped_weights_load_and_detect(file):
    model = mrcnn_edu.load(file.stem)
    assert len(model.classes) == model.config.n_classes == 6
    assert len(model.detect([torch.rand(3, 40, 40)])) == 1


def test_a_wrong_number_of_classes_is_named(tiny_model):
    state = tiny_model().state_dict()
    with pytest.raises(ValueError, match=r"n_classes=2") as error:
        weights.load_state(tiny_model(n_classes=2), state, "here")
    message = str(error.value)
    assert "box_head.cls_score.weight is [7, 128], but the model needs [3, 128]" in message
    assert message.count("shape:") == 6  # scores, boxes and masks, weight and bias each


def test_every_missing_and_unknown_name_is_told(tiny_model):
    model = tiny_model()
    state = model.state_dict()
    before = model.neck.inner_blocks[1][0].bias.clone()
    gone = ["backbone.conv1.weight", "mask_head.conv5_mask.bias"]
    for name in gone:
        del state[name]
    state |= {"backbone.fc.weight": torch.ones(1), "extra": torch.ones(1)}
    state["neck.inner_blocks.1.0.bias"] = torch.ones(64)
    with pytest.raises(ValueError, match="4 problems") as error:
        weights.load_state(model, state, "here")
    for name in gone:
        assert f"missing: {name}" in str(error.value)
    for name in ("backbone.fc.weight", "extra"):
        assert f"unknown: {name}" in str(error.value)
    assert torch.equal(model.neck.inner_blocks[1][0].bias, before)  # and nothing was loaded


def test_a_place_that_cannot_be_written_is_named(tmp_path, tiny_model):
    (tmp_path / "file").write_text("I am no folder")
    for path in (tmp_path / "file" / "model.pt", tmp_path / "file" / "a" / "b" / "model.pt"):
        with pytest.raises(OSError, match=r"could not write the checkpoint .*model\.pt"):
            weights.save(path, tiny_model(), CLASSES)
    assert (tmp_path / "file").read_text() == "I am no folder"


@pytest.mark.parametrize(
    "failure, as_seen",
    [
        (PermissionError(errno.EACCES, "Permission denied"), OSError),
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (RuntimeError("PytorchStreamWriter failed writing file"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (pickle.PicklingError("cannot pickle it"), pickle.PicklingError),
    ],
)
def test_a_failing_write_leaves_the_old_file(checkpoint, tiny_model, monkeypatch, failure, as_seen):
    before = checkpoint.read_bytes()

    def half_written(contents, file):
        file.write(b"half of it")
        raise failure

    monkeypatch.setattr(torch, "save", half_written)
    with pytest.raises(as_seen):
        weights.save(checkpoint, tiny_model(), CLASSES)
    assert checkpoint.read_bytes() == before
    assert [file.name for file in checkpoint.parent.iterdir()] == ["model.pt"]


def test_the_new_file_takes_the_place_of_the_old_at_once(checkpoint, tiny_model, monkeypatch):
    before, seen = checkpoint.read_bytes(), []

    def replace(source, destination):  # the one moment in which the old file changes
        seen.append((weights.read(source)["classes"], checkpoint.read_bytes() == before))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="could not write"):
        weights.save(checkpoint, tiny_model(), [*"uvwxyz"])
    assert seen == [([*"uvwxyz"], True)]
    assert checkpoint.read_bytes() == before


def test_a_full_disk_leaves_the_old_file(checkpoint, tiny_model):
    resource = pytest.importorskip("resource")  # Windows has none
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # a file may have 100 kB
    try:
        with pytest.raises(OSError, match="could not write the checkpoint"):
            weights.save(checkpoint, tiny_model(), CLASSES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read_bytes() == before
    assert [file.name for file in checkpoint.parent.iterdir()] == ["model.pt"]


# torchvision's weights


def _resnet50_fpn(norm):
    return resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm)


published = partial(FrozenBatchNorm2d, eps=0.0)  # the norm that v1 was published with
BUILDERS = {
    "v1": lambda: detection.MaskRCNN(_resnet50_fpn(published), 91),
    "v2": lambda: detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None),
    "boxes": lambda: detection.FasterRCNN(_resnet50_fpn(published), 91),
    "v1, from scratch": lambda: detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None
    ),
    "boxes, fine-tuned": lambda: detection.FasterRCNN(_resnet50_fpn(FrozenBatchNorm2d), 91),
    "boxes, from scratch": lambda: detection.FasterRCNN(_resnet50_fpn(nn.BatchNorm2d), 91),
    "resnet50": models.resnet50,
    "resnet101": models.resnet101,
}
CONFIGS = {"v1": Config(), "v2": weights.V2, "boxes": Config(mask_head=None)}


def _layers(build, *arguments):
    """A model whose parameters have a shape, but no numbers: it is made at once."""
    with torch.device("meta"):
        return build(*arguments)


def _theirs(kind):
    """torchvision's model of a kind, with random numbers everywhere."""
    model = _layers(BUILDERS[kind]).to_empty(device="cpu").eval()
    for name, value in model.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, value[0].numel() ** -0.5)  # keeps the size of the signal
        elif value.ndim == 1:
            value.uniform_(0.5, 1.5)
            if name.removeprefix("backbone.body.") == "bn1.running_var":
                value *= 1e-5  # so an eps of that size counts
        else:
            value.fill_(7)  # batches, counted
    return model


def _ours(kind, source, norm_eps=None):
    model = weights.load_torchvision(MaskRCNN(CONFIGS[kind]), source, norm_eps)
    return model.eval()


def _close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


@torch.no_grad()
def _same_pyramid(ours, theirs):
    """Our pyramid of an image, after checking that theirs is the same."""
    image = torch.rand(1, 3, 64, 64)
    pyramid = ours.neck(ours.backbone(image))
    for level, expected in zip(pyramid, theirs.backbone(image).values(), strict=True):
        _close(level, expected)
    return pyramid


@pytest.mark.parametrize("kind, n", [("v1", 307), ("v2", 432), ("boxes", 295)])
@torch.no_grad()
def test_all_weights_arrive(kind, n):
    model = _theirs(kind)
    ours = _ours(kind, model.state_dict())
    numbers = [[v.double().sum().item() for v in m.state_dict().values()] for m in (ours, model)]
    assert sorted(numbers[0]) == sorted(numbers[1]) and len(numbers[0]) == n  # each of them once,

    pyramid = _same_pyramid(ours, model)  # and in its place
    objectness, _ = model.rpn.head(pyramid)
    objectness = [level.permute(0, 2, 3, 1).flatten(1) for level in objectness]
    _close(ours.rpn_head(pyramid)[0], torch.cat(objectness, dim=1))
    heads, features = model.roi_heads, torch.rand(2, 256, 14, 14)
    scores, deltas = ours.box_head(features[..., :7, :7])
    expected = heads.box_predictor(heads.box_head(features[..., :7, :7]))
    _close(scores, expected[0])
    _close(deltas.flatten(1), expected[1])
    if kind != "boxes":
        _close(ours.mask_head(features), heads.mask_predictor(heads.mask_head(features)))


def test_the_eps_of_fine_tuned_frozen_norms_can_be_given():
    model = _theirs("boxes, fine-tuned")
    _same_pyramid(_ours("boxes", model.state_dict(), norm_eps=1e-5), model)
    with pytest.raises(AssertionError):  # a state_dict does not tell
        _same_pyramid(_ours("boxes", model.state_dict()), model)


@pytest.mark.parametrize("norm", ["frozen", "batch"])
@pytest.mark.parametrize(
    "kind", ["v1", "v1, from scratch", "boxes", "boxes, fine-tuned", "boxes, from scratch"]
)
def test_the_eps_of_the_norms_is_read_from_a_torchvision_model(kind, norm):
    model = _theirs(kind)
    model.backbone.body.bn1.running_var *= 3  # all above 1e-5, or batch norm could not express it
    config = replace(CONFIGS[kind.partition(",")[0]], norm=norm)
    _same_pyramid(weights.load_torchvision(MaskRCNN(config), model).eval(), model)


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_norms_that_were_trained_are_recognized_in_a_state_dict(norm):
    model = _theirs("v1, from scratch")
    ours = weights.load_torchvision(MaskRCNN(Config(norm=norm)), model.state_dict())
    _same_pyramid(ours.eval(), model)


def test_weights_of_a_frozen_norm_may_be_trained_on():
    model = MaskRCNN(Config(norm="batch"))
    model.backbone.bn1.num_batches_tracked.fill_(3)
    weights.load_torchvision(model, _theirs("v1").state_dict())
    assert model.backbone.bn1.num_batches_tracked == 3  # a frozen norm has no such count


def frozen_resnet50(eps):
    return models.resnet50(norm_layer=partial(FrozenBatchNorm2d, eps=eps))


@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("norm", ["frozen", "batch"])
@torch.no_grad()
def test_the_eps_of_a_resnet_with_frozen_norms_is_read_from_it(eps, norm, monkeypatch):
    monkeypatch.setitem(BUILDERS, "resnet50", partial(frozen_resnet50, eps))
    resnet = _theirs("resnet50")
    resnet.bn1.running_var *= 3  # all above 1e-5, or batch norm could not express it
    model = weights.load_torchvision(MaskRCNN(Config(norm=norm)), resnet).eval()
    _same_stages(model, resnet)


@torch.no_grad()
def _same_stages(model, resnet):
    image = torch.rand(1, 3, 64, 64)
    stages = IntermediateLayerGetter(resnet, {f"layer{i}": i for i in (1, 2, 3, 4)})
    for ours, expected in zip(model.backbone(image), stages(image).values(), strict=True):
        _close(ours, expected)


@pytest.mark.parametrize(
    "backbone, norm", [("resnet50", "frozen"), ("resnet50", "batch"), ("resnet101", "frozen")]
)
@pytest.mark.parametrize("source", ["model", "state_dict"])
@torch.no_grad()
def test_a_resnet_made_for_classification_becomes_the_backbone(backbone, norm, source):
    model = MaskRCNN(Config(backbone=backbone, norm=norm)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    resnet = _theirs(backbone)
    weights.load_torchvision(model, resnet if source == "model" else resnet.state_dict())
    _same_stages(model, resnet)
    state = model.state_dict()
    changed = {name.split(".")[0] for name in state if not state[name].equal(before[name])}
    assert changed == {"backbone"}


def _of_2019(name):
    """The name of a parameter in the published file of v1, from before torchvision 0.13."""
    name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
    for i in range(4):
        for blocks in ("inner_blocks", "layer_blocks"):
            name = name.replace(f"fpn.{blocks}.{i}.0.", f"fpn.{blocks}.{i}.")
        name = name.replace(f"roi_heads.mask_head.{i}.0.", f"roi_heads.mask_head.mask_fcn{i + 1}.")
    return name


def test_weights_load_by_their_older_names_from_an_older_file(tmp_path):
    theirs = _theirs("v1")
    state = theirs.state_dict()
    older = {_of_2019(name): value for name, value in state.items()}
    assert len(set(older) - set(state)) == 2 + 16 + 8
    assert not theirs.load_state_dict(older).missing_keys  # torchvision knows them too
    path = tmp_path / "maskrcnn.pth"
    torch.save(older, path, _use_new_zipfile_serialization=False)
    model = _ours("v1", path)
    path.unlink()  # it has 178 MB
    assert _equal(model, _ours("v1", state))


# Those that are published


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder where published weights are looked for, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "name, kind, file",
    [
        ("coco-resnet50-fpn", "v1", "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"),
        ("coco-resnet50-fpn-v2", "v2", "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"),
    ],
)
def test_published_weights_are_found_where_torch_keeps_them(hub, name, kind, file):
    assert not weights.is_downloaded(name)
    state = _theirs(kind).state_dict()
    torch.save(state, hub / file)
    assert weights.is_downloaded(name)
    model = mrcnn_edu.load(name)
    (hub / file).unlink()  # it has 178 MB
    assert _equal(model, _ours(kind, state))
    assert model.config == CONFIGS[kind] and not model.training
    assert len(model.classes) == 90 and model.classes[0] == "person"


NAME = "coco-resnet50-fpn"


@pytest.fixture
def on_the_web(tmp_path, monkeypatch, hub):
    """The file that the address of published weights leads to; they are for a tiny model."""
    config = Config.tiny(90)
    file = tmp_path / "web" / "weights.pth"
    file.parent.mkdir()
    torch.save(maskrcnn_of_the_same_layers(config).state_dict(), file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    file = file.rename(file.with_name(f"tiny-{sha256[:8]}.pth"))
    enum_name, _ = weights.PUBLISHED[NAME]
    monkeypatch.setattr(models.get_weight(enum_name).value, "url", file.as_uri())
    monkeypatch.setitem(weights.PUBLISHED, NAME, (enum_name, config))
    return file


def test_published_weights_are_downloaded_once(on_the_web, hub, capsys):
    model = mrcnn_edu.load(NAME)
    out, err = capsys.readouterr()
    assert out == f"Downloading {on_the_web.as_uri()} to {hub / on_the_web.name}\n"
    assert "100%" in err  # of the progress bar
    assert weights.is_downloaded(NAME)
    on_the_web.unlink()
    assert _equal(mrcnn_edu.load(NAME), model)
    assert capsys.readouterr() == ("", "")


def _changed(file):
    contents = bytearray(file.read_bytes())
    contents[1000] ^= 1  # a single bit
    file.write_bytes(contents)


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (_changed, "invalid hash value"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "invalid hash value"),
        (lambda file: file.unlink(), "No such file"),
    ],
)
def test_a_failed_download_tells_the_remedy_and_leaves_nothing(on_the_web, hub, spoil, reason):
    spoil(on_the_web)
    with pytest.raises(OSError, match=f"could not download the weights {NAME}") as error:
        mrcnn_edu.load(NAME)
    assert reason in str(error.value)
    assert f"fetch {on_the_web.as_uri()} and put it into {hub}" in str(error.value)
    assert list(hub.iterdir()) == []


def test_without_a_connection_the_remedy_is_told(hub, monkeypatch):
    address = "https://127.0.0.1:9/file-12345678.pth"  # where nobody answers
    monkeypatch.setattr(models.get_weight(weights.PUBLISHED[NAME][0]).value, "url", address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(OSError, match=f"Connection refused.*fetch {address} and put it into {hub}"):
        mrcnn_edu.load(NAME)


def test_a_file_in_the_cache_that_cannot_be_used_is_named(on_the_web, hub, tmp_path):
    file, caught = hub / on_the_web.name, tmp_path / "caught"
    for contents, reason in [
        (on_the_web.read_bytes()[:5000], "damaged or cut short"),
        (pickle.dumps({"a": Trap(caught)}, protocol=2), "nothing else is ever loaded"),
    ]:
        file.write_bytes(contents)
        with pytest.raises(ValueError, match=f"(?s)delete {file}.*{reason}"):
            mrcnn_edu.load(NAME)
    assert not caught.exists()
    torch.save({"fc.bias": torch.ones(2)}, file)
    with pytest.raises(ValueError, match=rf"(?s)delete {file}.*unknown: fc\.bias"):
        mrcnn_edu.load(NAME)


# What does not fit


def _problems(model, state):
    """The problems that the one error lists."""
    with pytest.raises(ValueError, match="does not fit this model") as error:
        weights.load_torchvision(model, state)
    first, *problems = str(error.value).split("\n  ")
    assert f": {len(problems)} problems" in first
    return problems


def test_all_that_does_not_fit_is_told_at_once_by_torchvisions_names():
    state = _theirs("boxes").state_dict()
    del state["backbone.fpn.layer_blocks.2.0.bias"]
    state["roi_heads.keypoint_head.0.weight"] = torch.ones(1)
    state["rpn.head.conv.bias"] = torch.ones(256)  # the older name, beside the present one
    state["roi_heads.box_predictor.cls_score.weight"] = torch.ones(21, 1024)
    model = MaskRCNN(CONFIGS["boxes"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert _problems(model, state) == [
        "missing: neck.layer_blocks.2.0.bias",
        "unknown: roi_heads.keypoint_head.0.weight",
        "unknown: rpn.head.conv.bias",
        "shape: roi_heads.box_predictor.cls_score.weight is [21, 1024], but the model "
        "needs [91, 1024]",
    ]
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_an_older_name_is_told_whichever_name_comes_first():
    names = ["rpn.head.conv.weight", "rpn.head.conv.0.0.weight"]
    state = _layers(BUILDERS["boxes"]).state_dict()
    weight = state.pop(names[1])
    for order in (names, names[::-1]):
        given = dict.fromkeys(order, weight) | state
        assert _problems(_layers(MaskRCNN, CONFIGS["boxes"]), given) == [f"unknown: {order[1]}"]


@pytest.mark.parametrize(
    "kind, config, n, told",
    [
        ("v1", weights.V2, 100, "missing: neck.inner_blocks.0.1.running_var"),
        ("v2", Config(), 84, "unknown: backbone.fpn.inner_blocks.0.1.running_var"),
        ("v1", Config(mask_head=None), 12, "unknown: roi_heads.mask_head.0.0.weight"),
        ("boxes", Config(), 12, "missing: mask_head.convs.0.0.weight"),
        ("resnet101", Config(), 17 * 15, "unknown: layer3.22.conv3.weight"),
        ("resnet50", Config(backbone="resnet101"), 17 * 15, "missing: backbone.layer3.22.bn3.bias"),
        ("resnet50", Config.tiny(), 265, "unknown: layer4.0.conv3.weight"),
    ],
)
def test_weights_of_another_model_are_refused(kind, config, n, told):
    problems = _problems(_layers(MaskRCNN, config), _layers(BUILDERS[kind]).state_dict())
    assert told in problems and len(problems) == n
