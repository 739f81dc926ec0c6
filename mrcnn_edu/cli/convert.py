"""mrcnn-edu convert: a COCO folder from the labels of other formats."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mrcnn_edu.cli.options import Positional, joined_help
from mrcnn_edu.cli.streams import report
from mrcnn_edu.cli.text import named
from mrcnn_edu.data.convert import UnusableLabels
from mrcnn_edu.data.convert import convert as convert_folder
from mrcnn_edu.data.tally import counted

Format = Literal["labelme", "yolo", "voc", "masks"]
SHOWN = 20  # problems that are printed


@joined_help
def convert(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="FOLDER")],
    out: Annotated[Path, tyro.conf.arg(metavar="COCO-FOLDER", help_behavior_hint="")],
    from_: Annotated[
        tyro.conf.DisallowNone[Format | None], tyro.conf.arg(name="from", help_behavior_hint="")
    ] = None,
    classes: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="CLASS ...", help_behavior_hint="")
    ] = (),
) -> int:
    """Make a COCO folder of labels in another format: labelme, YOLO, Pascal VOC, PNG masks.

    Images are copied under their names. What a COCO folder cannot hold is counted and named. If
    label files cannot be used, nothing is written, and the message says what is wrong in each.

    Args:
        folder: the folder of labelme's JSON files; or with images/, labels/ and data.yaml of YOLO;
            or with JPEGImages/ and SegmentationObject/ of Pascal VOC; or with a folder of images
            and a folder of masks, in which each object has a value of its own.
        out: the COCO folder to write, which does not exist yet.
        from_: the format, if the folder could have several.
        classes: names of the classes, where no file has them: for YOLO those of 0, 1, ...; for
            masks one name, or several if an object of class k has a value from 1000 k.
    """
    try:
        data = convert_folder(folder, out, from_, classes)
    except UnusableLabels as error:
        lines = str(error).splitlines()
        more = [f"  ... and {len(lines) - 1 - SHOWN:,} more"] if len(lines) > SHOWN + 1 else []
        report(f"mrcnn-edu: {lines[0]}", *lines[1 : SHOWN + 1], *more)
        return 2
    found = data.findings
    n_objects = sum(len(image.objects) for image in data.images)
    n_empty = sum(not image.objects for image in data.images)
    print(
        f"read      {folder} ({found.kind}): {counted(len(data), 'image')}, "
        f"{counted(n_objects, 'object')}, {named(data.classes)}; "
        f"{counted(n_empty, 'image without any')}"
    )
    for what, files in found.skipped.items():
        print(f"skipped   {counted(len(files), what)}, the first in {files[0]}")
    for note in found.notes:
        print(f"note      {note}")
    print(f"written   {out}\nNext: {shlex.join(['mrcnn-edu', 'check-data', str(out)])}")
    return 0
