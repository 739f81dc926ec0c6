"""The diagram of run-length encoding shows the pixels in their order, and the counts as given."""

import pytest
import torch
from matplotlib.colors import to_rgba

from mrcnn_edu.data.rle_codec import mask_to_counts
from mrcnn_edu.viz.diagrams.run_lengths import ONES, show_run_lengths

MASK = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]).bool()


def texts(picture):
    return [text.get_text() for text in picture.axes[0].texts]


def n_filled(picture):
    return sum(patch.get_facecolor() == to_rgba(ONES) for patch in picture.axes[0].patches)


def test_pixels_are_numbered_down_the_columns():
    picture = show_run_lengths(MASK)
    assert texts(picture)[:12] == [str(i) for i in range(12)]
    positions = [text.get_position() for text in picture.axes[0].texts[:4]]
    assert positions[1][0] == positions[0][0] and positions[1][1] > positions[0][1]
    assert positions[3][0] > positions[0][0] and positions[3][1] == positions[0][1]


def test_the_row_is_empty_until_counts_are_given():
    assert n_filled(show_run_lengths(MASK)) == 6
    picture = show_run_lengths(MASK, mask_to_counts(MASK))
    assert n_filled(picture) == 12
    assert texts(picture)[-6:] == ["1", "zero", "6", "ones", "5", "zeros"]


def test_a_first_count_of_zero_is_drawn_beside_the_row():
    picture = show_run_lengths(~MASK, [0, 1, 6, 5])
    assert texts(picture)[-8:] == ["0", "zeros", "1", "one", "6", "zeros", "5", "ones"]
    zeros, one = picture.axes[0].texts[-7], picture.axes[0].texts[-5]
    assert zeros.get_position()[0] < one.get_position()[0]


def test_wrong_counts_are_drawn_as_given():
    """A reader sees where her counts differ from the pixels above them."""
    assert texts(show_run_lengths(MASK, [2, 5, 5]))[-6:] == [
        "2",
        "zeros",
        "5",
        "ones",
        "5",
        "zeros",
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (16, 1), (4, 4)])
def test_smallest_and_largest_masks_fit(shape):
    mask = torch.ones(shape).bool()
    picture = show_run_lengths(mask, [0, mask.numel()])
    width, height = picture.axes[0].get_xlim()[1], picture.axes[0].get_ylim()[0]
    for text in picture.axes[0].texts:
        x, y = text.get_position()
        assert 0 < x < width and 0 < y < height


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (5, 4), (12,), (1, 3, 4)])
def test_masks_without_pixels_or_with_too_many_are_refused(shape):
    with pytest.raises(ValueError, match=r"give \[H, W\] with 1 to 16 pixels"):
        show_run_lengths(torch.zeros(shape).bool())


@pytest.mark.parametrize("counts", [[], [1, 6], [1, 6, 5, 1], [-1, 8, 5]])
def test_counts_that_do_not_add_up_are_refused(counts):
    with pytest.raises(ValueError, match="do not add up to the mask's 12 pixels"):
        show_run_lengths(MASK, counts)
