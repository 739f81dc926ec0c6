"""Checkpoints: whatever ends a run, and whenever, it resumes and ends with the same bits."""

import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from stopping import StopAfter
from torchvision.transforms import v2

import mrcnn_edu
from mrcnn_edu.backbone import BasicBlock, ResNet
from mrcnn_edu.backbone_choices import BACKBONES
from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit, steps
from mrcnn_edu.train.checkpoints import (
    CHECKPOINT,
    DAMAGED,
    LOCK,
    PREVIOUS,
    Terminated,
    latest_checkpoint,
)
from mrcnn_edu.weights import read

SCENES = Shapes(n=10, size=32, n_objects=(1, 2), object_size=(0.3, 0.6))
TRAINING = Training(steps=6, batch_size=1, checkpoint_every=1)
LONG = replace(TRAINING, steps=30)
WITH_WORKERS = replace(TRAINING, steps=100_000, workers=2, checkpoint_every=2)


pytestmark = pytest.mark.usefixtures("one_thread")


def _fit(folder=None, training=TRAINING, dataset=SCENES):
    """The trained model and its losses."""
    torch.manual_seed(1)
    small = dict(
        fpn_channels=8, box_hidden=8, mask_channels=8, mask_convs=1, rpn_pre_nms_top_n_train=20
    )
    sizes = dict(short_side=32, long_side=32, anchor_sizes=((8,), (16,), (24,), (32,)))
    model = MaskRCNN(Config.tiny(**small | sizes))
    return model, fit(model, dataset, training, folder, progress=False)


@pytest.fixture(scope="module")
def uninterrupted():
    torch.set_num_threads(1)
    return _fit()


def _same(a, b):
    """Whether two runs have the same losses and, in the end, the same bits."""
    states = a[0].state_dict(), b[0].state_dict()
    return a[1] == b[1] and all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def killed_again_and_again(folder, moments):
    """Resume the run and kill it at each of the moments, fractions of the time a whole run takes.

    Each run is a fork of this process, which has everything imported. Finally the remaining steps
    are done and compared. Prints how many runs resumed, and how many steps the killed ones did.
    """
    torch.set_num_threads(1)
    begin = time.monotonic()
    whole, n_resumed = _fit(None, LONG), 0
    seconds = time.monotonic() - begin  # as fast as this machine now is
    for moment in moments:
        found = latest_checkpoint(folder)
        n_resumed += found is not None
        child = os.fork()
        if child == 0:
            try:
                _fit(folder, LONG)
            finally:
                os._exit(0)
        time.sleep(moment * seconds)
        os.kill(child, signal.SIGKILL)  # nothing can be tidied up
        os.waitpid(child, 0)
    done = len(latest_checkpoint(folder)[1]["losses"])
    ended = _fit(folder, LONG)
    assert _same(ended, whole), moments
    print(n_resumed, done)


@pytest.mark.slow
def test_a_run_that_is_killed_at_twenty_moments_ends_with_the_same_bits(tmp_path):
    rng = random.Random(time.time_ns())
    moments = [0.5] + [rng.uniform(0, 0.3) for _ in range(19)]  # the first has checkpoints
    code = f"import test_checkpoints as t; t.killed_again_and_again({str(tmp_path)!r}, {moments})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    n_resumed, done = map(int, run.stdout.split())
    assert n_resumed >= 1 and done > 0, "no run resumed from a checkpoint"


class Killed(BaseException):
    """Stands for a kill: it is caught as little as SIGKILL."""


@pytest.fixture
def half_done(tmp_path):
    """The folder of a run that was stopped after three of its six steps."""
    with pytest.raises(Killed):
        _fit(tmp_path, dataset=StopAfter(SCENES, 3, Killed))
    return tmp_path


