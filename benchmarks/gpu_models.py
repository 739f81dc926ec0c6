"""The whole model in gpu.py: detection and training beside torchvision's, and where time goes.

The weights are those of reference.py: random, with outputs fitted such that scores and boxes spread
like a trained model's. So both have about 1,000 proposals and 100 detections an image; how many
they have stands in the table. Images and targets lie in the computer's memory, as they do when
they have been read: both send them to the GPU within the time.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import reference
import torch
import versus_torchvision as versus
from gpu_measure import Case, Sizes, autocast, beside, medians, peaks, precision
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.speed import accelerate as faster
from mrcnn_edu.weights import load_torchvision

PRECISIONS = "float32", "tf32", "bfloat16"
CHANGES = "compiled", "in_bfloat16", "channels_last", "in_graphs"  # of faster.py, in its order
RATIO = {"detect": {"ratio": ("at most", 0.5)}, "step": {"ratio": ("at most", 0.55)}}
IMAGES_A_SECOND = {"images/s": ("at least", 60)}
STOPS = {"stops": ("at most", 3)}


@cache
def torchvision_model(sizes: Sizes) -> nn.Module:
    if sizes.tiny:
        return reference.maskrcnn_of_the_same_layers(Config.tiny()).to(sizes.device)
    return reference.maskrcnn_resnet50_fpn().to(sizes.device)


def our_model(sizes: Sizes, changes: Sequence[str] = ()) -> MaskRCNN:
    """A new model with torchvision's weights and these changes of faster.py."""
    config = Config.tiny() if sizes.tiny else Config()
    model = load_torchvision(MaskRCNN(config), torchvision_model(sizes).state_dict())
    model = model.eval().to(sizes.device)
    for name in CHANGES:
        if name in changes:
            # Where time does not matter nothing but the compiler's first half is run.
            options = {"backend": "eager"} if name == "compiled" and sizes.tiny else {}
            getattr(faster, name)(model, **options)
    return model


@cache
def images_and_targets(sizes: Sizes, n: int) -> tuple[list, list]:
    torch.manual_seed(0)
    n_classes = torchvision_model(sizes).roi_heads.box_predictor.cls_score.out_features - 1
    targets = [
        versus.random_target(sizes.image, n_classes, "cpu", sizes.n_objects) for _ in range(n)
    ]
    return reference.smooth_images([sizes.image] * n), targets


# What is run


def our_detect(sizes: Sizes, model: MaskRCNN, n: int) -> Callable[[], list]:
    images, _ = images_and_targets(sizes, n)
    return lambda: model.detect(images)


def torchvision_detect(sizes: Sizes, kind: str, n: int) -> Callable[[], list]:
    images, _ = images_and_targets(sizes, n)
    model = torchvision_model(sizes)

    @torch.inference_mode()
    def run() -> list:
        model.eval()
        with autocast(kind, sizes.device):
            return model([image.to(sizes.device) for image in images])

    return run


def our_step(sizes: Sizes, model: MaskRCNN, n: int, **options) -> Callable[[], list]:
    images, targets = images_and_targets(sizes, n)
    return _step(model, lambda: model(images, targets), **options)


def torchvision_step(sizes: Sizes, kind: str, n: int) -> Callable[[], list]:
    images, targets = images_and_targets(sizes, n)
    model = torchvision_model(sizes)

    def losses() -> dict:
        on_device = [{k: v.to(sizes.device) for k, v in target.items()} for target in targets]
        with autocast(kind, sizes.device):
            return model([image.to(sizes.device) for image in images], on_device)

    return _step(model, losses)


def _step(model: nn.Module, losses: Callable[[], dict], **options) -> Callable[[], list]:
    """A training step: forward, backward, optimizer, and the losses read, as every loop does."""
    rate = 1e-6  # so that the model stays what it is
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, **options)

    def run() -> list[float]:
        model.train()
        optimizer.zero_grad()
        of_this_step = losses()
        sum(of_this_step.values()).backward()
        optimizer.step()
        return torch.stack([*of_this_step.values()]).tolist()

    return run


# Beside torchvision


def detect(sizes: Sizes) -> Iterator[Case]:
    """Detection, in three precisions."""
    for n in sizes.detect_batches:
        for kind in PRECISIONS:
            wanted = n == sizes.detect_batches[0] and kind == "bfloat16"
            goals = RATIO["detect"] if wanted else {}
            yield Case(f"batch {n}, {kind}", partial(_detect, sizes, n, kind), goals)


def _detect(sizes: Sizes, n: int, kind: str) -> dict:
    with precision(kind, sizes.device):
        ours = our_model(sizes, ["in_bfloat16"] * (kind == "bfloat16"))
        runs = {"ours": our_detect(sizes, ours, n)}
        runs["torchvision"] = torchvision_detect(sizes, kind, n)
        values = _compare(runs, sizes, n)
        values["proposals"], values["detections"] = _counts(sizes, ours, n)
        found, expected = runs["ours"]()[0], runs["torchvision"]()[0]
        values["torchvision's"] = len(expected["boxes"])
        values["best score"] = float(found.scores[0])
        values["its best"] = float(expected["scores"][0])
        return values


def _counts(sizes: Sizes, model: MaskRCNN, n: int) -> tuple[float, float]:
    """Proposals and detections of an image, on average."""
    trace = model.trace(images_and_targets(sizes, n)[0])
    return sum(len(p.boxes) for p in trace.proposals) / n, sum(map(len, trace.detections)) / n


