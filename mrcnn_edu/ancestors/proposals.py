"""Proposals that are given instead of predicted: a dataset that has them, and their recall.

Letters: M objects, N or R proposals.
"""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.ancestors.selective_search import selective_search
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import check_number
from mrcnn_edu.data.dataset import Wrapper
from mrcnn_edu.evaluate.inputs import check_coordinates
from mrcnn_edu.files import write_file
from mrcnn_edu.images import is_crowd
from mrcnn_edu.rpn import Proposals
from mrcnn_edu.validate import check_list


def recall_at(
    proposals: list[Tensor], targets: list[dict], counts: Sequence[int], iou: float = 0.5
) -> Tensor:
    """The recall [len(counts)] if only the first so many proposals of each image are kept.

    Recall is the fraction of all objects that at least one kept proposal overlaps with that IoU or
    more. proposals: [N, 4] of each image, best first. targets: each image's, with boxes [M, 4]. The
    recall is NaN if there is no object.
    """
    for count in counts:
        check_number("counts", count, 0, whole=True)
    ranks = []  # for each object, the index of the first proposal that overlaps it enough
    for boxes, target in zip(proposals, targets, strict=True):
        overlaps = box_iou(boxes, target["boxes"]) >= iou  # [N, M]
        sentinel = overlaps.new_ones(1, overlaps.shape[1])  # argmax needs a row
        first = torch.cat((overlaps, sentinel)).int().argmax(dim=0)
        ranks.append(torch.where(overlaps.any(dim=0), first, torch.iinfo(torch.long).max))
    ranks = torch.cat(ranks) if ranks else torch.zeros(0)
    return torch.stack([(ranks < n).float().mean() for n in counts])


def without_crowds(target: dict) -> dict[str, Tensor]:
    """The boxes [M, 4] and labels [M] of a target's single objects, without crowd regions."""
    single = ~is_crowd(target)
    return {"boxes": target["boxes"][single], "labels": target["labels"][single]}


def without_scores(boxes: Tensor) -> Proposals:
    """Boxes [R, 4] as an RPN would return them; selective search has no scores or candidates."""
    none = boxes.new_zeros(0)
    return Proposals(boxes, none, none, none, none)


def given_proposals(targets: Any) -> list[Tensor]:
    """The "proposals" [R, 4] of each target. Raises ValueError, naming a target without any."""
    check_list(targets, "targets", dict, "dictionaries")
    for i, target in enumerate(targets):
        if "proposals" not in target:
            raise ValueError(
                f"target {i} has no proposals: wrap the dataset in "
                "ancestors.proposals.WithProposals, which finds them"
            )
    return [
        check_coordinates(target["proposals"], "M", f"target {i} (its proposals)")
        for i, target in enumerate(targets)
    ]


def proposals_or_search(
    images: list[Tensor], proposals: list[Tensor] | None, n: int, like: Tensor
) -> list[Tensor]:
    """Boxes [R, 4] of each image: the proposals, or the n best of selective search if None.

    They get the device of `like`. Raises TypeError or ValueError, naming the image.
    """
    if proposals is None:
        proposals = [selective_search(image, n) for image in images]
    if not isinstance(proposals, list | tuple):
        raise TypeError("proposals must be a list of boxes [R, 4], one entry for each image")
    if len(proposals) != len(images):
        raise ValueError(f"{len(proposals)} lists of proposals for {len(images)} images")
    named = [(boxes, f"image {i} (its proposals)") for i, boxes in enumerate(proposals)]
    return [check_coordinates(boxes, "M", name).to(like.device) for boxes, name in named]


class WithProposals(Wrapper):
    """The dataset with "proposals" [N, 4] in each target: selective search runs once per image.

    n: the largest number of proposals of an image. folder: keeps them between runs, in a file for
    each image; None keeps them in memory alone. settings: arguments of `selective_search`.
    `target(index)` has no proposals, as evaluation needs none.
    """

    def __init__(
        self, dataset: Any, n: int | None = None, folder: str | Path | None = None, **settings
    ):
        super().__init__(dataset)
        if n is not None:
            check_number("n", n, 0, whole=True)
        self.n, self.settings = n, settings
        self.folder = None if folder is None else Path(folder)
        self.found: dict[int, Tensor] = {}

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        image, target = self.dataset[index]
        if index not in self.found:
            self.found[index] = self._read_or_search(image)
        return image, target | {"proposals": self.found[index][: self.n]}

    def _read_or_search(self, image: Tensor) -> Tensor:
        if self.folder is None:
            return selective_search(image, **self.settings)
        # The name is a hash of all that the boxes depend on: no other image's are ever read.
        settings = repr((image.shape, sorted(self.settings.items()))).encode()
        digest = hashlib.sha256(image.numpy().tobytes() + settings).hexdigest()
        file = self.folder / f"{digest[:32]}.pt"
        if file.is_file():
            return torch.load(file, weights_only=True)
        boxes, contents = selective_search(image, **self.settings), BytesIO()
        torch.save(boxes, contents)
        write_file(file, contents.getvalue())
        return boxes
