"""What a dataset is: the one interface that training, evaluation and checks rely on.

Any sequence of (image, target) with an attribute `classes` can be used: `as_dataset` adds the rest.
A dataset that wraps another one is a `Wrapper`, which passes everything on that it does not change.

Letters: C channels, H and W in pixels, M objects, J keypoints of an object, K classes (label 0 is
background).
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from mrcnn_edu.data.keypoints import twins
from mrcnn_edu.images import Size, size_of

# What a sequence may define beside `classes`, and what a `Dataset` has in any case.
OPTIONAL = (
    "fingerprint",
    "augmentation",
    "passes",
    "image",
    "encoded_item",
    "target",
    "image_size",
    "category_ids",
    "keypoints",
    "mirrored",
    "skeleton",
    "sigmas",
)


class Dataset:
    """Items (image, target): image [C, H, W] float32 in 0..1, and a target dictionary.

    target: boxes [M, 4], labels [M] in 1..K, masks [M, H, W] bool; where known also iscrowd [M]
    bool, area [M] and image_id. Where objects have keypoints, also keypoints [M, J, 3]: x, y in
    pixels, and the visibility, 0 not labeled, 1 labeled but hidden, 2 visible. `classes`, `__len__`
    and `__getitem__` are needed; the rest has defaults, which a dataset overrides where it knows
    better or answers faster.
    """

    classes: list[str]  # the names of labels 1..K
    fingerprint: str = ""  # differs for different data, so that no run resumes on other data
    augmentation: str = "none"  # what is done to the images, in words, for the same reason
    passes: int = 1  # item p * n + i, for p < passes, is image i of n, as pass p shows it

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        raise NotImplementedError

    def image(self, index: int) -> Tensor:
        """An item's image alone, without drawing masks where that is possible."""
        return self[index][0]

    def encoded_item(self, index: int) -> tuple[Tensor, dict]:
        """An item for training; its masks may be `RLEMasks`, which take far less memory."""
        return self[index]

    def target(self, index: int) -> dict:
        """An item's target alone, without reading its image where that is possible.

        Its masks may be `RLEMasks` instead of a tensor: evaluation needs no pixels.
        """
        return self[index][1]

    def image_size(self, index: int) -> Size:
        """(height, width) of an item's image, without reading it where that is possible."""
        return size_of(self[index][0])

    @cached_property
    def category_ids(self) -> list[int]:
        """The id of each label 1..K in result files; the labels, unless the data has other ids."""
        return list(range(1, len(self.classes) + 1))

    @cached_property
    def keypoints(self) -> list[str]:
        """The names of the J keypoints of an object; an empty list where there are none."""
        return []

    @cached_property
    def mirrored(self) -> list[int]:
        """The index [J] of each keypoint's twin on the other side, or its own if it has none.

        A mirror image of a left hand is a right one. By default, twins are found by their names.
        """
        return twins(self.keypoints)

    @cached_property
    def skeleton(self) -> list[tuple[int, int]]:
        """Pairs of keypoints, by index, that a picture joins by lines."""
        return []

    @cached_property
    def sigmas(self) -> list[float]:
        """How far off [J] each keypoint may be in evaluation (`evaluate.oks`), if it is known."""
        return []

    def with_channels(self, n: int) -> "Dataset":
        """The same dataset with images of n channels, where it can choose; otherwise itself."""
        return self


class Wrapper(Dataset):
    """A dataset that shows another one, changed: everything it does not define is passed on."""

    def __init__(self, dataset: Any):
        self.dataset = as_dataset(dataset)
        self.classes = self.dataset.classes
        self.fingerprint = self.dataset.fingerprint
        self.augmentation = self.dataset.augmentation
        self.passes = self.dataset.passes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        return self.dataset[index]

    def target(self, index: int) -> dict:
        return self.dataset.target(index)

    def image_size(self, index: int) -> Size:
        return self.dataset.image_size(index)

    @cached_property
    def category_ids(self) -> list[int]:
        return self.dataset.category_ids

    @cached_property
    def keypoints(self) -> list[str]:
        return self.dataset.keypoints

    @cached_property
    def mirrored(self) -> list[int]:
        return self.dataset.mirrored

    @cached_property
    def skeleton(self) -> list[tuple[int, int]]:
        return self.dataset.skeleton

    @cached_property
    def sigmas(self) -> list[float]:
        return self.dataset.sigmas

    def with_channels(self, n: int) -> Dataset:
        raise NotImplementedError(
            f"choose the channels before {type(self).__name__} wraps the data"
        )


class _Sequence(Dataset):
    """A sequence of (image, target) with `classes` as a `Dataset`, keeping what else it defines."""

    def __init__(self, items: Any):
        self.items, self.classes = items, list(items.classes)
        for name in OPTIONAL:
            if hasattr(items, name):
                setattr(self, name, getattr(items, name))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        return self.items[index]