@pytest.mark.parametrize("at", ["half the file", "rename 1", "rename 2", "rename 3"])
def test_a_kill_within_the_write_loses_a_step_at_most(half_done, monkeypatch, uninterrupted, at):
    save, rename, names = torch.save, os.replace, []

    def killed_save(contents, file):
        save(contents, file)
        if at == "half the file":
            file.truncate(file.tell() // 2)
            raise Killed

    def killed_rename(source, target):
        if str(target).endswith(".csv"):
            return rename(source, target)
        names.append(target)
        if at == f"rename {len(names)}":
            raise Killed
        rename(source, target)

    monkeypatch.setattr(torch, "save", killed_save)
    monkeypatch.setattr(os, "replace", killed_rename)
    with pytest.raises(Killed):
        _fit(half_done)
    monkeypatch.undo()
    assert len(latest_checkpoint(half_done)[1]["losses"]) == 3
    assert _same(_fit(half_done), uninterrupted)
    assert set(os.listdir(half_done)) == {CHECKPOINT, PREVIOUS, "losses.csv"}


def test_a_full_disk_leaves_the_last_checkpoint(half_done, monkeypatch, uninterrupted):
    save = torch.save

    def full(contents, file):
        save(contents, file)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"could not write the checkpoint .*No space left on device"):
        _fit(half_done)
    monkeypatch.undo()
    assert len(latest_checkpoint(half_done)[1]["losses"]) == 3
    assert _same(_fit(half_done), uninterrupted)


@pytest.mark.parametrize("how", ["cut short", "a byte is another"])
def test_the_latest_good_checkpoint_is_found_when_the_last_is_damaged(
    half_done, uninterrupted, how
):
    last = half_done / CHECKPOINT
    contents = bytearray(last.read_bytes())
    if how == "cut short":
        contents = contents[:-100]
    else:
        contents[len(contents) // 2] ^= 1
    last.write_bytes(contents)
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is damaged.* resumes from .*before\.pt"):
        assert _same(_fit(half_done), uninterrupted)
    last.write_bytes(b"")
    (half_done / PREVIOUS).write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged"):
        _fit(half_done)


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_good_one(half_done, monkeypatch):
    """Or a kill between the two renames of the next one would leave no checkpoint."""
    last = half_done / CHECKPOINT
    last.write_bytes(damaged := last.read_bytes()[:-100])
    rename = os.replace

    def killed_rename(source, target):
        if str(source).endswith(".new"):
            raise Killed
        rename(source, target)

    monkeypatch.setattr(os, "replace", killed_rename)
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(Killed):
        _fit(half_done)
    assert len(latest_checkpoint(half_done)[1]["losses"]) == 2
    assert (half_done / DAMAGED).read_bytes() == damaged


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert latest_checkpoint(tmp_path) is None and latest_checkpoint(None) is None


class Terminates(StopAfter):
    """The process gets SIGTERM, as a cluster's warning, while it makes an item."""

    def __getitem__(self, index):
        self.n_left -= 1
        if self.n_left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.dataset[index]


def test_sigterm_saves_the_step_and_ends_the_run(tmp_path, uninterrupted):
    before = signal.getsignal(signal.SIGTERM)
    seldom = replace(TRAINING, checkpoint_every=100)
    with pytest.raises(Terminated) as end:
        _fit(tmp_path, seldom, Terminates(SCENES, 2))
    assert end.value.code == 143 and "checkpoint.pt has the last step" in end.value.message
    assert signal.getsignal(signal.SIGTERM) is before
    assert len(read(tmp_path / CHECKPOINT)["losses"]) == 2
    assert _same(_fit(tmp_path, seldom), uninterrupted)
    with pytest.raises(Terminated) as end:
        _fit(None, seldom, Terminates(SCENES, 2))
    assert "nothing was kept" in end.value.message
    copy = pickle.loads(pickle.dumps(Terminated(tmp_path)))  # as it comes from another process
    assert (copy.code, str(copy)) == (143, Terminated(tmp_path).message)


@pytest.mark.slow
def test_sigterm_to_all_processes_of_a_run_saves_the_step(tmp_path):
    """A cluster may signal the processes that load images, too."""
    code = f"import test_checkpoints as t; t._fit({str(tmp_path)!r}, t.WITH_WORKERS)"
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not (tmp_path / CHECKPOINT).exists():
        assert time.monotonic() < end and run.poll() is None, "there is no first checkpoint"
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 143, errors
    assert 1 < len(read(tmp_path / CHECKPOINT)["losses"]) < WITH_WORKERS.steps


@pytest.mark.slow
def test_a_program_ends_also_in_the_middle_of_a_run():
    """The processes that load images end when the program that started them sends SIGTERM."""
    code = """import test_checkpoints as t
from mrcnn_edu.train import steps
for losses in steps(t.MaskRCNN(t.Config.tiny()), t.SCENES, t.WITH_WORKERS):
    if len(losses) == 2:
        break"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, timeout=120)


def test_another_dataset_of_the_same_size_is_refused(half_done):
    other = replace(SCENES, seed=1)
    with pytest.raises(ValueError, match=r"settings \(data was .*seed=0.*, and is .*seed=1.* now"):
        _fit(half_done, dataset=other)
    with pytest.raises(ValueError, match="data was"):
        _fit(half_done, dataset=Cached(other, 1e6))


class Noisy(StopAfter):
    """The images have noise, from torch's global generator."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return (image + 0.1 * torch.rand(image.shape)).clamp(max=1), target


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("optimizer"), "has no optimizer"),
        (lambda c: c.update(losses=3), "its losses is a int"),
        (lambda c: c.update(training=None), "its training is a NoneType"),
        (lambda c: c["optimizer"].pop("param_groups"), "its optimizer's state is incomplete"),
    ],
)
def test_a_checkpoint_that_lacks_a_part_is_refused(half_done, change, message):
    contents = torch.load(half_done / "checkpoint.pt", weights_only=True)
    change(contents)
    torch.save(contents, half_done / "checkpoint.pt")
    with pytest.raises(ValueError, match=rf"checkpoint.pt .*{message}"):
        _fit(half_done)


