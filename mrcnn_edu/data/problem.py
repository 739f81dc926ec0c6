"""One thing that is wrong with a dataset, and where."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, and where; None where that does not apply."""

    file: str | None  # path of the image or the JSON file; None for data in memory
    image_id: int | str | None
    annotation_id: int | str | None  # for data in memory, the object's row in the target
    message: str
    is_note: bool = False  # worth knowing, but it does not hurt training

    def __str__(self) -> str:
        where = [] if self.file is None else [self.file]
        where += [] if self.image_id is None else [f"image {self.image_id}"]
        where += [] if self.annotation_id is None else [f"annotation {self.annotation_id}"]
        return f"{', '.join(where) or 'dataset'}: {self.message}"


def repeated(values: Iterable) -> list[tuple]:
    """Each value that occurs more than once, and how often."""
    return [(value, n) for value, n in Counter(values).items() if n > 1]
