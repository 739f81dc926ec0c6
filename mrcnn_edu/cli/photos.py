"""Image files: those in folders and their sub-folders, and what is passed over there, and why."""

import os
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from PIL import features
from torch import Tensor

from mrcnn_edu.cli.naming import RESULT, ids_of, result_names
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.image_file import read_image

SUFFIXES = {
    ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".npy", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff",
}  # fmt: skip
OPTIONAL = {  # what Pillow reads only where it was built with this feature
    ".avif": "avif", ".j2k": "jpg_2000", ".jp2": "jpg_2000", ".jpx": "jpg_2000", ".webp": "webp",
}  # fmt: skip
HEIC = {".heic", ".heif", ".hif"}  # photographs of phones
HEIC_ADVICE = "to read HEIC, pip install pillow-heif"
NAMED = 3  # files that are named for each reason to pass over files


class Photos(Dataset):
    """Image files as a dataset whose images have no objects.

    names: the file's path within the folder that has all of them.
    """

    def __init__(self, files: Sequence[Path], names: Sequence[str], channels: int = 3):
        self.files, self.names, self.channels, self.classes = files, names, channels, []
        ids = ids_of(result_names(names))
        self.records = [{"id": i, "file_name": str(f)} for i, f in zip(ids, files, strict=True)]

    def __len__(self) -> int:
        return len(self.files)

    def with_channels(self, n: int) -> "Photos":
        return Photos(self.files, self.names, n)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        file = self.files[index]
        if file.suffix.lower() in HEIC and not reads_heic():
            raise ValueError(HEIC_ADVICE)
        return read_image(file, channels=self.channels), {"image_id": self.records[index]["id"]}


def open_photos(paths: Sequence[Path]) -> Photos:
    """The image files, and those in folders and their sub-folders. What is passed over is printed.

    Raises FileNotFoundError that names all paths that do not exist, or if there is no image.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        is_address = any(path.startswith(("http:", "https:")) for path in missing)
        advice = ": download the image first" if is_address else ""
        raise FileNotFoundError(f"there is no file or folder {', '.join(missing)}{advice}")
    odd = [str(path) for path in paths if not path.is_file() and not path.is_dir()]
    if odd:
        raise ValueError(f"{', '.join(odd)} is no ordinary file: save the image in one")
    reads_heic()  # from now on, whatever a file is called
    search, found = Search(), {}
    for path in paths:
        files = search.images(path) if path.is_dir() else [path]
        found |= {os.path.abspath(file): file for file in files}  # given twice, it is one image
    for line in search.passed_over():
        print(line)
    if not found:
        raise FileNotFoundError(f"there is no image in {', '.join(map(str, paths))}")
    folders = [path if path.is_dir() else path.parent for path in paths]
    return Photos(list(found.values()), within(list(found), folders))


def reads_heic() -> bool:
    """Whether Pillow reads HEIC, which the package pillow-heif teaches it."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


class Search:
    """A search for images in folders, which remembers what it passes over."""

    def __init__(self):
        self.reasons: dict[str, list[str]] = {}
        self.entered: set[tuple[int, int]] = set()

    def images(self, top: Path) -> Iterator[Path]:
        """The images in a folder and its sub-folders, each folder once, in alphabetical order.

        Folders that are links come last, so that an image is found in its own folder.
        """
        waiting = [str(top)]
        while waiting:
            for folder, subfolders, names in os.walk(waiting.pop(0), onerror=self._closed):
                entry = os.stat(folder)
                if (entry.st_dev, entry.st_ino) in self.entered:
                    self._pass_over("link{s} to a folder that is read anyway", folder)
                    subfolders.clear()
                    continue
                self.entered.add((entry.st_dev, entry.st_ino))
                subfolders[:] = sorted(n for n in subfolders if self._is_open(n))
                links = [os.path.join(folder, name) for name in subfolders]
                waiting += [link for link in links if os.path.islink(link)]
                files = [os.path.join(folder, name) for name in sorted(names)]
                yield from (Path(file) for file in files if self._is_image(file))

    def passed_over(self) -> list[str]:
        """A line for each reason, with the number of files, and some of their names or suffixes."""
        lines = []
        for reason, names in self.reasons.items():
            kinds = dict.fromkeys(os.path.splitext(name)[1].lower() or name for name in names)
            shown = list(kinds) if "kind" in reason else names
            shown = shown[:NAMED] + ["..."] * (len(shown) > NAMED)
            what = reason.format(s="" if len(names) == 1 else "s")
            lines.append(
                f"{'' if lines else 'passed over':13}{len(names):,} {what} ({', '.join(shown)})"
            )
        return lines

    def _is_open(self, subfolder: str) -> bool:
        if subfolder.startswith("."):
            self._pass_over("hidden folder{s}", subfolder)
        return not subfolder.startswith(".")

    def _is_image(self, file: str) -> bool:
        """Whether a file in a folder is to be read; otherwise the reason is noted."""
        name, suffix = os.path.basename(file), os.path.splitext(file)[1].lower()
        is_known = suffix in SUFFIXES | OPTIONAL.keys() | HEIC
        if name.startswith("."):  # of the system, such as macOS's ._photo.jpg
            reason = "hidden file{s}" if is_known else ""
        elif name.endswith(RESULT):
            reason = "picture{s} of an earlier prediction"
        elif not is_known:
            reason = "file{s} of another kind"
        elif suffix in HEIC and not reads_heic():
            reason = f"HEIC photograph{{s}}: {HEIC_ADVICE}"
        elif suffix in OPTIONAL and not _is_built_in(OPTIONAL[suffix]):
            reason = "file{s} of a kind that this Pillow does not read"
        elif not os.path.isfile(file):
            reason = "broken link{s}" if os.path.islink(file) else "special file{s}"
        else:
            return True
        if reason:
            self._pass_over(reason, file)
        return False

    def _closed(self, error: OSError) -> None:
        self._pass_over("folder{s} that may not be opened", error.filename)

    def _pass_over(self, reason: str, path: str) -> None:
        self.reasons.setdefault(reason, []).append(os.path.basename(path))


def _is_built_in(feature: str) -> bool:
    with warnings.catch_warnings(action="ignore"):  # an older Pillow has never heard of it
        return bool(features.check(feature))


def within(files: Sequence[str | Path], folders: Sequence[str | Path]) -> list[str]:
    """The files' paths within the folder that contains all of these folders."""
    try:
        root = os.path.commonpath([os.path.abspath(folder) for folder in folders])
        return [os.path.relpath(file, root) for file in files]
    except ValueError:  # on different drives of Windows
        return [str(file) for file in files]
