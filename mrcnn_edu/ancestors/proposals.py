"""Proposals that are given, not learned: how many objects they cover, and a dataset that has them.

Letters: M objects, N proposals.
"""

import hashlib
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from mrcnn_edu.ancestors.selective_search import selective_search
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.files import write_file


def recall_at(
    proposals: list[Tensor], targets: list[dict], numbers: list[int], iou: float = 0.5
) -> Tensor:
    """The recall [len(numbers)] if of each image only so many proposals are kept, the first ones.

    Recall is the share of all objects that at least one of the kept proposals covers with that IoU
    or more. proposals: [N, 4] of each image, best first. targets: of each image, of which the boxes
    [M, 4] are read. nan if there is no object.
    """
    found = []  # of each object the place of the first proposal that covers it
    for boxes, target in zip(proposals, targets, strict=True):
        covers = box_iou(boxes, target["boxes"]) >= iou  # [N, M]
        never = covers.new_ones(1, covers.shape[1])
        found.append(torch.cat((covers, never)).int().argmax(dim=0))  # N where there is none
        found[-1][~covers.any(dim=0)] = torch.iinfo(torch.long).max
    found = torch.cat(found) if found else torch.zeros(0)
    return torch.stack([(found < n).float().mean() for n in numbers])


def without_crowds(target: dict) -> tuple[Tensor, Tensor]:
    """Boxes [M, 4] and labels [M] of a target's single objects: a crowd is none to learn."""
    keep = target.get("iscrowd", torch.zeros(len(target["labels"]))) == 0
    return target["boxes"][keep], target["labels"][keep]


def given_proposals(targets: list[dict]) -> list[Tensor]:
    """The "proposals" of each target. Raises ValueError that names a target without."""
    for i, target in enumerate(targets):
        if "proposals" not in target:
            raise ValueError(
                f"target {i} has no proposals: wrap the data set in "
                "ancestors.proposals.WithProposals, which finds them"
            )
    return [target["proposals"] for target in targets]


def proposals_or_search(
    images, proposals: list[Tensor] | None, n: int, like: Tensor
) -> list[Tensor]:
    """Boxes [R, 4] of each image on `like`'s device: those given, or the n best of a search."""
    if proposals is None:
        proposals = [selective_search(image, n) for image in images]
    if len(proposals) != len(images):
        raise ValueError(f"{len(proposals)} lists of proposals for {len(images)} images")
    for i, boxes in enumerate(proposals):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"proposals of image {i} have shape {list(boxes.shape)}: give [R, 4]")
    return [boxes.to(like) for boxes in proposals]


class WithProposals:
    """The dataset with "proposals" [N, 4] in each target, by selective search, found once an image.

    n: of an image, at most. folder: where they are kept from run to run, a file for each image;
    None keeps them in memory alone. settings: for `selective_search`.
    """

    def __init__(self, dataset, n: int | None = None, folder: str | Path | None = None, **settings):
        self.dataset, self.n, self.settings = dataset, n, settings
        self.folder = None if folder is None else Path(folder)
        self.classes = dataset.classes
        self.found: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        image, target = self.dataset[index]
        if index not in self.found:
            self.found[index] = self._read_or_search(image)
        return image, target | {"proposals": self.found[index][: self.n]}

    def _read_or_search(self, image: Tensor) -> Tensor:
        if self.folder is None:
            return selective_search(image, **self.settings)
        # Named by what they follow from: no other image's boxes are ever read.
        said = image.numpy().tobytes() + repr((image.shape, sorted(self.settings.items()))).encode()
        file = self.folder / f"{hashlib.sha256(said).hexdigest()[:32]}.pt"
        if file.is_file():
            return torch.load(file, weights_only=True)
        boxes, contents = selective_search(image, **self.settings), BytesIO()
        torch.save(boxes, contents)
        write_file(file, contents.getvalue())
        return boxes
