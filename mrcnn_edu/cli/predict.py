"""mrcnn-edu predict: what is in images, drawn and listed."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm.auto import tqdm

from mrcnn_edu.cli.opening import open_data, open_model
from mrcnn_edu.cli.options import File, Name, Positional
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.evaluate import coco_results
from mrcnn_edu.files import write_file
from mrcnn_edu.weights import PUBLISHED

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}
FEW = Shapes(n=10, seed=1)


def predict(
    images: Positional[tuple[Path, ...]] = (),
    weights: str = "shapes-tiny",
    data: Name = None,
    annotations: File = None,
    out: Path = Path("predictions"),
    min_score: float = 0.5,
    scenes: Shapes = FEW,
) -> int:
    """Find the objects in images: a picture of each, and all in detections.json (COCO's results).

    Args:
        images: files, or folders of them.
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: shapes or a COCO folder, instead of images.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: the folder for the results.
        min_score: pictures show detections that score this or more; detections.json has all.
    """
    from mrcnn_edu.viz import show_detections

    if bool(images) == (data is not None):
        raise ValueError("give either images (files or folders of them) or --data")
    dataset = _Files(images)
    if data is not None:
        dataset = open_data(data, annotations, scenes, keep_ids=weights in PUBLISHED)
    model = open_model(weights, dataset)
    category_ids = dict(enumerate(getattr(dataset, "category_ids", []), start=1))  # of labels
    scene_names = ({"file_name": f"scene-{i}"} for i in range(len(dataset)))
    names = [record["file_name"] for record in getattr(dataset, "records", scene_names)]
    pictures = [out / f"{Path(name).stem}-detections.png" for name in names]
    if len(set(pictures)) < len(pictures):
        (picture, n), *_ = Counter(pictures).most_common(1)
        raise ValueError(f"{picture} would be drawn for {n} images: give each its own --out")
    if not names:
        raise ValueError(f"there is no image in {', '.join(map(str, images))}")
    out.mkdir(parents=True, exist_ok=True)
    results, failures = [], []
    for index in tqdm(range(len(dataset)), "predict"):
        try:
            image, target = dataset[index]
            (found,) = model.detect([image])
        except (ValueError, OSError, RuntimeError) as error:
            failures.append(f"  {names[index]}: {error}")
            continue
        surest = found[found.scores >= min_score]
        width = image.shape[-1] / 72 if image.shape[-1] > 260 else 3.6  # small scenes are enlarged
        picture = show_detections(image, surest, model.classes, width=width)
        write_file(pictures[index], picture.png())
        for result in coco_results([(image, target)], [found]):
            label = result["category_id"]
            result["category_id"] = category_ids.get(label, label)
            known = {"category": model.classes[label - 1], "file_name": names[index]}
            results.append(result | known)
    write_file(out / "detections.json", json.dumps(results).encode())
    n_done = len(dataset) - len(failures)
    print(f"{len(results)} detections in {n_done} images: {out / 'detections.json'}, and pictures")
    if failures:
        first = f"{len(failures)} of {len(dataset)} images failed:"
        print(first, *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


class _Files:
    """Files, and folders of them, as a dataset whose images have no objects."""

    channels = 3

    def __init__(self, paths: Sequence[Path]):
        files = []
        for path in paths:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            files += [file for file in inside if file == path or file.suffix.lower() in SUFFIXES]
        ids = [int(file.stem) if file.stem.isdecimal() else file.stem for file in files]
        self.records = [{"id": i, "file_name": str(f)} for i, f in zip(ids, files, strict=True)]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict]:
        record = self.records[index]
        image = read_image(Path(record["file_name"]), channels=self.channels)
        return image, {"image_id": record["id"]}
