"""Rectangles on a sheet, with the points at which arrows meet them."""

from typing import NamedTuple

Point = tuple[float, float]


class Frame(NamedTuple):
    """A rectangle on a sheet, with the points at which arrows meet it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> Point:
        """The middle of the rectangle."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def left(self) -> Point:
        """The middle of the left edge."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        """The middle of the right edge."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        """The middle of the upper edge."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        """The middle of the lower edge."""
        return self.x + self.width / 2, self.y + self.height


def around(center: Point, width: float, height: float) -> Frame:
    """The frame of this size with this center."""
    return Frame(center[0] - width / 2, center[1] - height / 2, width, height)