def test_what_a_dataset_draws_is_drawn_again(tmp_path):
    """Augmentation draws from torch's global generator: a resumed run draws the same."""
    whole = _fit(dataset=Noisy(SCENES, 6, Killed))
    with pytest.raises(Killed):
        _fit(tmp_path, dataset=Noisy(SCENES, 4, Killed))
    torch.rand(7)
    assert _same(_fit(tmp_path, dataset=Noisy(SCENES, 2, Killed)), whole)
    with_workers = replace(TRAINING, workers=2)
    assert _same(_fit(None, with_workers, dataset=Noisy(SCENES, 6, Killed)), whole)


def _augmented(settings, seed=0, scenes=SCENES):
    return Augmented(scenes, settings.transform(), settings.short_sides, seed)


@pytest.mark.parametrize(
    "now, words",
    [
        (SCENES, r"p=0\.5.*, and is 'none' now"),
        (_augmented(Augmentation(0.25)), r"p=0\.5.*, and is.*p=0\.25.*now"),
        (_augmented(Augmentation(0.5, scale=(1, 2))), ", and is.*ScaleJitter.*now"),
        (
            _augmented(Augmentation(0.5, short_sides=(24,))),
            r"sides \[\].*, and is.*sides \[24\].*now",
        ),
        (_augmented(Augmentation(0.5), seed=1), "seed 0.*, and is.*seed 1.*now"),
    ],
)
def test_another_augmentation_is_refused(tmp_path, now, words):
    flip, two = Augmentation(0.5), replace(TRAINING, steps=2)
    with pytest.raises(Killed):
        _fit(tmp_path, two, _augmented(flip, scenes=StopAfter(SCENES, 1, Killed)))
    with pytest.raises(ValueError, match=f"other settings \\(augmentation was .*{words}"):
        _fit(tmp_path, two, now)
    assert _same(_fit(tmp_path, two, _augmented(flip)), _fit(None, two, _augmented(flip)))


def test_a_transform_of_ones_own_is_the_same_in_every_process():
    def darker(image, objects):
        return image / 2, objects

    own = [Augmented(SCENES, v2.Compose([function])) for function in (darker, lambda *item: item)]
    assert "darker" in own[0].augmentation and "0x" not in own[0].augmentation
    assert own[0].augmentation != own[1].augmentation


