"""Detections in a file, as COCO's results JSON: written for other tools, and read from them.

The file is one list with an entry for each detection: image_id, category_id, score, and one or more
of bbox (x, y, width, height), segmentation (a compressed run-length encoding) and keypoints (x, y
and the score of each; COCO does not use the third number).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.data.coco_json import image_id_of, xyxy_to_xywh
from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.data.fields import read_box, read_id, read_number, read_triples
from mrcnn_edu.data.regions import encode_region
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.detection_list import DetectionList, as_detection_list
from mrcnn_edu.evaluate.encoded_masks import EncodedMasks
from mrcnn_edu.evaluate.inputs import check_iou_type, check_lengths, check_new_id
from mrcnn_edu.evaluate.oks import boxes_around
from mrcnn_edu.files import read_json, write_file
from mrcnn_edu.progress import progress_bar


def write_results(dataset, detections: Sequence[Detections], file: str | Path) -> int:
    """The number of detections written to the file, which holds all of them or is left as it was.

    detections: one `Detections` for each item of the dataset, in its order.
    """
    n = 0

    def chunks() -> Iterator[bytes]:  # one at a time: all masks together may not fit in memory
        nonlocal n
        for result in iter_results(dataset, detections):
            yield (b",\n" if n else b"[") + json.dumps(result).encode()
            n += 1
        yield b"]\n" if n else b"[]\n"

    write_file(Path(file), chunks())
    return n


def coco_results(
    dataset, detections: Sequence[Detections], iou_type: str | None = None
) -> list[dict[str, Any]]:
    """A dictionary for each detection of each image: COCO's results format, ready for json.dump.

    detections: one `Detections` for each item of the dataset, in its order. iou_type: None gives
    the box, and the mask and the keypoints if there are any; "bbox", "segm" or "keypoints" gives
    only that one. (Given a box, too, pycocotools takes a mask or keypoints to be as large as the
    box, and sorts them into small, medium and large by that: for scores of masks, give it "segm".)
    """
    return list(iter_results(dataset, detections, iou_type))


def iter_results(
    dataset, detections: Sequence[Detections], iou_type: str | None = None
) -> Iterator[dict[str, Any]]:
    """The entries of `coco_results` one after the other, for when there are too many for memory."""
    if iou_type is not None:
        check_iou_type(iou_type)
    check_lengths(dataset, detections)
    dataset = as_dataset(dataset)
    compressed = as_detection_list(detections, with_masks=iou_type in (None, "segm"))
    seen: dict[str, int] = {}
    for index in progress_bar(range(len(dataset)), "write results", leave=False, delay=1):
        image_detections, masks = compressed.encoded(index)
        if iou_type == "segm" and masks is None:
            raise ValueError(
                f"image {index}: the prediction has no masks to write: iou_type='bbox' writes boxes"
            )
        if iou_type == "keypoints" and image_detections.keypoints is None:
            raise ValueError(
                f"image {index}: the prediction has no keypoints to write: iou_type='bbox' writes "
                "boxes"
            )
        image_id = image_id_of(dataset.target(index), index)
        check_new_id(seen, image_id, index)
        yield from image_results(image_detections, image_id, dataset.category_ids, iou_type, masks)


def image_results(
    detections: Detections,
    image_id: int | float | str,
    category_ids: Sequence[int] = (),
    iou_type: str | None = None,
    masks: EncodedMasks | None = None,
) -> Iterator[dict[str, Any]]:
    """The entries of `coco_results` for one image.

    category_ids: the id of each label 1..K; other labels are ids themselves. masks: the masks of
    the detections, if they are compressed already.
    """
    if masks is None and detections.masks is not None:
        masks = EncodedMasks.from_rle(encode_masks(detections.masks))
    for i, label in enumerate(detections.labels.tolist()):
        is_class = 1 <= label <= len(category_ids)
        result: dict[str, Any] = {
            "image_id": image_id,
            "category_id": category_ids[label - 1] if is_class else label,
            "score": float(detections.scores[i]),
        }
        if iou_type in (None, "bbox"):
            result["bbox"] = xyxy_to_xywh(detections.boxes[i])
        if iou_type in (None, "keypoints") and detections.keypoints is not None:
            result["keypoints"] = detections.keypoints[i].flatten().tolist()
        if iou_type in (None, "segm") and masks is not None:
            counts = masks.strings[i].decode("ascii")
            result["segmentation"] = {"size": list(masks.shape[1:]), "counts": counts}
        yield result


def read_results(dataset, file: str | Path) -> DetectionList:
    """The detections of a results file, one `Detections` for each item of the dataset in its order.

    Masks are the file's, if every entry has one, and so are keypoints, if the dataset names them.
    Boxes are the file's too, or else those around the masks or keypoints. Raises ValueError, naming
    the file and the entry, for what cannot be read.
    """
    file, dataset = Path(file), as_dataset(dataset)
    entries = _read_entries(file)
    labels = {read_id(i): label for label, i in enumerate(dataset.category_ids, start=1)}
    rows_by_image: dict[int | str, list[int]] = {}
    for i, entry in enumerate(entries):
        if entry["category_id"] not in labels:
            raise ValueError(
                f"{file}: entry {i} has category id {entry['category_id']!r}, which the data does "
                "not have: results name categories by the data's own ids"
            )
        rows_by_image.setdefault(entry["image_id"], []).append(i)
    with_masks = all("segmentation" in entry for entry in entries)
    n_keypoints = len(dataset.keypoints)
    with_keypoints = n_keypoints > 0 and all("keypoints" in entry for entry in entries)
    detections, seen = DetectionList(), {}
    for index in range(len(dataset)):
        target = dataset.target(index)
        image_id = image_id_of(target, index)
        check_new_id(seen, image_id, index)
        image_entries = {row: entries[row] for row in rows_by_image.pop(_key(image_id), [])}
        masks = None
        if with_masks and "masks" in target:
            masks = _read_masks(file, image_entries, target["masks"].shape[1:])
        keypoints = _read_keypoints(file, image_entries, n_keypoints) if with_keypoints else None
        boxes = _read_boxes(file, image_entries, masks, keypoints)
        image_labels = [labels[entry["category_id"]] for entry in image_entries.values()]
        scores = [entry["score"] for entry in image_entries.values()]
        image_detections = Detections(
            boxes=torch.as_tensor(boxes),
            labels=torch.tensor(image_labels, dtype=torch.int64),
            scores=torch.tensor(scores, dtype=torch.float64),
            masks=None,
            mask_probs=None,
            keypoints=keypoints,
        )
        detections.append(image_detections, masks)
    for image_id, rows in rows_by_image.items():
        raise ValueError(f"{file}: entry {rows[0]} is of image {image_id!r}, which the data lacks")
    return detections


def _read_entries(file: Path) -> list[dict]:
    """The file's list, each entry with an image_id, a category_id and a score that can be used."""
    entries = read_json(file, "file of detections")
    if not isinstance(entries, list):
        raise ValueError(f"{file}: expected a list of detections, which COCO's results are")
    readers = {"image_id": read_id, "category_id": read_id, "score": read_number}
    for i, entry in enumerate(entries):
        for key, reader in readers.items():
            if not isinstance(entry, dict) or key not in entry:
                raise ValueError(f"{file}: entry {i} has no {key!r}: {str(entry)[:80]}")
            with _named(file, i, f"has the {key} "):
                entry[key] = reader(entry[key])
    return entries


