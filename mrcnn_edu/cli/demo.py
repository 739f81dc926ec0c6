"""mrcnn-edu demo: the main job, scored and drawn."""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mrcnn_edu.cli.evaluate import score, score_table
from mrcnn_edu.cli.opening import VAL_SCENES, open_data, open_model, with_classes_of
from mrcnn_edu.cli.options import joined_help
from mrcnn_edu.data.tally import counted
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.files import write_file


@joined_help
def demo(
    weights: str = "shapes-tiny",
    data: Annotated[Literal["shapes", "figures"], tyro.conf.arg(metavar="WORD")] = "shapes",
    n: int = 50,
    out: Path = Path("demo.png"),
) -> int:
    """Find and outline the objects of scenes that the model has never seen.

    Args:
        weights: the shipped model, or a checkpoint of yours.
        data: the scenes: shapes, or figures for a checkpoint of yours that has learned from them.
        n: the number of scenes.
        out: a picture of one of them, ground truth beside detections.
    """
    from mrcnn_edu.viz import Skeleton, show_detections

    dataset = open_data(data, None, replace(VAL_SCENES, n=n))
    model = open_model(weights)
    with_classes_of(dataset, data, model.classes, weights)
    detections = detect_all(model, dataset)
    milliseconds = 1000 * statistics.median(detections.seconds)
    scenes = counted(n, "scene")
    print(f"Average precision on {scenes} ({milliseconds:.0f} ms each); 1 is perfect:\n")
    print(score_table(score(dataset, detections)))

    fullest = max(range(n), key=lambda i: len(dataset[i][1]["labels"]))
    image, target = dataset[fullest]
    surest = detections[fullest][detections[fullest].scores >= 0.5]
    picture = show_detections(image, surest, dataset.classes, target, skeleton=Skeleton.of(dataset))
    picture.set_dpi(144)  # twice the pixels, for sharp text
    write_file(out, picture.png())
    print(f"\nThe scene with the most objects, ground truth beside detections: {out.resolve()}")
    print("Next: mrcnn-edu lab opens lesson 00, which starts from such a scene.")
    return 0