def test_a_checkpoint_without_its_augmentation_is_resumed(half_done, uninterrupted):
    contents = read(half_done / CHECKPOINT)
    assert contents.pop("augmentation") == "none"
    torch.save(contents, half_done / CHECKPOINT)
    assert _same(_fit(half_done), uninterrupted)


def test_settings_that_came_later_are_at_their_defaults_in_an_old_checkpoint(
    half_done, uninterrupted
):
    last = half_done / CHECKPOINT
    contents = read(last)
    for name in (
        "schedule",
        "milestones",
        "rng_scope",
        "grad_accumulation",
        "precision",
        "activation_checkpointing",
    ):
        del contents["training"][name]
    torch.save(contents, last)
    assert _same(_fit(half_done), uninterrupted)


OLD = Path(__file__).parent / "data" / "old_checkpoint.pt"
# A run of version 0.1 on these images, stopped after 2 of its 4 steps; the losses of the last one.
OLD_TRAINING = Training(
    steps=4, batch_size=2, optimizer="sgd", learning_rate=0.01, warmup_fraction=0.25,
    schedule="steps", milestones=(0.5,), rng_scope="image", grad_accumulation=2,
    activation_checkpointing=True, checkpoint_every=2,
)  # fmt: skip
OLD_LAST_LOSSES = {
    "loss_objectness": 0.6924493312835693,
    "loss_rpn_box_reg": 0.12210521101951599,
    "loss_classifier": 1.6781376600265503,
    "loss_box_reg": 0.20919925719499588,
    "loss_mask": 0.7407004833221436,
}


class Rectangles:
    """Six images of 32 x 32 pixels, each with two rectangles: the same in every version."""

    classes = SCENES.classes
    fingerprint = "rectangles"

    def __len__(self):
        return 6

    def image_size(self, index):
        return 32, 32

    def __getitem__(self, index):
        boxes = torch.tensor([[2.0, 3, 14, 17], [12, 10, 30, 28]])
        boxes += torch.tensor([0, index % 3] * 2)
        masks, image = torch.zeros(2, 32, 32, dtype=torch.bool), torch.full((3, 32, 32), 0.2)
        for mask, color, box in zip(masks, (0.5, 0.9), boxes.int().tolist(), strict=True):
            x1, y1, x2, y2 = box
            mask[y1:y2, x1:x2] = True
            image[index % 3, mask] = color
        labels = torch.tensor([1 + index, 6 - index])
        return image, {"boxes": boxes, "labels": labels, "masks": masks, "image_id": index}


def _old_config():
    return Config.tiny(
        fpn_channels=4, box_hidden=4, mask_channels=4, mask_convs=1, rpn_pre_nms_top_n_train=20,
        rpn_post_nms_top_n_train=20, rpn_pre_nms_top_n_test=10, rpn_post_nms_top_n_test=10,
        rpn_batch_per_image=16, roi_batch_per_image=8, roi_aggregate="max", box_pool_size=4,
        short_side=32, long_side=32, mask_size=8, anchor_sizes=((8,), (16,), (24,), (32,)),
        mask_decoding="background",
    )  # fmt: skip


@pytest.fixture
def narrow_backbone(monkeypatch):
    """The file is small because its backbone, "tiny" by name, has few channels."""
    narrow = partial(
        ResNet, BasicBlock, (1, 1, 1), stem_width=2, stem_kernel=3, max_pool=False, widths=(2, 4, 4)
    )
    monkeypatch.setitem(BACKBONES, "tiny", narrow)


def test_a_checkpoint_of_an_older_version_is_loaded(narrow_backbone):
    """Its settings have other names."""
    old = torch.load(OLD, weights_only=True)
    assert {"train_candidates", "roi_reduce", "mask_reading"} <= old["config"].keys()
    assert {"draws", "drops", "warmup", "accumulate", "recompute"} <= old["training"].keys()
    model = mrcnn_edu.load(OLD)
    assert model.config == _old_config() and model.classes == SCENES.classes
    assert model.state_dict().keys() == old["model"].keys()
    assert all(value.equal(old["model"][name]) for name, value in model.state_dict().items())
    assert len(model.detect([SCENES[0][0]])) == 1


