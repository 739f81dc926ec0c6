"""The exercises' checks accept the solution and typical other ways, and reject typical mistakes."""

import pytest

from mrcnn_edu import exercises
from mrcnn_edu.exercises import check_count_by_name, check_mask_iou


def said(capsys, check, attempt) -> str:
    check(attempt)
    return capsys.readouterr().out


def test_solutions_are_accepted(capsys):
    assert said(capsys, check_count_by_name, exercises.count_by_name) == "ok\n"
    assert said(capsys, check_mask_iou, exercises.mask_iou) == "ok\n"


def test_another_way_to_the_same_answer_is_accepted(capsys):
    def tensors(a, b):
        return (a & b).sum() / (a | b).sum().clamp(min=1)

    assert said(capsys, check_mask_iou, tensors) == "ok\n"


def forgets_that_0_is_background(labels, classes):
    names = [classes[min(label, len(classes) - 1)] for label in labels.tolist()]
    return {name: names.count(name) for name in names}


def names_all_classes(labels, classes):
    return {name: (labels == k).sum().item() for k, name in enumerate(classes, start=1)}


@pytest.mark.parametrize("attempt", [forgets_that_0_is_background, names_all_classes, lambda *_: 0])
def test_wrong_counts_are_rejected(capsys, attempt):
    assert said(capsys, check_count_by_name, attempt).startswith("not yet: in case 1")


@pytest.mark.parametrize(
    ("attempt", "case"),
    [
        (lambda a, b: (a & b).sum() / a.sum(), 2),  # the first mask's share, not the union's
        (lambda a, b: (a & b).sum() / (a.sum() + b.sum()), 1),  # counts the intersection twice
        (lambda a, b: (a & b).sum() / (a | b).sum(), 5),  # 0 / 0
        (lambda a, b: (a & b).float(), 1),  # a picture, not a number
        (lambda a, b: "much", 1),
    ],
)
def test_wrong_mask_ious_are_rejected_at_the_first_case_that_differs(capsys, attempt, case):
    assert said(capsys, check_mask_iou, attempt).startswith(f"not yet: in case {case} ")


def test_an_attempt_that_raises_is_not_yet_and_says_why(capsys):
    text = said(capsys, check_mask_iou, lambda a, b: a.nothing)
    assert text.startswith("not yet: case 1 ends in AttributeError") and "nothing" in text
