"""Matching and sampling against torchvision's Matcher and against counts."""

import pytest
import torch
from torchvision.models.detection._utils import Matcher

from mrcnn_edu.matching import BACKGROUND, IGNORED, match, sample


def _random_iou(n_objects, n_boxes):
    """Overlaps in tenths, so that ties and the thresholds themselves occur, three quarters 0."""
    iou = torch.randint(0, 11, (n_objects, n_boxes)) / 10
    return torch.where(torch.rand(n_objects, n_boxes) < 0.75, 0, iou)


def test_matches_worked_out_by_hand():
    iou = torch.tensor(
        [
            [0.7, 0.2, 0.5, 0.0, 0.1],
            [0.6, 0.9, 0.5, 0.0, 0.2],
            [0.0, 0.0, 0.0, 0.2, 0.1],
        ]
    )
    # at least 0.7 counts, 0.5 is between, the last two touch too little
    assert match(iou, 0.7, 0.3).tolist() == [0, 1, IGNORED, BACKGROUND, BACKGROUND]
    # the third object's best box is the fourth
    assert match(iou, 0.7, 0.3, allow_low_quality_matches=True).tolist() == [
        0,
        1,
        IGNORED,
        2,
        BACKGROUND,
    ]


def test_a_rescued_box_answers_for_the_object_it_overlaps_most():
    iou = torch.tensor([[0.6, 0.5], [0.9, 0.4]])  # the first object's best box prefers the second
    assert match(iou, 0.7, 0.3, allow_low_quality_matches=True).tolist() == [1, IGNORED]
    tie = torch.tensor([[0.4, 0.4, 0.3]])
    assert match(tie, 0.7, 0.3, allow_low_quality_matches=True).tolist() == [0, 0, IGNORED]


@pytest.mark.parametrize("rescue", [False, True])
@pytest.mark.parametrize("positive, negative", [(0.7, 0.3), (0.5, 0.5)])
def test_match_equals_torchvisions(rescue, positive, negative):
    matcher = Matcher(positive, negative, rescue)
    for case in range(1000):
        n_objects, n_boxes = torch.randint(1, 12, (2,)).tolist()
        iou = _random_iou(n_objects, n_boxes)
        iou = iou[iou.amax(dim=1) > 0]  # the one difference is the next test
        if len(iou):
            assert torch.equal(match(iou, positive, negative, rescue), matcher(iou)), f"case {case}"


def test_an_object_that_touches_no_box_rescues_none():
    iou = torch.tensor([[0.0, 0.0, 0.0], [0.8, 0.4, 0.0]])
    assert match(iou, 0.7, 0.3, allow_low_quality_matches=True).tolist() == [1, IGNORED, BACKGROUND]
    assert (Matcher(0.7, 0.3, True)(iou) >= 0).all()  # torchvision: every box is positive


@pytest.mark.parametrize("rescue", [False, True])
def test_no_objects_or_no_boxes(rescue):
    assert match(torch.zeros(0, 3), 0.7, 0.3, rescue).tolist() == [BACKGROUND] * 3
    for n_objects in (0, 2):
        matched = match(torch.zeros(n_objects, 0), 0.7, 0.3, rescue)
        assert matched.shape == (0,) and matched.dtype == torch.long


def test_sample_takes_what_it_may():
    for _ in range(500):
        n_positive, n_negative, n_ignored = torch.randint(0, 40, (3,)).tolist()
        kinds = [3] * n_positive + [BACKGROUND] * n_negative + [IGNORED] * n_ignored
        matched = torch.tensor(kinds)[torch.randperm(len(kinds))]
        positive, negative = sample(matched, batch_size=20, positive_fraction=0.25)
        assert len(positive) == min(n_positive, 5)
        assert len(negative) == min(n_negative, 20 - len(positive))
        assert (matched[positive] >= 0).all() and (matched[negative] == BACKGROUND).all()
        for chosen in (positive, negative):  # ascending, so none comes twice
            assert (chosen.diff() > 0).all()


def test_sample_of_nothing():
    positive, negative = sample(torch.zeros(0, dtype=torch.long), 20, 0.25)
    assert positive.shape == negative.shape == (0,)
    assert positive.dtype == negative.dtype == torch.long


def test_sample_is_drawn_by_its_generator_alone():
    matched = torch.tensor([0, BACKGROUND] * 50)

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        positive, negative = sample(matched, 20, 0.25, generator)
        return positive.tolist(), negative.tolist()

    first = draw(1)
    torch.rand(7)  # the global generator has no say
    assert draw(1) == first
    assert draw(2) != first


def test_every_box_has_the_same_chance():
    matched = torch.full((10,), BACKGROUND)
    times = torch.zeros(10)
    for _ in range(2000):
        times[sample(matched, 3, 0.5)[1]] += 1
    assert (times / 2000 - 0.3).abs().max() < 0.05  # five standard deviations
