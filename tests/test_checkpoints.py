"""Checkpoints: whatever ends a run, and whenever, it goes on to the same bits."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stopping import Stops
from torchvision.transforms import v2

from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, DAMAGED, PREVIOUS, Terminated, latest_checkpoint
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
    """Takes the run up, and kills it at each of the moments, shares of what it takes in all.

    Each run is a fork of this process, which has everything imported. What is left when all are
    killed is done at last, and the sum of the weights and the number of runs that went on printed.
    """
    torch.set_num_threads(1)
    begin = time.monotonic()
    whole, went_on = _fit(None, LONG), 0
    seconds = time.monotonic() - begin  # as fast as this machine now is
    for moment in moments:
        found = latest_checkpoint(folder)
        went_on += found is not None
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
    print(went_on, done)


@pytest.mark.slow
def test_a_run_that_is_killed_at_twenty_moments_ends_with_the_same_bits(tmp_path):
    chance = random.Random(time.time_ns())
    moments = [0.5] + [chance.uniform(0, 0.3) for _ in range(19)]  # the first has checkpoints
    code = f"import test_checkpoints as t; t.killed_again_and_again({str(tmp_path)!r}, {moments})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    went_on, done = map(int, run.stdout.split())
    assert went_on >= 1 and done > 0, "no checkpoint was gone on from"


class Killed(BaseException):
    """Stands for a kill: nobody catches it, as nobody catches SIGKILL."""


@pytest.fixture
def half_done(tmp_path):
    """The folder of a run that was stopped after three of its six steps."""
    with pytest.raises(Killed):
        _fit(tmp_path, dataset=Stops(SCENES, 3, Killed))
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
def test_the_newest_good_checkpoint_is_found_when_the_last_is_damaged(
    half_done, uninterrupted, how
):
    last = half_done / CHECKPOINT
    contents = bytearray(last.read_bytes())
    if how == "cut short":
        contents = contents[:-100]
    else:
        contents[len(contents) // 2] ^= 1
    last.write_bytes(contents)
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is damaged.* goes on from .*before\.pt"):
        assert _same(_fit(half_done), uninterrupted)
    last.write_bytes(b"")
    (half_done / PREVIOUS).write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged"):
        _fit(half_done)


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_good_one(half_done, monkeypatch):
    """It did when the next one was kept: a kill then, between two renames, left none."""
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


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    assert latest_checkpoint(tmp_path) is None and latest_checkpoint(None) is None


class Terminates(Stops):
    """The process gets SIGTERM, as a cluster's warning, while it makes an item."""

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return SCENES[index]


def test_sigterm_keeps_the_step_and_ends_the_run(tmp_path, uninterrupted):
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
    again = pickle.loads(pickle.dumps(Terminated(tmp_path)))  # an ablation's process tells so
    assert (again.code, str(again)) == (143, Terminated(tmp_path).message)


@pytest.mark.slow
def test_sigterm_to_all_processes_of_a_run_keeps_the_step(tmp_path):
    """A cluster may warn those that prepare images, too."""
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
    """Those that prepare images hear SIGTERM from the program that started them."""
    code = """import test_checkpoints as t
from mrcnn_edu.train import steps
for losses in steps(t.MaskRCNN(t.Config.tiny()), t.SCENES, t.WITH_WORKERS):
    if len(losses) == 2:
        break"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, timeout=120)


def test_another_data_set_of_the_same_size_is_refused(half_done):
    other = replace(SCENES, seed=1)
    with pytest.raises(ValueError, match=r"settings \(data is .*seed=0.* there, .*seed=1.* now"):
        _fit(half_done, dataset=other)
    with pytest.raises(ValueError, match="data is"):
        _fit(half_done, dataset=Cached(other, 1e6))


class Noisy(Stops):
    """The images have noise, from torch's own generator."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return (image + 0.1 * torch.rand(image.shape)).clamp(max=1), target


def test_what_a_data_set_draws_is_drawn_again(tmp_path):
    """Augmentation draws from torch's own generator: a run that goes on draws the same."""
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
        (SCENES, r"p=0\.5.* there, 'none' now"),
        (_augmented(Augmentation(0.25)), r"p=0\.5.*there.*p=0\.25.*now"),
        (_augmented(Augmentation(0.5, scale=(1, 2))), "there.*ScaleJitter.*now"),
        (_augmented(Augmentation(0.5, short_sides=(24,))), r"sides \[\].*there.*sides \[24\].*now"),
        (_augmented(Augmentation(0.5), seed=1), "seed 0.*there.*seed 1.*now"),
    ],
)
def test_another_augmentation_is_refused(tmp_path, now, words):
    flip, two = Augmentation(0.5), replace(TRAINING, steps=2)
    with pytest.raises(Killed):
        _fit(tmp_path, two, _augmented(flip, scenes=Stops(SCENES, 1, Killed)))
    with pytest.raises(ValueError, match=f"other settings \\(augmentation is .*{words}"):
        _fit(tmp_path, two, now)
    assert _same(_fit(tmp_path, two, _augmented(flip)), _fit(None, two, _augmented(flip)))


def test_a_transform_of_ones_own_is_the_same_in_every_process():
    def darker(image, objects):
        return image / 2, objects

    own = [Augmented(SCENES, v2.Compose([function])) for function in (darker, lambda *item: item)]
    assert "darker" in own[0].augmentation and "0x" not in own[0].augmentation
    assert own[0].augmentation != own[1].augmentation


def test_a_checkpoint_that_does_not_tell_of_its_augmentation_is_gone_on_from(
    half_done, uninterrupted
):
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
