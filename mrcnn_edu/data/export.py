"""A dataset written as a COCO folder, which this package and others can read."""

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mrcnn_edu.boxes import box_area
from mrcnn_edu.data.coco_json import image_id_of, xyxy_to_xywh
from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.data.keypoints import twins
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.data.rle_codec import compress
from mrcnn_edu.files import write_file
from mrcnn_edu.images import is_crowd, size_of
from mrcnn_edu.progress import progress_bar

ImageFile = tuple[str, Path | Callable[[], bytes]]  # a name, and the file or its contents


def write_coco(dataset: Any, folder: str | Path, files: Sequence[ImageFile] | None = None) -> None:
    """Write folder/images/000000.png, 000001.png, ... and folder/annotations.json.

    CocoFolder(folder / "images", folder / "annotations.json") reads equal boxes, labels and masks,
    and the images rounded to 8 bits; targets may lack masks. Category ids are the labels; image ids
    are those of the targets, or else the indices. Keypoints are written if the dataset names them,
    for every class. Raises ValueError for an image_id that occurs twice, for a label without a
    class, and for keypoints whose twins are not found by their names.

    files: the image file of each item, and its name in folder/images. It is copied as it is, and
    the dataset is asked for targets and sizes alone.
    """
    dataset, folder = as_dataset(dataset), Path(folder)
    keypoints = _category_keypoints(dataset)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    file = folder / "annotations.json"
    file.unlink(missing_ok=True)  # it is written last: a folder with this file is complete
    n_classes = len(dataset.classes)
    records: dict[Any, dict] = {}  # by image id
    annotations: list[dict] = []
    for index in progress_bar(range(len(dataset)), "write images", leave=False):
        if files is None:
            image, target = dataset[index]
            name, source, (height, width) = f"{index:06d}.png", partial(_png, image), size_of(image)
        else:
            (name, source), target = files[index], dataset.target(index)
            height, width = dataset.image_size(index)
        image_id = image_id_of(target, index)
        if image_id in records:
            raise ValueError(
                f"items {records[image_id]['file_name'][:6]} and {index:06d} both have image_id "
                f"{image_id!r}: give each target its own, or none to any of them"
            )
        _write(folder / "images" / name, source)
        records[image_id] = {"id": image_id, "file_name": name, "height": height, "width": width}
        for row, label in enumerate(target["labels"].tolist()):
            if not 1 <= label <= n_classes:
                raise ValueError(
                    f"item {index}, object {row}: label {label} is none of 1..{n_classes}"
                )
        for fields in _annotations(target, image_id, len(dataset.keypoints)):
            annotations.append({"id": len(annotations) + 1} | fields)  # pycocotools reserves id 0
    contents = {
        "info": {"description": "written by mrcnn_edu.data.write_coco"},
        "images": list(records.values()),
        "categories": [
            {"id": k, "name": name} | keypoints for k, name in enumerate(dataset.classes, start=1)
        ],
        "annotations": annotations,
    }
    write_file(file, json.dumps(contents).encode())


def _category_keypoints(dataset: Dataset) -> dict:
    """What a category says of its keypoints; nothing if the dataset names none.

    Raises ValueError if their names do not say which are left-right twins.
    """
    names = list(dataset.keypoints)
    if not names:
        return {}
    if twins(names) != list(dataset.mirrored):
        raise ValueError(
            f"the keypoints {', '.join(names)} have the twins {list(dataset.mirrored)}, but a COCO "
            "file can tell twins only by their names: call them left_hand and right_hand"
        )
    skeleton = [[i + 1, j + 1] for i, j in dataset.skeleton]
    sigmas = {"sigmas": list(dataset.sigmas)} if dataset.sigmas else {}
    return {"keypoints": names, "skeleton": skeleton} | sigmas


def _annotations(target: dict, image_id: Any, n_keypoints: int) -> list[dict]:
    """An annotation for each object of a target, without its id. Masks may be `RLEMasks`."""
    keypoints = target.get("keypoints", torch.zeros(len(target["labels"]), n_keypoints, 3))
    if keypoints.shape[1] != n_keypoints:
        raise ValueError(
            f"the image with image_id {image_id!r} has objects with {keypoints.shape[1]} keypoints "
            f"each, but the dataset names {n_keypoints}: give it the attribute `keypoints`, a list "
            "of their names"
        )
    masks, crowd = target.get("masks"), is_crowd(target)
    masks = encode_masks(masks) if isinstance(masks, Tensor) else masks
    area = target.get("area", box_area(target["boxes"]) if masks is None else masks.areas())
    strings = [] if masks is None else compress(masks)
    annotations = []
    for row, label in enumerate(target["labels"].tolist()):
        annotation = {
            "image_id": image_id,
            "category_id": label,
            "bbox": xyxy_to_xywh(target["boxes"][row]),
            "area": float(area[row]),
            "iscrowd": int(crowd[row]),
        }
        if masks is not None:
            counts = strings[row].decode("ascii")
            annotation["segmentation"] = {"size": [*masks.shape[1:]], "counts": counts}
        if n_keypoints:
            annotation |= _keypoint_fields(keypoints[row])
        annotations.append(annotation)
    return annotations


def _keypoint_fields(keypoints: Tensor) -> dict:
    """An object's keypoints [J, 3] as COCO has them: one list, and the number that are labeled."""
    triples = [(x, y, int(visibility)) for x, y, visibility in keypoints.tolist()]
    numbers = [number for triple in triples for number in triple]
    return {"keypoints": numbers, "num_keypoints": sum(v > 0 for _, _, v in triples)}


def _write(file: Path, source: Path | Callable[[], bytes]) -> None:
    """Write an image file: a copy of another one, or the contents that a function returns."""
    if isinstance(source, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, file)
    else:
        write_file(file, source())


def _png(image: Tensor) -> bytes:
    """The contents of a PNG file with an image [3, H, W] in 0..1, rounded to 8 bits."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()
