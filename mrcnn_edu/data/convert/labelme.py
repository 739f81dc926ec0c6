"""labelme's folders: a JSON file for each image, with the shapes that were drawn on it.

The image is the file imagePath, or else imageData, which is the image itself in base64.
"""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from mrcnn_edu.data.convert.findings import Findings, Source, agreed_size, files_in
from mrcnn_edu.data.convert.labelme_shapes import decode_base64, read_shapes
from mrcnn_edu.data.fields import in_words, read_record_size, read_text
from mrcnn_edu.data.image_names import SUFFIXES, ImageNames
from mrcnn_edu.files import read_json
from mrcnn_edu.images import Size
from mrcnn_edu.progress import progress_bar


def is_labelme(contents: Any) -> bool:
    """Whether the contents of a JSON file are labelme's."""
    has_image = isinstance(contents, dict) and ("imagePath" in contents or "imageData" in contents)
    return has_image and "shapes" in contents


def read_labelme(folder: Path, findings: Findings, classes: Sequence[str] = ()) -> None:
    """Read all label files in a folder and its sub-folders."""
    if classes:
        raise ValueError("labelme's files name their classes themselves: leave --classes out")
    names, used = ImageNames(folder), set()
    for file in progress_bar(files_in(folder, {".json"}), "read labels", leave=False):
        with findings.problems_of(file):
            contents = read_json(file, "label file")
            if not is_labelme(contents):
                findings.skip("file in JSON of another kind", file)
                continue
            name, source, size = _image(file, contents, names)
            if isinstance(source, Path):
                used.add(source.resolve())
            objects = read_shapes(contents["shapes"], size, file, findings)
            findings.add(file, name, source, size, objects)
    for image in files_in(folder, SUFFIXES):
        if image.resolve() not in used:
            findings.skip("image without a JSON file", image)


def _image(file: Path, contents: dict, names: ImageNames) -> tuple[str, Source, Size]:
    """The image of a label file: its name in the COCO folder, where it comes from, and its size."""
    sides = {side: contents.get(f"image{side.title()}") for side in ("height", "width")}
    given, inline = read_record_size(sides), contents.get("imageData")
    own_folder = file.parent.relative_to(names.folder)
    try:
        image = _find(file, contents.get("imagePath"), names)
        size = agreed_size(image, given, "imageWidth x imageHeight")
    except (ValueError, FileNotFoundError):
        if not inline:
            raise
        suffix, size = _look_at(inline, given)
        name = (own_folder / file.stem).as_posix() + suffix
        return name, lambda: decode_base64(read_json(file, "label file")["imageData"]), size
    is_inside = image.is_relative_to(names.folder)
    path = image.relative_to(names.folder) if is_inside else own_folder / image.name
    return path.as_posix(), image, size


def _find(file: Path, path: Any, names: ImageNames) -> Path:
    """The image file imagePath, beside the label file or else somewhere in the folder of all."""
    try:
        path = read_text(path)
    except ValueError as error:
        raise ValueError(f"imagePath is {error}: write the image's name there") from None
    beside = Path(os.path.normpath(file.parent / path.replace("\\", "/")))
    try:
        return beside if os.path.isfile(beside) else names.find(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"imagePath is {in_words(path)}, but {error}: put the image beside the JSON file, or "
            "correct imagePath"
        ) from error


def _look_at(inline: Any, given: Size | None) -> tuple[str, Size]:
    """The suffix and the size of an image in base64."""
    try:
        with Image.open(BytesIO(decode_base64(inline))) as image:
            suffix, size = f".{(image.format or 'png').lower()}", (image.height, image.width)
    except Exception as error:  # PIL has a dozen types of exceptions for a damaged file
        raise ValueError(
            f"imageData is no image ({error}): delete it, and put the image beside the JSON file"
        ) from error
    if given not in (None, size):
        raise ValueError(
            f"imageWidth x imageHeight is {given[1]} x {given[0]} pixels, but imageData {size[1]} "
            f"x {size[0]}: correct the two numbers"
        )
    return suffix.replace("jpeg", "jpg"), size
