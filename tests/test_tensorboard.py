"""TensorBoard: what is written can be read back with TensorBoard itself."""

from collections import Counter
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgba
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.data.figures import Figures
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train import tensorboard as board
from mrcnn_edu.train.metrics import Validation, load_history
from mrcnn_edu.train.tensorboard import TensorBoard

SCENES = Shapes(n=6, size=48, n_objects=(1, 2))


def test_a_run_is_written_for_tensorboard_and_as_tables(tmp_path):
    torch.manual_seed(0)
    model = MaskRCNN(Config.tiny(short_side=48))
    training, unseen = Training(steps=3, batch_size=1), replace(SCENES, n=3, seed=1)
    val_data = Validation(model, unseen, 2, tmp_path)
    images = [unseen[0], unseen[1]]
    logger = TensorBoard(model, images, training, 2, tmp_path, val_data)
    losses = fit(model, SCENES, training, tmp_path, False, (val_data, logger))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    written = events.Scalars("training/loss_mask")
    assert [event.step for event in written] == [1, 2, 3]
    assert [event.value for event in written] == pytest.approx([p["loss_mask"] for p in losses])
    tags = set(events.Tags()["scalars"])
    assert {
        "training/sum",
        "run/learning rate",
        "validation/segm ap",
        "validation/loss_mask",
    } <= tags
    assert [event.step for event in events.Scalars("validation/loss_mask")] == [2]
    stages = {"proposals", "RoIs", "detections", "masks"}
    assert set(events.Tags()["images"]) == {f"image {i}/{s}" for i in (0, 1) for s in stages}
    for tag in events.Tags()["images"]:
        written = events.Images(tag)
        assert [event.step for event in written] == [2, 3]
        assert min(Image.open(BytesIO(written[0].encoded_image_string)).size) > 100

    read, measured = load_history(tmp_path)
    assert read == losses
    assert measured["segm ap"].keys() == {2} and "loss_mask" not in measured
    picture = viz.show_training(read, {"mask AP": measured["segm ap"]})
    assert len(picture.axes[0].lines) == 5 and len(picture.axes[1].lines) == 1


def _boxes(picture):
    """The boxes [N, 4] drawn on a picture of one panel, and the color of each."""
    _halos, lines = picture.axes[0].collections
    corners = torch.tensor(np.array(lines.get_segments())).float()
    return torch.cat((corners.amin(dim=1), corners.amax(dim=1)), dim=1), lines.get_colors()


@pytest.mark.parametrize("n", [0, 3])
def test_pictures_show_what_each_stage_makes_of_an_image(tiny_model, random_targets, n):
    image, target = random_targets(n, (96, 128))  # twice the size that the network sees
    model = tiny_model(roi_batch_per_image=16)
    model.classes = Shapes().classes
    drawn = board.pictures(model, image, target)
    assert list(drawn) == ["proposals", "RoIs", "detections", "masks"]

    boxes, colors = _boxes(drawn["proposals"])
    best = 2 * model.trace([image]).proposals[0].boxes[: board.N_PROPOSALS]
    assert len(best) == board.N_PROPOSALS
    torch.testing.assert_close(boxes, torch.cat((best, target["boxes"])))
    assert [*map(tuple, colors)] == [to_rgba(viz.ROLES["proposal"])] * len(best) + [
        to_rgba(viz.ROLES["gt"])
    ] * n

    boxes, colors = _boxes(drawn["RoIs"])
    high = box_iou(boxes, target["boxes"]).amax(dim=1) >= 0.5 if n else torch.zeros(len(boxes)) > 0
    counts = Counter(zip(map(to_hex, colors), high.tolist(), strict=True))
    positive = counts[viz.ROLES["proposal"].lower(), True]
    negative = counts[board.NEGATIVE, False]
    assert positive + negative == 16 and (positive > 0) == (n > 0)
    assert counts.total() == 16 + n  # nothing in another color but the truth
    (pixels,) = (artist.get_array() for artist in drawn["masks"].axes[0].images)
    assert pixels.shape[:2] == (96, 128)


def test_pictures_of_a_model_without_masks_and_of_gray_images(tiny_model, random_targets):
    image, target = random_targets(2)
    model = tiny_model(mask_head=None, in_channels=1, pixel_mean=(0.5,), pixel_std=(0.5,))
    model.classes = Shapes().classes
    assert list(board.pictures(model, image[:1], target)) == ["proposals", "RoIs", "detections"]


def test_pictures_of_a_model_with_keypoints_show_them(tiny_model):
    scenes = Figures(n=1, size=64)
    model = tiny_model(n_classes=1, n_keypoints=7, score_threshold=0.0)
    model.classes, model.keypoint_head.skeleton = scenes.classes, scenes.skeleton
    (truth, _) = board.pictures(model, *scenes[0])["detections"].axes
    n_limbs = [len(lines.get_segments()) for lines in truth.collections]
    labeled = scenes[0][1]["keypoints"][:, :, 2] > 0
    assert n_limbs.count(sum(int(labeled[:, [i, j]].all(1).sum()) for i, j in scenes.skeleton)) == 2


def test_without_tensorboard_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'mrcnn_edu\[tensorboard\]'"):
        TensorBoard(None, [], Training(), 1, tmp_path)
