"""Pascal VOC's folders: JPEGImages/, Annotations/ and the pictures in SegmentationObject/.

Each object has a value of its own in SegmentationObject/NAME.png, and 255 is the rim around objects
that nobody decided on. What class it has is in Annotations/NAME.xml, whose objects have boxes and
the same numbers, or else in SegmentationClass/NAME.png, where each class has a value or a color.
"""

from collections.abc import Sequence
from pathlib import Path

from mrcnn_edu.data.convert.findings import (
    Findings,
    LabeledObject,
    agreed_size,
    by_stem,
    files_in,
)
from mrcnn_edu.data.convert.instance_png import SUFFIXES, objects_in, read_values
from mrcnn_edu.data.convert.voc_classes import (
    NOT_OBJECTS,
    find_names,
    match,
    name_in,
    read_xml,
)
from mrcnn_edu.data.image_names import SUFFIXES as IMAGES
from mrcnn_edu.data.rle_codec import compress
from mrcnn_edu.progress import progress_bar

OBJECTS, CLASSES = "SegmentationObject", "SegmentationClass"


def find_root(folder: Path) -> Path:
    """The folder that has SegmentationObject/: this one, or the only one in it (VOC2012).

    Raises ValueError if there is none, or more than one.
    """
    if (folder / OBJECTS).is_dir():
        return folder
    roots = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{OBJECTS}")]
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise ValueError(f"{folder}: {', '.join(map(str, roots))} have masks: give one of them")
    raise ValueError(
        f"{folder}: there is no folder {OBJECTS}/, in which each object has its own value: the "
        f"boxes in Annotations/ have no outlines, and {CLASSES}/ does not tell objects apart"
    )


def read_voc(folder: Path, findings: Findings, classes: Sequence[str] = ()) -> None:
    """Read the images that have a picture in SegmentationObject/, and those without any object.

    classes: the names of SegmentationClass's values 1, 2, ..., where no file has them.
    """
    root = find_root(folder)
    names = dict(enumerate(classes, start=1)) or find_names(root)
    if not (root / "JPEGImages").is_dir():
        raise FileNotFoundError(f"{root}: there is no folder JPEGImages/: put the images there")
    images = by_stem(files_in(root / "JPEGImages", IMAGES), root / "JPEGImages", findings)
    pictures = by_stem(files_in(root / OBJECTS, SUFFIXES), root / OBJECTS, findings)
    for stem, file in progress_bar(pictures.items(), "read masks", leave=False):
        with findings.problems_of(file):
            if stem not in images:
                raise ValueError("there is no such image in JPEGImages/: put it there")
            values = read_values(file)
            size = agreed_size(images[stem], (values.shape[0], values.shape[1]), "the mask")
            found, masks = objects_in(values, NOT_OBJECTS)
            listed = read_xml(root / "Annotations" / f"{stem}.xml")
            matched = match(found, masks, listed)
            for _ in range(len(listed) - len(set(matched) - {None})):
                findings.skip("object of an XML file without a mask", file)
            picture = root / CLASSES / file.relative_to(root / OBJECTS)
            objects = []
            for value, row, mask in zip(found, matched, compress(masks), strict=True):
                given = None if row is None else listed[row].name
                name = given or name_in(picture, values == value, names)
                if name is None:
                    findings.skip(f"object without a class in {CLASSES}", file)
                else:
                    objects.append(LabeledObject(name, mask))
            name = images[stem].relative_to(root / "JPEGImages").as_posix()
            findings.add(file, name, images[stem], size, objects)
    for stem in sorted(images.keys() - pictures.keys()):
        file = root / "Annotations" / f"{stem}.xml"
        with findings.problems_of(file):
            if not file.is_file() or read_xml(file):
                findings.skip(f"image without a picture in {OBJECTS}", images[stem])
                continue
            name = images[stem].relative_to(root / "JPEGImages").as_posix()
            findings.add(file, name, images[stem], agreed_size(images[stem]), [])
