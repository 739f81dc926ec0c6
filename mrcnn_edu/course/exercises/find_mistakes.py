"""Lesson 01, the larger task: what is wrong in a file of annotations in COCO's format."""

from collections.abc import Callable
from typing import Any

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.rle_codec import counts_to_mask

IMAGES = [{"id": 7, "height": 3, "width": 4}, {"id": 3, "height": 4, "width": 3}]
CATEGORIES = [{"id": 2, "name": "star"}, {"id": 5, "name": "ring"}]


def find_mistakes(contents: dict[str, list[dict]]) -> dict[int, str]:
    """The kind of mistake of each annotation that has one, by the annotation's id.

    contents: the lists "images", "categories" and "annotations". An annotation can be wrong in five
    ways, of which the first counts: "image" (its image_id is no image's id), "category" (its
    category_id is no category's id), "mask" (its run lengths do not add up to the image's pixels,
    or the mask is empty), "box" (its bbox is not the smallest box around its mask), "twice" (an
    annotation before it has the same image, category and mask).
    """
    images = {image["id"]: image for image in contents["images"]}
    categories = {category["id"] for category in contents["categories"]}
    mistakes, seen = {}, []
    for annotation in contents["annotations"]:
        counts = annotation["segmentation"]["counts"]
        identity = annotation["image_id"], annotation["category_id"], counts
        if annotation["image_id"] not in images:
            mistakes[annotation["id"]] = "image"
        elif annotation["category_id"] not in categories:
            mistakes[annotation["id"]] = "category"
        elif not _is_mask(counts, images[annotation["image_id"]]):
            mistakes[annotation["id"]] = "mask"
        elif annotation["bbox"] != _bbox_of(counts, images[annotation["image_id"]]):
            mistakes[annotation["id"]] = "box"
        elif identity in seen:
            mistakes[annotation["id"]] = "twice"
        seen.append(identity)
    return mistakes


def _is_mask(counts: list[int], image: dict) -> bool:
    """Whether run lengths fill the image, and some of its pixels are ones."""
    return sum(counts) == image["height"] * image["width"] and sum(counts[1::2]) > 0


def _bbox_of(counts: list[int], image: dict) -> list[int]:
    """COCO's bbox (x, y, width, height) around the mask of these run lengths."""
    mask = counts_to_mask(counts, (image["height"], image["width"]))
    x1, y1, x2, y2 = masks_to_boxes(mask[None])[0].int().tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _annotation(number: int, counts=(4, 2, 1, 2, 3), bbox=(1, 1, 2, 2), **changes: Any) -> dict:
    """An annotation, by default a correct one: a square of 2 x 2 pixels in image 7."""
    correct = {"id": number, "image_id": 7, "category_id": 2, "bbox": list(bbox)}
    return correct | changes | {"segmentation": {"counts": list(counts)}}


def check_find_mistakes(attempt: Callable) -> None:
    """Check a function like `find_mistakes` on each mistake alone, on several, and on none."""
    tall = {"image_id": 3, "counts": [1, 2, 2, 2, 5], "bbox": [0, 1, 2, 2]}  # in image 3
    three_columns = {"counts": [3, 9], "bbox": [1, 0, 3, 3]}
    nearly_all = {"counts": [3, 9], "bbox": [0, 0, 3, 4], "image_id": 3}
    files = {
        "everything is correct, in both images": [{}, {"category_id": 5}, tall],
        "no annotation": [],
        "an image_id that no image has": [{}, {"image_id": 1}],
        "a category_id that no category has": [{"category_id": 1}, {"category_id": 5}],
        "the first run has length 0": [{"counts": [0, 5, 7], "bbox": [0, 0, 2, 3]}],
        "run lengths that do not fill the image": [{"counts": [4, 2, 1, 2]}],
        "run lengths of zeros alone": [{"counts": [12]}, {"counts": [12, 0]}],
        "the box's corners in place of its corner and size": [{"bbox": [1, 1, 3, 3]}],
        "a width and a height that are one too small": [{"bbox": [1, 1, 1, 1]}],
        "a mask that was read row by row": [{**tall, "counts": [3, 2, 1, 2, 4]}],
        "an object in two pieces, which is correct": [
            {"counts": [0, 1, 10, 1], "bbox": [0, 0, 4, 3]}
        ],
        "the same object twice, and once more as another class": [{}, {}, {"category_id": 5}],
        "masks of equal run lengths in two images": [
            three_columns, nearly_all,
        ],
        "two mistakes in one annotation: the first kind counts": [
            {"image_id": 1, "category_id": 1}, {"bbox": [4, 1, 3, 2], "counts": [24, 1]},
        ],
    }  # fmt: skip
    cases = {}
    for topic, changes in files.items():
        annotations = [_annotation(11 + i, **change) for i, change in enumerate(changes)]
        cases[topic] = ({"images": IMAGES, "categories": CATEGORIES, "annotations": annotations},)
    check(attempt, find_mistakes, cases)
