"""Labels 1..K for the categories of a COCO file: by the order of their ids, or by name."""

from collections.abc import Sequence
from pathlib import Path

from mrcnn_edu.data.fields import order_of_ids

LARGEST_LABEL = 10_000  # with ids as labels, a model has as many outputs

Labels = dict[int | str, int]  # the label of each category's id


def labels_by_id(
    names: dict[int | str, str], keep_ids: bool, file: Path
) -> tuple[list[str], Labels]:
    """The classes of labels 1..K, and the label of each category's id, in the order of the ids.

    names: by category id. keep_ids: the ids are the labels, and gaps are named "unused 12".
    """
    ids = sorted(names, key=order_of_ids)
    if not (keep_ids and ids):
        return [names[i] for i in ids], {i: label for label, i in enumerate(ids, start=1)}
    whole = [i for i in ids if isinstance(i, int)]
    if len(whole) < len(ids) or whole[0] < 1 or whole[-1] > LARGEST_LABEL:
        raise ValueError(
            f"{file}: category ids {ids[0]} to {ids[-1]} cannot be kept as labels, which are whole "
            "numbers from 1, as 0 is the background: leave keep_ids off, and they become 1, 2, 3..."
        )
    return [names.get(i, f"unused {i}") for i in range(1, whole[-1] + 1)], {i: i for i in whole}


def labels_by_name(names: dict[int | str, str], classes: Sequence[str], file: Path) -> Labels:
    """The label of each category's id: that of the class with the same name.

    Upper and lower case and space around a name make no difference. Raises ValueError if a name is
    not among the classes, or stands for two of them.
    """
    by_name = {_folded(name): label for label, name in enumerate(classes, start=1)}
    unknown = [name for name in names.values() if _folded(name) not in by_name]
    if unknown:
        raise ValueError(f"{file}: {', '.join(map(repr, unknown))} is none of {list(classes)}")
    if len(by_name) < len(classes) or len({_folded(n) for n in names.values()}) < len(names):
        raise ValueError(f"{file}: two classes have one name, so labels cannot be found by name")
    return {key: by_name[_folded(name)] for key, name in names.items()}


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
