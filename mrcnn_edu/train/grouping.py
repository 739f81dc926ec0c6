"""Grouping: wide images are batched with wide ones, so that less of a batch is padding.

A batch is as wide as its widest image and as high as its highest. A wide and a tall photograph
together fill little more than half of it, and the rest is computed in vain.
"""

from collections.abc import Iterator
from itertools import count, islice

import torch
from torch import Tensor

from mrcnn_edu.train.recipes import Training


def grouped_indices(
    n: int, training: Training, sizes: list[tuple[int, int]], passes: int = 1
) -> Iterator[list[int]]:
    """The indices of each step's images: all n in random order, again and again, by shape.

    Like `batches.step_indices`, but an image that is wider than high is batched with others that
    are, and so are the rest: at most one batch of a pass mixes both. The batches come in random
    order. After every whole pass each image has been used once more. sizes: (height, width) of
    every image. passes: of an `Augmented` dataset, whose item p * n + i is image i in pass p; n is
    then the number of images, not of items. Raises ValueError unless there are n sizes.
    """
    if len(sizes) != n:
        raise ValueError(f"{len(sizes)} sizes for {n} images: give one for each")
    is_wide = torch.tensor([width > height for height, width in sizes], dtype=torch.bool)
    batches = _batches(is_wide, training.batch_size, training.seed, passes)
    yield from islice(batches, training.steps)


def _batches(is_wide: Tensor, batch_size: int, seed: int, passes: int) -> Iterator[list[int]]:
    """Batches without end, pass after pass. is_wide: [n] bool."""
    n, generator = len(is_wide), torch.Generator().manual_seed(seed)
    rest: list[int] = []  # the last pass's images that did not fill a batch
    for number in count():
        order = torch.randperm(n, generator=generator)
        # Each pass begins with the shape that ended the last one, which is the shape of `rest`.
        comes_later = is_wide[order] ^ bool(number % 2)
        order = order[comes_later.long().argsort(stable=True)] + n * (number % passes)
        stream = rest + order.tolist()
        batches = [stream[i : i + batch_size] for i in range(0, len(stream), batch_size)]
        # The batch with the rest comes first, so that no image falls two passes behind another.
        n_first = 1 if rest else 0
        rest = batches.pop() if len(stream) % batch_size else []
        yield from batches[:n_first]
        others = batches[n_first:]
        for i in torch.randperm(len(others), generator=generator).tolist():
            yield others[i]


def padding(
    batches: Iterator[list[int]], sizes: list[tuple[int, int]], multiple: int = 32
) -> float:
    """The fraction of the batches' pixels that no image fills.

    sizes: (height, width) of every image as the network sees it. multiple: the height and width of
    a batch are rounded up to multiples of this.
    """
    filled = total = 0
    for batch in batches:
        image_sizes = [sizes[index] for index in batch]
        height = -(-max(height for height, _ in image_sizes) // multiple) * multiple
        width = -(-max(width for _, width in image_sizes) // multiple) * multiple
        filled += sum(h * w for h, w in image_sizes)
        total += height * width * len(batch)
    return 1 - filled / total if total else 0.0
