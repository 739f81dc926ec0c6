"""Evaluation: COCO's average precision, as it is defined and as it is computed fast.

scores             the six scores, and the thresholds, recalls and areas they are computed at
encoded_masks      masks as COCO's compressed strings
inputs             ground truth and detections of one image, normalized or refused
detection_list     the detections of a whole dataset, with their masks compressed
oks                the similarity of keypoints, which takes the place of the IoU
image_pairs        each image's ground truth beside its detections
average_precision  overlap, matching, precision and recall, average precision: read this one first
overlaps           the IoU of many detections with many objects, masks compared without pixels
batched            the same average precision for many images at once, which `evaluate` returns
coco_results       detections as COCO's results JSON, written and read
"""

from mrcnn_edu.evaluate.average_precision import (
    average_precision,
    evaluate_by_definition,
    match_detections,
    overlap,
    precision_recall,
)
from mrcnn_edu.evaluate.batched import evaluate
from mrcnn_edu.evaluate.coco_results import (
    coco_results,
    image_results,
    read_results,
    write_results,
)
from mrcnn_edu.evaluate.detection_list import DetectionList, detect_all
from mrcnn_edu.evaluate.oks import COCO_SIGMAS, are_sigmas_known
from mrcnn_edu.evaluate.scores import AREAS, IOU_THRESHOLDS, RECALLS, Scores

__all__ = [
    "AREAS", "COCO_SIGMAS", "IOU_THRESHOLDS", "RECALLS", "DetectionList", "Scores",
    "are_sigmas_known", "average_precision", "coco_results", "detect_all", "evaluate",
    "evaluate_by_definition", "image_results", "match_detections", "overlap", "precision_recall",
    "read_results", "write_results",
]  # fmt: skip
