"""The class of each object of a Pascal VOC folder: by its box in an XML file, or by a picture."""

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import torch

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data.convert.class_lists import read_label_map, read_list
from mrcnn_edu.data.convert.instance_png import color_value, read_values
from mrcnn_edu.data.fields import read_number, read_text
from mrcnn_edu.data.rle import RLEMasks

NOT_OBJECTS = (0, 255, color_value(224, 224, 192))  # the background, and the rim around objects
FITS = 0.5  # IoU of an object's box in the XML file and the box around its mask


class Listed(NamedTuple):
    """An object in an XML file."""

    name: str
    box: tuple[float, float, float, float]  # x1, y1, x2, y2, right and bottom exclusive


def read_xml(file: Path) -> list[Listed]:
    """The objects in an XML file; none if there is no such file."""
    if not file.is_file():
        return []
    try:
        entries = ElementTree.parse(file).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise ValueError(f"{file} is no XML file ({error}): export it again") from error
    listed = []
    for i, entry in enumerate(entries, start=1):
        try:
            sides = [entry.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
            x1, y1, x2, y2 = map(read_number, sides)
            name = read_text(entry.findtext("name")).strip()
        except ValueError as error:
            raise ValueError(f"{file}, object {i} has {error}: correct name and bndbox") from None
        listed.append(Listed(name, (x1 - 1, y1 - 1, x2, y2)))  # pixels count from 1, both included
    return listed


def match(found: list[int], masks: RLEMasks, listed: list[Listed]) -> list[int | None]:
    """The row in the XML file of each value's object; None where no box fits.

    It is the object whose number is the value, if its box fits; else the one whose box fits best.
    """
    if not found or not listed:
        return [None] * len(found)
    boxes = torch.tensor([entry.box for entry in listed])
    iou = box_iou(torch.from_numpy(masks.boxes()).float(), boxes)  # [values, objects]
    rows = []
    for overlaps, value in zip(iou, found, strict=True):
        is_numbered = value <= len(listed) and overlaps[value - 1] >= FITS
        row = value - 1 if is_numbered else int(overlaps.argmax())
        rows.append(row if overlaps[row] >= FITS else None)
    return rows


def find_names(root: Path) -> dict[int, str]:
    """The names of SegmentationClass's values, from a file that tools write beside it."""
    if (root / "labelmap.txt").is_file():
        return read_label_map(root / "labelmap.txt")
    file = root / "class_names.txt"
    return read_list(file) if file.is_file() else {}


def name_in(picture: Path, mask: np.ndarray, names: dict[int, str]) -> str | None:
    """The class that most pixels of a mask [H, W] have in SegmentationClass; None for the rim's."""
    if not picture.is_file():
        raise ValueError(
            f"it has an object whose class nobody gives: no box in Annotations/ fits it, and there "
            f"is no {picture}"
        )
    values = read_values(picture)
    if values.shape != mask.shape:
        raise ValueError(f"{picture} has another size: export both again")
    inside, n_pixels = np.unique(values[mask], return_counts=True)
    value = int(inside[n_pixels.argmax()])
    if value in NOT_OBJECTS:
        return None
    if value not in names:
        raise ValueError(
            f"an object has the value {value} in {picture}, which has no name: put a labelmap.txt "
            "or a class_names.txt beside the folder, or give --classes"
        )
    return names[value]
