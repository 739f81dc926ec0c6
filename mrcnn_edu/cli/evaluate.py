"""mrcnn-edu evaluate: average precision of a model, or of detections in a file."""

import json
import re
import statistics
from dataclasses import asdict

from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.cli.opening import VAL_SCENES, device, open_data, open_model
from mrcnn_edu.cli.options import File
from mrcnn_edu.cli.text import table
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import read_results, write_results
from mrcnn_edu.files import write_file
from mrcnn_edu.train.distributed import detect_shared, rank
from mrcnn_edu.weights import PUBLISHED


def evaluate(
    weights: str = "shapes-tiny",
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    results: File = None,
    detections: File = None,
    scenes: Shapes = VAL_SCENES,
) -> int:
    """Evaluate a model: COCO's average precision of its masks and boxes, and the time per image.

    Args:
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: the word shapes (scenes that training does not see), or a COCO folder.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: a JSON file for the scores.
        results: a JSON file for the detections, in COCO's results format.
        detections: score the detections in this file (COCO's results), and run no model.
    """
    dataset = open_data(data, annotations, scenes, detections is None and weights in PUBLISHED)
    for file in (out, results):
        if file is not None:
            file.parent.mkdir(
                parents=True, exist_ok=True
            )  # so that a wrong path fails before the long work
    if detections is None:
        model = open_model(weights, dataset.classes)
        dataset = dataset.with_channels(model.config.in_channels)
        found = detect_shared(model, dataset)
    else:
        found = read_results(dataset, detections)
    if results is not None and rank() == 0:  # before anything else can go wrong
        n = write_results(dataset, found, results)
        print(f"{n} detections are in {results}")
    scores = score(dataset, found)
    print(score_table(scores))
    contents = {"weights": weights, "data": data, "n_images": len(dataset)}
    if detections is None:
        milliseconds = 1000 * statistics.median(found.seconds)
        print(f"\n{len(dataset)} images, {milliseconds:.0f} ms each on {device()} (median)")
        contents |= {"milliseconds_per_image": milliseconds}
    else:
        print(f"\n{len(dataset)} images, detections from {detections}")
        contents["weights"] = None
        contents |= {"detections": str(detections)}
    if out is not None and rank() == 0:
        contents |= {kind: asdict(values) for kind, values in scores.items()}
        contents = json.loads(json.dumps(contents), parse_constant=lambda nan: None)
        write_file(out, json.dumps(contents, indent=2).encode())
        print(f"The scores are in {out}")
    return 0


def score(dataset, found: evaluation.DetectionList) -> dict[str, evaluation.Scores]:
    """The scores of the masks ("segm"), if there are any, and of the boxes ("bbox")."""
    kinds = ["segm", "bbox"] if found.has_masks else ["bbox"]
    return {kind: evaluation.evaluate(dataset, found, kind) for kind in kinds}


def score_table(scores: dict[str, evaluation.Scores]) -> str:
    columns = [asdict(values) for values in scores.values()]
    columns = [column | column.pop("per_class") for column in columns]
    rows = [(re.sub("^ap_?", "AP ", n), *(column[n] for column in columns)) for n in columns[0]]
    names = {"segm": "masks", "bbox": "boxes"}
    return table(("", *(names[kind] for kind in scores)), *rows)
