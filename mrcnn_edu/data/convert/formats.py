"""Which format a folder has, and who reads it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mrcnn_edu.data.convert.findings import Findings, files_in
from mrcnn_edu.data.convert.labelme import is_labelme, read_labelme
from mrcnn_edu.data.convert.masks import find_folders, read_masks
from mrcnn_edu.data.convert.voc import CLASSES, OBJECTS, read_voc
from mrcnn_edu.data.convert.yolo import read_yolo
from mrcnn_edu.data.convert.yolo_files import has_labels, label_file
from mrcnn_edu.data.image_names import SUFFIXES
from mrcnn_edu.data.layout import contents_of, find_layout
from mrcnn_edu.files import read_json

FORMATS: dict[str, Callable[[Path, Findings, Sequence[str]], None]] = {
    "labelme": read_labelme,
    "yolo": read_yolo,
    "voc": read_voc,
    "masks": read_masks,
}
N_TRIED = 20  # JSON files, which may be large: if the first are not labelme's, none is


def recognize(folder: Path) -> str:
    """The format of a folder, a key of FORMATS. Raises ValueError if it may be several, or none."""
    signs = {"labelme": _has_labelme, "yolo": _has_yolo, "voc": _has_voc, "masks": _has_masks}
    found = [name for name, has in signs.items() if has(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{folder} has labels of {' and '.join(found)}: choose with --from")
    try:
        find_layout(folder)
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: there are no labels of {', '.join(FORMATS)}, only {contents_of(folder)}: "
            "look for the folder of the export, or choose with --from to see what is missing"
        ) from None
    raise ValueError(f"{folder} is a COCO folder already: mrcnn-edu check-data reads it as it is")


def _has_labelme(folder: Path) -> bool:
    for file in files_in(folder, {".json"})[:N_TRIED]:
        try:
            if is_labelme(read_json(file, "label file")):
                return True
        except (ValueError, OSError):
            continue
    return False


def _has_yolo(folder: Path) -> bool:
    files = [label_file(image) for image in files_in(folder, SUFFIXES)]
    files += [file for file in files_in(folder, {".txt"}) if "labels" in file.parts]
    return any(file.is_file() and has_labels(file) for file in files)


def _has_voc(folder: Path) -> bool:
    depths = ("", "*/", "*/*/")
    if any(True for depth in depths for _ in folder.glob(depth + OBJECTS)):
        return True
    has_boxes = any(True for depth in depths for _ in folder.glob(f"{depth}Annotations/*.xml"))
    return has_boxes and not _has_masks(folder)


def _has_masks(folder: Path) -> bool:
    try:
        _, masks = find_folders(folder)
    except ValueError:
        return False
    return masks.name not in (OBJECTS, CLASSES)
