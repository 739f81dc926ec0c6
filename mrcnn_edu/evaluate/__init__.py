"""Evaluation: COCO's average precision, computed in the open.

detection_list     the detections of a whole dataset, with their masks compressed
overlaps           how far detections and ground-truth objects overlap
average_precision  matching, precision and recall, average precision
coco_results       detections as COCO's results JSON, written and read
"""

from mrcnn_edu.evaluate.average_precision import (
    AREAS,
    IOU_THRESHOLDS,
    RECALLS,
    Scores,
    average_precision,
    detect_all,
    evaluate,
    match_detections,
    overlap,
    precision_recall,
)
from mrcnn_edu.evaluate.coco_results import coco_results, read_results, write_results
from mrcnn_edu.evaluate.detection_list import DetectionList

__all__ = [
    "AREAS", "IOU_THRESHOLDS", "RECALLS", "DetectionList", "Scores", "average_precision", "coco_results",
    "detect_all", "evaluate", "match_detections", "overlap", "precision_recall", "read_results",
    "write_results",
]  # fmt: skip
