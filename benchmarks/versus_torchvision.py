"""Our code against torchvision's, with the same weights and inputs, and alternating runs.

    python benchmarks/versus_torchvision.py                   # prints the table (10 minutes)
    python benchmarks/versus_torchvision.py --only nms        # of some of the work
    python benchmarks/versus_torchvision.py --write           # and replaces the stored results

The two take turns in one process, so that a slow minute of the machine affects both. Prints the
medians, their ratio and its spread; --write stores them in results/ and updates the table in
docs/benchmarks.md.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import reference
import torch
import torchvision
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.nms import batched_nms, nms
from mrcnn_edu.roi_ops import align_rois, feature_table, pool_pyramid, roi_align
from mrcnn_edu.weights import load_torchvision

HERE = Path(__file__).parent
RESULTS = HERE / "results"
STRIDES = (4, 8, 16, 32)
Pair = tuple[Callable[[], object], Callable[[], object]]  # our run, torchvision's run


def models(device: str) -> tuple[MaskRCNN, torch.nn.Module]:
    """Our ResNet-50-FPN and torchvision's, with the same weights."""
    theirs = reference.maskrcnn_resnet50_fpn()
    ours = load_torchvision(MaskRCNN(Config()), theirs.state_dict())
    return ours.eval().to(device), theirs.to(device)


def detect(device: str) -> Pair:
    """Detection in one image."""
    ours, theirs = models(device)
    images = [image.to(device) for image in reference.smooth_images([(800, 1200)])]
    assert len(ours.detect(images)[0]) == 100
    return lambda: ours.detect(images), torch.inference_mode()(lambda: theirs(images))


def training_step(ours: MaskRCNN, theirs, sizes: list[tuple[int, int]], device: str) -> Pair:
    images = [image.to(device) for image in reference.smooth_images(sizes)]
    targets = [random_target(size, ours.config.n_classes, device) for size in sizes]

    def step(model) -> Callable[[], None]:
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

        def run() -> None:
            optimizer.zero_grad()
            sum(model(images, targets).values()).backward()
            optimizer.step()

        return run

    return step(ours), step(theirs)


def large_step(device: str) -> Pair:
    """A training step with two images; all layers are trained."""
    return training_step(*models(device), [(800, 1200)] * 2, device)


def tiny_step(device: str) -> Pair:
    """A training step of the tiny model with eight synthetic images."""
    config = Config.tiny()
    theirs = reference.maskrcnn_of_the_same_layers(config)
    ours = load_torchvision(MaskRCNN(config), theirs.state_dict())
    return training_step(ours.to(device), theirs.to(device), [(96, 96)] * 8, device)


def random_target(
    size: tuple[int, int], n_classes: int, device: str, n: int = 5
) -> dict[str, Tensor]:
    """The target of an image of this size with n objects, which are filled ellipses."""
    height, width = size
    center, radius = torch.rand(n, 2) * 0.6 + 0.2, torch.rand(n, 2) * 0.15 + 0.05
    scale = torch.tensor([width, height])
    boxes = torch.cat((center - radius, center + radius), dim=1) * scale.repeat(2)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    (x0, y0), (r_x, r_y) = ((v * scale).T[:, :, None, None] for v in (center, radius))
    masks = ((x - x0) / r_x) ** 2 + ((y - y0) / r_y) ** 2 < 1
    target = dict(boxes=boxes, labels=torch.randint(1, n_classes + 1, (n,)), masks=masks)
    return {name: value.to(device) for name, value in target.items()}


def random_boxes(n: int, min_side: float, max_side: float, image_size: Tensor) -> Tensor:
    """Boxes [n, 4] with sides in this range, in pixels, and centers in an image (width, height)."""
    center = torch.rand(n, 2) * image_size
    extent = min_side * (max_side / min_side) ** torch.rand(n, 2)
    return torch.cat((center - extent / 2, center + extent / 2), dim=1)


def roi_align_pair(n: int, output_size: int, stride: int, backward: bool) -> Callable[[str], Pair]:
    """RoIAlign on one channels-last map of an 800 x 1344 image; RoIs are 7 to 28 positions wide."""

    def pair(device: str) -> Pair:
        features = random_features(stride, backward, device)
        boxes = random_boxes(n, 7 * stride, 28 * stride, torch.tensor([1344, 800])).to(device)
        rois = torch.cat((torch.zeros(n, 1, device=device), boxes), dim=1)
        arguments = features, rois, output_size, 1 / stride, 2
        return (
            with_backward(lambda: roi_align(*arguments), [features]),
            with_backward(lambda: torchvision.ops.roi_align(*arguments), [features]),
        )

    return pair


