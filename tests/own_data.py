"""A folder of photographs as a labeling tool exports it, with everything that real folders have."""

import json
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image

from mrcnn_edu.data.regions import encode_mask
from mrcnn_edu.data.rle_codec import mask_to_counts

CATEGORIES = {1: "person", 4: "cup", 9: "cat"}  # ids with gaps
ROTATED = 6  # EXIF: the camera was held upright, so the stored picture lies on its side


def make_folder(folder: Path, longest: int) -> Path:
    """Create the folder with images/ and annotations.json; no side is over `longest` pixels."""
    (folder / "images").mkdir(parents=True)
    records, annotations = [], []

    def photograph(name, outlines, rotated=False, crowd=None, mode=None):
        """outlines: (category id, [x, y, ...] as fractions of width and height)."""
        image = Image.fromarray(getattr(skimage.data, name.partition(".")[0].rstrip("2"))())
        image.thumbnail((longest, longest))
        width, height = image.size
        if mode:
            image = image.convert(mode)
        exif = Image.Exif()
        if rotated:
            exif[0x0112] = ROTATED
            image = image.transpose(Image.Transpose.ROTATE_90)
        image.save(folder / "images" / name, exif=exif)
        i = len(records) + 1
        records.append({"id": i, "file_name": name, "width": width, "height": height})
        for category, fractions in outlines:
            points = np.array(fractions).reshape(-1, 2) * (width, height)
            corner, opposite = points.min(axis=0), points.max(axis=0)
            box = [*corner.tolist(), *(opposite - corner).tolist()]
            x, y = points.T
            area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": category, "bbox": box}
                | {"segmentation": [points.round(2).flatten().tolist()], "iscrowd": 0}
                | {"area": float(area), "attributes": {"occluded": False}}
            )
        if crowd:  # the tool's "group" check box: RLE, with compressed or plain counts
            x1, y1, x2, y2 = int(0.7 * width), int(0.7 * height), width, height
            mask = np.zeros((height, width), dtype=bool)
            mask[y1:y2, x1:x2] = True
            region = encode_mask(torch.from_numpy(mask))
            if crowd == "plain":
                region["counts"] = mask_to_counts(torch.from_numpy(mask))
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": 4, "iscrowd": 1}
                | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(mask.sum())}
                | {"segmentation": region}
            )

    face = [0.34, 0.1, 0.52, 0.1, 0.56, 0.3, 0.45, 0.42, 0.34, 0.3]
    suit = [0.1, 0.99, 0.18, 0.55, 0.42, 0.4, 0.62, 0.5, 0.75, 0.99]
    cup = [0.17, 0.45, 0.3, 0.1, 0.55, 0.05, 0.68, 0.2, 0.66, 0.55, 0.45, 0.75, 0.25, 0.68]
    cat = [0.25, 0.05, 0.45, 0.2, 0.62, 0.05, 0.75, 0.5, 0.5, 0.95, 0.25, 0.6]
    photograph("astronaut.jpg", [(1, face), (1, suit)], crowd="compressed")
    photograph("coffee.png", [(4, cup)], crowd="plain")
    photograph("chelsea.jpg", [(9, cat)], rotated=True)
    photograph("camera.png", [(1, [0.2, 0.25, 0.5, 0.15, 0.55, 0.95, 0.2, 0.95])])  # gray
    photograph("chelsea2.png", [(9, cat)], mode="RGBA")
    photograph("coffee2.jpg", [])  # no object in it
    contents = {
        "info": {"description": "exported", "version": "1.0"},
        "licenses": [{"id": 0, "name": "", "url": ""}],
        "categories": [{"id": i, "name": n, "supercategory": ""} for i, n in CATEGORIES.items()],
        "images": records,
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(contents))
    return folder
