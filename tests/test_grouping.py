"""Batches of one shape: every image as often as without, and less padding."""

from collections import Counter
from itertools import chain, pairwise

import pytest
import torch

from mrcnn_edu.images import scaled_size
from mrcnn_edu.train import Training, step_indices
from mrcnn_edu.train.grouping import grouped_indices, padding


def _sizes(n, seed=0):
    """Sizes (height, width) like COCO's: most are 640 x 480, a third of them upright."""
    generator = torch.Generator().manual_seed(seed)
    common = [(480, 640)] * 6 + [(640, 480)] * 3 + [(427, 640)] * 3 + [(640, 427), (500, 375)]
    common += [(375, 500), (640, 640), (612, 612), (360, 640)]
    return [common[i] for i in torch.randint(len(common), (n,), generator=generator).tolist()]


def _training(steps, batch_size, seed=0):
    return Training(steps=steps, batch_size=batch_size, seed=seed)


@pytest.mark.parametrize("n, batch_size", [(1, 1), (1, 4), (3, 4), (7, 2), (20, 4), (37, 8)])
def test_every_image_is_seen_equally_often_in_batches_of_one_size(n, batch_size):
    for seed in range(5):
        sizes = _sizes(n, seed)
        batches = list(grouped_indices(n, _training(5 * n, batch_size, seed), sizes))
        assert len(batches) == 5 * n and {len(batch) for batch in batches} == {batch_size}
        counts = Counter(chain.from_iterable(batches))
        assert set(counts) == set(range(n)) and set(counts.values()) == {5 * batch_size}
        seen = Counter(dict.fromkeys(range(n), 0))
        for batch in batches:  # and at no time is one far behind another
            seen.update(batch)
            assert max(seen.values()) - min(seen.values()) <= 2 + batch_size // n


def test_a_batch_is_wide_or_tall_but_for_one_in_a_pass():
    n, sizes = 101, _sizes(101)
    mixed = 0
    for batch in grouped_indices(n, _training(250, 4), sizes):
        mixed += len({sizes[i][1] > sizes[i][0] for i in batch}) == 2
    assert 0 < mixed <= 10  # 250 steps are not quite ten passes
    alike = [(20, 30)] * n
    batches = list(grouped_indices(n, _training(250, 4), alike))
    assert len({tuple(batch) for batch in batches}) > 240  # still in another order every pass


def test_the_order_follows_from_the_seed_and_the_step():
    sizes = _sizes(23)
    few = list(grouped_indices(23, _training(9, 4, seed=3), sizes))
    many = list(grouped_indices(23, _training(40, 4, seed=3), sizes))
    assert many[:9] == few
    assert list(grouped_indices(23, _training(9, 4, seed=4), sizes)) != few
    shapes = [sizes[batch[0]][1] > sizes[batch[0]][0] for batch in many]
    assert sum(a != b for a, b in pairwise(shapes)) > 10  # they take turns


def test_each_pass_of_augmented_images_asks_for_its_own_items():
    sizes = _sizes(10)
    plain = list(chain(*grouped_indices(10, _training(20, 2), sizes)))
    items = list(chain(*grouped_indices(10, _training(20, 2), sizes, passes=4)))
    assert [item % 10 for item in items] == plain
    assert [item // 10 for item in items] == [p for p in range(4) for _ in range(10)]


@pytest.mark.parametrize("batch_size, max_fraction", [(2, 0.6), (4, 0.5), (8, 0.5)])
def test_less_than_half_of_the_padding_is_left(batch_size, max_fraction):
    n = 900
    sizes = [scaled_size(size, 800, 1333) for size in _sizes(n)]
    training = _training(n // batch_size, batch_size)
    plain = padding(step_indices(n, training), sizes)
    grouped = padding(grouped_indices(n, training, sizes), sizes)
    print(f"batches of {batch_size}: {plain:.3f} padding, {grouped:.3f} grouped")
    assert 0.05 < grouped < max_fraction * plain


def test_padding_is_what_no_image_fills():
    sizes = [(32, 64), (64, 32), (30, 60)]
    assert padding(iter([[0, 1]]), sizes) == 0.5
    assert padding(iter([[0, 0], [1]]), sizes) == 0
    assert padding(iter([[2]]), sizes) == 1 - 30 * 60 / (32 * 64)
    assert padding(iter([]), sizes) == 0
    with pytest.raises(ValueError, match="2 sizes for 3 images"):
        next(grouped_indices(3, _training(1, 1), sizes[:2]))
