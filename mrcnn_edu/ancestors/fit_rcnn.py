"""How R-CNN learns: in three stages, of which only the first follows a gradient.

1. Fine-tune the network: which class is in a window? (section 2.3; `train.fit` does it.)
2. With its features fixed, a linear SVM for each class, with hard negatives (section 2.3).
3. A regression from the features to a better box, for each class (appendix C).

Letters: N windows, F features, K classes.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.ancestors.proposals import given_proposals, without_crowds
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.boxes import box_iou, encode_boxes
from mrcnn_edu.model import evaluating
from mrcnn_edu.train import Training, fit

SVM_NEGATIVE_IOU = 0.3  # windows that overlap every object of the class less are negatives
BOX_IOU = 0.6  # proposals this near to an object learn to move onto it
MEAN_NORM = 20.0  # that features are scaled to, so that C and the penalty mean the same everywhere


class Windows(NamedTuple):
    """Windows of many images: their features, and how they lie to the objects."""

    features: Tensor  # [N, F]
    truth: Tensor  # [N] the label of an object's own box, 0 for a proposal
    ious: Tensor  # [N, K] the largest IoU with an object of each class
    deltas: Tensor  # [N, K, 4] to that object; meaningless where there is none


def fit_rcnn(
    model: RCNN,
    dataset,
    training: Training | None = None,
    folder: str | Path | None = None,
    n_images: int = 600,
    windows_per_image: int = 100,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train the model in place, all three stages; the losses of fine-tuning.

    dataset: a sequence of (image, target) whose targets have "proposals". training and folder: of
    the fine-tuning, as for `train.fit`. n_images: of the dataset's first images the other two
    stages use up to `windows_per_image` proposals, the best, and the objects themselves.
    """
    losses = fit(model, dataset, training, folder, progress)
    fit_svms_and_boxes(model, dataset, n_images, windows_per_image, progress)
    return losses


def fit_svms_and_boxes(model: RCNN, dataset, n_images, windows_per_image, progress=True) -> None:
    """Write the SVMs and the regressions that fit the model's features into the model."""
    windows = collect(model, dataset, n_images, windows_per_image, progress)
    scale = MEAN_NORM / windows.features.norm(dim=1).mean().clamp(min=1e-6)
    features = windows.features.mul_(scale)  # in place: there are many
    for k in tqdm(range(model.config.n_classes), "SVMs and boxes", disable=not progress):
        positive, iou = windows.truth == k + 1, windows.ious[:, k]
        negative = (iou < SVM_NEGATIVE_IOU) & ~positive
        weight, bias = fit_svm(features, positive, negative)
        model.svm_weight[k], model.svm_bias[k] = weight * scale, bias
        near = (iou > BOX_IOU) & (windows.truth == 0)
        weight, bias = fit_boxes(features[near], windows.deltas[near, k])
        model.box_weight[k], model.box_bias[k] = weight.T * scale, bias


@torch.no_grad()
def collect(model: RCNN, dataset, n_images, windows_per_image, progress=True) -> Windows:
    """The features of proposals and objects of the dataset's first images."""
    parts, k = [], model.config.n_classes
    indices = tqdm(range(min(n_images, len(dataset))), "features", disable=not progress)
    with evaluating(model):
        for index in indices:
            image, target = dataset[index]
            boxes, labels = without_crowds(target)
            proposals = given_proposals([target])[0][:windows_per_image].to(boxes)
            truth = torch.cat((labels, labels.new_zeros(len(proposals))))
            seen = torch.cat((boxes, proposals))
            features = model.features(model.warp(image, seen)).cpu()
            parts.append(Windows(features, truth, *nearest(seen, boxes, labels, k)))
    if not parts:
        raise ValueError("the data set is empty: there is nothing to train on")
    return Windows(*(torch.cat(rows) for rows in zip(*parts, strict=True)))


def nearest(seen: Tensor, boxes: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Of boxes [N, 4] and each class: the largest IoU [N, K] with an object, and its deltas."""
    ious, deltas = seen.new_zeros(len(seen), n_classes), seen.new_zeros(len(seen), n_classes, 4)
    for label in labels.unique().tolist():
        of_class = boxes[labels == label]
        ious[:, label - 1], best = box_iou(seen, of_class).max(dim=1)
        deltas[:, label - 1] = encode_boxes(of_class[best], seen)
    return ious, deltas


def fit_svm(
    features: Tensor, positive: Tensor, negative: Tensor, penalty: float = 1e-3, rounds: int = 4
) -> tuple[Tensor, Tensor]:
    """Weight [F] and bias, a scalar, of the linear SVM that tells rows of features [N, F] apart.

    positive, negative: [N] bool. The negatives are far too many, and most are easy: it starts with
    a few, and takes in those on the wrong side of the margin until there are none (hard negative
    mining). Without any positive or negative row it is silent: margin -1 or 1 for everything.
    """
    from sklearn.svm import LinearSVC  # only here: a model that is trained does without it

    if not positive.any() or not negative.any():
        return torch.zeros(features.shape[1]), torch.tensor(1.0 if positive.any() else -1.0)
    x = features.numpy()
    positives, negatives = (np.flatnonzero(rows.numpy()) for rows in (positive, negative))
    order = np.random.default_rng(0).permutation(len(negatives))
    used = np.zeros(len(negatives), dtype=bool)
    used[order[: 3 * len(positives)]] = True
    for _ in range(rounds):
        rows = np.concatenate((positives, negatives[used]))
        labels = np.arange(len(rows)) < len(positives)
        svm = LinearSVC(C=penalty, loss="hinge", intercept_scaling=10, max_iter=20_000)
        svm.random_state = 0
        svm.fit(x[rows], labels)
        weight = torch.from_numpy(svm.coef_[0]).to(features)
        bias = torch.tensor(svm.intercept_[0], dtype=features.dtype)
        hard = (features @ weight + bias > -1).numpy()[negatives]
        if (used | ~hard).all():
            break
        used |= hard
    return weight, bias


def fit_boxes(features: Tensor, deltas: Tensor, penalty: float = 1000.0) -> tuple[Tensor, Tensor]:
    """Weight [F, 4] and bias [4] of the ridge regression from features [N, F] to deltas [N, 4].

    The minimum of |deltas - features @ weight - bias|² + penalty |weight|² has a closed form
    (appendix C, whose penalty is 1000): with means taken off, (X'X + penalty I) weight = X'Y. The
    bias is free. Without any row all is 0, and boxes stay where they are.
    """
    n = max(len(features), 1)
    x, y = features.double(), deltas.double()
    mean_x, mean_y = x.sum(dim=0) / n, y.sum(dim=0) / n
    x, y = x - mean_x, y - mean_y
    identity = torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(x.T @ x + penalty * identity, x.T @ y)
    return weight.to(features), (mean_y - mean_x @ weight).to(features)
