"""How R-CNN learns: in three stages, of which only the first follows a gradient.

1. Fine-tune the network: which class is in a warped region? (section 2.3, by `train.fit`)
2. With the features fixed, fit a linear SVM for each class, with hard negatives (section 2.3).
3. Fit a regressor for each class, from the features to a better box (appendix C).

Letters: N regions, F features, K classes.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.ancestors.proposals import given_proposals, without_crowds
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.boxes import box_iou, encode_boxes
from mrcnn_edu.config import check_number
from mrcnn_edu.eval_mode import in_eval_mode
from mrcnn_edu.extras import require
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.train import Training, fit

SVM_NEGATIVE_IOU = 0.3  # below this IoU with every object of the class, a proposal is a negative
REGRESSOR_IOU = 0.6  # above this IoU, a proposal is used to fit the regressor (appendix C)
MEAN_NORM = 20.0  # features are scaled to it, so that penalties mean the same for every network


class RegionFeatures(NamedTuple):
    """The features of many images' regions, and how the regions relate to the objects."""

    features: Tensor  # [N, F]
    gt_labels: Tensor  # [N] the label of a ground-truth box, 0 for a proposal
    ious: Tensor  # [N, K] the largest IoU with an object of each class
    deltas: Tensor  # [N, K, 4] regression targets to that object; meaningless where there is none


def fit_rcnn(
    model: RCNN,
    dataset,
    training: Training | None = None,
    folder: str | Path | None = None,
    n_images: int = 600,
    proposals_per_image: int = 100,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train the model in place, all three stages; returns the losses of fine-tuning.

    dataset: a sequence of (image, target) whose targets have "proposals". training and folder: for
    fine-tuning, as in `train.fit`. The other two stages use the ground-truth boxes and the best
    `proposals_per_image` proposals of the first `n_images` images. Needs scikit-learn.
    """
    check_number("n_images", n_images, 1, whole=True)
    check_number("proposals_per_image", proposals_per_image, 0, whole=True)
    _linear_svc()  # if it is missing, say so before hours of fine-tuning
    # `fit` trains any model with a forward and a config like Mask R-CNN's.
    losses = fit(model, dataset, training, folder, progress)  # pyright: ignore[reportArgumentType]
    fit_svms_and_regressors(model, dataset, n_images, proposals_per_image, progress)
    return losses


def fit_svms_and_regressors(
    model: RCNN, dataset, n_images: int, proposals_per_image: int, progress: bool = True
) -> None:
    """Fit the SVMs and the box regressors to the model's features, in place."""
    regions = collect_features(model, dataset, n_images, proposals_per_image, progress)
    scale = MEAN_NORM / regions.features.norm(dim=1).mean().clamp(min=1e-6)
    features = regions.features.mul_(scale)  # in place: they take much memory
    for k in progress_bar(range(model.config.n_classes), "SVMs and boxes", disable=not progress):
        positive, iou = regions.gt_labels == k + 1, regions.ious[:, k]
        negative = (iou < SVM_NEGATIVE_IOU) & ~positive
        weight, bias = fit_svm(features, positive, negative)
        model.svm_weight[k], model.svm_bias[k] = weight * scale, bias
        near = (iou > REGRESSOR_IOU) & (regions.gt_labels == 0)
        weight, bias = fit_regressor(features[near], regions.deltas[near, k])
        model.box_weight[k], model.box_bias[k] = weight.T * scale, bias


@torch.no_grad()
def collect_features(
    model: RCNN, dataset, n_images: int, proposals_per_image: int, progress: bool = True
) -> RegionFeatures:
    """The features of the ground-truth boxes and the best proposals of the first images."""
    parts, n_classes, model = [], model.config.n_classes, in_eval_mode(model)
    indices = progress_bar(range(min(n_images, len(dataset))), "features", disable=not progress)
    for index in indices:
        image, target = dataset[index]
        objects = without_crowds(target)
        gt_boxes, labels = objects["boxes"], objects["labels"]
        proposals = given_proposals([target])[0][:proposals_per_image].to(gt_boxes)
        gt_labels = torch.cat((labels, labels.new_zeros(len(proposals))))
        boxes = torch.cat((gt_boxes, proposals))
        features = model.features(model.warp(image, boxes)).cpu()
        ious, deltas = nearest_objects(boxes, gt_boxes, labels, n_classes)
        parts.append(RegionFeatures(features, gt_labels, ious, deltas))
    if not parts:
        raise ValueError("the dataset is empty: there is nothing to train on")
    return RegionFeatures(*(torch.cat(rows) for rows in zip(*parts, strict=True)))


def nearest_objects(
    boxes: Tensor, gt_boxes: Tensor, labels: Tensor, n_classes: int
) -> tuple[Tensor, Tensor]:
    """The largest IoU [N, K] of boxes [N, 4] with an object of each class, and deltas [N, K, 4].

    gt_boxes: [M, 4] and labels: [M] of the objects.
    """
    ious, deltas = boxes.new_zeros(len(boxes), n_classes), boxes.new_zeros(len(boxes), n_classes, 4)
    for label in labels.unique().tolist():
        class_boxes = gt_boxes[labels == label]
        ious[:, label - 1], best = box_iou(boxes, class_boxes).max(dim=1)
        deltas[:, label - 1] = encode_boxes(class_boxes[best], boxes)
    return ious, deltas


def fit_svm(
    features: Tensor, positive: Tensor, negative: Tensor, penalty: float = 1e-3, rounds: int = 4
) -> tuple[Tensor, Tensor]:
    """Weight [F] and bias, a scalar, of the linear SVM that separates rows of features [N, F].

    positive, negative: [N] bool. There are far too many negatives, and most are easy: the fit
    starts with a few and adds those on the wrong side of the margin until there are none (hard
    negative mining). Without a positive or without a negative row, the margin is -1 or 1 for all.
    """
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
        svm = _linear_svc()(
            C=penalty, loss="hinge", intercept_scaling=10, max_iter=20_000, random_state=0
        )
        svm.fit(x[rows], labels)
        weight = torch.from_numpy(svm.coef_[0]).to(features)
        bias = torch.tensor(svm.intercept_[0], dtype=features.dtype)
        hard = (features @ weight + bias > -1).numpy()[negatives]
        if (used | ~hard).all():
            break
        used |= hard
    return weight, bias


def _linear_svc():
    return require("sklearn.svm", "history", "fitting R-CNN's SVMs").LinearSVC


def fit_regressor(
    features: Tensor, deltas: Tensor, penalty: float = 1000.0
) -> tuple[Tensor, Tensor]:
    """Weight [F, 4] and bias [4] of the ridge regression from features [N, F] to deltas [N, 4].

    The minimum of |deltas - features @ weight - bias|² + penalty |weight|² has a closed form
    (appendix C, whose penalty is 1000): with the means subtracted, (X'X + penalty I) weight = X'Y.
    The bias is not penalized. Without any row both are 0, and boxes stay where they are.
    """
    n = max(len(features), 1)
    x, y = features.double(), deltas.double()
    mean_x, mean_y = x.sum(dim=0) / n, y.sum(dim=0) / n
    x, y = x - mean_x, y - mean_y
    identity = torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(x.T @ x + penalty * identity, x.T @ y)
    return weight.to(features), (mean_y - mean_x @ weight).to(features)
