"""Two mask branches to compare on the same features, and the steps in the masks they draw.

One reads position-sensitive maps, as FCIS does. The other has a head that runs for every RoI, as in
Mask R-CNN. Both are small, know no classes, and are trained on the true boxes, so that nothing else
differs between them.

Letters: B images, C channels, R RoIs, k x k bins of a RoI, m x m mask.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from mrcnn_edu.ancestors.position_sensitive import assemble
from mrcnn_edu.roi_ops import boxes_to_rois, roi_align
from mrcnn_edu.targets import mask_targets

HIDDEN = 64  # channels of the hidden layers


class PositionSensitiveBranch(nn.Module):
    """Mask logits [R, m, m] looked up in k x k maps. No layer runs for a RoI."""

    def __init__(self, channels: int, stride: int, n_bins: int, size: int):
        super().__init__()
        self.stride, self.n_bins, self.size = stride, n_bins, size
        self.hidden_layer = nn.Conv2d(channels, HIDDEN, 3, padding=1)
        self.map_layer = nn.Conv2d(HIDDEN, n_bins**2, 1)

    def forward(self, features: Tensor, boxes: list[Tensor]) -> Tensor:
        """features: [B, C, H, W] of that stride. boxes: [R_i, 4] for each image."""
        maps = self.map_layer(relu(self.hidden_layer(features)))
        return assemble(maps, boxes, self.n_bins, self.size, self.stride)[:, 0]


class HeadBranch(nn.Module):
    """Mask logits [R, m, m] of a small fully convolutional head, which runs for every RoI."""

    def __init__(self, channels: int, stride: int, size: int):
        super().__init__()
        self.stride, self.size = stride, size
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, HIDDEN, 3, padding=1), nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)]
        )
        self.mask_layer = nn.Conv2d(HIDDEN, 1, 1)

    def forward(self, features: Tensor, boxes: list[Tensor]) -> Tensor:
        """features: [B, C, H, W] of that stride. boxes: [R_i, 4] for each image."""
        rois = torch.cat([boxes_to_rois(b, image) for image, b in enumerate(boxes)])
        x = roi_align(features, rois, self.size, 1 / self.stride)
        for conv in self.convs:
            x = relu(conv(x))
        return self.mask_layer(x)[:, 0]


def fit_branch(
    branch: nn.Module,
    features: Tensor,
    targets: Sequence[dict],
    steps: int,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
) -> nn.Module:
    """The branch, trained with the mask loss on the true boxes of these targets.

    features: [B, C, H, W], which stay as they are. targets: with boxes [M, 4] and masks [M, H, W]
    for each image. Every call with the same arguments sees the same images in the same order.
    """
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(branch.parameters(), learning_rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
        rows = torch.randint(len(targets), (batch_size,), generator=generator)
        chosen = [targets[row] for row in rows.tolist()]
        boxes = [target["boxes"] for target in chosen]
        logits = branch(features[rows], boxes)
        masks = [target["masks"] for target in chosen]
        wanted = mask_targets(masks, boxes, [torch.arange(len(b)) for b in boxes], logits.shape[-1])
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(logits, wanted).backward()
        optimizer.step()
    return branch


def mean_steps(probs: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """How far apart neighboring pixels of masks are, by where they lie: [2, m - 1].

    probs: mask probabilities [R, m, m]. targets: [R, m, m] bool, the ground truth. others:
    [R, m, m] bool, pixels that show another object. Entry i is the mean absolute difference between
    pixels i and i + 1 along x and along y, of all pairs on which the ground truth is the same: in
    row 0 of those away from other objects, in row 1 of those on another object. NaN if there are
    none.
    """
    sums, counts = probs.new_zeros(2, probs.shape[-1] - 1), probs.new_zeros(2, probs.shape[-1] - 1)
    for turned in (False, True):
        values, wanted, on_other = (
            t.mT if turned else t for t in (probs, targets.bool(), others.bool())
        )
        steps = values.diff(dim=2).abs()  # [R, m, m - 1]
        same = wanted[..., 1:] == wanted[..., :-1]
        on_other = on_other[..., 1:] & on_other[..., :-1]
        for row, chosen in enumerate((same & ~on_other, same & on_other)):
            sums[row] += (steps * chosen).sum(dim=(0, 1))
            counts[row] += chosen.sum(dim=(0, 1))
    return sums / counts


def at_borders(size: int, n_bins: int) -> Tensor:
    """Which of the m - 1 steps between a mask's pixels cross from one bin to the next: bool."""
    bins = torch.arange(size) * n_bins // size
    return bins[1:] != bins[:-1]
