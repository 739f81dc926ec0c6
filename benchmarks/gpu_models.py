"""The whole model in gpu.py: detection and training compared with torchvision's, and profiles.

The weights are those of reference.py: random, with output layers fitted so that scores and boxes
spread like a trained model's. So both models have about 1,000 proposals and 100 detections per
image; the table has the exact numbers. Images and targets start in host memory, as they do when a
dataset has read them, and copying them to the GPU is part of the time.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import reference
import torch
import versus_torchvision as versus
from gpu_measure import Case, Sizes, autocast, medians, peaks, set_precision, with_ratio
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.speed import accelerate
from mrcnn_edu.weights import load_torchvision

PRECISIONS = "float32", "tf32", "bfloat16"
CHANGES = "compiled", "in_bfloat16", "channels_last", "in_graphs"  # of accelerate.py, in its order
RATIO_GOALS = {"detect": {"ratio": ("at most", 0.5)}, "step": {"ratio": ("at most", 0.55)}}
THROUGHPUT_GOAL = {"images/s": ("at least", 60)}


@cache
def torchvision_model(sizes: Sizes) -> nn.Module:
    if sizes.tiny:
        return reference.maskrcnn_of_the_same_layers(Config.tiny()).to(sizes.device)
    return reference.maskrcnn_resnet50_fpn().to(sizes.device)


def our_model(sizes: Sizes, changes: Sequence[str] = ()) -> MaskRCNN:
    """A new model with torchvision's weights and these changes of accelerate.py."""
    config = Config.tiny() if sizes.tiny else Config()
    model = load_torchvision(MaskRCNN(config), torchvision_model(sizes).state_dict())
    model = model.eval().to(sizes.device)
    for name in CHANGES:
        if name in changes:
            # Where time does not matter, only the first half of the compiler runs.
            options = {"backend": "eager"} if name == "compiled" and sizes.tiny else {}
            getattr(accelerate, name)(model, **options)
    return model


@cache
def images_and_targets(sizes: Sizes, n: int) -> tuple[list, list]:
    torch.manual_seed(0)
    n_classes = torchvision_model(sizes).roi_heads.box_predictor.cls_score.out_features - 1
    targets = [
        versus.random_target(sizes.image, n_classes, "cpu", sizes.n_objects) for _ in range(n)
    ]
    return reference.smooth_images([sizes.image] * n), targets


# The runs


def our_detect(sizes: Sizes, model: MaskRCNN, n: int) -> Callable[[], list]:
    images, _ = images_and_targets(sizes, n)
    return lambda: model.detect(images)


def torchvision_detect(sizes: Sizes, precision: str, n: int) -> Callable[[], list]:
    images, _ = images_and_targets(sizes, n)
    model = torchvision_model(sizes)

    @torch.inference_mode()
    def run() -> list:
        model.eval()
        with autocast(precision, sizes.device):
            return model([image.to(sizes.device) for image in images])

    return run


def our_step(sizes: Sizes, model: MaskRCNN, n: int, **options) -> Callable[[], list]:
    images, targets = images_and_targets(sizes, n)
    return _step(model, lambda: model(images, targets), **options)


def torchvision_step(sizes: Sizes, precision: str, n: int) -> Callable[[], list]:
    images, targets = images_and_targets(sizes, n)
    model = torchvision_model(sizes)

    def losses() -> dict:
        on_device = [{k: v.to(sizes.device) for k, v in target.items()} for target in targets]
        with autocast(precision, sizes.device):
            return model([image.to(sizes.device) for image in images], on_device)

    return _step(model, losses)


def _step(model: nn.Module, losses: Callable[[], dict], **options) -> Callable[[], list]:
    """A training step: forward, backward, optimizer, and reading the losses, as every loop does."""
    learning_rate = 1e-6  # so that the weights hardly change
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9, **options)

    def run() -> list[float]:
        model.train()
        optimizer.zero_grad()
        step_losses = losses()
        sum(step_losses.values()).backward()
        optimizer.step()
        return torch.stack([*step_losses.values()]).tolist()

    return run


# Compared with torchvision


def detect(sizes: Sizes) -> Iterator[Case]:
    """Detection in three precisions."""
    for n in sizes.detect_batches:
        for precision in PRECISIONS:
            has_goal = n == sizes.detect_batches[0] and precision == "bfloat16"
            goals = RATIO_GOALS["detect"] if has_goal else {}
            yield Case(f"batch {n}, {precision}", partial(_detect, sizes, n, precision), goals)


def _detect(sizes: Sizes, n: int, precision: str) -> dict:
    with set_precision(precision, sizes.device):
        ours = our_model(sizes, ["in_bfloat16"] * (precision == "bfloat16"))
        runs = {"ours": our_detect(sizes, ours, n)}
        runs["torchvision"] = torchvision_detect(sizes, precision, n)
        values = _compare(runs, sizes, n)
        values["proposals"], values["detections"] = _counts(sizes, ours, n)
        detections, expected = runs["ours"]()[0], runs["torchvision"]()[0]
        values["torchvision's"] = len(expected["boxes"])
        values["best score"] = float(detections.scores[0])
        values["its best"] = float(expected["scores"][0])
        return values


def _counts(sizes: Sizes, model: MaskRCNN, n: int) -> tuple[float, float]:
    """The mean numbers of proposals and detections per image."""
    trace = model.trace(images_and_targets(sizes, n)[0])
    return sum(len(p.boxes) for p in trace.proposals) / n, sum(map(len, trace.detections)) / n


def step(sizes: Sizes) -> Iterator[Case]:
    """A training step in three precisions."""
    for n in sizes.step_batches:
        for precision in PRECISIONS:
            has_goal = n == sizes.step_batches[-1] and precision == "bfloat16"
            goals = RATIO_GOALS["step"] | THROUGHPUT_GOAL if has_goal else {}
            yield Case(f"batch {n}, {precision}", partial(_train, sizes, n, precision), goals)


