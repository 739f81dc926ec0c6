"""Lesson 15: a photograph, its masks, two halves and crops, and the experiment on labels."""

import json

import pytest
import torch

from mrcnn_edu.course import coin_runs, coins
from mrcnn_edu.data import check
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes


@pytest.fixture(scope="module")
def photo():
    return coins.photograph()


@pytest.fixture(scope="module")
def automatic(photo):
    return coins.automatic_masks(photo)


@pytest.fixture(scope="module")
def masks(automatic):
    return coins.with_polygons(automatic)


def iou(a, b):
    return float((a & b).sum() / (a | b).sum())


# ---- the masks ----


def test_all_coins_are_found_apart_and_in_reading_order(photo, automatic):
    assert photo.shape == (3, 303, 384) and photo.min() >= 0 and photo.max() <= 1
    assert automatic.shape == (24, 303, 384) and automatic.sum(dim=0).max() == 1
    x1, y1, x2, y2 = masks_to_boxes(automatic).unbind(dim=1)
    assert ((x1 + x2) / 2).view(4, 6).diff(dim=1).min() > 0  # from left to right
    middles = ((y1 + y2) / 2).view(4, 6)
    assert (middles[1:].amin(dim=1) > middles[:-1].amax(dim=1)).all()  # row by row


def test_the_correction_touches_two_coins_and_only_their_rims(automatic, masks):
    changed = [i for i in range(24) if not automatic[i].equal(masks[i])]
    assert tuple(changed) == coins.FLAWED
    for i in changed:
        assert 0.9 < iou(automatic[i], masks[i]) < 1


def test_polygons_of_the_readers_own(automatic):
    drawn = coins.with_polygons(automatic, {3: [(10, 10), (20, 10), (20, 20), (10, 20)]})
    assert drawn[3].sum() == 100 and drawn[3, 10:20, 10:20].all()
    assert drawn[[0, 1, 2, *range(4, 24)]].equal(automatic[[0, 1, 2, *range(4, 24)]])
    assert coins.with_polygons(automatic, {}).equal(automatic)


@pytest.mark.parametrize("coin", range(0, 24, 5))
def test_a_polygon_around_a_mask_has_few_corners_and_gives_the_mask_back(automatic, coin):
    corners = coins.polygon_around(automatic[coin])
    assert 8 <= len(corners) <= 40 and all(len(corner) == 2 for corner in corners)
    again = coins.with_polygons(automatic, {coin: corners})[coin]
    assert iou(again, automatic[coin]) > 0.95


def test_a_polygon_around_a_mask_that_fills_the_image():
    corners = torch.tensor(coins.polygon_around(torch.ones(6, 9, dtype=torch.bool)))
    assert corners.amin(dim=0).tolist() == [0, 0]
    assert (corners.amax(dim=0) - torch.tensor([9, 6])).abs().max() <= 0.5


# ---- the two halves ----


def test_no_coin_is_in_both_halves_but_the_cut_one_which_is_ignored(photo, masks):
    image, left = coins.left_half(photo, masks)
    test_image, target = coins.right_half(photo, masks)
    assert image.shape[2] + test_image.shape[2] == photo.shape[2]
    assert len(left) == 12 and len(target["boxes"]) == 13
    assert target["iscrowd"].sum() == 1 and target["masks"].any(dim=(1, 2)).all()
    crowd = target["masks"][target["iscrowd"]][0]
    assert crowd[:, 0].any()  # it reaches the cut
    items = [(image, coins.coin_target(left)), (test_image, target)]
    assert check(coins.Photographs(items)) == []


def test_a_covered_coin_is_gone_and_nothing_else_changes(photo, masks):
    image, left = coins.left_half(photo, masks)
    covered = coins.cover(image, left[:3])
    changed = (covered != image).any(dim=0)
    assert changed[left[:3].any(dim=0)].float().mean() > 0.9
    assert not (changed & left[3:].any(dim=0)).any()
    spread = [covered[0][mask].std() / image[0][mask].std() for mask in left[:3]]
    assert max(spread) < 0.5  # paper is smoother than a coin
    assert coins.cover(image, left[:0]).equal(image)


