"""A photograph through all stages: each panel shows what the trace holds, for any model."""

import pytest
import torch

from mrcnn_edu import Config, MaskRCNN, load, viz

STAGES = 8


@pytest.fixture(scope="module")
def model():
    return load("shapes-tiny")


def photograph(height, width, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(channels, height, width, generator=generator)


def titles(picture):
    return [axes.get_title().replace("\n", " ") for axes in picture.axes]


def test_the_numbers_in_the_titles_are_those_of_the_trace(model):
    image = photograph(70, 100)
    trace, picture = model.trace([image]), viz.show_stages(model, image, min_score=0.3)
    found = titles(picture)
    assert found[0] == "1. 100 × 70, resized to 137 × 96, padded to 144 × 96"
    assert f"{sum(map(len, trace.anchors)):,} anchors" in found[1]
    assert f"of {len(trace.proposals[0].boxes)} proposals" in found[3]
    n = int((trace.detections[0].scores >= 0.3).sum())
    assert found[7] == f"8. {n} detections with scores ≥ 0.3"
    assert len(picture.axes) == STAGES and picture.png()


def test_objectness_is_the_best_of_all_levels(model):
    image = photograph(96, 96)
    picture, trace = viz.show_stages(model, image), model.trace([image])
    shown = torch.as_tensor(picture.axes[2].images[0].get_array())
    assert shown.shape == (96, 96)
    assert float(shown.max()) == pytest.approx(trace.objectness.sigmoid().max().item(), abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (30, 200), (200, 30)])
def test_any_size_and_a_model_that_detects_nothing(height, width):
    torch.manual_seed(0)
    quiet = MaskRCNN(Config.tiny(score_threshold=1.0))
    picture = viz.show_stages(quiet, photograph(height, width))
    assert picture.axes[7].get_title().startswith("8. 0 detections")
    assert picture.axes[6].get_title() == "7. no masks"
    assert picture.caption("Figure 1. Nothing.").png()


def test_a_model_without_masks_and_one_of_gray_images():
    torch.manual_seed(0)
    boxes_only = MaskRCNN(Config.tiny(mask_head=None))
    assert viz.show_stages(boxes_only, photograph(96, 96), 0).png()
    gray = MaskRCNN(Config.tiny().with_channels(1))
    assert viz.show_stages(gray, photograph(96, 96, channels=1), 0).png()
    one_map = MaskRCNN(Config.tiny(neck="c5"))
    assert viz.show_stages(one_map, photograph(96, 96), 0).png()


def test_gradients_are_shown_around_their_boxes():
    image, box = photograph(80, 120), torch.tensor([20.0, 30, 60, 50])
    maps = {"class score": torch.rand(80, 120), "box": torch.zeros(80, 120)}
    picture = viz.show_gradients(image, [(box, maps), (box + 10, maps)])
    assert len(picture.axes) == 2 * 3 and picture.png()
    low, high = picture.axes[1].get_xlim()
    assert (low + high) / 2 == 40 and high - low > 40


def test_a_smoothed_map_keeps_a_constant_and_spreads_a_point():
    assert viz.smoothed(torch.ones(7, 9)).equal(torch.ones(7, 9))
    point = torch.zeros(9, 9)
    point[4, 4] = 25
    assert viz.smoothed(point)[2:7, 2:7].eq(1).all() and viz.smoothed(point).sum() == 25