def _train(sizes: Sizes, n: int, precision: str) -> dict:
    with set_precision(precision, sizes.device):
        ours = our_model(sizes, ["in_bfloat16"] * (precision == "bfloat16"))
        runs = {"ours": our_step(sizes, ours, n)}
        runs["torchvision"] = torchvision_step(sizes, precision, n)
        losses = {f"{name}, loss": sum(run()) for name, run in runs.items()}
        return _compare(runs, sizes, n) | losses


def _compare(runs: dict, sizes: Sizes, n: int) -> dict:
    values = with_ratio(medians(runs, sizes)) | peaks(runs, sizes)
    return values | {"images/s": 1000 * n / values["ours, ms"]}


# What each change gains


def options(sizes: Sizes) -> Iterator[Case]:
    """The changes of accelerate.py, added one by one, compared with torchvision in bfloat16."""
    changes = ["in_bfloat16", "channels_last", "in_graphs", "compiled"]
    if sizes.device != "cuda":
        changes.remove("in_graphs")
    n, previous = sizes.detect_batches[0], {}
    for i in range(len(changes) + 1):
        work = f"detect, batch {n}, {_last_change(changes, i)}"
        goals = RATIO_GOALS["detect"] if i == len(changes) else {}
        yield Case(
            work, partial(_with_changes, sizes, "detect", n, changes[:i], {}, previous), goals
        )
    changes = ["in_bfloat16", "channels_last", "compiled", "fused optimizer"]
    n, previous = sizes.step_batches[-1], {}
    for i in range(len(changes) + 1):
        work = f"step, batch {n}, {_last_change(changes, i)}"
        goals = RATIO_GOALS["step"] | THROUGHPUT_GOAL if i == len(changes) else {}
        fused = {"fused": True} if "fused optimizer" in changes[:i] else {}
        yield Case(
            work, partial(_with_changes, sizes, "step", n, changes[:i], fused, previous), goals
        )


def _last_change(changes: list[str], i: int) -> str:
    return f"and {changes[i - 1]}" if i > 1 else changes[0] if i == 1 else "tf32"


def _with_changes(
    sizes: Sizes, work: str, n: int, changes: list, options: dict, previous: dict
) -> dict:
    """previous: the milliseconds of the previous row, which this one replaces."""
    with set_precision("tf32", sizes.device):
        ours = our_model(sizes, changes)
        if work == "detect":
            runs = {"ours": our_detect(sizes, ours, n)}
            runs["torchvision"] = torchvision_detect(sizes, "bfloat16", n)
        else:
            runs = {"ours": our_step(sizes, ours, n, **options)}
            runs["torchvision"] = torchvision_step(sizes, "bfloat16", n)
        values = _compare(runs, sizes, n)
    if "ms" in previous:
        values["of the previous row"] = values["ours, ms"] / previous["ms"]
    previous["ms"] = values["ours, ms"]
    return values


# Where the time goes


def timeline(sizes: Sizes) -> Iterator[Case]:
    """What the GPU does in our model in bfloat16, and when it waits."""
    changes = ["in_bfloat16", "channels_last"]
    n = sizes.detect_batches[0]
    yield Case(f"detect, batch {n}", partial(_profile, sizes, our_detect, changes, n), {})
    if sizes.device == "cuda":
        graphs = [*changes, "in_graphs"]
        work = f"detect, batch {n}, in_graphs"
        yield Case(work, partial(_profile, sizes, our_detect, graphs, n), {})
    n = sizes.step_batches[-1]
    yield Case(f"step, batch {n}", partial(_profile, sizes, our_step, changes, n), {})


def _profile(sizes: Sizes, make_run: Callable, changes: list[str], n: int) -> dict:
    with set_precision("bfloat16", sizes.device):
        run = make_run(sizes, our_model(sizes, changes), n)
        for _ in range(3 if sizes.device == "cuda" else 1):
            run()
        syncs = synchronizations(run) if sizes.device == "cuda" else {}
        return syncs | profile_kernels(run, sizes.device)


def synchronizations(run: Callable[[], object]) -> dict:
    """How often the CPU waits for the GPU, as PyTorch warns, and where."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    syncs = [w for w in caught if "synchroniz" in str(w.message)]
    lines = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in syncs)
    return {"syncs": len(syncs), "where": ", ".join(f"{line} {n}" for line, n in lines.items())}


def profile_kernels(run: Callable[[], object], device: str) -> dict:
    """How busy kernels keep the device, from the first to the last one, and the ten longest."""
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        run()
        if device == "cuda":
            torch.cuda.synchronize()
    device_type = DeviceType.CUDA if device == "cuda" else DeviceType.CPU
    events = [
        e for e in profiler.events() if e.device_type == device_type and not e.is_user_annotation
    ]
    times = sorted((e.time_range.start, e.time_range.end) for e in events)
    busy, busy_until = 0.0, times[0][0]
    for start, end in times:
        busy += max(0.0, end - max(start, busy_until))
        busy_until = max(busy_until, end)
    span = busy_until - times[0][0]
    microseconds, n = Counter(), Counter()
    for event in events:
        n[event.name] += 1
        microseconds[event.name] += (
            event.time_range.elapsed_us() if device == "cuda" else event.self_cpu_time_total
        )
    longest = [[name, us / 1000, n[name]] for name, us in microseconds.most_common(10)]
    return {
        "span, ms": span / 1000,
        "kernels": len(events),
        "busy": busy / span,
        "gaps": 1 - busy / span,
        "longest": longest,
    }
