"""Wrong inputs by the thousand: only documented errors, no crash, and bounded memory.

    python tools/fuzz.py coco --minutes 60        the reader of COCO folders
    python tools/fuzz.py check --minutes 60       `check`, and whether it agrees with the reader
    python tools/fuzz.py model --minutes 60       images and targets: forward, detect, evaluate
    python tools/fuzz.py weights --minutes 60     checkpoints, damaged or with wrong contents
    python tools/fuzz.py results --minutes 60     detections in a file
    python tools/fuzz.py coco --seed 1234         one case again, with its traceback

Each case is made from its seed alone: a sound input, with a few changes at random places. Cases run
in a process of their own, so that even a crash is reported with its seed. What was found is kept as
a test in tests/test_fuzz.py.
"""

import argparse
import copy
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu import Config, MaskRCNN, load
from mrcnn_edu.data import CocoFolder, Figures, Reading, Shapes, check, write_coco
from mrcnn_edu.data.overview import overview
from mrcnn_edu.data.tally import tally
from mrcnn_edu.evaluate import detect_all, evaluate, read_results, write_results
from mrcnn_edu.weights import save

BATCH = 1000  # cases in a process
MAX_GIGABYTES = 3.0  # of one process, PyTorch included
LIMIT = 12e9  # bytes of addresses, of which PyTorch reserves many: a case that needs more fails
SCENES = Shapes(n=2, size=32, n_objects=(1, 2), seed=5)
FIGURES = Figures(n=2, size=32, n_objects=(1, 2), seed=5)
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 31, 32, 33, 3.5, -0.5, 1e6, 1e12, 1e308, -1e308, 10**30, 2**31,
    2**63, float("nan"), float("inf"), "", "0", "1", "true", "1e400", "text", "é\u0301", "a/../b",
    "../x.png", "\x00", "b'1'", [], {}, [[]], [{}], [0], [None], [1, 2, 3, 4], [[0] * 6],
    [[1, 2, 3, 4, 5, 6]], [[-1e9, 5, 40, 5, 9, 1e9]], {"size": [32, 32], "counts": [1024]},
    {"size": [32, 32], "counts": [0, 1024]}, {"size": [32, 32], "counts": "PPYo1"},
    {"size": [10**6, 10**6], "counts": [10**12]}, {"size": [32, 32], "counts": "o" * 400},
    {"counts": {}}, {"$oid": "1"}, "[[1,2,3,4,5,6]]", '{"size": [32, 32], "counts": [1024]}',
]  # fmt: skip


# Changes at random places


def places(document: Any, path: tuple = ()) -> list[tuple]:
    """The paths of everything in a JSON document, below its root."""
    items = document.items() if isinstance(document, dict) else ()
    items = enumerate(document) if isinstance(document, list) else items
    found = []
    for key, value in items:
        found += [(*path, key), *places(value, (*path, key))]
    return found


