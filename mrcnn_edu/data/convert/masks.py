"""A folder of images and a folder of masks, in which each object has a value of its own.

The value is a number from 1, or a color; 0 and black are the background. A mask has the name of its
image, or that name with _mask after it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mrcnn_edu.data.convert.findings import (
    Findings,
    LabeledObject,
    agreed_size,
    by_stem,
    files_in,
)
from mrcnn_edu.data.convert.instance_png import COLOR, SUFFIXES, objects_in, read_values
from mrcnn_edu.data.image_names import SUFFIXES as IMAGES
from mrcnn_edu.data.rle_codec import compress
from mrcnn_edu.progress import progress_bar

MASKS = re.compile(r"masks?|instances?|labels?|segmentations?|annotations?", re.IGNORECASE)
ENDING = re.compile(r"[ _.-](masks?|instances?|instanceids|labels?|seg)$", re.IGNORECASE)
PER_CLASS = (
    1000  # where there are several classes, a value is 1000 x class + number, as Cityscapes'
)


def find_folders(folder: Path) -> tuple[Path, Path]:
    """The folder of images and that of masks. Raises ValueError unless there is one of each."""
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    folders = [path for path in folders if files_in(path, IMAGES)]
    masks = [path for path in folders if MASKS.search(path.name)]
    images = [path for path in folders if path not in masks]
    if len(masks) != 1 or len(images) != 1:
        found = ", ".join(path.name for path in folders) or "none with images"
        raise ValueError(
            f"{folder}: which folder has the images and which the masks is not clear, there is "
            f"{found}: call them images/ and masks/, and move others elsewhere"
        )
    return images[0], masks[0]


def read_masks(folder: Path, findings: Findings, classes: Sequence[str] = ()) -> None:
    """Read all masks, and the sizes of their images.

    classes: by default "object". With several, an object of class k (from 1) has a value from 1000
    k to 1000 k + 999.
    """
    image_folder, mask_folder = find_folders(folder)
    findings.classes = list(classes) or ["object"]
    images = by_stem(files_in(image_folder, IMAGES), image_folder, findings)
    files = by_stem(files_in(mask_folder, IMAGES), mask_folder, findings)
    masked, n_most = set(), 0
    for stem, file in progress_bar(files.items(), "read masks", leave=False):
        with findings.problems_of(file):
            image = images.get(stem) or images.get(ENDING.sub("", stem))
            if image is None:
                raise ValueError(f"there is no image of this name in {image_folder}: put it there")
            masked.add(image)
            if file.suffix.lower() not in SUFFIXES:
                raise ValueError("masks are PNG or TIFF files, which keep every value: save it so")
            values = read_values(file)
            size = agreed_size(image, (values.shape[0], values.shape[1]), "the mask")
            found, masks = objects_in(values)
            objects = [
                LabeledObject(_class_of(value, findings.classes), mask)
                for value, mask in zip(found, compress(masks), strict=True)
            ]
            n_most = max(n_most, len(found))
            name = image.relative_to(image_folder).as_posix()
            findings.add(file, name, image, size, objects)
    for image in images.values():
        if image not in masked:
            findings.skip("image without a mask", image)
    if n_most == 1:
        findings.notes.append(
            "no mask has more than one value, and so no image more than one object: objects that "
            "share a value are learned as one"
        )


def _class_of(value: int, classes: Sequence[str]) -> str:
    """The class of a mask's value."""
    if len(classes) == 1:
        return classes[0]
    number = value // PER_CLASS
    if value >= COLOR or not 1 <= number <= len(classes):
        what = "a color" if value >= COLOR else f"the value {value}"
        raise ValueError(
            f"an object has {what}: with {len(classes)} classes, values are {PER_CLASS} x class + "
            f"number, so that {PER_CLASS + 1} is an object of class 1, {classes[0]}"
        )
    return classes[number - 1]
