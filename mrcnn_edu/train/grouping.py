"""The order of the images: wide ones with wide ones, so that less of a batch is padding.

A batch is as wide as its widest image and as high as its highest: a wide and a tall photograph
together fill little more than half of it, and the rest is computed for nothing.
"""

from collections.abc import Iterator
from itertools import count, islice

import torch


def grouped_indices(
    n: int, training, sizes: list[tuple[int, int]], passes: int = 1
) -> Iterator[list[int]]:
    """For every step the indices of its images: all n in random order, again and again, by shape.

    As `batches.step_indices`, but an image that is wider than high comes with others that are, and
    so do the rest: one batch a pass, at most, has some of both. The batches come in random order.
    After every whole pass each image has been seen once more, as there. sizes: (height, width) of
    every image. training: its seed, batch_size and steps count. passes: of an `Augmented` dataset,
    whose item p n + i is image i in pass p; n is then the number of images, not of items.
    """
    if len(sizes) != n:
        raise ValueError(f"{len(sizes)} sizes for {n} images: give one for each")
    wide = torch.tensor([width > height for height, width in sizes], dtype=torch.bool)
    batches = _batches(wide, training.batch_size, training.seed, passes)
    yield from islice(batches, training.steps)


def _batches(wide: torch.Tensor, batch_size: int, seed: int, passes: int) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    rest: list[int] = []  # of the last pass, less than a batch
    for number in count():
        order = torch.randperm(len(wide), generator=generator)
        # The shape that ended the last pass begins this one, and `rest` is of that shape.
        later = wide[order] ^ bool(number % 2)
        order = order[later.long().argsort(stable=True)] + len(wide) * (number % passes)
        stream = rest + order.tolist()
        batches = [stream[i : i + batch_size] for i in range(0, len(stream), batch_size)]
        shown_first = 1 if rest else 0  # or an image could come a third time before another's first
        rest = batches.pop() if len(stream) % batch_size else []
        yield from batches[:shown_first]
        others = batches[shown_first:]
        for i in torch.randperm(len(others), generator=generator).tolist():
            yield others[i]


def padding(
    batches: Iterator[list[int]], sizes: list[tuple[int, int]], multiple: int = 32
) -> float:
    """The share of all pixels of the batches that no image fills.

    sizes: (height, width) of every image as the network sees it. multiple: that a batch's sides are
    rounded up to.
    """
    filled = total = 0
    for batch in batches:
        inside = [sizes[index] for index in batch]
        height, width = (-(-max(side) // multiple) * multiple for side in zip(*inside, strict=True))
        filled += sum(h * w for h, w in inside)
        total += height * width * len(batch)
    return 1 - filled / total if total else 0.0
