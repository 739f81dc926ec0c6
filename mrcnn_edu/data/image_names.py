"""The image files of a folder, found by the names that a JSON file gives them.

Files are often copied, renamed and moved between the labeling tool and the training run: from
Windows to Linux (backslashes), through a web server (URLs, %20), from a Mac (where é may be two
characters), or with another case of the suffix. A file is taken if only one can be meant.
"""

import os
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit


class ImageNames:
    """Finds a folder's files by name. `taken` lists those that were found under another name."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.taken: dict[str, Path] = {}
        self._by_name: dict[str, list[Path]] | None = None  # all files, by their folded base names

    def find(self, name: str) -> Path:
        """The file with this name. Raises FileNotFoundError if there is none, or no only one."""
        if os.path.isfile(self.folder / name):  # false also for names that no file can have
            return self.folder / name
        if name not in self.taken:
            self.taken[name] = self._find_otherwise(name)
        return self.taken[name]

    def _find_otherwise(self, name: str) -> Path:
        for spelling in _spellings(name):
            parts = PurePosixPath(spelling).parts
            for i in range(len(parts)):  # without the folders of another machine
                file = self.folder.joinpath(*parts[i:])
                if parts[i] != "/" and os.path.isfile(file):
                    return file
        if self._by_name is None:
            self._by_name = _index(self.folder)
        base_names = {_folded(PurePosixPath(spelling).name) for spelling in _spellings(name)}
        found = sorted({file for base in base_names for file in self._by_name.get(base, [])})
        if len(found) == 1:
            return found[0]
        if found:
            files = ", ".join(str(file.relative_to(self.folder)) for file in found[:3])
            raise FileNotFoundError(
                f"there is no such image, but {len(found)} of its name: {files}"
            )
        near = get_close_matches(_folded(PurePosixPath(name).name), self._by_name, n=1, cutoff=0.7)
        hint = f"; the nearest name is {self._by_name[near[0]][0].name}" if near else ""
        raise FileNotFoundError(f"there is no such image{hint}")

    def unlisted(self, names: list[str]) -> list[Path]:
        """The image files that none of the names means."""
        listed = set()
        for name in names:
            try:
                listed.add(self.find(name).resolve())
            except OSError:
                continue
        return [file for file in image_files(self.folder) if file.resolve() not in listed]


SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, without hidden ones."""
    files = [file for file in _files(folder) if file.suffix.lower() in SUFFIXES]
    return sorted(file for file in files if not file.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    for path, _, names in os.walk(folder):
        yield from (Path(path, name) for name in names)


def _index(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for file in _files(folder):
        files.setdefault(_folded(file.name), []).append(file)
    return files


def _folded(name: str) -> str:
    """The name without the differences that file systems and programs make."""
    return unicodedata.normalize("NFC", name).casefold()


def _spellings(name: str) -> list[str]:
    """What the name may mean: as it is, with slashes, of a URL, unquoted, in both Unicode forms."""
    spellings = [name, name.replace("\\", "/")]
    if "://" in name or "?" in name:
        url = urlsplit(name)
        spellings += [url.path.lstrip("/"), *parse_qs(url.query).get("d", [])]
    spellings += [unquote(spelling) for spelling in spellings]
    forms = [unicodedata.normalize(form, s) for form in ("NFC", "NFD") for s in spellings]
    return list(dict.fromkeys(spelling for spelling in spellings + forms if spelling))
