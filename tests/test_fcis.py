"""FCIS: lookups against torchvision and slow loops, merging by hand, and that it learns."""

import json
import math
from dataclasses import asdict, replace

import make_ancestors as make
import pytest
import torch
from torchvision.ops import ps_roi_pool as torchvisions

from mrcnn_edu.ancestors import FCIS, FCISConfig, load, pretrained
from mrcnn_edu.ancestors.mask_branches import (
    HeadBranch,
    PositionSensitiveBranch,
    at_borders,
    fit_branch,
    mean_steps,
)
from mrcnn_edu.ancestors.merging import merge_masks
from mrcnn_edu.ancestors.overlaps import (
    by_overlap,
    covered_fraction,
    pairs_of_one_class,
    two_objects,
)
from mrcnn_edu.ancestors.position_sensitive import assemble, split_into_bins
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.roi_ops import bin_maps, boxes_to_rois, ps_roi_pool
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import save


@pytest.fixture
def tiny_fcis():
    """A function to a tiny FCIS for small images, with the same weights every time."""

    def model(**changes):
        torch.manual_seed(1)
        small = dict(short_side=48, long_side=80, anchor_sizes=((8,), (16,), (32,), (48,)))
        return FCIS(FCISConfig.tiny(**small | dict(n_bins=2, score_channels=16) | changes))

    return model


# ---- ps_roi_pool ----


def features_and_rois(n, k, boxes, scale):
    """Random float64 features [2, 3 * k * k, 17, 23] and RoIs [n, 5] over two images."""
    features = torch.randn(2, 3 * k * k, 17, 23, dtype=torch.float64, requires_grad=True)
    image = torch.randint(0, 2, (n, 1)).double()
    return features, torch.cat((image, boxes / scale), dim=1)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_ps_roi_pool_is_torchvisions(k, scale, random_boxes):
    boxes = random_boxes(60, size=23, dtype=torch.float64)
    tiny = torch.tensor([[5.0, 5, 5.4, 5.2], [5.5, 5.5, 5.5, 5.5], [9.0, 9, 3, 3]]).double()
    outside = torch.tensor([[-40.0, -40, -20, -20], [90.0, 90, 99, 99], [0.0, 0, 90, 90]]).double()
    boxes = torch.cat((boxes, tiny, outside))
    features, rois = features_and_rois(len(boxes), k, boxes, scale)
    ours, theirs = (op(features, rois, k, scale) for op in (ps_roi_pool, torchvisions))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("k", [1, 3])
def test_the_gradient_of_ps_roi_pool_is_torchvisions_inside_of_the_map(k):
    corner = torch.rand(40, 2, dtype=torch.float64) * 8
    boxes = torch.cat((corner, corner + torch.rand(40, 2, dtype=torch.float64) * 7), dim=1)
    features, rois = features_and_rois(40, k, boxes, 0.5)
    ours, theirs = (op(features, rois, k, 0.5) for op in (ps_roi_pool, torchvisions))
    slope = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad(out, features, slope)[0] for out in (ours, theirs))
    torch.testing.assert_close(ours, theirs)


def test_at_the_border_our_gradient_is_the_right_one():
    features = torch.randn(1, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0.0, 1, 1, 5, 5]]).double()
    agrees = {
        op: torch.autograd.gradcheck(
            lambda x, op=op: op(x, rois, 2, 1.0), (features,), raise_exception=False
        )
        for op in (ps_roi_pool, torchvisions)
    }
    # torchvision's forward leaves out the last row and column, its backward does not.
    assert agrees == {ps_roi_pool: True, torchvisions: False}


def test_ps_roi_pool_of_no_rois():
    features = torch.randn(1, 18, 8, 8, requires_grad=True)
    pooled = ps_roi_pool(features, torch.zeros(0, 5), 3, 0.25)
    assert pooled.shape == (0, 2, 3, 3)
    pooled.sum().backward()
    assert (features.grad == 0).all()


def test_channels_must_be_enough_for_the_bins():
    with pytest.raises(ValueError, match=r"features has 10 channels: .* 3 \* 3"):
        ps_roi_pool(torch.randn(1, 10, 8, 8), torch.zeros(1, 5), 3, 1.0)
    with pytest.raises(ValueError, match="size is 8: give a multiple of n_bins = 3"):
        assemble(torch.randn(1, 9, 8, 8), [torch.rand(1, 4)], 3, 8, 1)