def step(sizes: Sizes) -> Iterator[Case]:
    """A training step, in three precisions."""
    for n in sizes.step_batches:
        for kind in PRECISIONS:
            wanted = n == sizes.step_batches[-1] and kind == "bfloat16"
            goals = RATIO["step"] | IMAGES_A_SECOND if wanted else {}
            yield Case(f"batch {n}, {kind}", partial(_train, sizes, n, kind), goals)


def _train(sizes: Sizes, n: int, kind: str) -> dict:
    with precision(kind, sizes.device):
        ours = our_model(sizes, ["in_bfloat16"] * (kind == "bfloat16"))
        runs = {"ours": our_step(sizes, ours, n), "torchvision": torchvision_step(sizes, kind, n)}
        losses = {f"{name}, loss": sum(run()) for name, run in runs.items()}
        return _compare(runs, sizes, n) | losses


def _compare(runs: dict, sizes: Sizes, n: int) -> dict:
    values = beside(medians(runs, sizes)) | peaks(runs, sizes)
    return values | {"images/s": 1000 * n / values["ours, ms"]}


# What each change is worth


def options(sizes: Sizes) -> Iterator[Case]:
    """The changes of faster.py, one after another, beside torchvision in bfloat16."""
    ladder = ["in_bfloat16", "channels_last", "in_graphs", "compiled"]
    if sizes.device != "cuda":
        ladder.remove("in_graphs")
    n, before = sizes.detect_batches[0], {}
    for i in range(len(ladder) + 1):
        work = f"detect, batch {n}, {_named(ladder, i)}"
        goals = RATIO["detect"] if i == len(ladder) else {}
        yield Case(work, partial(_rung, sizes, "detect", n, ladder[:i], {}, before), goals)
    ladder = ["in_bfloat16", "channels_last", "compiled", "fused optimizer"]
    n, before = sizes.step_batches[-1], {}
    for i in range(len(ladder) + 1):
        work = f"step, batch {n}, {_named(ladder, i)}"
        goals = RATIO["step"] | IMAGES_A_SECOND if i == len(ladder) else {}
        fused = {"fused": True} if "fused optimizer" in ladder[:i] else {}
        yield Case(work, partial(_rung, sizes, "step", n, ladder[:i], fused, before), goals)


def _named(ladder: list[str], i: int) -> str:
    return f"and {ladder[i - 1]}" if i > 1 else ladder[0] if i == 1 else "tf32"


def _rung(sizes: Sizes, what: str, n: int, changes: list, options: dict, before: dict) -> dict:
    """before: the milliseconds of the rung before, written for the next one."""
    with precision("tf32", sizes.device):
        ours = our_model(sizes, changes)
        if what == "detect":
            runs = {"ours": our_detect(sizes, ours, n)}
            runs["torchvision"] = torchvision_detect(sizes, "bfloat16", n)
        else:
            runs = {"ours": our_step(sizes, ours, n, **options)}
            runs["torchvision"] = torchvision_step(sizes, "bfloat16", n)
        values = _compare(runs, sizes, n)
    if "ms" in before:
        values["of the row before"] = values["ours, ms"] / before["ms"]
    before["ms"] = values["ours, ms"]
    return values


# Where the time goes


def timeline(sizes: Sizes) -> Iterator[Case]:
    """What the GPU does, and when it waits, in ours in bfloat16."""
    changes = ["in_bfloat16", "channels_last"]
    n = sizes.detect_batches[0]
    yield Case(f"detect, batch {n}", partial(_look, sizes, our_detect, changes, n), STOPS)
    if sizes.device == "cuda":
        graphs = [*changes, "in_graphs"]
        work = f"detect, batch {n}, in_graphs"
        yield Case(work, partial(_look, sizes, our_detect, graphs, n), STOPS)
    n = sizes.step_batches[-1]
    yield Case(f"step, batch {n}", partial(_look, sizes, our_step, changes, n), STOPS)


def _look(sizes: Sizes, make: Callable, changes: list[str], n: int) -> dict:
    with precision("bfloat16", sizes.device):
        run = make(sizes, our_model(sizes, changes), n)
        for _ in range(3 if sizes.device == "cuda" else 1):
            run()
        values = count_syncs(run) if sizes.device == "cuda" else {}
        return values | seen_by_the_profiler(run, sizes.device)


def count_syncs(run: Callable[[], object]) -> dict:
    """How often PyTorch waits for the GPU, and where."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [w for w in caught if "synchroniz" in str(w.message)]
    places = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in waits)
    return {"stops": len(waits), "where": ", ".join(f"{k} {n}" for k, n in places.items())}


def seen_by_the_profiler(run: Callable[[], object], device: str) -> dict:
    """What of the time between the first and the last kernel they fill, and the ten longest."""
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        run()
        if device == "cuda":
            torch.cuda.synchronize()
    wanted = DeviceType.CUDA if device == "cuda" else DeviceType.CPU
    events = [e for e in profiler.events() if e.device_type == wanted and not e.is_user_annotation]
    times = sorted((e.time_range.start, e.time_range.end) for e in events)
    busy, until = 0.0, times[0][0]
    for start, end in times:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    span = until - times[0][0]
    spent, n = Counter(), Counter()
    for event in events:
        n[event.name] += 1
        spent[event.name] += (
            event.time_range.elapsed_us() if device == "cuda" else event.self_cpu_time_total
        )
    longest = [[name, us / 1000, n[name]] for name, us in spent.most_common(10)]
    numbers = {"span, ms": span / 1000, "kernels": len(events)}
    return numbers | {"busy": busy / span, "gaps": 1 - busy / span, "longest": longest}
