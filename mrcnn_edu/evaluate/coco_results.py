"""Detections in a file, as COCO's results JSON: written for other tools, and read from them.

The file is one list with an entry for each detection: image_id, category_id, score, and bbox (x, y,
width, height), segmentation (compressed runs) or both.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from mrcnn_edu.data.coco import image_id_of, read_box, target_of, xyxy_to_xywh
from mrcnn_edu.data.regions import encode_region
from mrcnn_edu.data.rle import decompress, encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.detection_list import DetectionList, pack
from mrcnn_edu.files import read_json, write_file


def write_results(dataset, detections: list[Detections], file: str | Path) -> int:
    """How many detections were written; the file holds them all, or is as it was before."""
    n = 0

    def pieces() -> Iterator[bytes]:  # never all of them at once: masks are many
        nonlocal n
        for result in iterate_results(dataset, detections):
            yield (b",\n" if n else b"[") + json.dumps(result).encode()
            n += 1
        yield b"]\n" if n else b"[]\n"

    write_file(Path(file), pieces())
    return n


def coco_results(dataset, detections: list[Detections], kind: str | None = None) -> list[dict]:
    """One dict for each detection of each image: COCO's results format, ready for json.dump.

    detections: one for each item of the dataset, in its order. kind: None gives the box, and the
    mask if there is one; "bbox" or "segm" only the one. (pycocotools, if given both, takes a mask
    to be as large as its box and sorts it into small, medium and large by that: for its masks'
    scores give it "segm".)
    """
    return list(iterate_results(dataset, detections, kind))


def iterate_results(
    dataset, detections: list[Detections], kind: str | None = None
) -> Iterator[dict]:
    """The same one after the other, for more detections than the memory has room for as dicts."""
    if len(dataset) != len(detections):
        raise ValueError(f"{len(detections)} detections for {len(dataset)} images")
    ids = getattr(dataset, "category_ids", None)
    for index in tqdm(range(len(dataset)), "write results", leave=False, delay=1):
        if isinstance(detections, DetectionList):
            found, masks = detections.packed(index)
        else:
            found = detections[index]
            masks = None if found.masks is None else pack(encode_masks(found.masks))
        if kind == "segm" and masks is None:
            raise ValueError("there are no masks to write: kind='bbox' writes boxes")
        image_id = image_id_of(target_of(dataset, index), index)
        for i, label in enumerate(found.labels.tolist()):
            result = {
                "image_id": image_id,
                "category_id": ids[label - 1] if ids and label <= len(ids) else label,
                "score": float(found.scores[i]),
            }
            if kind != "segm":
                result["bbox"] = xyxy_to_xywh(found.boxes[i])
            if kind != "bbox" and masks is not None:
                counts = masks.strings[i].decode("ascii")
                result["segmentation"] = {"size": list(masks.size), "counts": counts}
            yield result


def read_results(dataset, file: str | Path) -> DetectionList:
    """The detections of a results file, one `Detections` for each item of the dataset in its order.

    Masks are those of the file, if every entry has one, and boxes too, or else those around the
    masks.
    """
    file = Path(file)
    entries = _read_entries(file)
    label_of = getattr(dataset, "label_of", None)
    if label_of is None:
        label_of = {label: label for label in range(1, len(dataset.classes) + 1)}
    of_image: dict = {}
    for i, entry in enumerate(entries):
        if entry["category_id"] not in label_of:
            raise ValueError(
                f"{file}: entry {i} has category id {entry['category_id']!r}, which the data does "
                "not have: results name categories by the data's own ids"
            )
        of_image.setdefault(entry["image_id"], []).append(i)
    with_masks = all("segmentation" in entry for entry in entries)
    found = DetectionList()
    for index in range(len(dataset)):
        target = target_of(dataset, index)
        rows = of_image.pop(image_id_of(target, index), [])
        own = [entries[i] for i in rows]
        masks = None
        if with_masks and "masks" in target:
            try:
                size = target["masks"].shape[1:]
                strings = [encode_region(entry["segmentation"], *size) for entry in own]
                masks = pack(decompress(strings, size))
            except ValueError as error:
                raise ValueError(f"{file}: entries {rows[0]} to {rows[-1]}: {error}") from error
        if all("bbox" in entry for entry in own):
            boxes = [(x, y, x + w, y + h) for x, y, w, h in map(read_box, own)]
        elif masks is not None:
            boxes = masks.boxes()
        else:
            raise ValueError(
                f"{file}: entry {rows[0]} has no bbox, and not all have a segmentation"
            )
        boxes = torch.as_tensor(np.array(boxes, dtype=np.float64)).view(-1, 4)
        labels = torch.tensor([label_of[entry["category_id"]] for entry in own], dtype=torch.int64)
        scores = torch.tensor([float(entry["score"]) for entry in own], dtype=torch.float64)
        found.append(Detections(boxes, labels, scores, masks=None, mask_probs=None), masks)
    if of_image:
        image_id, rows = next(iter(of_image.items()))
        raise ValueError(f"{file}: entry {rows[0]} is of image {image_id!r}, which the data lacks")
    return found


def _read_entries(file: Path) -> list[dict]:
    entries = read_json(file, "file of detections")
    if not isinstance(entries, list):
        raise ValueError(f"{file}: this is no list of detections, as COCO's results are")
    for i, entry in enumerate(entries):
        for key in ("image_id", "category_id", "score"):
            if not isinstance(entry, dict) or key not in entry:
                raise ValueError(f"{file}: entry {i} has no {key!r}: {str(entry)[:80]}")
    return entries