# ---- crops ----


def test_crops_follow_from_the_seed_and_the_index_alone(photo, masks):
    image, left = coins.left_half(photo, masks)
    crops = coins.Crops(image, left, n=8, seed=3)
    others = coins.Crops(image, left, n=20, seed=3)
    for i in (7, 0):
        assert crops[i][0].equal(others[i][0]) and crops[i][1]["masks"].equal(others[i][1]["masks"])
    assert not crops[0][0].equal(coins.Crops(image, left, n=8, seed=4)[0][0])
    assert len(crops) == 8 and check(crops) == []
    for index in (8, -1):
        with pytest.raises(IndexError, match="of 8"):
            crops[index]


def test_a_crop_has_a_whole_coin_and_only_coins_that_it_shows(photo, masks):
    image, left = coins.left_half(photo, masks)
    areas = left.sum(dim=(1, 2))
    for image_, target in coins.Crops(image, left[:11], n=30):
        assert image_.shape == (3, 144, 144)
        shown = target["masks"].sum(dim=(1, 2))
        assert (shown >= coins.LEAST).all()
        assert any((areas == area).any() for area in shown)  # one of them is whole
        assert image_[0][target["masks"].any(dim=0)].mean() > image_[0].mean()


# ---- the experiment ----


def test_more_labels_are_those_of_fewer_and_others(masks):
    few, more = (coin_runs.labeled(n, seed=2, masks=masks) for n in (2, 4))
    assert len(few.masks) == 2 and few.masks.equal(more.masks[:2]) and len(more.masks) == 4
    everything = coin_runs.labeled(12, seed=2, masks=masks)
    assert everything.photo.equal(coins.left_half(coins.photograph(), masks)[0])
    assert not few.photo.equal(everything.photo) and len(few) == coin_runs.STEPS * 4


@pytest.mark.parametrize("start", coin_runs.STARTS)
def test_starts_differ_in_what_is_copied(start):
    model = coin_runs.untrained(start, seed=1)
    shapes = coin_runs.load("shapes-tiny")
    assert model.config.n_classes == 1 and model.classes == ["coin"]
    first = "backbone.conv1.weight"
    is_shapes = start == "shapes-tiny"
    assert model.state_dict()[first].equal(shapes.state_dict()[first]) == is_shapes
    other = coin_runs.untrained(start, seed=2).state_dict()
    equal = [name for name, values in model.state_dict().items() if values.equal(other[name])]
    assert any(name.startswith("backbone.conv1") for name in equal) == (start != "random weights")
    assert ("rpn_head.cls_logits.weight" in equal) == is_shapes


def test_an_unknown_start_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"'coco': choose one of random weights, classification"):
        coin_runs.untrained("coco")


def test_a_model_is_trained_and_scored_and_keeps_its_scale(masks):
    model = coin_runs.train("shapes-tiny", 1, seed=0, steps=1)
    before = model.config
    assert 0 <= coin_runs.score(model, masks) <= 100
    assert model.config is before and not model.training
    coin_runs.at_scale_of_crops(model, (303, 200))
    assert (model.config.short_side, model.config.long_side) == (133, 203)


def test_the_shipped_scores_are_those_of_all_starts_labels_and_seeds():
    record = json.loads(coin_runs.FILE.read_text())
    scores = coin_runs.recorded_scores()
    assert record["steps"] == coin_runs.STEPS
    assert record["command"] == "python tools/make_coin_runs.py"
    assert tuple(scores) == coin_runs.STARTS
    for runs in scores.values():
        assert tuple(runs) == coin_runs.COUNTS
        for values in runs.values():
            assert len(values) == len(coin_runs.SEEDS) and len(set(values)) == len(values)
            assert all(0 <= value <= 100 for value in values)
