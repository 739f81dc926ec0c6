"""What a COCO file holds and what of it is learned, counted before any image is read."""

from dataclasses import dataclass

from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.fields import in_words, read_id, read_record_size
from mrcnn_edu.data.reading import has_region, is_learned
from mrcnn_edu.images import Size

MANY = 0.1  # a share of the annotations that is lost: from here on it is worth a warning


@dataclass
class Tally:
    """Numbers of images and annotations. An annotation is in one of the counts, or learned."""

    images: int = 0
    objects: int = 0  # learned
    without_mask: int = 0  # of these: learned with an empty mask
    crowds: int = 0
    without_area: int = 0  # a box without width or height
    unreadable: int = 0
    of_no_image: int = 0
    boxes_only: bool = False
    first_problem: str = ""  # of the first annotation that cannot be read

    @property
    def annotations(self) -> int:
        """The number of annotations in the file."""
        lost = self.crowds + self.without_area + self.unreadable + self.of_no_image
        return self.objects + lost

    def __str__(self) -> str:
        others = {
            "crowd": self.crowds,
            "object without a mask": 0 if self.boxes_only else self.without_mask,
            "box without area": self.without_area,
            "annotation that cannot be read": self.unreadable,
            "annotation of no image": self.of_no_image,
        }
        parts = [counted(self.images, "image"), f"{counted(self.objects, 'object')} to learn"]
        return ", ".join(parts + [counted(n, what) for what, n in others.items() if n])

    def warnings(self) -> list[str]:
        """What to do about annotations of which many are lost."""
        n, advice = max(self.annotations, 1), []
        if self.crowds / n >= MANY:
            advice.append(
                f"{self.crowds:,} of {counted(n, 'annotation')} are crowds (iscrowd), which are "
                "not learned. Some tools set iscrowd on every mask: --crowds objects learns them "
                "as objects"
            )
        if self.without_mask / n >= MANY and not self.boxes_only:
            advice.append(
                f"{counted(self.without_mask, 'object')} without a mask would teach empty ones: "
                "--boxes-only learns boxes alone"
            )
        if self.of_no_image / n >= MANY:
            advice.append(
                f"{counted(self.of_no_image, 'annotation')} with an image_id that no image has: "
                "compare the ids in 'images' with the image_ids in 'annotations'"
            )
        if self.without_area / n >= MANY:
            advice.append(
                f"{counted(self.without_area, 'box')} without area: --boxes from-masks takes the "
                "boxes around the masks"
            )
        return advice

    def check(self, where: str) -> None:
        """Raise ValueError if an annotation cannot be read, or if nothing can be learned."""
        if self.unreadable:
            raise ValueError(
                f"{where}: {self.unreadable:,} of {counted(self.annotations, 'annotation')} cannot "
                f"be read, {self.first_problem}; `mrcnn-edu check-data` lists all"
            )
        if self.nothing_learned:
            raise ValueError("\n  ".join([f"{where}: {self.nothing_learned}", *self.warnings()]))

    @property
    def nothing_learned(self) -> str:
        """Why nothing can be learned; empty if something can."""
        if not self.annotations:
            return "there is no annotation, so nothing can be learned"
        if self.objects and (self.boxes_only or self.without_mask < self.objects):
            return ""
        return f"no object can be learned: {self}"


def counted(n: int, what: str) -> str:
    """A number of things in words: 1 image, 2 images, 3 boxes without area."""
    if n == 1:
        return f"1 {what}"
    first, _, rest = what.partition(" ")
    plural = first + ("es" if first.endswith("x") else "s")
    return f"{n:,} {plural} {rest}".rstrip()


def tally(folder: CocoFolder) -> Tally:
    """The tally of a COCO folder, from its JSON file alone."""
    count = Tally(len(folder), boxes_only=folder.reader.reading.boxes_only)
    count.of_no_image = len(folder.coco.of_no_image)
    for i, entry in enumerate(folder.coco.contents["annotations"]):
        if not isinstance(entry, dict):
            _count_unreadable(count, f"entry {i} of 'annotations': {in_words(entry)}")
    # By image ids: images that share one have the same annotations, which count once.
    sizes = {read_id(record["id"]): _size_in(record) for record in folder.records}
    for image_id, annotations in folder.coco.annotations.items():
        for annotation in annotations:
            try:
                labeled = folder.reader.labeled(annotation, sizes[image_id])
                has_mask = count.boxes_only or has_region(annotation)
            except ValueError as error:
                where = f"image {image_id}, annotation {annotation.get('id')}"
                _count_unreadable(count, f"{where}: {error}")
                continue
            if is_learned(labeled):
                count.objects += 1
                count.without_mask += not has_mask
            elif labeled.is_crowd:
                count.crowds += 1
            else:
                count.without_area += 1
    return count


def _count_unreadable(count: Tally, problem: str) -> None:
    count.unreadable += 1
    count.first_problem = count.first_problem or f"the first is {problem}"


def _size_in(record: dict) -> Size | None:
    """The image's size in its record, if it can be read there."""
    try:
        return read_record_size(record)
    except ValueError:
        return None
