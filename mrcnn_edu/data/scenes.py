"""What all synthetic scenes have in common: settings, a size, and an identity."""

from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.images import Size


class Scenes(Dataset):
    """A dataset of n scenes that are drawn from a seed: the base of `Shapes` and `Figures`."""

    n: int
    size: int
    n_objects: tuple[int, int]
    object_size: tuple[float, float]
    overlap: float
    noise: float
    render_size: int | None

    def check_scenes(self) -> None:
        """Raise ValueError for settings that no scene can satisfy."""
        if not 0 <= self.n_objects[0] <= self.n_objects[1]:
            raise ValueError(f"n_objects is {self.n_objects}: give the fewest and the most")
        if not 0 < self.object_size[0] <= self.object_size[1] <= 1:
            raise ValueError(
                f"object_size is {self.object_size}: give two fractions of the size, 0..1"
            )
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap is {self.overlap}: give a fraction from 0 to less than 1")
        if self.n < 0 or self.noise < 0:
            raise ValueError(f"n is {self.n} and noise {self.noise}: give 0 or more")
        if self.size < 16:
            raise ValueError(f"size is {self.size}: a scene needs at least 16 pixels")
        if self.render_size is not None and (
            self.render_size < self.size or self.render_size % self.size
        ):
            raise ValueError(
                f"render_size is {self.render_size}: give a multiple of the size, {self.size}"
            )

    @property
    def fingerprint(self) -> str:
        """The settings: scenes with other settings are other data."""
        return str(self)

    def __len__(self) -> int:
        return self.n

    def image_size(self, index: int) -> Size:
        """(height, width) of a scene; all have the same."""
        size = self.render_size or self.size
        return size, size