def test_a_run_of_an_older_version_is_resumed(tmp_path, narrow_backbone):
    shutil.copy(OLD, tmp_path / CHECKPOINT)
    done = read(OLD)["losses"]
    model = MaskRCNN(_old_config())
    losses = fit(model, Rectangles(), OLD_TRAINING, tmp_path, progress=False)
    assert len(done) == 2 and losses[:2] == done and len(losses) == 4
    assert losses[3] == pytest.approx(OLD_LAST_LOSSES, rel=1e-4)  # its machine had other last bits
    with pytest.raises(ValueError, match=r"grad_accumulation was 2, and is 1 now"):
        changed = replace(OLD_TRAINING, grad_accumulation=1)
        fit(model, Rectangles(), changed, tmp_path, progress=False)


def test_a_run_on_the_scenes_of_an_older_version_is_not_resumed_on_others(
    tmp_path, narrow_backbone
):
    of_then = torch.load(OLD) | {"data": "Shapes(n=6, size=32, seed=0, noise=0.03)"}
    torch.save(of_then, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match=r"data was 'Shapes\(.*noise=0.03\)', and is \"Shapes\("):
        fit(MaskRCNN(_old_config()), replace(SCENES, n=6), OLD_TRAINING, tmp_path, progress=False)


def _start(folder, training):
    """A process that trains in the folder, after its first checkpoint."""
    code = f"import test_checkpoints as t; t._fit({str(folder)!r}, t.{training})"
    run = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)
    end = time.monotonic() + 120
    while not (folder / CHECKPOINT).exists():
        assert time.monotonic() < end and run.poll() is None, "there is no first checkpoint"
        time.sleep(0.05)
    return run


def test_a_second_run_in_a_folder_is_refused_until_the_first_is_killed(tmp_path):
    """Also if processes that load images outlive it for a moment."""
    first = _start(tmp_path, "WITH_WORKERS")
    try:
        before = sorted(os.listdir(tmp_path))
        message = re.escape(
            f"another process is using {tmp_path}: wait until it has ended, or give"
        )
        with pytest.raises(BlockingIOError, match=message):
            _fit(tmp_path, WITH_WORKERS)
        assert first.poll() is None and LOCK in before
    finally:
        first.kill()
        first.wait()
    n_done = len(latest_checkpoint(tmp_path)[1]["losses"])
    with pytest.raises(Killed):
        few = replace(WITH_WORKERS, workers=0)
        _fit(tmp_path, few, StopAfter(SCENES, 4, Killed))
    assert len(latest_checkpoint(tmp_path)[1]["losses"]) > n_done
    steps_in_table = [
        int(line.split(",")[0]) for line in (tmp_path / "losses.csv").read_text().splitlines()[1:]
    ]
    assert steps_in_table == list(range(1, len(steps_in_table) + 1))
    assert LOCK not in os.listdir(tmp_path)


def test_a_run_holds_its_folder_as_long_as_it_is_watched(tmp_path):
    model, _ = _fit(training=replace(TRAINING, steps=1))
    run = steps(model, SCENES, TRAINING, tmp_path)
    next(run)
    with pytest.raises(BlockingIOError):
        _fit(tmp_path)
    with pytest.raises(BlockingIOError):
        _fit(str(tmp_path))
    run.close()
    _fit(tmp_path)


def test_an_error_in_a_callback_releases_the_folder(tmp_path):
    def broken(losses):
        raise RuntimeError("broken")

    model, _ = _fit(training=replace(TRAINING, steps=1))
    with pytest.raises(RuntimeError, match="broken") as error:
        fit(model, SCENES, TRAINING, tmp_path, progress=False, callbacks=(broken,))
    assert os.listdir(tmp_path) and LOCK not in os.listdir(tmp_path)
    assert error.value.__traceback__ is not None  # although it still refers to the run
    _fit(tmp_path)
