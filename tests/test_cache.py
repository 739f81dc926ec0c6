"""The cache returns exactly the items of its dataset, reads each once, and keeps to its bytes."""

import torch

from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.dataset import Wrapper, as_dataset


class _CountedReads:
    """A dataset that records which items are read."""

    classes = ("a", "b", "c", "d", "e", "f")

    def __init__(self, items):
        self.items, self.read = items, []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.read.append(index)
        return self.items[index]


def _rounded_to_8_bits(item):
    image, target = item
    return (image * 255).byte().float() / 255, target | {"image_id": "7"}


def _assert_same(one, other):
    assert one[0].equal(other[0]) and one[0].dtype == other[0].dtype
    assert list(one[1]) == list(other[1])
    for name, value in one[1].items():
        if isinstance(value, torch.Tensor):
            assert value.equal(other[1][name]) and value.dtype == other[1][name].dtype
        else:
            assert value == other[1][name]


def test_items_are_the_same_and_read_once(random_targets):
    items = [_rounded_to_8_bits(random_targets(n, (33, 45))) for n in (3, 0, 1)]
    boxes_only = {"boxes": torch.rand(2, 4), "labels": torch.ones(2).long(), "image_id": "8"}
    data = _CountedReads([*items, (items[0][0], boxes_only)])
    cached = Cached(data, 1e6)
    assert len(cached) == 4 and cached.classes == list(data.classes)
    for _ in range(3):
        for index in range(4):
            image, target = cached[index]
            _assert_same((image, target), data.items[index])
            if data.read.count(index) == 1 and image is not data.items[index][0]:
                image.zero_()  # changing an item must not change the cache
                target["boxes"].zero_()
    assert data.read == [0, 1, 2, 3] and cached.n_kept == 4


def test_only_what_fits_is_kept_and_nothing_that_would_be_rounded(random_targets):
    items = [_rounded_to_8_bits(random_targets(2, (40, 64))) for _ in range(5)]
    data = _CountedReads([*items, random_targets(1)])  # the last has more than 8 bits
    one = Cached(data, 1e9)
    one[0]
    assert 3 * 40 * 64 + 2 * 40 * 64 / 8 < one.n_bytes < 3 * 40 * 64 + 2 * 40 * 64 / 8 + 100
    cached = Cached(data, 2.5 * one.n_bytes)
    data.read.clear()
    for _ in range(2):
        for index in range(6):
            _assert_same(cached[index], data.items[index])
    assert cached.n_kept == 2 and cached.n_bytes <= cached.max_bytes
    assert data.read == [0, 1, 2, 3, 4, 5, 2, 3, 4, 5]
    last = Cached(data, 1e9)
    last[5]
    assert last.n_kept == 0


def test_a_plain_class_keeps_what_it_defines_through_wrappers():
    class Photographs:
        """Not a `Dataset`, but it knows more than `classes`."""

        classes, category_ids, fingerprint = ["cat"], [17], "two photographs"

        def __len__(self):
            return 2

        def __getitem__(self, index):
            boxes = torch.tensor([[1.0, 1, 5, 5]])
            return torch.rand(3, 8, 9), {"boxes": boxes, "labels": torch.ones(1).long()}

        def target(self, index):
            return {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()}

        def image_size(self, index):
            return 8, 9

    for dataset in (as_dataset(Photographs()), Wrapper(Photographs())):
        assert dataset.category_ids == [17] and dataset.fingerprint == "two photographs"
        assert len(dataset.target(0)["labels"]) == 0 and dataset.image_size(1) == (8, 9)
        assert dataset.passes == 1 and len(dataset[0][1]["labels"]) == 1