# ---- assemble ----


def assemble_slowly(features, boxes, k, m, stride):
    """One pixel after the other: which bin is it in, and what is the value of that bin's map?"""
    assembled = []
    for image, image_boxes in zip(features, boxes, strict=True):
        maps = image.unflatten(0, (-1, k, k))  # [C, k, k, H, W]
        height, width = maps.shape[-2:]
        for x1, y1, x2, y2 in (image_boxes / stride).tolist():
            mask = torch.zeros(len(maps), m, m, dtype=features.dtype)
            for i in range(m):
                for j in range(m):
                    y, x = y1 + (i + 0.5) * (y2 - y1) / m, x1 + (j + 0.5) * (x2 - x1) / m
                    if not (-1 <= y <= height and -1 <= x <= width):
                        continue
                    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    top, left = min(int(y), height - 2), min(int(x), width - 2)
                    dy, dx = y - top, x - left
                    four = maps[:, i * k // m, j * k // m, top : top + 2, left : left + 2]
                    weights = torch.tensor(
                        [[(1 - dy) * (1 - dx), (1 - dy) * dx], [dy * (1 - dx), dy * dx]]
                    )
                    mask[:, i, j] = (four * weights.to(four)).sum(dim=(1, 2))
            assembled.append(mask)
    return torch.stack(assembled)


@pytest.mark.parametrize(("k", "m"), [(1, 3), (2, 4), (3, 9), (7, 14)])
def test_assembling_is_what_a_slow_loop_does(k, m, random_boxes):
    features = torch.randn(2, 2 * k * k, 9, 11, dtype=torch.float64)
    boxes = [random_boxes(n, size=44, dtype=torch.float64) for n in (4, 3)]
    boxes[1][0] = torch.tensor([20.0, 20, 20.5, 21])  # smaller than a position of the map
    expected = assemble_slowly(features, boxes, k, m, stride=4)
    torch.testing.assert_close(assemble(features, boxes, k, m, 4), expected)


def test_assembling_has_gradients_for_the_maps_and_the_boxes():
    features = torch.randn(1, 8, 6, 6, dtype=torch.float64, requires_grad=True)
    box = torch.tensor([[3.3, 2.1, 17.9, 19.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, b: assemble(f, [b], 2, 4, 4), (features, box))


def test_each_bin_is_read_from_its_own_map():
    maps = torch.arange(9.0).view(1, 9, 1, 1).expand(1, 9, 12, 12)  # map i is i everywhere
    assembled = assemble(maps, [torch.tensor([[8.0, 8, 32, 40]])], 3, 6, 4)[0, 0]
    expected = torch.arange(9.0).view(3, 3).repeat_interleave(2, 0).repeat_interleave(2, 1)
    torch.testing.assert_close(assembled, expected)
    pooled = ps_roi_pool(maps, boxes_to_rois(torch.tensor([8.0, 8, 32, 40])), 3, 0.25)[0, 0]
    torch.testing.assert_close(pooled, torch.arange(9.0).view(3, 3))


def test_the_bins_of_a_box():
    four = split_into_bins(torch.tensor([[0.0, 0, 4, 8]]), 2)[0]
    assert four.tolist() == [[0, 0, 2, 4], [2, 0, 4, 4], [0, 4, 2, 8], [2, 4, 4, 8]]
    assert bin_maps(torch.zeros(2, 12, 5, 6), 2).shape == (8, 3, 5, 6)


# ---- the model ----


def test_class_and_mask_of_inside_and_outside_by_hand(tiny_fcis):
    model = tiny_fcis(n_classes=1, mask_size=2, n_bins=1)
    scores = torch.tensor([0.0, 3, 1, -1])  # inside: background, object; outside: the same
    scores_and_deltas = torch.cat((scores, torch.arange(4.0)))
    maps = scores_and_deltas.view(1, 8, 1, 1).expand(1, 8, 8, 8)
    roi_scores = model.score_rois(maps, [torch.tensor([[4.0, 4, 12, 12]])])
    assert roi_scores.deltas.tolist() == [[0, 1, 2, 3]]
    assert roi_scores.class_logits.tolist() == [[1, 3]]
    assert roi_scores.mask_logits[0, :, 0, 0].tolist() == [-1, 4]
    two = torch.tensor([3.0, -1]).softmax(dim=0)[0]  # inside against outside
    torch.testing.assert_close(roi_scores.mask_logits.sigmoid()[0, 1, 0, 0], two)


def test_losses_are_named_as_mask_r_cnns_and_reach_every_parameter(tiny_fcis, random_targets):
    model = tiny_fcis()
    images, targets = zip(*(random_targets(n) for n in (3, 2)), strict=True)
    losses = model(list(images), list(targets))
    assert set(losses) == {
        "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"
    }  # fmt: skip
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    again = [
        model(images, targets, [torch.Generator().manual_seed(0)] * len(images)) for _ in range(2)
    ]
    assert again[0] == again[1]


def test_two_images_are_as_each_alone(tiny_fcis):
    model = tiny_fcis(score_threshold=0.0).double()
    images = [torch.rand(3, 48, 64).double(), torch.rand(3, 48, 64).double()]
    for both, image in zip(model.detect(images), images, strict=True):
        (alone,) = model.detect([image])
        torch.testing.assert_close(both.boxes, alone.boxes)
        torch.testing.assert_close(both.mask_probs, alone.mask_probs)


def test_an_image_without_objects_is_learned_from(tiny_fcis, random_targets):
    model = tiny_fcis()
    images, targets = zip(random_targets(0), random_targets(2), strict=True)
    losses = model(list(images), list(targets))
    assert all(loss.isfinite() for loss in losses.values())
    alone = model(images[:1], targets[:1])
    assert alone["loss_mask"] == alone["loss_box_reg"] == 0 < alone["loss_classifier"]
    sum(alone.values()).backward()


def test_detections_of_any_size_have_masks_inside_of_their_boxes(tiny_fcis):
    model = tiny_fcis(score_threshold=0.0, max_detections=7)
    (found,) = model.detect([torch.rand(3, 70, 90)])
    assert len(found) == 7 and found.masks.shape == (7, 70, 90)
    assert found.mask_probs.shape == (7, 14, 14) and found.mask_probs.min() >= 0
    for mask, (x1, y1, x2, y2) in zip(found.masks, found.boxes, strict=True):
        rows, columns = torch.where(mask)
        assert ((rows + 0.5 >= y1) & (rows + 0.5 <= y2)).all()
        assert ((columns + 0.5 >= x1) & (columns + 0.5 <= x2)).all()


def test_nothing_found_and_nothing_proposed(tiny_fcis):
    image = torch.rand(3, 48, 64)
    (found,) = tiny_fcis(score_threshold=1.0).detect([image])
    assert len(found) == 0 and found.masks.shape == (0, 48, 64)
    for merge_iou in (0.5, 1):
        (found,) = tiny_fcis(rpn_post_nms_top_n_test=0, merge_iou=merge_iou).detect([image])
        assert len(found) == 0 and found.mask_probs.shape == (0, 14, 14)


def test_boxes_of_a_pixel_and_beyond_the_image_can_be_scored(tiny_fcis):
    boxes = torch.tensor([[5.0, 5, 6, 6], [5.0, 5, 5, 5], [-30.0, -30, -20, -20], [0.0, 0, 64, 48]])
    model, image = tiny_fcis(), torch.rand(3, 48, 64)
    maps = model.maps(model.features(model.preprocess([image])))
    roi_scores = model.score_rois(maps, [boxes])
    for values in (roi_scores.class_logits, roi_scores.mask_logits, roi_scores.deltas):
        assert len(values) == 4 and values.isfinite().all()
    assert (roi_scores.mask_logits[2] == 0).all()  # there is no map to read


def test_prediction_on_boxes_that_are_given(tiny_fcis):
    model, image = tiny_fcis().eval(), torch.rand(3, 48, 64)
    boxes = torch.tensor([[5.0, 5, 6, 6], [0.0, 0, 64, 48]])
    roi_scores = model.predict_on_boxes(image, boxes)
    with torch.no_grad():
        maps = model.maps(model.features(model.preprocess([image])))
    for ours, expected in zip(roi_scores, model.score_rois(maps, [boxes]), strict=True):
        torch.testing.assert_close(ours, expected)
    assert model.predict_on_boxes(image, torch.zeros(0, 4)).deltas.shape == (0, 4)
    with pytest.raises(ValueError, match=r"object 0 has box .* no area"):
        model.predict_on_boxes(image, torch.tensor([[5.0, 5, 5, 5]]))
    with pytest.raises(ValueError, match=r"object 0 has box .* outside"):
        model.predict_on_boxes(image, torch.tensor([[-30.0, -30, -20, -20]]))


def test_what_cannot_be_built_or_learned_is_named(tiny_fcis, random_targets):
    with pytest.raises(ValueError, match="neck is 'c4'"):
        tiny_fcis(neck="c4")
    with pytest.raises(ValueError, match="score_kernel is 0: give 1 or more"):
        tiny_fcis(score_kernel=0)
    with pytest.raises(ValueError, match="mask_size is 14: give a multiple of n_bins = 3"):
        tiny_fcis(n_bins=3)
    image, target = random_targets(1)
    target.pop("masks")
    with pytest.raises(ValueError, match="target 0 has no masks"):
        tiny_fcis()([image], [target])


def test_a_checkpoint_comes_back(tiny_fcis, tmp_path):
    model = tiny_fcis(norm="frozen")
    classes = [*"abcdef"]
    save(tmp_path / "model.pt", model, classes, system="FCIS")
    loaded = load(tmp_path / "model.pt")
    assert loaded.config == model.config and loaded.classes == classes
    image = torch.rand(3, 48, 64)
    torch.testing.assert_close(loaded.detect([image])[0].boxes, model.detect([image])[0].boxes)
    contents = torch.load(tmp_path / "model.pt", weights_only=True)
    torch.save(contents | {"config": {"bins": 7}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="unknown settings: bins"):
        load(tmp_path / "other.pt")


@pytest.mark.slow
def test_it_learns_eight_scenes_by_heart():
    torch.manual_seed(0)
    scenes = Shapes(8, seed=4, size=64, n_objects=(1, 3), object_size=(0.25, 0.5))
    changes = dict(n_bins=2, mask_size=12, short_side=64, score_channels=64, fpn_channels=32)
    model = FCIS(FCISConfig.tiny(**changes, anchor_sizes=((12,), (18,), (27,), (40,))))
    fit(model, scenes, Training(steps=80, batch_size=8), progress=False)
    scores = evaluate(scenes, detect_all(model, scenes, progress=False), progress=False)
    assert scores.ap50 > 0.9 and scores.ap > 0.45


# ---- the shipped weights ----


@pytest.mark.parametrize("name", ["fcis", "fcis-3x3", "mask-rcnn"])
def test_the_record_is_of_these_scenes(name):
    record = json.loads((pretrained.FOLDER / f"{name}.json").read_text())
    settings = {
        "train_scenes": make.TRAIN_SCENES,
        "val_scenes": make.VAL_SCENES,
        "crowded_scenes": make.CROWDED,
    }
    for key, value in settings.items():
        assert record[key] == json.loads(json.dumps(asdict(value))), key


# ---- merging ----


def test_two_votes_on_a_mask_by_hand():
    """A detection and a RoI half as far to the right, of equal size, with scores 0.6 and 0.2."""
    rois = torch.tensor([[0.0, 0, 8, 8], [2.0, 0, 10, 8], [6.0, 0, 14, 8]])
    scores = torch.tensor([[0.0, 0.6], [0.0, 0.2], [0.0, 0.9]])  # the third overlaps too little
    probs = torch.zeros(3, 2, 4, 4)
    probs[0, 1], probs[1, 1], probs[2, 1] = 1.0, torch.tensor([0.8, 0.4, 0, 0]), 0.5
    merged = merge_masks(rois[:1], torch.tensor([1]), rois, scores, probs, 0.5)
    # The RoI's four columns lie at the detection's 1, 2, 3 and beyond; at its column 0 it votes 0.
    votes = torch.tensor([0, 0.8, 0.4, 0])
    expected = (0.6 * 1 + 0.2 * votes) / 0.8
    torch.testing.assert_close(merged[0], expected.expand(4, 4))


def test_alone_a_mask_stays_as_it_is():
    boxes = torch.tensor([[1.3, 2.2, 9.7, 30.1], [40.0, 40, 47, 55]])
    probs = torch.rand(2, 4, 6, 6)
    labels, scores = torch.tensor([3, 1]), torch.rand(2, 4)
    merged = merge_masks(boxes, labels, boxes, scores, probs, 0.5)
    torch.testing.assert_close(merged, probs[[0, 1], labels], rtol=1e-4, atol=1e-5)
    nothing = merge_masks(boxes[:0], labels[:0], boxes, scores, probs, 0.5)
    assert nothing.shape == (0, 6, 6)


def test_merging_can_be_left_out_and_changes_masks_alone(tiny_fcis):
    model, image = tiny_fcis(score_threshold=0.0), torch.rand(3, 48, 64)
    with_votes = model.trace([image])
    model.config = replace(model.config, merge_iou=1, merge_threshold=0.5)
    without = model.trace([image])
    torch.testing.assert_close(with_votes.detections[0].boxes, without.detections[0].boxes)
    assert not torch.equal(with_votes.mask_probs[0], without.mask_probs[0])
    selected, rois = without.selected[0], without.rois[0]
    row = int((rois - selected.boxes[0]).abs().sum(dim=1).argmin())
    own = without.roi_scores.mask_logits[row, selected.labels[0]].sigmoid()
    torch.testing.assert_close(without.mask_probs[0][0], own)


def test_the_threshold_becomes_a_half(tiny_fcis):
    model, image = tiny_fcis(score_threshold=0.0, merge_threshold=0.5), torch.rand(3, 48, 64)
    votes = model.trace([image]).mask_probs[0]
    model.config = replace(model.config, merge_threshold=0.4)
    scaled = model.trace([image]).mask_probs[0]
    assert torch.equal(scaled >= 0.5, votes >= 0.4) and scaled.max() <= 1 and len(votes) > 0


# ---- average precision by overlap ----


def test_covered_fraction_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [6.0, 1, 8, 3], [50.0, 50, 60, 60]])
    assert covered_fraction(boxes).tolist() == [0.5, 0.5, 1, 0]
    assert covered_fraction(boxes[:1]).tolist() == [0] and covered_fraction(boxes[:0]).shape == (0,)


def test_two_objects_hide_more_of_each_other_the_nearer_they_are():
    (_, far), (_, near) = (two_objects("circle", "square", distance) for distance in (60, 20))
    assert far["labels"].tolist() == near["labels"].tolist() == [3, 2]
    assert covered_fraction(far["boxes"]).max() == 0 < covered_fraction(near["boxes"]).min()
    assert near["masks"][0].sum() < far["masks"][0].sum()  # the first lies behind
    in_front = [item["masks"][1].sum().item() for item in (near, far)]
    assert in_front[0] == pytest.approx(in_front[1], abs=4)  # pixels on the edge between the two
    with pytest.raises(ValueError, match="distance is 0: "):
        two_objects("star", "circle", 0)


def test_the_second_object_lies_where_the_angle_says():
    centers = []
    for angle in (0, math.pi / 2):
        boxes = two_objects("circle", "circle", 50, angle=angle)[1]["boxes"]
        centers.append((boxes[1] + boxes[1].roll(2) - boxes[0] - boxes[0].roll(2))[:2] / 2)
    right, down = centers
    assert right.tolist() == pytest.approx([50, 0], abs=1)
    assert down.tolist() == pytest.approx([0, 50], abs=1)


def test_pairs_of_one_class_overlap_and_are_the_same_each_time():
    pairs, again = pairs_of_one_class(12, seed=3), pairs_of_one_class(12, seed=3)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(pairs, again, strict=True))
    assert len({target["labels"][0].item() for _, target in pairs}) > 1
    for _, target in pairs:
        first, second = target["labels"].tolist()
        assert first == second <= 3 and target["masks"].flatten(1).sum(dim=1).min() > 50
        assert covered_fraction(target["boxes"]).max() > 0
    assert pairs_of_one_class(0) == []


# ---- mask branches ----


@pytest.mark.parametrize("make", [
    lambda: PositionSensitiveBranch(4, 8, n_bins=3, size=6), lambda: HeadBranch(4, 8, size=6)
])  # fmt: skip
def test_a_branch_learns_the_masks_of_its_boxes(make):
    """Half of each box, in two images whose features show which pixels are on."""
    torch.manual_seed(0)
    masks = torch.zeros(2, 1, 48, 48, dtype=torch.bool)
    masks[0, 0, 8:40, 8:24], masks[1, 0, 8:24, 8:40] = True, True
    boxes = torch.tensor([[8.0, 8, 40, 40]])
    targets = [{"boxes": boxes, "masks": m} for m in masks]
    features = torch.nn.functional.avg_pool2d(masks.float(), 8).expand(2, 4, 6, 6)
    branch, before = make(), make()
    before.load_state_dict(branch.state_dict())
    assert fit_branch(branch, features, targets, steps=60, batch_size=4) is branch
    fit_branch(before, features, targets, steps=60, batch_size=4)
    logits = branch(features, [boxes, boxes])
    assert logits.shape == (2, 6, 6)
    torch.testing.assert_close(logits, before(features, [boxes, boxes]))  # the same every time
    assert (logits[0, :, 0] > 0).all() and (logits[0, :, 5] < 0).all()
    assert (logits[1, 0] > 0).all() and (logits[1, 5] < 0).all()


def test_mean_steps_by_hand():
    """A mask with a step of 0.5 after its second column, and another object in its lower row."""
    probs = torch.tensor([[0.2, 0.2, 0.7, 0.7]]).repeat(4, 1)[None]
    targets, others = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    others[0, 3] = True
    away, on_other = mean_steps(probs, targets, others)
    # Four steps along x in each row, of which row 3 is on another object, and no step along y.
    assert away.tolist() == pytest.approx([0, 3 * 0.5 / (3 + 4), 0])
    assert on_other.tolist() == pytest.approx([0, 0.5, 0])
    targets[:, :, 2:] = 1  # the step is the outline of the object: it does not count
    away, on_other = mean_steps(probs, targets, others)
    assert away.tolist() == [0, 0, 0] and on_other[[0, 2]].tolist() == [0, 0]
    assert on_other[1].isnan()


def test_which_steps_cross_from_bin_to_bin():
    assert at_borders(6, 3).tolist() == [False, True, False, True, False]
    assert at_borders(14, 7).sum() == 6 and not at_borders(5, 1).any()


def scene(boxes, found):
    """A scene of 20 x 20 with filled boxes of one class, and what was found: box -> score."""

    def masks(boxes):
        filled = torch.zeros(len(boxes), 20, 20, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(filled, boxes, strict=True):
            mask[y1:y2, x1:x2] = True
        return filled

    ones = torch.ones(len(boxes), dtype=torch.long)
    target = {"boxes": torch.tensor(boxes).float(), "labels": ones, "masks": masks(boxes)}
    rows = torch.tensor(list(found)).float().view(-1, 4), torch.ones(len(found), dtype=torch.long)
    scores = torch.tensor(list(found.values()))
    return target, Detections(*rows, scores, masks(list(found)), None)


class Scenes(list):
    classes = ("thing",)

    def __getitem__(self, index):
        return None, super().__getitem__(index)


def test_average_precision_by_overlap_by_hand():
    apart, left, right = (0, 0, 4, 4), (8, 8, 16, 16), (12, 8, 20, 16)
    target, found = scene([apart, left, right], {apart: 0.9, left: 0.8, (12, 12, 20, 16): 0.7})
    alone, together = by_overlap(Scenes([target]), [found], (0, 0.1, 1))
    assert (alone.n_objects, together.n_objects) == (1, 2)
    assert alone.scores.ap == pytest.approx(1)  # the bad mask belongs to the other bin
    # Half of the right object is IoU 0.5: enough once, at the threshold of 0.5.
    assert together.scores.ap50 == pytest.approx(1)
    assert together.scores.ap75 == pytest.approx(51 / 101)
    (everything,) = by_overlap(Scenes([target]), [found], (0, 1))
    overall = evaluate(Scenes([target]), [found], progress=False)
    assert everything.scores.per_class == overall.per_class and overall.ap < 1


def test_a_detection_of_nothing_is_wrong_in_every_bin():
    apart, left, right = (0, 0, 4, 4), (8, 8, 16, 16), (12, 8, 20, 16)
    nothing = (0, 16, 4, 20)
    target, found = scene([apart, left, right], {nothing: 0.95, apart: 0.9, left: 0.8, right: 0.7})
    alone, together = by_overlap(Scenes([target]), [found], (0, 0.1, 1))
    assert alone.scores.ap == pytest.approx(1 / 2)
    assert together.scores.ap == pytest.approx(2 / 3)


def test_scenes_without_objects_or_detections_have_bins_too():
    target, found = scene([], {})
    (one,) = by_overlap(Scenes([target]), [found], (0, 1))
    assert one.n_objects == 0 and one.scores.ap != one.scores.ap  # nan
    with pytest.raises(ValueError, match="edges"):
        by_overlap(Scenes([target]), [found], (0.5, 0.1))
