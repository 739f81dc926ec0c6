"""Pictures can be drawn from live tensors, empty ones included, and widgets redraw them."""

import base64
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from mrcnn_edu import viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections
from mrcnn_edu.widgets import scene_player


def pixels(picture) -> np.ndarray:
    """What is seen [height, width, 3]."""
    return np.asarray(Image.open(BytesIO(picture.png())).convert("RGB"))


def nothing(height=96, width=96) -> Detections:
    boxes, masks = torch.zeros(0, 4), torch.zeros(0, height, width, dtype=torch.bool)
    return Detections(
        boxes, torch.zeros(0, dtype=torch.long), torch.zeros(0), masks, torch.zeros(0, 28, 28)
    )


@pytest.fixture
def scene():
    return Shapes(1, seed=3, n_objects=(3, 3))[0]


def test_a_box_is_drawn_where_it_is(scene):
    image = torch.ones(3, 10, 20)
    with_box = pixels(viz.show_boxes(image, torch.tensor([[5.0, 2, 15, 8]]), "truth"))
    without = pixels(viz.show_boxes(image, torch.zeros(0, 4), "truth"))
    assert 0 < (with_box != without).any(-1).mean() < 0.1
    green = [int(viz.ROLES["truth"][i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.where((abs(with_box.astype(int) - green) < 60).all(-1))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(10 / 6, abs=0.1)


def test_detections_are_drawn_with_and_without_truth_and_when_there_are_none(scene):
    image, target = scene
    found = nothing()
    alone = pixels(viz.show_detections(image, found, ["a"]))
    beside = pixels(viz.show_detections(image, found, Shapes(1).classes, target))
    assert beside.shape[1] == 2 * alone.shape[1]
    grey = viz.show_detections(image[:1], found, ["a"])
    assert pixels(grey).shape == alone.shape


def test_objects_without_masks_are_drawn_as_boxes(scene):
    image, target = scene
    boxes, labels, scores = target["boxes"], target["labels"], torch.ones(3)
    box_only = {"boxes": boxes, "labels": labels}
    unmarked = torch.zeros_like(target["masks"])
    pictures = []
    for masks, truth in ((None, box_only), (unmarked, box_only | {"masks": unmarked})):
        found = Detections(boxes, labels, scores, masks, None)
        beside = viz.show_detections(image, found, Shapes(1).classes, truth)
        pictures.append((pixels(beside), pixels(viz.show_truth(image, truth, Shapes(1).classes))))
    for without, of_nothing in zip(*pictures, strict=True):
        assert np.array_equal(without, of_nothing)


def test_flow_lights_one_stage():
    plain = pixels(viz.show_flow())
    for name, _ in viz.STAGES:
        changed = (pixels(viz.show_flow(name)) != plain).any(-1).mean()
        assert 0.03 < changed < 1 / len(viz.STAGES)
    with pytest.raises(ValueError, match="choose one of image"):
        viz.show_flow("dinner")


def test_maps_regions_and_scores_are_drawn(scene):
    image, target = scene
    n = len(target["boxes"])
    maps = [torch.rand(4, 4), torch.rand(2, 2)]
    titles = [str(i) for i in range(n)]
    pictures = [
        viz.show_truth(image, target, Shapes(1).classes),
        viz.show_maps(maps, ["a", "b"], image),
        viz.show_objectness(image, maps, [24, 48]),
        viz.show_regions(image, target["boxes"], torch.rand(n, 7, 7), titles),
        viz.show_scores(torch.rand(n, 4), ["a", "b", "c", "d"], titles),
        viz.show_panels(image, {"one": (target["boxes"], "proposal")}),
    ]
    assert all(pixels(picture).shape[1] > 200 for picture in pictures)
    assert all(pixels(picture).std() > 10 for picture in pictures)


def test_region_of_a_box_that_leaves_the_image_is_what_lies_inside():
    image = torch.rand(3, 10, 20)
    assert torch.equal(viz.crop(image, torch.tensor([-3.0, 4.2, 5.5, 30])), image[:, 4:, :6])


def test_anchors_at_a_point_are_those_centred_there():
    anchors = torch.tensor([[0.0, 0, 4, 4], [4, 4, 12, 12], [6, 6, 10, 10], [20, 20, 24, 24]])
    assert torch.equal(viz.anchors_at(anchors, (8, 8), k=2), anchors[1:3])


def test_a_picture_shows_itself_as_png_or_with_an_image_in_it_as_jpeg(scene):
    flow = viz.show_flow()._repr_mimebundle_()
    photo = viz.show_boxes(scene[0], torch.zeros(0, 4), "truth")._repr_mimebundle_()
    assert base64.b64decode(flow["image/png"]).startswith(b"\x89PNG")
    assert base64.b64decode(photo["image/jpeg"]).startswith(b"\xff\xd8")


def test_sample_photograph():
    photo = viz.sample_photograph()
    assert photo.shape[0] == 3 and photo.min() >= 0 and 0.5 < photo.max() <= 1


def test_player_redraws_when_a_slider_moves_and_has_a_still_picture(tiny_model):
    model = tiny_model(max_detections=3).eval()
    model.classes = Shapes(1).classes
    player = scene_player(model)
    before = player.image.value
    player.sliders["seed"].value += 1
    assert player.image.value != before
    bundle = player._repr_mimebundle_()
    assert base64.b64decode(bundle["image/jpeg"]) == player.image.value
    assert bundle["text/plain"] == "Player(seed=5, number=4, size=30)"
    player.sliders["number"].value = 0
    assert player.values == {"seed": 5, "number": 0, "size": 30}