def changed(document: Any, rng: random.Random) -> Any:
    """A copy of a JSON document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = places(document)
        if not paths:
            break
        *parents, key = rng.choice(paths)
        container = document
        for parent in parents:
            container = container[parent]
        change = rng.random()
        if change < 0.6:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif change < 0.7:
            del container[key]
        elif change < 0.8:
            container[key] = [container[key]] if rng.random() < 0.5 else str(container[key])
        elif change < 0.9 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif isinstance(container[key], int | float):
            container[key] = container[key] * rng.choice((-1, 0.1, 10, 1e3, 1e9))
    return document


def damaged(contents: bytes, rng: random.Random) -> bytes:
    """The bytes, cut short or with some of them changed, left out or repeated."""
    data = bytearray(contents)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        kind = rng.random()
        if kind < 0.2:
            del data[at:]
        elif kind < 0.7:
            data[at] = rng.randrange(256)
        elif kind < 0.85:
            del data[at : at + rng.randrange(1, 50)]
        else:
            data[at:at] = data[at : at + rng.randrange(1, 50)]
        if not data:
            break
    return bytes(data)


# Fuzzers: each makes the case of a seed in a folder, and raises what should not be raised


def sound_folder(folder: Path, scenes: Shapes | Figures = SCENES) -> dict:
    """The contents of the JSON file of a small COCO folder, which is written once.

    Its regions are polygons and run-length encodings in turn.
    """
    if not (folder / "annotations.json").is_file():
        write_coco(scenes, folder)
    contents = json.loads((folder / "annotations.json").read_text())
    for annotation in contents["annotations"][::2]:
        x, y, width, height = annotation["bbox"]
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        annotation |= {"segmentation": [corners], "area": width * height}
    return contents


def changed_folder(rng: random.Random, folder: Path) -> CocoFolder:
    """Shapes or, of figures, objects with keypoints."""
    scenes = rng.choice((SCENES, FIGURES))
    folder /= type(scenes).__name__
    contents = sound_folder(folder, scenes)
    text = json.dumps(changed(contents, rng)).encode()
    (folder / "case.json").write_bytes(damaged(text, rng) if rng.random() < 0.1 else text)
    readings = [Reading(), Reading("objects", "from-masks"), Reading(boxes_only=True)]
    keep_ids, channels = rng.random() < 0.1, rng.choice((3, 3, 1))
    reading = rng.choice(readings)
    return CocoFolder(folder / "images", folder / "case.json", keep_ids, channels, reading)


def fuzz_coco(rng: random.Random, folder: Path) -> None:
    """The reader: opening, items, targets, sizes, tally and overview."""
    try:
        dataset = changed_folder(rng, folder)
    except (ValueError, FileNotFoundError):
        return
    tally(dataset)
    overview(dataset)
    for index in range(len(dataset)):
        for ask in (dataset.__getitem__, dataset.target, dataset.image_size):
            with suppress(ValueError, FileNotFoundError):
                ask(index)


def fuzz_check(rng: random.Random, folder: Path) -> None:
    """`check` finds a problem wherever the reader refuses an item."""
    try:
        dataset = changed_folder(rng, folder)
    except (ValueError, FileNotFoundError):
        return
    problems = [problem for problem in check(dataset) if not problem.is_note]
    for index in range(len(dataset)):
        try:
            _, target = dataset[index]
        except (ValueError, FileNotFoundError) as error:
            assert problems, f"no problem, but {error}"
            continue
        lengths = {len(value) for value in target.values() if isinstance(value, Tensor)}
        assert len(lengths) == 1 and target["boxes"].isfinite().all(), target
    if not problems:
        tally(dataset).check("the folder")


def odd_tensor(value: Any, rng: random.Random) -> Any:
    """A tensor with another type, shape or values; or something that is none."""
    dtypes = [torch.uint8, torch.int32, torch.float16, torch.bfloat16, torch.float64, torch.bool]
    if not isinstance(value, Tensor) or rng.random() < 0.1:
        return copy.deepcopy(rng.choice(VALUES))
    kind = rng.randrange(8)
    if kind == 0:
        return value.to(rng.choice(dtypes))
    if kind == 1:
        return value[:-1] if value.ndim and len(value) else value
    if kind == 2:
        return value[None]
    if kind == 3:
        return torch.cat((value, value)) if value.ndim else value
    if kind == 4:
        return value.tolist()
    if kind == 5:
        return value * rng.choice((-1, 0, 1000))
    value = value.clone().float()
    if value.numel():
        odd = rng.choice((math.nan, math.inf, -math.inf, -1.0, 0.5, 1e6, 1e30))
        value.view(-1)[rng.randrange(value.numel())] = odd
    return value


_model: MaskRCNN | None = None


def tiny_model() -> MaskRCNN:
    """A model with random weights, made once."""
    global _model
    if _model is None:
        torch.manual_seed(0)
        _model = MaskRCNN(Config.tiny(len(SCENES.classes), short_side=32, long_side=32)).eval()
    return _model


class Items:
    """A dataset of given items."""

    classes = SCENES.classes

    def __init__(self, items: list):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def fuzz_model(rng: random.Random, folder: Path) -> None:
    """`forward`, `detect` and `evaluate`: the right error, or finite losses and detections."""
    items = [(image, dict(target)) for image, target in (SCENES[0], SCENES[1])]
    index = rng.randrange(2)
    image, target = items[index]
    if rng.random() < 0.4:
        image = odd_tensor(image, rng)
    else:
        name = rng.choice(list(target))
        target[name] = odd_tensor(target[name], rng)
        if rng.random() < 0.1:
            del target[name]
    items[index] = image, target
    images, targets = [image for image, _ in items], [target for _, target in items]
    model = tiny_model()
    expected = (ValueError, TypeError)
    try:
        losses = model(images, targets)
        assert all(loss.isfinite() for loss in losses.values()), losses
    except expected:
        pass
    try:
        for detections in model.detect(images):
            assert detections.boxes.isfinite().all() and detections.scores.isfinite().all()
    except expected:
        pass
    detections = detect_all(model, SCENES, progress=False)
    for iou_type in ("segm", "bbox"):
        try:
            scores = evaluate(Items(items), detections, iou_type, progress=False)
            assert math.isnan(scores.ap) or 0 <= scores.ap <= 1
        except expected:
            pass


def fuzz_weights(rng: random.Random, folder: Path) -> None:
    """`load`: a file that is damaged, or whose contents are not those of a checkpoint."""
    whole = folder / "whole.pt"
    if not whole.is_file():
        save(whole, tiny_model(), SCENES.classes)
    case = folder / "case.pt"
    if rng.random() < 0.5:
        case.write_bytes(damaged(whole.read_bytes(), rng))
    else:
        contents = torch.load(whole, weights_only=True)
        part = rng.choice(list(contents))
        if part == "model":
            name = rng.choice(list(contents["model"]))
            contents["model"][name] = odd_tensor(contents["model"][name], rng)
        else:
            contents[part] = changed({part: contents[part]}, rng).get(part)
        torch.save(contents, case)
    try:
        model = load(case)
    except (ValueError, FileNotFoundError):
        return
    config = model.config
    if config.long_side > 1000 or config.mask_size > 100:  # allowed, and they take much memory
        return
    with suppress(FloatingPointError):  # weights that are not finite
        model.detect([torch.rand(config.in_channels, 32, 32)])


def fuzz_results(rng: random.Random, folder: Path) -> None:
    """`read_results` on a file in which something is wrong, and `evaluate` on what it reads."""
    sound_folder(folder)
    dataset = CocoFolder(folder / "images", folder / "annotations.json")
    whole = folder / "whole.json"
    if not whole.is_file():
        write_results(dataset, detect_all(tiny_model(), dataset, progress=False), whole)
    entries = json.loads(whole.read_text())[:4]
    text = json.dumps(changed(entries, rng)).encode()
    (folder / "case.json").write_bytes(damaged(text, rng) if rng.random() < 0.1 else text)
    try:
        detections = read_results(dataset, folder / "case.json")
    except ValueError:
        return
    for iou_type in ("segm", "bbox") if detections.has_masks else ("bbox",):
        evaluate(dataset, detections, iou_type, progress=False)


FUZZERS: dict[str, Callable[[random.Random, Path], None]] = {
    "coco": fuzz_coco,
    "check": fuzz_check,
    "model": fuzz_model,
    "weights": fuzz_weights,
    "results": fuzz_results,
}


def run(name: str, seed: int, folder: Path) -> None:
    """The case of a seed."""
    FUZZERS[name](random.Random(f"{name} {seed}"), folder)


def run_batch(name: str, first: int, n: int) -> None:
    """Cases first to first + n - 1; a failed one is printed, and so is the memory that all took."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + n):
            print(f"seed {seed}", file=sys.stderr, flush=True)  # the last one, if this is a crash
            try:
                run(name, seed, Path(folder))
            except Exception as error:
                what = f"{type(error).__name__}: {str(error)[:200]}"
                print(f"{name} --seed {seed}: {what}", flush=True)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if gigabytes > MAX_GIGABYTES:
        print(f"{name}: seeds {first} to {first + n - 1} took {gigabytes:.1f} GB", flush=True)


def main() -> None:
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("name", choices=FUZZERS)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run this case alone")
    parser.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(LIMIT), hard))
    if options.batch:
        return run_batch(options.name, options.first, BATCH)
    if options.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            return run(options.name, options.seed, Path(folder))
    first, end = options.first, time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        command = [sys.executable, __file__, options.name, "--batch", "--first", str(first)]
        batch = subprocess.run(command, capture_output=True, text=True)
        print(batch.stdout, end="", flush=True)
        if batch.returncode:
            print(f"{options.name}: exit {batch.returncode}; {batch.stderr[-500:]}", flush=True)
        first += BATCH
    print(f"{options.name}: {first - options.first} cases, seeds {options.first} to {first - 1}")


if __name__ == "__main__":
    main()
