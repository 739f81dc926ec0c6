"""A data set written as a COCO folder, which this package and others read."""

import json
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from tqdm.auto import tqdm

from mrcnn_edu.boxes import box_area
from mrcnn_edu.data.coco import image_id_of, xyxy_to_xywh
from mrcnn_edu.data.regions import encode_mask
from mrcnn_edu.files import write_file


def write_coco(dataset, folder: str | Path) -> None:
    """Nothing comes back; folder/images/000000.png, ... and folder/annotations.json are written.

    CocoFolder(folder / "images", folder / "annotations.json") reads equal boxes, labels and masks,
    and images equal to 8 bits; targets may do without masks. Category ids are the labels; image ids
    are those of the targets, or else the position in the dataset.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    file = folder / "annotations.json"
    file.unlink(missing_ok=True)  # written last: a folder with this file is complete
    records: dict = {}  # image id -> record
    annotations = []
    for index in tqdm(range(len(dataset)), desc="write images", leave=False):
        image, target = dataset[index]
        image_id, name = image_id_of(target, index), f"{index:06d}.png"
        if image_id in records:
            raise ValueError(
                f"items {records[image_id]['file_name'][:6]} and {index:06d} both have image_id "
                f"{image_id!r}: give every target its own, or none at all"
            )
        pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        png = BytesIO()
        Image.fromarray(pixels).save(png, format="png")
        write_file(folder / "images" / name, png.getvalue())
        height, width = pixels.shape[:2]
        records[image_id] = {"id": image_id, "file_name": name, "height": height, "width": width}
        crowd = target.get("iscrowd", torch.zeros(len(target["labels"])))
        masks = target.get("masks")
        area = box_area(target["boxes"]) if masks is None else masks.sum(dim=(1, 2))
        area = target.get("area", area)
        for i, label in enumerate(target["labels"].tolist()):
            if not 1 <= label <= len(dataset.classes):
                raise ValueError(f"item {index}, object {i}: label {label} is none of the classes")
            annotation = {
                "id": len(annotations) + 1,  # pycocotools takes id 0 for "no match"
                "image_id": image_id,
                "category_id": label,
                "bbox": xyxy_to_xywh(target["boxes"][i]),
                "area": float(area[i]),
                "iscrowd": int(crowd[i]),
            }
            if masks is not None:
                annotation["segmentation"] = encode_mask(masks[i])
            annotations.append(annotation)
    contents = {
        "info": {"description": "written by mrcnn_edu.data.write_coco"},
        "images": list(records.values()),
        "categories": [{"id": k, "name": name} for k, name in enumerate(dataset.classes, start=1)],
        "annotations": annotations,
    }
    write_file(file, json.dumps(contents).encode())
