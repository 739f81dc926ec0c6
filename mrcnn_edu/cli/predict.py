"""mrcnn-edu predict: what is in images, drawn and listed."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from torch import Tensor

from mrcnn_edu.cli.opening import open_data, open_model, with_classes_of
from mrcnn_edu.cli.options import File, Name, Positional, Scenes, joined_help
from mrcnn_edu.data import CocoFolder, Shapes
from mrcnn_edu.data.coco_json import image_id_of
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import image_results
from mrcnn_edu.files import write_file
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.weights import PUBLISHED

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}
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
    """Find the objects in images: a picture of each, and all in detections.json (COCO's results).

    Args:
        images: image files, or folders of them.
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: the word shapes or a COCO folder, instead of images.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: the folder for the results.
        min_score: the lowest score of detections in pictures; detections.json has all of them.
    """
    if bool(images) == (data is not None):
        raise ValueError("give either images (files or folders of them) or --data")
    dataset: Dataset = _Files(images)
    if data is not None:
        dataset = open_data(data, annotations, scenes, keep_ids=weights in PUBLISHED)
    model = open_model(weights)
    if data is not None:
        dataset = with_classes_of(dataset, data, model.classes, weights)
    dataset = dataset.with_channels(model.config.in_channels)
    names = _names(dataset)
    if not names:
        raise ValueError(f"there is no image in {', '.join(map(str, images))}")
    pictures = _pictures(names, out)
    results, failures = [], []
    for index in progress_bar(range(len(dataset)), "predict"):
        try:
            image, target = dataset[index]
            (detections,) = model.detect([image])
        except (ValueError, OSError, RuntimeError) as error:
            failures.append(f"  {names[index]}: {error}")
            continue
        _draw(image, detections[detections.scores >= min_score], model.classes, pictures[index])
        image_id = image_id_of(target, index)
        entries = image_results(detections, image_id, dataset.category_ids)
        for entry, label in zip(entries, detections.labels.tolist(), strict=True):
            results.append(
                entry | {"category": model.classes[label - 1], "file_name": names[index]}
            )
    write_file(out / "detections.json", json.dumps(results).encode())
    n_done = len(dataset) - len(failures)
    print(f"{len(results)} detections in {n_done} images: {out / 'detections.json'}, and pictures")
    if failures:
        first = f"{len(failures)} of {len(dataset)} images failed:"
        print(first, *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def _names(dataset: Dataset) -> list[str]:
    """The file of each image; a synthetic scene has only a number."""
    if isinstance(dataset, CocoFolder | _Files):
        return [record["file_name"] for record in dataset.records]
    return [f"scene-{i}" for i in range(len(dataset))]


def _pictures(names: list[str], out: Path) -> list[Path]:
    """The file of each image's picture, in the folder `out`, which is made.

    Raises ValueError if two images, of different folders, would have the same picture.
    """
    pictures = [out / f"{Path(name).stem}-detections.png" for name in names]
    (picture, n), *_ = Counter(pictures).most_common(1)
    if n > 1:
        raise ValueError(f"{picture} would be drawn for {n} images: give each its own --out")
    out.mkdir(parents=True, exist_ok=True)
    return pictures


def _draw(image: Tensor, detections: Detections, classes: list[str], picture: Path) -> None:
    from mrcnn_edu.viz import show_detections

    width = image.shape[-1] / 72 if image.shape[-1] > 260 else 3.6  # small scenes are enlarged
    write_file(picture, show_detections(image, detections, classes, width=width).png())


class _Files(Dataset):
    """Image files, and those in folders, as a dataset whose images have no objects."""

    def __init__(self, paths: Sequence[Path], channels: int = 3):
        self.paths, self.channels, self.classes = paths, channels, []
        files = []
        for path in paths:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            files += [file for file in inside if file == path or file.suffix.lower() in SUFFIXES]
        ids = [int(file.stem) if file.stem.isdecimal() else file.stem for file in files]
        self.records = [{"id": i, "file_name": str(f)} for i, f in zip(ids, files, strict=True)]

    def __len__(self) -> int:
        return len(self.records)

    def with_channels(self, n: int) -> "_Files":
        return _Files(self.paths, n)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        record = self.records[index]
        image = read_image(Path(record["file_name"]), channels=self.channels)
        return image, {"image_id": record["id"]}
