"""R-CNN, Fast R-CNN and selective search: one minute of one core for the whole file."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import make_ancestors as make
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mrcnn_edu import Config, weights
from mrcnn_edu.ancestors import (
    RCNN,
    FastRCNN,
    load,
    pretrained,
    selective_search,
)
from mrcnn_edu.ancestors.cost import Cost, cost_of_proposals, measure_cost, multiply_adds
from mrcnn_edu.ancestors.fit_rcnn import (
    collect_features,
    fit_rcnn,
    fit_regressor,
    fit_svm,
    nearest_objects,
)
from mrcnn_edu.ancestors.proposals import WithProposals, recall_at
from mrcnn_edu.ancestors.quantize import dequantize, quantize
from mrcnn_edu.ancestors.rcnn import warp_regions
from mrcnn_edu.ancestors.segments import SIMILARITIES, initial_regions, similarity
from mrcnn_edu.ancestors.selective_search import hierarchical_grouping
from mrcnn_edu.boxes import box_iou, clip_boxes, encode_boxes
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.roi_ops import roi_pool
from mrcnn_edu.speed.accelerate import in_bfloat16
from mrcnn_edu.speed.replace_forward import has_replaced_forward
from mrcnn_edu.train import Training, fit

SCENES = Shapes(8, seed=3)
CONFIGS = {"rcnn": make.SYSTEMS["rcnn"][1], "fast-rcnn": make.SYSTEMS["fast-rcnn"][1]}
MODEL_CLASSES = {"rcnn": RCNN, "fast-rcnn": FastRCNN}
UNIT = torch.tensor([0.0, 0.0, 1.0, 1.0])
ODD = {  # proposals that must not break a model, in an image of 96 x 96
    "none": torch.zeros(0, 4),
    "one pixel": torch.tensor([[5.0, 6.0, 6.0, 7.0]]),
    "less than a pixel": torch.tensor([[5.2, 6.1, 5.3, 6.2]]),
    "no area": torch.tensor([[5.0, 6.0, 5.0, 6.0]]),
    "outside": torch.tensor([[-90.0, -80.0, -40.0, -20.0], [200.0, 10.0, 260.0, 70.0]]),
    "half outside": torch.tensor([[-30.0, -30.0, 40.0, 50.0], [60.0, 60.0, 300.0, 130.0]]),
}


@pytest.fixture(params=MODEL_CLASSES)
def untrained(request):
    """R-CNN or Fast R-CNN with random weights and a low threshold, so that it detects something."""
    config = replace(CONFIGS[request.param], score_threshold=0.01)
    model = MODEL_CLASSES[request.param](config)
    if request.param == "rcnn":
        for values in (model.svm_weight, model.box_weight):
            values.normal_(std=0.01)
    return model


@pytest.fixture(scope="module")
def dataset():
    return WithProposals(SCENES)


# Selective search


def test_selective_search_covers_the_objects_of_scenes(dataset):
    items = [dataset[i] for i in range(len(dataset))]
    proposals, targets = [t["proposals"] for _, t in items], [t for _, t in items]
    n = [len(boxes) for boxes in proposals]
    assert min(n) >= 20 and max(n) <= 500 and sum(n) / len(n) >= 100
    few, many = recall_at(proposals, targets, [10, 300]).tolist()
    assert 0.2 < few < 0.9 and many >= 0.95
    assert recall_at(proposals, targets, [300], iou=0.7).item() >= 0.85
    # Better than as many boxes at random: it looks at the image.
    corners = torch.rand(8, 300, 2, 2).sort(dim=2).values.flatten(2) * 96
    assert recall_at(list(corners), targets, [300], iou=0.7).item() < 0.5


def test_boxes_lie_in_the_image_and_none_comes_twice():
    image = SCENES[0][0][:, :80]
    boxes = selective_search(image)
    assert torch.equal(boxes, clip_boxes(boxes, (80, 96)))
    assert len(boxes.unique(dim=0)) == len(boxes) and boxes.dtype == torch.float32
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 80 / 24
    assert (boxes == torch.tensor([0.0, 0.0, 96.0, 80.0])).all(dim=1).any()  # the last region
    wide = selective_search(image, min_side=20)
    assert (wide[:, 2:] - wide[:, :2]).min() >= 20 and len(wide) < len(boxes)


def test_the_same_seed_gives_the_same_order_and_another_seed_the_same_boxes():
    image = SCENES[1][0]
    boxes, other = selective_search(image), selective_search(image, seed=1)
    assert torch.equal(boxes, selective_search(image))
    assert torch.equal(boxes[:10], selective_search(image, 10))
    assert not torch.equal(boxes, other)
    assert torch.equal(boxes.unique(dim=0), other.unique(dim=0))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (40, 60)])
def test_an_image_of_one_color_is_one_region(size):
    boxes = selective_search(torch.full((3, *size), 0.3))
    assert boxes.tolist() == [[0, 0, size[1], size[0]]]


def test_two_halves_are_two_regions_and_a_whole():
    image = torch.zeros(3, 40, 60)
    image[0, :, 30:] = 1
    settings = dict(colors=("rgb",), scales=(100,), min_region=300)
    boxes = selective_search(image, **settings).unique(dim=0)
    expected = [[0, 0, 30, 40], [0, 0, 60, 40], [30, 0, 60, 40]]
    assert len(boxes) == 3 and (boxes - torch.tensor(expected)).abs().max() <= 2  # it is smoothed


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"\[2, 5, 5\]"):
        selective_search(torch.rand(2, 5, 5))
    with pytest.raises(TypeError, match="uint8"):
        selective_search(torch.zeros(3, 5, 5, dtype=torch.uint8))
    with pytest.raises(ValueError, match="shade"):
        selective_search(SCENES[0][0], similarities=[("shade",)])


def test_the_similarity_of_regions_by_hand():
    # A row of three regions, of 2, 1 and 1 pixels, the last two of one color.
    segments = np.array([[0, 0, 1, 2]])
    pixels = np.zeros((1, 4, 3))
    pixels[:, 2:] = 1
    regions, pairs = initial_regions(pixels, segments)
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert regions.boxes[:3].tolist() == [[0, 0, 2, 1], [2, 0, 3, 1], [3, 0, 4, 1]]
    a, b = pairs.T
    assert similarity(regions, a, b, ["color"]).tolist() == [0, 1]
    assert similarity(regions, a, b, ["size"]).tolist() == [1 - 3 / 4, 1 - 2 / 4]
    assert similarity(regions, a, b, ["fill"]).tolist() == [1, 1]
    assert similarity(regions, [0], [2], ["fill"]).tolist() == [1 - 1 / 4]  # region 1 is between
    together = hierarchical_grouping(regions, pairs)
    assert together.boxes[3:].tolist() == [[2, 0, 4, 1], [0, 0, 4, 1]]
    assert together.sizes.tolist() == [2, 1, 1, 2, 4]


def test_regions_merge_as_if_their_pixels_were_read_again():
    random = np.random.default_rng(0)
    pixels, segments = random.random((6, 8, 3)), random.permutation(np.arange(48) % 5)
    regions, pairs = initial_regions(pixels, segments.reshape(6, 8))
    assert len(pairs) == 10  # everything touches everything
    merged = hierarchical_grouping(regions, pairs)
    whole, _ = initial_regions(pixels, np.zeros((6, 8), dtype=int))
    np.testing.assert_allclose(merged.color[-1], whole.color[0])
    np.testing.assert_allclose(merged.texture[-1], whole.texture[0])
    assert merged.boxes[-1].tolist() == [0, 0, 8, 6] and merged.sizes[-1] == 48


def test_greedy_grouping_equals_a_search_among_all_pairs_in_every_step():
    random = np.random.default_rng(1)
    pixels = random.random((26, 30, 3))
    lengths = (5, 6, 7, 8), (6, 7, 8, 9)  # uneven: no two pairs are equally similar
    rows, columns = (np.repeat(np.arange(4), n) for n in lengths)
    segments = rows[:, None] * 4 + columns
    regions, pairs = initial_regions(pixels, segments)
    found = hierarchical_grouping(regions, pairs)
    alive, near = set(range(16)), {frozenset(pair) for pair in pairs.tolist()}
    for new in range(16, 31):
        values = {pair: similarity(found, *pair, SIMILARITIES).item() for pair in near}
        a, b = max(values, key=values.get)
        both = found.boxes[[a, b]]
        assert found.boxes[new].tolist() == [*both[:, :2].min(0), *both[:, 2:].max(0)]
        assert found.sizes[new] == found.sizes[a] + found.sizes[b]
        alive = alive - {a, b} | {new}
        near = {frozenset(new if i in (a, b) else i for i in pair) for pair in near}
        near = {pair for pair in near if len(pair) == 2}
    assert alive == {30}


def test_recall_by_hand():
    objects = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    first = torch.tensor(
        [[50.0, 50.0, 60.0, 60.0], [0.0, 0.0, 10.0, 5.0], [20.0, 20.0, 30.0, 30.0]]
    )
    targets = [{"boxes": objects}, {"boxes": objects[:0]}, {"boxes": objects[:1]}]
    proposals = [first, first, first[:0]]
    assert recall_at(proposals, targets, [0, 1, 2, 3, 99]).tolist() == pytest.approx(
        [0, 0, 1 / 3, 2 / 3, 2 / 3]
    )
    assert recall_at(proposals, targets, [3], iou=0.51).tolist() == pytest.approx([1 / 3])
    assert recall_at([first], [{"boxes": objects[:0]}], [1]).isnan().all()


def test_proposals_are_found_once_and_kept(tmp_path, monkeypatch):
    data = WithProposals(SCENES, 50, tmp_path)
    first = data[2][1]["proposals"]
    assert len(first) == 50 and torch.equal(first, selective_search(SCENES[2][0], 50))
    assert len(list(tmp_path.iterdir())) == 1

    def never(*_, **__):
        raise AssertionError("searched again")

    monkeypatch.setattr("mrcnn_edu.ancestors.proposals.selective_search", never)
    assert torch.equal(data[2][1]["proposals"], first)
    assert torch.equal(WithProposals(SCENES, 50, tmp_path)[2][1]["proposals"], first)
    with pytest.raises(AssertionError, match="searched again"):
        WithProposals(SCENES, 50, tmp_path, scales=(30,))[2]
    with pytest.raises(AssertionError, match="searched again"):
        WithProposals(SCENES, 50, tmp_path)[3]


def test_a_dataset_with_proposals_passes_the_rest_on():
    data = WithProposals(SCENES)
    assert data.classes == SCENES.classes and data.fingerprint == SCENES.fingerprint
    assert data.image_size(3) == SCENES.image_size(3) and len(data) == len(SCENES)
    assert torch.equal(data.target(3)["boxes"], SCENES[3][1]["boxes"])
    with pytest.raises(NotImplementedError, match="WithProposals"):
        data.with_channels(1)


# R-CNN's parts


def test_a_warped_region_by_hand():
    image = torch.arange(1.0, 17).view(1, 4, 4)
    region = warp_regions(image, torch.tensor([[0.0, 0.0, 2.0, 2.0]]), size=4, context=1)
    # The box fills the 2 x 2 pixels in the middle; outside of the image all is 0, the mean.
    assert region[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11]]
    whole = warp_regions(image, torch.tensor([[0.0, 0.0, 4.0, 4.0]]), size=4, context=0)
    torch.testing.assert_close(whole[0], image)
    twice = torch.tensor([[0.0, 0.0, 4.0, 2.0]])  # its shape is ignored: rows are stretched
    rows = warp_regions(image, twice, size=4, context=0)[0, 0, :, 0]
    torch.testing.assert_close(
        rows, torch.tensor([0.75, 2.0, 4.0, 6.0])
    )  # 1, 5, 9 at 0.5, 1.5, 2.5


def test_regions_of_many_boxes_are_those_of_each():
    image, boxes = torch.rand(3, 40, 50), torch.cat(list(ODD.values()))
    regions = warp_regions(image, boxes, 24, 2)
    for box, region in zip(boxes, regions, strict=True):
        torch.testing.assert_close(warp_regions(image, box[None], 24, 2)[0], region)
    assert regions.isfinite().all() and (regions[3:5] == 0).all()
    assert warp_regions(image, boxes[:0], 24, 2).shape == (0, 3, 24, 24)


def test_box_regression_equals_numpys_least_squares():
    x, y = torch.randn(60, 7) + 1, torch.randn(60, 4)
    weight, bias = fit_regressor(x, y, penalty=5.0)
    # Ridge regression is least squares with one more row for each weight; the bias has none.
    rows = np.vstack(
        (np.hstack((x, np.ones((60, 1)))), np.hstack((5**0.5 * np.eye(7), np.zeros((7, 1)))))
    )
    solution = np.linalg.lstsq(rows, np.vstack((y, np.zeros((7, 4)))), rcond=None)[0]
    np.testing.assert_allclose(weight, solution[:7], atol=1e-5)
    np.testing.assert_allclose(bias, solution[7], atol=1e-5)
    nothing = fit_regressor(x[:0], y[:0])
    assert all((values == 0).all() for values in nothing)


def test_svms_tell_apart_what_can_be_told_apart():
    features = torch.randn(300, 5) * 4
    positive = features[:, 0] + features[:, 1] > 4
    weight, bias = fit_svm(features, positive, ~positive, penalty=1.0)
    assert ((features @ weight + bias > 0) == positive).float().mean() > 0.97
    assert weight[:2].min() > 3 * weight[2:].abs().max()
    nothing = torch.zeros(300, dtype=torch.bool)
    assert (
        fit_svm(features, nothing, ~nothing)[1] == -1
        and fit_svm(features, ~nothing, nothing)[1] == 1
    )


def test_hard_negatives_are_mined():
    # Positives at 3; so many easy negatives at -3 that a draw hardly ever meets the few at 2.
    features = torch.cat(
        (torch.full((10, 1), 3.0), torch.full((2000, 1), -3.0), torch.full((10, 1), 2.0))
    )
    positive = torch.arange(len(features)) < 10
    weight, bias = fit_svm(features, positive, ~positive, penalty=100.0)
    margin = features @ weight + bias
    assert (margin[:10] > 0).all() and (margin[10:] < 0).all()


def test_the_nearest_object_of_each_class():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 10.0]])
    seen = torch.tensor([[0.0, 0.0, 10.0, 18.0]])
    ious, deltas = nearest_objects(seen, boxes, torch.tensor([2, 2, 1]), 3)
    torch.testing.assert_close(ious, torch.tensor([[0.0, 0.9, 0.0]]))
    expected = torch.tensor([0, 1 / 18, 0, np.log(20 / 18)], dtype=torch.float32)
    torch.testing.assert_close(deltas[0, 1], expected)
    assert nearest_objects(seen, boxes[:0], torch.zeros(0, dtype=torch.long), 3)[0].tolist() == [
        [0, 0, 0]
    ]


def test_features_are_of_the_objects_and_the_best_proposals(dataset):
    model = RCNN(CONFIGS["rcnn"])
    regions = collect_features(model, dataset, 2, 10, progress=False)
    n_objects = [len(dataset[i][1]["labels"]) for i in range(2)]
    assert len(regions.features) == sum(n_objects) + 20
    labels = torch.cat([dataset[i][1]["labels"] for i in range(2)])
    assert torch.equal(regions.gt_labels[regions.gt_labels > 0], labels)
    own = regions.ious[regions.gt_labels > 0, labels - 1]
    torch.testing.assert_close(own, torch.ones(len(labels)))


# The systems


@pytest.mark.slow
def test_rcnn_learns_eight_scenes_by_heart(dataset):
    model = RCNN(replace(CONFIGS["rcnn"], roi_batch_per_image=12))
    losses = fit_rcnn(model, dataset, Training(steps=30, batch_size=4), progress=False)
    assert _mean(losses[-5:]) < 0.5 * _mean(losses[:5])
    found = {"svm": detect_all(model, SCENES, progress=False)}
    model.scores_from = "softmax"
    found["softmax"] = detect_all(model, SCENES, progress=False)
    for detections in found.values():
        assert evaluate(SCENES, detections, "bbox", progress=False).ap50 > 0.6
    # Each class's regression brings the proposals that it has learned from nearer to the objects.
    regions = collect_features(model, dataset, 8, 100, progress=False)
    near, k = torch.where((regions.ious > 0.6) & (regions.gt_labels == 0)[:, None])
    zero = torch.zeros(len(regions.features), 4)
    moved = encode_boxes(model.refine(regions.features, zero + UNIT), zero[:, None] + UNIT)
    before, target = regions.deltas[near, k], regions.deltas[near, k]
    assert (moved[near, k] - target).square().sum() < 0.8 * before.square().sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faster-rcnn", "mask-rcnn-c4"])
def test_mask_rcnns_relatives_learn_eight_scenes_by_heart(name):
    torch.manual_seed(0)
    scenes = Shapes(8, seed=4, size=64, n_objects=(1, 3), object_size=(0.25, 0.5))
    model = MaskRCNN(replace(make.SYSTEMS[name][1], short_side=64, roi_batch_per_image=16))
    fit(model, scenes, Training(steps=60, batch_size=8), progress=False)
    found = detect_all(model, scenes, progress=False)
    for kind in ("bbox",) if model.mask_head is None else ("bbox", "segm"):
        assert evaluate(scenes, found, kind, progress=False).ap50 > 0.8


@pytest.mark.slow
def test_fast_rcnn_learns_eight_scenes_by_heart(dataset):
    model = FastRCNN(
        replace(FastRCNN.paper(Config.tiny(rpn_post_nms_top_n_test=300)), roi_batch_per_image=32)
    )
    losses = fit(model, dataset, Training(steps=100, batch_size=4), progress=False)
    assert _mean(losses[-5:]) < 0.4 * _mean(losses[:5])
    found = detect_all(model, SCENES, progress=False)
    assert evaluate(SCENES, found, "bbox", progress=False).ap50 > 0.7


def _mean(losses: list[dict]) -> float:
    return sum(sum(step.values()) for step in losses) / len(losses)


@pytest.mark.parametrize("name", ODD)
def test_odd_proposals_are_ordinary(untrained, name):
    image, target = SCENES[0]
    (alone,) = untrained.detect([image], [ODD[name]])
    assert alone.masks is None and alone.boxes.isfinite().all() and alone.scores.isfinite().all()
    assert torch.equal(alone.boxes, clip_boxes(alone.boxes, (96, 96)))
    if name in ("none", "outside"):
        assert len(alone) == 0 or name == "outside"
    other = selective_search(SCENES[1][0], 20)
    both = untrained.detect([image, SCENES[1][0]], [ODD[name], other])
    assert [len(found) > 0 for found in both][1]
    losses = untrained([image], [target | {"proposals": ODD[name]}])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(v.isfinite().all() for v in untrained.state_dict().values())


def test_an_image_without_objects_is_all_background(untrained):
    image, target = SCENES[0]
    empty = {name: target[name][:0] for name in ("boxes", "labels", "masks")}
    for proposals in (selective_search(image, 20), torch.zeros(0, 4)):
        losses = untrained([image], [empty | {"proposals": proposals}])
        sum(losses.values()).backward()
        assert losses["loss_classifier"].isfinite() and losses.get("loss_box_reg", 0) == 0
        assert (losses["loss_classifier"] > 0) == (len(proposals) > 0)
        assert all(v.isfinite().all() for v in untrained.state_dict().values())


def test_proposals_none_means_selective_search(untrained):
    image = SCENES[0][0]
    (searched,) = untrained.detect([image])
    boxes = selective_search(image, untrained.config.rpn_post_nms_top_n_test)
    (given,) = untrained.detect([image], [boxes])
    assert len(given) > 0
    assert torch.equal(searched.boxes, given.boxes) and torch.equal(searched.scores, given.scores)


def test_a_model_is_as_it_was_after_it_has_detected(untrained):
    untrained.train()
    before = {name: value.clone() for name, value in untrained.state_dict().items()}
    untrained.detect([SCENES[0][0]], [torch.tensor([[10.0, 10.0, 40.0, 40.0]])])
    assert untrained.training and untrained.backbone.training
    assert all(torch.equal(value, before[name]) for name, value in untrained.state_dict().items())


def test_what_cannot_be_used_is_named(untrained):
    image, target = SCENES[0]
    with pytest.raises(ValueError, match="target 0 has no proposals"):
        untrained([image], [target])
    with pytest.raises(ValueError, match="2 lists of proposals for 1 images"):
        untrained.detect([image], [torch.zeros(0, 4)] * 2)
    with pytest.raises(ValueError, match=r"image 0 \(its proposals\) has boxes of shape \[4\]"):
        untrained.detect([image], [torch.zeros(4)])
    with pytest.raises(ValueError, match="mask_head"):
        type(untrained)(Config.tiny())
    with pytest.raises(ValueError, match=r"values up to 255: give 0\.\.1"):
        untrained.detect([image * 255], [torch.zeros(0, 4)])


def test_crowds_and_sizes_of_images(untrained):
    image, target = torch.rand(3, 70, 130), SCENES[0][1]
    crowd = torch.ones(len(target["labels"]))
    target = target | {"iscrowd": crowd, "proposals": torch.tensor([[0.0, 0.0, 30.0, 40.0]])}
    labels = []
    original = untrained.cls_score if isinstance(untrained, RCNN) else untrained.box_head
    original.register_forward_hook(lambda _, inputs, out: labels.append(len(inputs[0])))
    losses = untrained([image], [{n: v for n, v in target.items() if n != "masks"}])
    assert losses["loss_classifier"].isfinite() and labels == [1]  # a crowd is no object


def test_the_cost_of_many_proposals():
    """R-CNN's backbone sees every proposal, Fast R-CNN's only the image."""
    image, boxes = SCENES[0][0], selective_search(SCENES[0][0])
    passes, pixels = {}, {}
    for name, model_class in MODEL_CLASSES.items():
        model = model_class(CONFIGS[name])
        costs = [measure_cost(model, [image], proposals=[boxes[:n]])[1] for n in (5, 50)]
        passes[name], pixels[name] = ([getattr(c, a) for c in costs] for a in ("passes", "pixels"))
        assert all(c.features > 0 and c.heads > 0 and c.proposals >= 0 for c in costs)
    assert passes == {"rcnn": [5, 50], "fast-rcnn": [1, 1]}
    assert pixels == {"rcnn": [5 * 48**2, 50 * 48**2], "fast-rcnn": [192**2, 192**2]}


def test_cost_is_measured_on_any_model_and_leaves_no_trace():
    model = MaskRCNN(Config.tiny()).eval()
    before = {name: set(vars(part)) for name, part in model.named_modules()}
    (found,), cost = measure_cost(model, [SCENES[0][0]])
    assert {name: set(vars(part)) for name, part in model.named_modules()} == before
    assert not model.backbone._forward_pre_hooks
    assert torch.equal(found.boxes, model.detect([SCENES[0][0]])[0].boxes)
    assert cost.passes == 1 and min(cost.proposals, cost.features, cost.heads) > 0
    assert cost.total == cost.proposals + cost.features + cost.heads
    with pytest.raises(TypeError):
        measure_cost(model, ["no image"])
    assert not model.backbone._forward_pre_hooks and "propose" not in vars(model)


@pytest.mark.parametrize("name", make.SYSTEMS)
def test_the_time_of_each_stage_is_charged_to_its_part(name, monkeypatch):
    """With a clock that advances only inside of stages, by another amount in each of them."""
    model_class, config, *_ = make.SYSTEMS[name]
    model, clock = model_class(config), [0.0]
    monkeypatch.setattr("mrcnn_edu.ancestors.cost.synchronized_time", lambda: clock[0])
    expected = {"proposals": 0.0, "features": 0.0, "heads": 0.0}
    stages = {
        "propose": "proposals", "anchors": "proposals",
        "preprocess": "features", "features": "features", "warp": "features",
        "pool": "heads", "select": "heads", "score_rois": "heads", "refine": "heads",
    }  # fmt: skip
    for i, (stage, part) in enumerate(stages.items()):
        run = getattr(model_class, stage, None)
        if run is None:
            continue

        def slow(*args, run=run, part=part, seconds=2.0**i, **kwargs):
            clock[0] += seconds
            expected[part] += seconds
            return run(*args, **kwargs)

        monkeypatch.setattr(model_class, stage, slow)
    _, cost = measure_cost(model, [SCENES[0][0]])
    assert {part: getattr(cost, part) for part in expected} == expected
    assert min(expected.values()) > 0


def test_the_search_for_proposals_is_no_cost_of_the_heads(untrained):
    _, cost = measure_cost(untrained, [SCENES[0][0]])
    _, given = measure_cost(untrained, [SCENES[0][0]], proposals=[torch.zeros(3, 4)])
    assert cost.proposals > 5 * given.proposals > 0


def test_a_model_in_bfloat16_stays_so_after_its_cost_is_measured():
    def replaced():
        layers = model.named_children()
        return {name: layer.forward for name, layer in layers if has_replaced_forward(layer)}

    model = in_bfloat16(MaskRCNN(Config.tiny()).eval())
    forwards = replaced()
    assert "rpn_head" in forwards
    before = model.detect([SCENES[0][0]])[0]
    measure_cost(model, [SCENES[0][0]])
    with pytest.raises(TypeError):
        measure_cost(model, ["no image"])
    cost_of_proposals(model, SCENES[0][0], torch.zeros(10, 4))
    assert replaced() == forwards
    assert torch.equal(model.detect([SCENES[0][0]])[0].scores, before.scores)


def test_the_parts_of_a_cost_add_up_and_multiply_adds_are_counted_by_hand():
    cost = Cost(proposals=0.1, features=0.02, heads=0.003, passes=1, pixels=9216)
    assert cost.milliseconds == pytest.approx({"proposals": 100, "features": 20, "heads": 3})
    assert sum(cost.milliseconds.values()) == pytest.approx(1000 * cost.total)
    convolution = torch.nn.Conv2d(3, 5, 3, stride=2, padding=1)
    assert multiply_adds(convolution, torch.zeros(2, 3, 8, 6)) == 2 * (4 * 3 * 5) * (3 * 3 * 3)
    assert multiply_adds(torch.nn.Linear(7, 4), torch.zeros(3, 7)) == 3 * 7 * 4
    assert multiply_adds(torch.relu, torch.zeros(9)) == 0


def test_fast_rcnn_reads_one_map_with_roi_pool():
    model = FastRCNN(FastRCNN.paper(Config.tiny())).eval()
    boxes = torch.tensor([[0.0, 0.0, 96.0, 96.0], [3.0, 20.0, 50.0, 33.0]])
    trace = model.trace([SCENES[0][0]], [boxes])
    assert len(trace.features) == 1 and model.strides == (16,)
    rois = torch.cat((torch.zeros(2, 1), boxes), dim=1)
    pooled = roi_pool(trace.features[0], rois, 7, 1 / 16)
    torch.testing.assert_close(trace.roi_features, pooled)
    class_logits, box_deltas = model.box_head(pooled)
    torch.testing.assert_close(trace.class_logits, class_logits)
    torch.testing.assert_close(trace.box_deltas, box_deltas)


def test_fast_rcnn_learns_from_near_misses(dataset):
    model = FastRCNN(replace(CONFIGS["fast-rcnn"], roi_batch_per_image=1000))
    image, target = dataset[0]
    batch = model.preprocess([image])
    objects = model.scale_targets([target], batch)
    proposals = model.propose([image], batch, [target["proposals"]])
    (rois,) = model.sample_rois(model.near_objects(proposals, objects), objects)
    best = box_iou(rois.boxes, objects[0]["boxes"]).amax(dim=1)
    assert ((best >= 0.5) == (rois.labels > 0)).all() and best.min() >= 0.1
    assert (box_iou(target["proposals"], target["boxes"]).amax(dim=1) < 0.1).any()  # left out


def test_proposals_follow_the_image_as_it_is_scaled():
    config = replace(CONFIGS["fast-rcnn"], short_side=48)
    boxes = torch.tensor([[10.0, 20.0, 50.0, 80.0]])
    trace = FastRCNN(config).trace([SCENES[0][0]], [boxes])
    assert trace.proposals[0].boxes.tolist() == (boxes / 2).tolist()


# Saving, loading and making


def test_eight_bits_are_near_enough():
    torch.manual_seed(0)
    state = {
        "conv.weight": torch.randn(5, 3, 2, 2) * torch.logspace(-6, 3, 5)[:, None, None, None],
        "fc.weight": torch.randn(4, 7),
        "none.weight": torch.zeros(0, 7),
        "fc.bias": torch.randn(4),
        "norm.num_batches_tracked": torch.tensor(7),
    }
    state["fc.weight"][2] = 0  # a channel without weights stays so
    packed = quantize(state)
    assert packed["conv.weight"].dtype == torch.int8 and packed["conv.weight.scale"].shape == (5,)
    back = dequantize(packed)
    assert list(back) == list(state) and back["norm.num_batches_tracked"] == 7
    for name in ("conv.weight", "fc.weight", "none.weight"):
        rows = state[name].flatten(1)
        half_a_step = rows.abs().amax(dim=1, keepdim=True) / 254 if len(rows) else 0
        assert (back[name].flatten(1) - rows).abs().le(half_a_step * 1.001).all()
    torch.testing.assert_close(back["fc.bias"], state["fc.bias"], atol=0, rtol=1e-3)
    again = dequantize(quantize(back))  # nothing more is lost the second time
    assert all(torch.allclose(again[name], back[name], rtol=1e-5, atol=0) for name in back)


def test_all_shipped_weights_together_are_small():
    assert sum(file.stat().st_size for file in pretrained.FOLDER.glob("*.pt")) <= 10_000_000


@pytest.mark.parametrize("name", make.SYSTEMS | make.FOR_LESSONS)
def test_shipped_weights_are_small_and_made_by_this_code(name):
    file = pretrained.FOLDER / f"{name}.pt"
    record = json.loads(file.with_suffix(".json").read_text())
    model_class, config = (make.SYSTEMS | make.FOR_LESSONS)[name]
    assert file.stat().st_size == record["bytes"] <= 3_000_000
    plain = json.loads(json.dumps(asdict(make.TRAINING)))  # a field that came later: its default
    assert json.loads(json.dumps(asdict(Training()))) | record["training"] == plain
    defaults = json.loads(json.dumps(asdict(type(config)())))
    assert defaults | record["config"] == json.loads(json.dumps(asdict(config)))
    model = load(name)
    assert type(model) is model_class and model.config == config
    assert record["scores"]["bbox"]["ap"] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("name", make.SYSTEMS | make.FOR_LESSONS)
def test_shipped_weights_score_about_what_is_recorded(name):
    record = json.loads((pretrained.FOLDER / f"{name}.json").read_text())
    scenes = replace(make.VAL_SCENES, n=40)  # of 300
    found = detect_all(load(name), scenes, progress=False)
    for kind, scores in record["scores"].items():
        ap = evaluate(scenes, found, kind, progress=False).ap
        assert ap == pytest.approx(scores["ap"], abs=0.06)


def test_make_trains_saves_and_scores(tmp_path, monkeypatch):
    for name, value in {"TRAIN_SCENES": SCENES, "VAL_SCENES": Shapes(2, seed=1)}.items():
        monkeypatch.setattr(make, name, value)
    monkeypatch.setattr(make, "RUNS", tmp_path)
    monkeypatch.setattr(make, "SVM_IMAGES", 2)
    monkeypatch.setattr(make, "TRAINING", replace(make.TRAINING, batch_size=2, workers=0))
    make.main(["rcnn", "fast-rcnn", "--steps", "1"])
    for name, model_class in MODEL_CLASSES.items():
        model = load(tmp_path / "1-steps" / f"{name}.pt")
        assert type(model) is model_class and model.classes == SCENES.classes
        assert not model.training
        assert (tmp_path / "1-steps" / f"{name}.json").is_file()
    assert model.detect([SCENES[0][0]], [torch.zeros(0, 4)])[0].boxes.shape == (0, 4)
    with pytest.raises(SystemExit):
        make.main(["yolo"])


def test_a_system_has_class_names_before_it_is_trained():
    for model_class, config, *_ in make.SYSTEMS.values():
        assert model_class(config).classes == [f"class {i}" for i in range(1, 7)]


def test_without_scikit_learn_and_scikit_image_only_what_needs_them_fails():
    hidden = ["skimage", "sklearn", "scipy"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({hidden}))
import torch
from mrcnn_edu import ancestors
from mrcnn_edu.ancestors import fit_rcnn
image = torch.rand(3, 48, 48)
assert len(ancestors.load("fcis").detect([image])) == 1
assert len(ancestors.load("rcnn").detect([image], [torch.zeros(2, 4)])) == 1
for run in (
    lambda: ancestors.selective_search(image),
    lambda: ancestors.load("fast-rcnn").detect([image]),
    lambda: fit_rcnn.fit_rcnn(ancestors.load("rcnn"), []),
):
    try:
        run()
    except ImportError as error:
        print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    needs_skimage = "selective search needs scikit-image: pip install 'mrcnn_edu[history]'"
    needs_sklearn = "fitting R-CNN's SVMs needs scikit-learn: pip install 'mrcnn_edu[history]'"
    assert run.stdout.splitlines() == [needs_skimage, needs_skimage, needs_sklearn]


def test_weights_that_are_not_there_or_something_else_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="yolo"):
        load("yolo")
    weights.save(tmp_path / "other.pt", MaskRCNN(Config.tiny()), [*"abcdef"])
    with pytest.raises(ValueError, match="names no system"):
        load(tmp_path / "other.pt")
    weights.save(tmp_path / "new.pt", MaskRCNN(Config.tiny()), [*"abcdef"], system="YOLO")
    with pytest.raises(ValueError, match="has the system 'YOLO'"):
        load(tmp_path / "new.pt")


@pytest.mark.parametrize("name", make.SYSTEMS)
def test_halves_of_a_batch_learn_what_the_whole_does(dataset, name):
    """Losses weighted by their rows: that is how several processes share a batch."""
    images, targets = zip(*(dataset[i] for i in range(4)), strict=True)
    targets[3]["proposals"] = targets[3]["proposals"][:3]  # fewer than are sampled
    model_class, config, *_ = make.SYSTEMS[name]
    model = model_class(config).double().eval()  # its norms do not depend on the batch

    def losses(rows):
        generators = [torch.Generator().manual_seed(i) for i in range(4)][rows]
        return model(list(images)[rows], list(targets)[rows], generators)

    halves, whole = [losses(slice(0, 2)), losses(slice(2, 4))], losses(slice(0, 4))
    assert set(halves[0]) == set(whole)
    for loss, value in whole.items():
        assert sum(half.n_rows[loss] for half in halves) == whole.n_rows[loss]
        total = sum(half[loss] * half.n_rows[loss] for half in halves)
        assert_close(total / whole.n_rows[loss], value)


def test_a_target_says_how_its_image_is_scaled():
    model = FastRCNN(CONFIGS["fast-rcnn"])
    target = SCENES[0][1] | {"short_side": 48}
    assert model.preprocess([SCENES[0][0]], [target]).sizes == [(48, 48)]
