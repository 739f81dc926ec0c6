"""The keypoints that a COCO file's categories name, and the lines between them.

A category with keypoints has their names in `keypoints`, and pairs of them, counted from 1, in
`skeleton`. `write_coco` adds `sigmas`, which evaluation needs (`evaluate.oks`); COCO's file leaves
them out, as everybody knows those of its 17. All categories with keypoints must have the same: a
keypoint head predicts the same ones for every class.

Letters: J keypoints.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mrcnn_edu.data.fields import in_words, read_integer, read_numbers, read_text


class KeypointNames(NamedTuple):
    """What is known of the J keypoints of an object; empty lists where there are none."""

    names: list[str]  # [J]
    skeleton: list[tuple[int, int]]  # pairs of indices, counted from 0
    sigmas: list[float]  # [J], or empty if they are not known


NONE = KeypointNames([], [], [])


def read_keypoint_names(categories: Iterable[dict]) -> tuple[KeypointNames, list[str]]:
    """What the categories say of keypoints, and what in it cannot be used, in words."""
    named = [category for category in categories if category.get("keypoints")]
    try:
        every = [_read_names(category["keypoints"]) for category in named]
    except ValueError as error:
        return NONE, [f"{error}: keypoints are not read"]
    if not every:
        return NONE, []
    for names in every:
        if names != every[0]:
            message = f"categories have other keypoints, {', '.join(every[0])} and "
            return NONE, [f"{message}{', '.join(names)}: keypoints are not read"]
    found, problems = KeypointNames(every[0], [], []), []
    for field, reader in {"skeleton": _read_skeleton, "sigmas": _read_sigmas}.items():
        try:
            found = found._replace(**{field: reader(named[0].get(field), len(every[0]))})
        except ValueError as error:
            problems.append(f"{error}: {field} is not used")
    return found, problems


def _read_names(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise ValueError(f"a category's keypoints are {in_words(values)}, not a list of names")
    try:
        names = [read_text(value) for value in values]
    except ValueError as error:
        raise ValueError(f"a category's keypoints have {error}") from None
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"a category has {names.count(name)} keypoints with the name {name!r}")
    return names


def _read_skeleton(pairs: Any, n: int) -> list[tuple[int, int]]:
    """Pairs of indices, counted from 0."""
    skeleton = []
    for pair in pairs if isinstance(pairs, list) else []:
        try:
            first, second = map(read_integer, pair)
        except (ValueError, TypeError):
            first = second = 0
        if not (1 <= first <= n and 1 <= second <= n):
            raise ValueError(
                f"the skeleton has {in_words(pair)} where two keypoints belong, counted from 1"
            )
        skeleton.append((first - 1, second - 1))
    return skeleton


def _read_sigmas(values: Any, n: int) -> list[float]:
    if values is None or values == []:
        return []
    try:
        sigmas = read_numbers(values) if isinstance(values, list) else []
    except ValueError:
        sigmas = []
    if len(sigmas) != n or min(sigmas) <= 0:
        raise ValueError(f"sigmas is {in_words(values)} where {n} numbers above 0 belong")
    return [float(sigma) for sigma in sigmas]
