"""Pictures of few colors: charts of many curves, and drawings, as small files."""

from mrcnn_edu.viz.picture import Picture

COLORS = 64  # enough for the lines, the letters and their soft edges


class FewColors(Picture):
    """A picture whose PNG has a palette, which takes a third of the bytes. It has no SVG."""

    def encoded(self, format: str | None = None, colors: int | None = None) -> bytes:
        """The picture as the bytes of an image file, a PNG if nothing else is asked for."""
        return super().encoded(format or "png", colors or COLORS)

    def svg(self) -> None:
        """None: with so many curves or panels, an SVG would be larger than the PNG."""
