"""mrcnn-edu evaluate: average precision of a model, or of detections in a file."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.cli.opening import (
    VAL_SCENES,
    device,
    open_data,
    open_model,
    print_data,
    with_classes_of,
)
from mrcnn_edu.cli.options import AS_GIVEN, NO_DEFAULT, File, Read, Scenes, joined_help
from mrcnn_edu.cli.text import table
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.evaluate import read_results, write_results
from mrcnn_edu.files import write_file
from mrcnn_edu.train.distributed import detect_shared, rank
from mrcnn_edu.weights import PUBLISHED


@joined_help
def evaluate(
    weights: str = "shapes-tiny",
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    results: File = None,
    detections: File = None,
    sigmas: Annotated[tuple[float, ...], NO_DEFAULT] = (),
    scenes: Scenes = VAL_SCENES,
    reading: Read = AS_GIVEN,
) -> int:
    """Evaluate a model: COCO's average precision of its masks, boxes and keypoints, and its time.

    Args:
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: the word shapes or figures (scenes that training does not see), or a COCO folder.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: a JSON file for the scores.
        results: a JSON file for the detections, in COCO's results format.
        detections: score the detections in this file (COCO's results), and run no model.
        sigmas: how far off each keypoint may be, or one number for all; by default the data's own,
            or COCO's for its 17.
    """
    keep_ids = detections is None and weights in PUBLISHED
    dataset = open_data(data, annotations, scenes, keep_ids, reading)
    print_data(data, dataset)
    for file in (out, results):
        if file is not None:  # a wrong path fails now, before the long work
            file.parent.mkdir(parents=True, exist_ok=True)
    if detections is None:
        model = open_model(weights)
        dataset = with_classes_of(dataset, data, model.classes, weights)
        dataset = dataset.with_channels(model.config.in_channels)
        predictions = detect_shared(model, dataset)
    else:
        predictions = read_results(dataset, detections)
    if results is not None and rank() == 0:  # before anything else can go wrong
        n = write_results(dataset, predictions, results)
        print(f"{n} detections are in {results}")
    scores = score(dataset, predictions, sigmas)
    print(score_table(scores))
    record = {"weights": weights, "data": data, "n_images": len(dataset)}
    if detections is None:
        milliseconds = 1000 * statistics.median(predictions.seconds)
        print(f"\n{len(dataset)} images, {milliseconds:.0f} ms each on {device()} (median)")
        record |= {"milliseconds_per_image": milliseconds}
    else:
        print(f"\n{len(dataset)} images, detections from {detections}")
        record |= {"weights": None, "detections": str(detections)}
    if out is not None and rank() == 0:
        _write_scores(out, record | {kind: asdict(values) for kind, values in scores.items()})
    return 0


def _write_scores(file: Path, record: dict) -> None:
    """Write a record as JSON, with null for NaN, which JSON does not have."""
    record = json.loads(json.dumps(record), parse_constant=lambda nan: None)
    write_file(file, json.dumps(record, indent=2).encode())
    print(f"The scores are in {file}")


def score(
    dataset: Dataset, predictions: evaluation.DetectionList, sigmas: Sequence[float] = ()
) -> dict[str, evaluation.Scores]:
    """The scores of the masks ("segm"), the boxes ("bbox") and the "keypoints".

    Masks and keypoints are scored if data and model have any; keypoints also need sigmas, those
    given (one may stand for all) or the data's. Without them, a line says so.
    """
    has_masks = predictions.has_masks and "masks" in dataset.target(0)
    iou_types = ["segm", "bbox"] if has_masks else ["bbox"]
    scores = {
        iou_type: evaluation.evaluate(dataset, predictions, iou_type) for iou_type in iou_types
    }
    if dataset.keypoints and predictions.has_keypoints:
        given = list(sigmas) * (len(dataset.keypoints) if len(sigmas) == 1 else 1)
        if given or evaluation.are_sigmas_known(dataset):
            scores["keypoints"] = evaluation.evaluate(
                dataset, predictions, "keypoints", sigmas=given or None
            )
        else:
            print(
                "Keypoints are not scored, as it is not known how far off each may be: --sigmas "
                "gives it (0.05 for all, for example)"
            )
    return scores


def score_table(scores: dict[str, evaluation.Scores]) -> str:
    """The scores as a table: a column for masks, boxes and keypoints, and a row for each score."""
    titles = {"segm": "masks", "bbox": "boxes", "keypoints": "keypoints"}
    columns = [asdict(values) for values in scores.values()]
    classes = [column.pop("per_class") for column in columns]
    rows = [
        (re.sub("^ap_?", "AP ", name).strip(), *(column[name] for column in columns))
        for name in columns[0]
    ]
    rows += [(name, *(values[name] for values in classes)) for name in classes[0]]
    return table(("", *(titles[iou_type] for iou_type in scores)), *rows)