class Selection(Wrapper):
    """Some of a dataset's items: what torch.utils.data.Subset and random_split choose."""

    def __init__(self, dataset: Any, indices: Sequence[int]):
        super().__init__(dataset)
        self.indices, self.passes = indices, 1
        if self.fingerprint:  # other images are other data
            numbers = repr([int(i) for i in indices]).encode()
            self.fingerprint += f", items {hashlib.sha256(numbers).hexdigest()[:16]}"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        return self.dataset[self._index(index)]

    def image(self, index: int) -> Tensor:
        return self.dataset.image(self._index(index))

    def encoded_item(self, index: int) -> tuple[Tensor, dict]:
        return self.dataset.encoded_item(self._index(index))

    def target(self, index: int) -> dict:
        return self.dataset.target(self._index(index))

    def image_size(self, index: int) -> Size:
        return self.dataset.image_size(self._index(index))

    def with_channels(self, n: int) -> Dataset:
        return Selection(self.dataset.with_channels(n), self.indices)

    def _index(self, index: int) -> int:
        return int(self.indices[index])


class Concatenation(Dataset):
    """The items of several datasets one after the other: torch.utils.data.ConcatDataset.

    An item's image_id is its index here, as two datasets may use the same ids. Raises ValueError
    unless all have the same classes, the same ids of categories, and the same keypoints.
    """

    def __init__(self, datasets: Sequence[Any]):
        self.parts = [as_dataset(dataset) for dataset in datasets]
        first = self.parts[0]
        for i, part in enumerate(self.parts):
            for name in ("classes", "category_ids", "keypoints", "mirrored"):
                value, expected = list(getattr(part, name)), list(getattr(first, name))
                if value != expected:
                    raise ValueError(
                        f"data sets 0 and {i} of the ConcatDataset have other {name}: {expected} "
                        f"and {value}; give data sets with the same, in the same order"
                    )
        self.classes, self.ends = list(first.classes), [*accumulate(map(len, self.parts))]
        fingerprints = [part.fingerprint for part in self.parts]
        self.fingerprint = " + ".join(fingerprints) if all(fingerprints) else ""
        augmentations = [part.augmentation for part in self.parts]
        is_same = len(set(augmentations)) == 1
        self.augmentation = augmentations[0] if is_same else " + ".join(augmentations)

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        part, i = self._find(index)
        image, target = part[i]
        return image, target | {"image_id": index}

    def image(self, index: int) -> Tensor:
        part, i = self._find(index)
        return part.image(i)

    def encoded_item(self, index: int) -> tuple[Tensor, dict]:
        part, i = self._find(index)
        image, target = part.encoded_item(i)
        return image, target | {"image_id": index}

    def target(self, index: int) -> dict:
        part, i = self._find(index)
        return part.target(i) | {"image_id": index}

    def image_size(self, index: int) -> Size:
        part, i = self._find(index)
        return part.image_size(i)

    @cached_property
    def category_ids(self) -> list[int]:
        return self.parts[0].category_ids

    @cached_property
    def keypoints(self) -> list[str]:
        return self.parts[0].keypoints

    @cached_property
    def mirrored(self) -> list[int]:
        return self.parts[0].mirrored

    @cached_property
    def skeleton(self) -> list[tuple[int, int]]:
        return self.parts[0].skeleton

    @cached_property
    def sigmas(self) -> list[float]:
        return self.parts[0].sigmas

    def with_channels(self, n: int) -> Dataset:
        return Concatenation([part.with_channels(n) for part in self.parts])

    def _find(self, index: int) -> tuple[Dataset, int]:
        """The dataset that an item is from, and the item's index there."""
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        part = bisect_right(self.ends, index)
        return self.parts[part], index - (self.ends[part] - len(self.parts[part]))


def as_dataset(items: Any) -> Dataset:
    """The items as a `Dataset`: themselves if they are one, or else wrapped.

    PyTorch's Subset and ConcatDataset, also within one another, get what they lack from the data
    that they show. Raises TypeError unless there are a length, items by index, and `classes`.
    """
    if isinstance(items, Dataset):
        return items
    if isinstance(items, Subset) and not hasattr(items, "classes"):
        return Selection(items.dataset, items.indices)
    if isinstance(items, ConcatDataset) and not hasattr(items, "classes"):
        return Concatenation(items.datasets)
    missing = [n for n in ("__len__", "__getitem__", "classes") if not hasattr(items, n)]
    if missing:
        raise TypeError(
            f"{type(items).__name__} is not a dataset, it has no {', '.join(missing)}: give a "
            "sequence of (image, target) with an attribute `classes`, the names of labels 1..K"
        )
    return _Sequence(items)
