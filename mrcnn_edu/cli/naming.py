"""The names of results: for each image a picture of its own, in a folder of its own."""

import re
from collections import Counter
from collections.abc import Sequence

RESULT = "-detections.png"
LONGEST = 150  # bytes of a folder's or file's name; systems allow 255, some fewer
FORBIDDEN = r'[<>:"|?*\x00-\x1f]'  # in the names of files on Windows


def result_names(images: Sequence[str]) -> list[str]:
    """A path for each image, below the folder of results, of which no two are alike.

    It consists of the image's folder and its name without the suffix: "a/b.jpg" becomes "a/b".
    Where a folder has both b.jpg and b.png, their suffixes stay. An image outside of the data's
    folder ("../b.jpg", or an address in the web) gets a place inside.
    """
    paths = [_parts(image) for image in images]
    stems = [(*folders, re.sub(r"(?<=.)\.[^.]*$", "", file)) for *folders, file in paths]
    n_alike = Counter(stem for stem, _ in set(zip(stems, paths, strict=True)))
    names, taken = [], set()
    for path, stem in zip(paths, stems, strict=True):
        name = first = "/".join(stem if n_alike[stem] == 1 else path)
        number = 1
        while name in taken:  # an image that is listed twice
            number += 1
            name = f"{first}-{number}"
        taken.add(name)
        names.append(name)
    return names


def ids_of(names: Sequence[str]) -> list[int | str]:
    """The id of each image: its name, as a number if all such numbers differ."""
    numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
    if len(set(numbers)) < len(numbers):  # 7.jpg and 007.jpg
        return list(names)
    return [int(name) if name.isascii() and name.isdecimal() else name for name in names]


def _parts(image: str) -> tuple[str, ...]:
    """The folders and the file that a path names, as names that every system allows."""
    parts = [part for part in re.split(r"[/\\]", image) if part not in ("", ".", "..")]
    parts = [re.sub(FORBIDDEN, "_", part) for part in parts or ["image"]]
    return tuple(_shortened(part) for part in parts)


def _shortened(part: str) -> str:
    return part.encode(errors="surrogateescape")[:LONGEST].decode(errors="ignore")
