"""How much code a reader crosses: the files and functions that one training step and one `detect`
enter, ours and torchvision's, counted in the same way.

    python benchmarks/size.py            prints the table
    python benchmarks/size.py --files    and the files behind it

Lines of a function include its docstring and comments. torchvision's operators in C++ (NMS,
RoIAlign) are not counted; ours are Python, and are.
"""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

import mrcnn_edu
from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.data import Shapes

OURS = Path(mrcnn_edu.__file__).parent
THEIRS = Path(sys.modules["torchvision"].__file__ or "").parent


def entered(run: Callable[[], object], folder: Path) -> set[CodeType]:
    """The functions of a folder's files that are entered in `run()`."""
    found: set[CodeType] = set()

    def trace(frame: FrameType, event: str, _) -> None:
        if Path(frame.f_code.co_filename).is_relative_to(folder):
            found.add(frame.f_code)

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return found


def count(functions: set[CodeType]) -> tuple[dict[str, int], int]:
    """The lines of each file, and the lines of all functions; comprehensions are in theirs."""
    files = {f.co_filename for f in functions}
    lines = {name: len(Path(name).read_text().splitlines()) for name in sorted(files)}
    named = [f for f in functions if not f.co_name.startswith("<")]
    return lines, sum(len(inspect.getsourcelines(f)[0]) for f in named)


def works() -> dict[str, tuple[Callable[[], object], Path]]:
    """What is traced: its name, a function that does it, and whose files are counted."""
    torch.manual_seed(0)
    image, target = Shapes(1, seed=3)[0]
    ours = MaskRCNN(Config.tiny(score_threshold=0.0))
    theirs = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=7, min_size=96, max_size=160,
        box_score_thresh=0.0,
    )  # fmt: skip

    def our_step():
        sum(ours([image], [target]).values()).backward()

    def their_step():
        theirs.train()
        sum(theirs([image], [target]).values()).backward()

    def their_detect():
        theirs.eval()
        with torch.no_grad():
            theirs([image])

    return {
        "training step": (our_step, OURS),
        "training step, torchvision": (their_step, THEIRS),
        "detect": (lambda: ours.detect([image]), OURS),
        "detect, torchvision": (their_detect, THEIRS),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", action="store_true", help="print the files and their lines")
    options = parser.parse_args()
    print(f"{'work':28}{'files':>8}{'lines of these':>17}{'lines of functions':>21}")
    for name, (run, folder) in works().items():
        files, in_functions = count(entered(run, folder))
        print(f"{name:28}{len(files):8}{sum(files.values()):17,}{in_functions:21,}")
        if options.files:
            for file, lines in files.items():
                print(f"    {Path(file).relative_to(folder)!s:40}{lines:6}")


if __name__ == "__main__":
    main()
