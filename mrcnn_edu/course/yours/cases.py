"""Arguments that two versions of a part are compared on: random ones, ties, and empty ones."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

N_RANDOM = 8


def cases_of(name: str) -> list[tuple]:
    """The arguments of each call for a part of this name, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return [MAKERS[name](i, generator) for i in range(N_RANDOM)]


def large_case_of(name: str) -> tuple:
    """The arguments of one call that is large enough to be timed."""
    return MAKERS[name](LARGE, torch.Generator().manual_seed(1))


LARGE = 100  # the number of the case that is timed
SIZES = (3, 1, 0, 5, 8, 2, 20, 30)  # of the random cases, small ones first


def _n(i: int) -> int:
    return 200 if i == LARGE else SIZES[i % len(SIZES)]


def _boxes(n: int, generator: Generator) -> Tensor:
    corner = 60 * torch.rand(n, 2, generator=generator)
    size = 4 + 40 * torch.rand(n, 2, generator=generator)
    return (torch.cat((corner, corner + size), dim=1) * 8).round() / 8


def _two_sets(i: int, generator: Generator) -> tuple:
    n = _n(i)
    return _boxes(n, generator), _boxes(max(n - 1, 0), generator)


def _boxes_and_anchors(i: int, generator: Generator) -> tuple:
    return _boxes(_n(i), generator), _boxes(_n(i), generator)


def _deltas_and_anchors(i: int, generator: Generator) -> tuple:
    return 0.5 * torch.randn(_n(i), 4, generator=generator), _boxes(_n(i), generator)


def _candidates(i: int, generator: Generator) -> tuple:
    n = _n(i)
    boxes, scores = _boxes(n, generator), torch.rand(n, generator=generator)
    if i % 2:
        boxes[1::2] = boxes[: n // 2] + 1  # pairs that overlap
    return boxes, scores, 0.3 + 0.05 * (i % 8)


def _grouped(i: int, generator: Generator) -> tuple:
    boxes, scores, threshold = _candidates(i, generator)
    return boxes, scores, torch.arange(len(boxes)) % 3, threshold


def _leveled(i: int, generator: Generator) -> tuple:
    sizes = 2 ** (1 + 7 * torch.rand(_n(i), 1, generator=generator))
    corner = 20 * torch.rand(_n(i), 2, generator=generator)
    return torch.cat((corner, corner + sizes), dim=1), (4, 8, 16), (80.0, 224.0)[i % 2]


def _grids(i: int, generator: Generator) -> tuple:
    finest = 24 if i == LARGE else 4 + i
    grids = [(finest, finest + i % 3), ((finest + 1) // 2, (finest + i % 3 + 1) // 2)]
    size = 4 * grids[0][0], 4 * grids[0][1]
    return grids, size, ((12.0,), (24.0, 36.0)), (0.5, 1.0, 2.0)


def _ious(i: int, generator: Generator) -> tuple:
    n = _n(i)
    iou = torch.rand(max(n // 4, i % 3), 2 * n, generator=generator)
    if i % 2:
        iou = (5 * iou).round() / 5  # with ties
    return iou, 0.7, 0.3, i % 2 == 0


def _point(i: int, generator: Generator) -> tuple:
    feature_map = torch.rand(6, 5, 48 if i == LARGE else 3, generator=generator)
    y, x = (4.9 * torch.rand((), generator=generator)).item(), (0.5 * (i % 8))
    return feature_map, y, x


def _rois(i: int, generator: Generator) -> tuple:
    n, channels, bins = (24, 48, 7) if i == LARGE else (i % 4, 2, 2)
    features = torch.rand(2, channels, 12, 10, generator=generator)
    corner = -6 + 70 * torch.rand(n, 2, generator=generator)
    size = 1 + 60 * torch.rand(n, 2, generator=generator)
    image = torch.arange(n).view(-1, 1) % 2
    rois = torch.cat((image, corner, corner + size), dim=1)
    return features, rois, bins, 1 / 8, 2


def _masks(i: int, generator: Generator) -> tuple:
    n, k, m = max(_n(i) // 4, 1), 3, 28 if i == LARGE else 4
    logits = 3 * torch.randn(n, k + 1, m, m, generator=generator)
    labels = torch.randint(1, k + 1, (n,), generator=generator)
    return logits, labels, torch.rand(n, m, m, generator=generator).round()


def _pasted(i: int, generator: Generator) -> tuple:
    n, m = (20, 28) if i == LARGE else (i % 4, 4)
    corner = -3 + 20 * torch.rand(n, 2, generator=generator)
    boxes = torch.cat((corner, corner + 4 + 16 * torch.rand(n, 2, generator=generator)), dim=1)
    return torch.rand(n, m, m, generator=generator), boxes, (24, 28)


def _ranking(i: int, generator: Generator) -> tuple:
    n = _n(i)
    correct = torch.rand(n, generator=generator) < 0.6
    return correct, max(int(correct.sum()) + i % 4, 1)


MAKERS: dict[str, Callable[[int, Generator], tuple]] = {
    "box_iou": _two_sets,
    "encode_boxes": _boxes_and_anchors,
    "decode_boxes": _deltas_and_anchors,
    "nms": _candidates,
    "batched_nms": _grouped,
    "pyramid_level": _leveled,
    "pyramid_anchors": _grids,
    "match": _ious,
    "bilinear": _point,
    "roi_align": _rois,
    "mask_loss": _masks,
    "paste_masks": _pasted,
    "average_precision": _ranking,
}
