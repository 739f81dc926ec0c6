"""mrcnn-edu predict: what is in images, drawn and listed."""

import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mrcnn_edu.cli.naming import RESULT, result_names
from mrcnn_edu.cli.opening import SYNTHETIC, open_data, open_model, with_classes_of
from mrcnn_edu.cli.options import File, Name, Positional, Scenes, joined_help
from mrcnn_edu.cli.photos import Photos, open_photos, within
from mrcnn_edu.data import CocoFolder, Shapes
from mrcnn_edu.data.coco_json import image_id_of
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.problem import Problem
from mrcnn_edu.data.tally import counted
from mrcnn_edu.evaluate import image_results
from mrcnn_edu.files import write_file
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.weights import PUBLISHED

FEW = Shapes(n=10, seed=1)


@joined_help
def predict(
    images: Annotated[
        Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[IMAGE ...]", help_behavior_hint="")
    ] = (),
    weights: str = "shapes-tiny",
    data: Name = None,
    annotations: File = None,
    out: Path = Path("predictions"),
    min_score: float = 0.5,
    scenes: Scenes = FEW,
) -> int:
    """Find the objects in images: a picture of each image, and a list of all objects.

    The list is detections.json, in COCO's results format. The model that comes with the package
    knows synthetic shapes only: for photographs, choose other --weights.

    Args:
        images: image files, or folders, whose sub-folders are searched, too. HEIC photographs need
            pillow-heif (pip install pillow-heif).
        weights: shapes-tiny, coco-resnet50-fpn (everyday objects; downloaded once), a checkpoint of
            yours or its folder.
        data: the word shapes or figures or a COCO folder, instead of images.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: the folder for the results, with the sub-folders of the images.
        min_score: the lowest score of detections in pictures, 0 to 1; detections.json has all of
            them.
    """
    from mrcnn_edu.viz import Skeleton, full_size_png

    if bool(images) == (data is not None):
        raise ValueError("give either images (files or folders of them) or --data")
    if not 0 <= min_score <= 1:
        raise ValueError(f"min-score is {min_score:g}: give a number from 0 to 1")
    dataset: Dataset
    if data is None:
        dataset = open_photos(images)
    else:
        dataset = open_data(data, annotations, scenes, keep_ids=weights in PUBLISHED)
    model = open_model(weights)
    if data is not None:
        dataset = with_classes_of(dataset, data, model.classes, weights)
    dataset = dataset.with_channels(model.config.in_channels)
    if isinstance(dataset, CocoFolder) and dataset.coco.problems:
        print(_left_out(dataset.coco.problems))
    if data not in SYNTHETIC and model.classes == FEW.classes:
        print(_only_shapes(weights))
    files, names = _files(dataset), result_names(_names(dataset))
    out.mkdir(parents=True, exist_ok=True)
    results, failures, skeleton = [], [], Skeleton.of(model)
    for index in progress_bar(range(len(dataset)), "predict"):
        try:
            image, target = dataset[index]
            (detections,) = model.detect([image])
            surest = detections[detections.scores >= min_score]
            picture = full_size_png(image, surest, model.classes, skeleton)
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            failures.append(f"  {files[index]}: {error or type(error).__name__}")
            continue
        write_file(out / (names[index] + RESULT), picture)
        image_id = image_id_of(target, index)
        entries = image_results(detections, image_id, dataset.category_ids)
        for entry, label in zip(entries, detections.labels.tolist(), strict=True):
            category = model.classes[label - 1]
            results.append(entry | {"category": category, "file_name": files[index]})
    n_done = len(dataset) - len(failures)
    if n_done:
        write_file(out / "detections.json", json.dumps(results).encode())
        where = out / "detections.json"
        found = f"{counted(len(results), 'detection')} in {counted(n_done, 'image')}"
        print(f"{found}: {where}, and pictures")
    if failures:
        first = f"{len(failures)} of {counted(len(dataset), 'image')} failed:"
        print(first, *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def _left_out(problems: list[Problem]) -> str:
    """A line on the entries of the JSON file that cannot be used."""
    more = len(problems) - 1
    rest = f", and {more} more" if more else ""
    return f"Note: {problems[0]}{rest}. mrcnn-edu check-data lists all that is wrong."


def _only_shapes(weights: str) -> str:
    """A line for images that may be photographs, in which this model would see shapes."""
    return (
        f"Note: {weights} knows synthetic shapes only ({', '.join(FEW.classes)}). For photographs "
        "use --weights coco-resnet50-fpn (downloaded once), or a checkpoint of yours."
    )


def _files(dataset: Dataset) -> list[str]:
    """The file of each image; a synthetic scene has only a number."""
    if isinstance(dataset, CocoFolder | Photos):
        return [str(record["file_name"]) for record in dataset.records]
    return [f"scene-{i}" for i in range(len(dataset))]


def _names(dataset: Dataset) -> list[str]:
    """The path of each image within the data, whatever the file of annotations calls it."""
    if isinstance(dataset, Photos):
        return list(dataset.names)
    if isinstance(dataset, CocoFolder):
        return within([str(dataset.path(record)) for record in dataset.records], [dataset.folder])
    return _files(dataset)
