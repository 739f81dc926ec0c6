"""What our model and torchvision's spend their time on: python benchmarks/where_time_goes.py

Profiles detection and training steps on a CPU. The floor is the ratio that would remain if our
model spent no time on anything but its convolutions and fully connected layers.
"""

import argparse

import torch
from torch.profiler import ProfilerActivity, profile
from versus_torchvision import detect, large_step, tiny_step

GROUPS = {  # parts of the names of PyTorch's operators; the first group that matches counts
    "convolutions": ("convolution",),
    "RoI pooling": ("roi_align", "embedding_bag"),
    "fully connected layers": ("addmm", "aten::mm"),
    "batch norm": ("batch_norm",),
    "ReLU, sums, up- and downsampling": ("clamp_min", "threshold", "aten::add", "upsample", "pool"),
    "copies and fresh memory": ("copy_", "aten::cat", "fill_", "zero_", "empty"),
}
LAYERS = ("convolutions", "fully connected layers")
REST = "everything else"
WORK = {  # name: (what makes the pair of runs, how often each runs in the profiler)
    "detect, ResNet-50-FPN, 800 x 1200": (detect, 1),
    "training step, 2 images 800 x 1200": (large_step, 1),
    "training step, tiny, 8 scenes 96 x 96": (tiny_step, 10),
}


def seconds_of_groups(run, repeats: int) -> dict[str, float]:
    """The seconds that each group of operators takes in one run."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(repeats):
            run()
    seconds = dict.fromkeys([*GROUPS, REST], 0.0)
    for operator in profiler.key_averages():
        matching = (
            group for group, parts in GROUPS.items() if any(p in operator.key for p in parts)
        )
        seconds[next(matching, REST)] += operator.self_cpu_time_total / 1e6 / repeats
    return seconds


def show(name: str, ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Print both as a Markdown table, and the floor."""
    totals = sum(ours.values()), sum(theirs.values())
    print(f"| {name} | ours | torchvision |\n|---|---:|---:|")
    for group in ours:
        a, b = ours[group], theirs[group]
        print(f"| {group} | {a:.3g} s, {a / totals[0]:.0%} | {b:.3g} s, {b / totals[1]:.0%} |")
    print("| all | {:.3g} s | {:.3g} s |".format(*totals))
    layers = sum(ours[group] for group in LAYERS)
    print(f"\nRatio {totals[0] / totals[1]:.2f}, floor {layers / totals[1]:.2f}.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of the CPU (2)")
    parser.add_argument("--only", default="", help="only work whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, (make_pair, repeats) in WORK.items():
        if options.only in name:
            torch.manual_seed(0)
            show(name, *(seconds_of_groups(run, repeats) for run in make_pair("cpu")))


if __name__ == "__main__":
    main()