@contextmanager
def _named(file: Path, i: int, field: str = "") -> Iterator[None]:
    """Inside, a ValueError gets the names of the file and of the entry."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: entry {i} {field}{error}".replace(" :", ":")) from None


def _key(image_id: Any) -> int | str:
    try:
        return read_id(image_id)
    except ValueError:
        return str(image_id)


def _read_masks(file: Path, entries: dict[int, dict], size: Sequence[int]) -> EncodedMasks:
    """The masks of one image's entries, by their rows in the file. size: its height and width."""
    height, width = size
    strings = []
    for i, entry in entries.items():
        with _named(file, i, "has a segmentation that cannot be read: "):
            string = encode_region(entry["segmentation"], height, width)
            decompress([string], (height, width))
            strings.append(string)
    return EncodedMasks.from_rle(decompress(strings, (height, width)))


def _read_keypoints(file: Path, entries: dict[int, dict], n: int) -> Tensor:
    """The n keypoints [D, n, 3] float64 of each of one image's entries."""
    rows = []
    for i, entry in entries.items():
        with _named(file, i, ": "):
            rows.append(read_triples(entry["keypoints"], n))
    return torch.tensor(rows, dtype=torch.float64).view(-1, n, 3)


def _read_boxes(
    file: Path, entries: dict[int, dict], masks: EncodedMasks | None, keypoints: Tensor | None
) -> np.ndarray:
    """Boxes [D, 4] float64 of one image's entries, or those around their masks or keypoints."""
    have_boxes = all("bbox" in entry for entry in entries.values())
    if masks is not None and not have_boxes:
        return masks.boxes().astype(np.float64).reshape(-1, 4)
    if keypoints is not None and not have_boxes:
        return boxes_around(keypoints).numpy()
    boxes = []
    for i, entry in entries.items():
        with _named(file, i, ": " if "bbox" in entry else "has no bbox, and not all have a mask: "):
            x, y, width, height = read_box(entry)
            boxes.append((x, y, x + width, y + height))
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)