def pyramid_pair(backward: bool) -> Callable[[str], Pair]:
    """RoIAlign of 1,000 RoIs on the four levels of a pyramid."""

    def pair(device: str) -> Pair:
        features = [random_features(stride, backward, device) for stride in STRIDES]
        boxes = [random_boxes(1000, 16, 600, torch.tensor([1344, 800])).to(device)]
        by_name = {str(i): level for i, level in enumerate(features)}
        pool = torchvision.ops.MultiScaleRoIAlign(list(by_name), output_size=7, sampling_ratio=2)

        def ours() -> Tensor:
            return pool_pyramid(feature_table(features), boxes, STRIDES, 7, align_rois)

        def theirs() -> Tensor:
            return pool(by_name, boxes, [(800, 1344)])

        return with_backward(ours, features), with_backward(theirs, features)

    return pair


def random_features(stride: int, requires_grad: bool, device: str) -> Tensor:
    """A channels-last map [1, 256, H, W] of an 800 x 1344 image."""
    features = torch.rand(1, 256, 800 // stride, 1344 // stride, device=device)
    return features.to(memory_format=torch.channels_last).requires_grad_(requires_grad)


def with_backward(forward: Callable[[], Tensor], features: list[Tensor]) -> Callable[[], None]:
    """A run of `forward`, and of its sum's gradient with respect to features that require one."""

    def run() -> None:
        pooled = forward()
        if pooled.requires_grad:
            torch.autograd.grad(pooled, features, torch.ones_like(pooled))

    return run


def nms_pair(n: int, n_groups: int) -> Callable[[str], Pair]:
    """Non-maximum suppression of n boxes, all together or within groups."""

    def pair(device: str) -> Pair:
        boxes = random_boxes(n, 10, 200, torch.tensor([1344, 800])).to(device)
        scores = torch.randperm(n).to(device) / n
        if n_groups == 1:
            both = nms, torchvision.ops.nms
            arguments = boxes, scores, 0.5
        else:
            both = batched_nms, torchvision.ops.batched_nms
            arguments = boxes, scores, torch.randint(n_groups, (n,)).to(device), 0.5
        ours, theirs = both
        assert torch.equal(ours(*arguments), theirs(*arguments))
        return lambda: ours(*arguments), lambda: theirs(*arguments)

    return pair


MAPS = {  # number of RoIs, output size, stride of the map
    "1,000 RoIs 7 x 7 on 200 x 336": (1000, 7, 4),
    "1,000 RoIs 7 x 7 on 50 x 84": (1000, 7, 16),
    "100 RoIs 14 x 14 on 200 x 336": (100, 14, 4),
}
WORK = {  # name: (what makes the pair of runs, the goal for the ratio)
    "detect, ResNet-50-FPN, 800 x 1200": (detect, 0.60),
    "training step, 2 images 800 x 1200": (large_step, 0.90),
    "training step, tiny, 8 scenes 96 x 96": (tiny_step, 0.50),
    **{f"roi_align, {name}": (roi_align_pair(*sizes, False), 0.15) for name, sizes in MAPS.items()},
    "roi_align, 1,000 RoIs 7 x 7, pyramid": (pyramid_pair(False), 0.15),
    **{
        f"roi_align and backward, {name}": (roi_align_pair(*sizes, True), 0.15)
        for name, sizes in MAPS.items()
    },
    "roi_align and backward, 1,000 RoIs 7 x 7, pyramid": (pyramid_pair(True), 0.15),
    "nms, 2,000 boxes": (nms_pair(2000, 1), 2.5),
    "batched_nms, 5,000 boxes in 5 groups": (nms_pair(5000, 5), 1.0),
}
MEMORY, MEMORY_GOAL = "peak memory of detect", 0.80
ALL = (*WORK, MEMORY)
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"


def seconds(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(pair: Pair, device: str, rounds: int, min_seconds: float) -> tuple[list, list]:
    """The seconds of each of our runs and of torchvision's, which take turns.

    There are at least this many rounds, and together they take at least this many seconds.
    """
    for run in pair:
        seconds(run, device)  # to warm up
    ours, theirs = [], []
    while len(ours) < rounds or sum(ours) + sum(theirs) < min_seconds:
        for run, times in zip(pair, (ours, theirs), strict=True):
            times.append(seconds(run, device))
    return ours, theirs


def peak_memory(whose: Literal["ours", "torchvision"], device: str) -> float:
    """Megabytes that one `detect` takes at its peak, beyond what the models take.

    On a CPU each model runs in a fresh process, so that neither reuses the other's memory.
    """
    if device == "cuda":
        run = detect(device)[whose == "torchvision"]
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    command = [sys.executable, __file__, "--memory-of", whose]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_growth(whose: str) -> float:
    """Megabytes by which this process grows, at most, while it detects."""
    import psutil

    run = detect("cpu")[whose == "torchvision"]
    process = psutil.Process()
    before = peak = process.memory_info().rss
    with ThreadPoolExecutor(1) as other_thread:
        detecting = other_thread.submit(run)
        while not detecting.done():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.001)
    return (peak - before) / 1e6


def row(name: str, goal: float, ours: list[float], theirs: list[float]) -> dict:
    """A row of the table. Ratios are those of consecutive runs: their median and middle half."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    quarter = len(ratios) // 4
    return {
        "work": name,
        "ours": statistics.median(ours),
        "torchvision": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "spread": [ratios[quarter], ratios[-1 - quarter]],
        "rounds": len(ours),
        "goal": goal,
    }


def machine(device: str) -> dict:
    """The machine and the versions of the software."""
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "device": gpu or f"{processor()}, threads: {torch.get_num_threads()}",
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def processor() -> str:
    """The processor's name, as far as the system knows it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(results: dict) -> str:
    """The results as a Markdown table, and below it the machine."""
    lines = ["| work | ours | torchvision | ratio (middle half) | goal |"]
    lines.append("|---|---:|---:|---:|---:|")
    for r in results["rows"]:
        show = "{:,.0f} MB" if r["work"] == MEMORY else "{:.3g} s"
        ours, theirs = show.format(r["ours"]), show.format(r["torchvision"])
        ratio = "**{ratio:.2f}** ({spread[0]:.2f} to {spread[1]:.2f})".format(**r)
        lines.append(f"| {r['work']} | {ours} | {theirs} | {ratio} | {r['goal']:.2f} |")
    machine = "{device}, torch {torch}, torchvision {torchvision}".format(**results["machine"])
    return "\n".join([*lines, "", f"Medians; {machine}."])


def insert(results: dict, document: str, device: str) -> str:
    """The document with the table between its marks for this device made from `results`."""
    mark = f"<!-- versus_torchvision {device} -->"
    return between_marks(document, mark, table(results))


def between_marks(document: str, mark: str, text: str) -> str:
    """The document with the text between its two marks replaced; without two marks, unchanged."""
    if document.count(mark) != 2:
        return document
    before, _, after = document.split(mark)
    return f"{before}{mark}\n{text}\n{mark}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2, help="threads of the CPU (2)")
    parser.add_argument("--rounds", type=int, default=5, help="at least this many rounds (5)")
    parser.add_argument(
        "--seconds", type=float, default=3, help="at least this many seconds for each work (3)"
    )
    parser.add_argument("--only", default="", help="only work whose name contains this")
    parser.add_argument("--write", action="store_true", help="replace the stored results")
    parser.add_argument("--memory-of", choices=("ours", "torchvision"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_growth(options.memory_of))
    else:
        rows = measure(options.device, options.rounds, options.seconds, options.only)
        print(table({"machine": machine(options.device), "rows": rows}))
        if options.write:
            write(rows, options.device)


def measure(device: str, rounds: int, min_seconds: float, only: str) -> list[dict]:
    """The rows of all work whose name contains `only`."""
    rows = []
    for name, (make_pair, goal) in tqdm(WORK.items(), desc="works"):
        if only in name:
            torch.manual_seed(0)
            times = compare(make_pair(device), device, rounds, min_seconds)
            rows.append(row(name, goal, *times))
            tqdm.write("{work:42} {ratio:5.2f}".format(**rows[-1]))
    if only in MEMORY:
        peaks = [[peak_memory(whose, device)] for whose in ("ours", "torchvision")]
        rows.append(row(MEMORY, MEMORY_GOAL, *peaks))
    return rows


def write(rows: list[dict], device: str) -> None:
    """Store the rows, in place of older ones of the same work, and update the document."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"versus_torchvision_{device}.json"
    older = json.loads(file.read_text())["rows"] if file.is_file() else []
    by_work = {r["work"]: r for r in [*older, *rows]}
    rows = [by_work[work] for work in ALL if work in by_work]
    results = {"machine": machine(device), "rows": rows}
    file.write_text(json.dumps(results, indent=1) + "\n")
    DOCUMENT.write_text(insert(results, DOCUMENT.read_text(), device))
    print(f"written to {file} and {DOCUMENT}")


if __name__ == "__main__":
    main()
