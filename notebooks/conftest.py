"""Three things that nbval leaves out, added to its notebook and cell classes.

nbval runs each notebook in a fresh kernel and compares the outputs with the stored ones. It passes
over pictures, it passes a cell that was never run, and it notices a dead kernel only when the
cell's time is up. All three would let a broken lesson through. The classes extended here are not a
public interface of nbval, therefore pyproject.toml pins its version.
"""

import base64
import importlib.metadata
import io
import os
import time
from queue import Empty

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

PICTURES = ("image/png", "image/jpeg")
DRAWING = "image/svg+xml"
# Two processors round differently, which moves the edge of a line by a shade. A changed number or
# a changed mask changes more than one pixel in a thousand.
SHADES = 16  # of 255
SHARE_OF_PIXELS = 0.001
# Another Matplotlib draws letters a pixel wider, so the tight frame around them changes too.
SHARE_OF_SIZE = 0.05
HEARTBEAT = 1.0  # seconds between two looks whether the kernel still lives

os.environ["MRCNN_EDU_SOLVED"] = ""  # for the kernels: as if no exercise was solved yet


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Collect notebooks with the class below wherever nbval would with its own."""
    collectors = yield
    return [
        Notebook.from_parent(parent, path=file_path) if type(found) is IPyNbFile else found
        for found in collectors
    ]


class KernelDied(Exception):
    """The kernel's process ended while a cell ran."""


class Notebook(IPyNbFile):
    """nbval's notebook, with the cells below and a kernel that is watched."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.skip_compare += (DRAWING,)  # compared below

    def collect(self):
        for cell in super().collect():
            yield Cell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )

    def setup(self):
        super().setup()
        wait_for_message = self.kernel.get_message

        def get_message(stream, timeout=None):
            """nbval waits for a message up to the cell's time; wait in short turns instead."""
            deadline = time.monotonic() + (timeout or float("inf"))
            while True:
                turn = min(HEARTBEAT, max(0.01, deadline - time.monotonic()))
                try:
                    return wait_for_message(stream, timeout=turn)
                except Empty:
                    if not self.kernel.is_alive():
                        raise KernelDied from None
                    if time.monotonic() >= deadline:
                        raise

        self.kernel.get_message = get_message

    def teardown(self):
        if self.kernel is not None and not self.kernel.is_alive() and hasattr(self.kernel, "km"):
            self.kernel.stop()  # nbval leaves the sockets of a dead kernel open
        super().teardown()

    def draws_alike(self) -> bool:
        """Whether the stored pictures were drawn by the Matplotlib that is installed here."""
        stored = self.nb.metadata.get("mrcnn_edu", {}).get("matplotlib")
        return stored == importlib.metadata.version("matplotlib")


class Cell(IPyNbCell):
    """nbval's cell, which must have been run before, and whose pictures are compared."""

    def runtest(self):
        strict, skipped = self.config.option.nbval, self.options["skip"]
        if strict and not skipped and self.cell.source.strip() and not self.cell.execution_count:
            self.raise_cell_error("This cell was never run: build the notebook from its source")
        try:
            super().runtest()
        except KernelDied:
            self.parent.timed_out = True  # so nbval expects the cells after this one to fail
            self.raise_cell_error("The kernel died (out of memory, or a crash in compiled code)")

    def compare_outputs(self, test, ref, skip_compare=None):
        test, ref = ([o for o in outputs if not is_ours(o)] for outputs in (test, ref))
        if not super().compare_outputs(test, ref, skip_compare):
            return False
        alike = self.parent.draws_alike()
        self.comparison_traceback += picture_differences(pictures(ref), pictures(test), alike)
        self.comparison_traceback += drawing_differences(drawings(ref), drawings(test), alike)
        return not self.comparison_traceback


def is_ours(output: dict) -> bool:
    """Whether an output is for whoever runs the cell, or hides the others: not what is compared.

    mrcnn_edu/progress.py marks those that are not stored, curtain.py the one that is stored only.
    """
    return "mrcnn_edu" in output.get("metadata", {})


def pictures(outputs) -> list[tuple[str, np.ndarray]]:
    """The type and the pixels [H, W, 3] of every picture in a cell's outputs."""
    found = []
    for output in outputs:
        for kind in PICTURES:
            if kind in output.get("data", {}):
                file = io.BytesIO(base64.b64decode(output["data"][kind]))
                found.append((kind, np.asarray(Image.open(file).convert("RGB"))))
    return found


def picture_differences(stored, new, by_pixel: bool) -> list[str]:
    """Sentences that say how the new pictures differ from the stored ones; none if they agree."""
    kinds, new_kinds = [kind for kind, _ in stored], [kind for kind, _ in new]
    if kinds != new_kinds:
        return [f"pictures stored: {kinds or 'none'}, now: {new_kinds or 'none'}"]
    differences = []
    for index, ((_, old_pixels), (_, new_pixels)) in enumerate(zip(stored, new, strict=True)):
        difference = pixel_difference if by_pixel else size_difference
        if sentence := difference(old_pixels, new_pixels):
            differences.append(f"picture {index}: {sentence}")
    return differences


def drawings(outputs) -> list[str]:
    """The SVG of every output that has no other picture.

    Beside the SVG of a chart there is a PNG, which tells better whether two charts look the same.
    """
    data = [output.get("data", {}) for output in outputs]
    return [d[DRAWING] for d in data if DRAWING in d and not any(kind in d for kind in PICTURES)]


def drawing_differences(stored: list[str], new: list[str], by_letter: bool) -> list[str]:
    """Sentences that say how the new drawings differ from the stored ones; none if they agree."""
    if len(stored) != len(new):
        return [f"drawings (SVG) stored: {len(stored)}, now: {len(new)}"]
    differ = [index for index, pair in enumerate(zip(stored, new, strict=True)) if len({*pair}) > 1]
    return [f"drawing {index} (SVG) differs" for index in differ] if by_letter else []


def pixel_difference(old: np.ndarray, new: np.ndarray) -> str:
    if old.shape != new.shape:
        return f"size (height, width) stored {old.shape[:2]}, now {new.shape[:2]}"
    share = (np.abs(old.astype(int) - new).max(axis=-1) > SHADES).mean()
    if share <= SHARE_OF_PIXELS:
        return ""
    return f"{share:.2%} of the pixels differ by more than {SHADES} of 255"


def size_difference(old: np.ndarray, new: np.ndarray) -> str:
    sizes = np.array([old.shape[:2], new.shape[:2]])
    if (np.abs(sizes[0] - sizes[1]) <= np.ceil(SHARE_OF_SIZE * sizes[0])).all():
        return ""
    return f"size (height, width) stored {old.shape[:2]}, now {new.shape[:2]}"
