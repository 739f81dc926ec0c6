"""R-CNN to Mask R-CNN, side by side: python benchmarks/family.py

Every system that has weights (`python tools/make_ancestors.py`) detects the objects in the same 300
scenes, and then in one scene with more and more proposals. Prints average precision, where the time
goes and how often the backbone runs, and writes them into docs/history.md, beside the papers'
figures.
"""

import argparse
import json
import statistics
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm.auto import tqdm
from versus_torchvision import between_marks, machine

from mrcnn_edu import viz
from mrcnn_edu.ancestors.cost import cost_of_proposals, measure_cost, n_parameters
from mrcnn_edu.ancestors.pretrained import FOLDER, load
from mrcnn_edu.ancestors.proposals import recall_at
from mrcnn_edu.ancestors.selective_search import selective_search
from mrcnn_edu.cli.opening import VAL_SCENES
from mrcnn_edu.evaluate import DetectionList, evaluate

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "family.json"
PICTURE = HERE.parent / "docs" / "pictures" / "family.png"
DOCUMENT = HERE.parent / "docs" / "history.md"
NAMES = {  # file name: what tables call the system, in the order of publication
    "rcnn": "R-CNN",
    "fast-rcnn": "Fast R-CNN",
    "faster-rcnn": "Faster R-CNN",
    "fcis": "FCIS",
    "mask-rcnn-c4": "Mask R-CNN, C4",
    "mask-rcnn": "Mask R-CNN, FPN",
}
STAGES = "proposals", "features", "heads"
N_PROPOSALS = 10, 20, 50, 100, 200, 500, 1000
PAPERS = [  # system, GPU, seconds per image, quality
    ("R-CNN, AlexNet", "not named", "13 for search and features", "VOC10 53.7 AP50"),
    ("R-CNN, VGG16", "K40", "47, and selective search", "VOC07 66.0 AP50"),
    ("Fast R-CNN, VGG16", "K40", "0.32, and selective search", "VOC07 66.9 AP50"),
    (
        "Fast R-CNN, as Faster R-CNN's authors measured it",
        "K40",
        "1.83 = 1.51 + 0.146 + 0.174",
        "VOC07 66.9 AP50",
    ),
    ("Faster R-CNN, VGG16", "K40", "0.198 = 0.010 + 0.141 + 0.047", "VOC07 69.9 AP50"),
    ("FCIS with OHEM, R101", "K40", "0.24", "COCO mask 29.2 AP"),
    ("Mask R-CNN, R101-C4", "M40", "about 0.4", "COCO mask 33.1 AP"),
    ("Mask R-CNN, R101-FPN", "M40", "0.195, and 0.015 to scale", "COCO mask 35.7 AP, box 38.2"),
]
MARK = "<!-- family -->"


def trained(folder: Path) -> list[str]:
    """The names of the systems that have weights in the folder."""
    return [name for name in NAMES if (folder / f"{name}.pt").is_file()]


def quality_and_cost(model, scenes) -> dict:
    """Scores in %, and the median cost of an image."""
    found, costs = DetectionList(), []
    model.detect([scenes[0][0]])  # to warm up
    for index in tqdm(range(len(scenes)), "detect", leave=False):
        detections, cost = measure_cost(model, [scenes[index][0]])
        found.append(*detections)
        costs.append(cost)
    kinds = ["bbox"] if found[0].masks is None else ["bbox", "segm"]
    scores = {}
    for kind in kinds:
        all_scores = asdict(evaluate(scenes, found, kind, progress=False))
        scores[kind] = {name: round(100 * all_scores[name], 2) for name in ("ap", "ap50", "ap75")}
    return {
        "scores": scores,
        "seconds": {s: statistics.median(getattr(c, s) for c in costs) for s in STAGES},
        "passes": statistics.mean(c.passes for c in costs),
        "megapixels": statistics.mean(c.pixels for c in costs) / 1e6,
        "parameters": n_parameters(model),
    }


def cost_by_proposals(model, image, rounds: int) -> list[dict]:
    """The cost of one image with each number of proposals: the median of `rounds` runs."""
    rows = []
    corners = torch.rand(max(N_PROPOSALS), 2, 2, generator=torch.Generator().manual_seed(0))
    boxes = corners.sort(dim=1).values.flatten(1) * torch.tensor(image.shape[:0:-1]).repeat(2)
    for n in N_PROPOSALS:
        costs = [cost_of_proposals(model, image, boxes[:n]) for _ in range(rounds + 1)][1:]
        seconds = {s: statistics.median(getattr(c, s) for c in costs) for s in STAGES}
        rows.append({"proposals": n, "seconds": seconds, "passes": costs[0].passes})
    return rows


def recall_of_proposals(scenes) -> dict:
    """Recall of selective search's proposals and of an RPN's, by IoU and number of proposals."""
    model, items = load("mask-rcnn"), [scenes[i] for i in range(len(scenes))]
    targets = [target for _, target in items]
    found = {
        "selective search": [selective_search(image) for image, _ in tqdm(items, "search")],
        "RPN": [model.trace([image]).proposals[0].boxes for image, _ in tqdm(items, "RPN")],
    }
    recall = {name: {} for name in found}
    for name, boxes in found.items():
        for iou in (0.5, 0.7):
            recall[name][str(iou)] = recall_at(boxes, targets, N_PROPOSALS[:5], iou).tolist()
    return recall


def recall_table(results: dict) -> list[str]:
    """Recall by number of proposals, in %, as lines of Markdown."""
    counts = " | ".join(map(str, N_PROPOSALS[:5]))
    lines = [
        f"| recall in %, by the number of proposals | IoU | {counts} |",
        "|---|---:|" + "---:|" * 5,
    ]
    for name, by_iou in results["recall"].items():
        for iou, values in by_iou.items():
            percent = " | ".join(f"{100 * value:.0f}" for value in values)
            lines.append(f"| {name} | {iou} | {percent} |")
    return lines


def systems_table(results: dict) -> list[str]:
    """The average precision and the cost of each system, as lines of Markdown."""
    lines = [
        "| system | mask AP | box AP | proposals, ms | features, ms | heads, ms | all, ms "
        "| backbone passes | parameters |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, r in results["systems"].items():
        ap = [f"{r['scores'][k]['ap']:.1f}" if k in r["scores"] else "" for k in ("segm", "bbox")]
        milliseconds = [1000 * r["seconds"][stage] for stage in STAGES]
        times = [f"{t:.1f}" for t in (*milliseconds, sum(milliseconds))]
        cells = [NAMES[name], *ap, *times, f"{r['passes']:.0f}", f"{r['parameters'] / 1e6:.2f} M"]
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        f"{results['scenes']} scenes of 96 × 96 pixels, none of them trained on; milliseconds are "
        f"medians per image; {results['machine']['device']}, torch {results['machine']['torch']}.",
    ]


def proposals_table(results: dict) -> list[str]:
    """Milliseconds of each system by number of proposals, as lines of Markdown."""
    lines = [
        "| milliseconds per image, by the number of proposals | "
        + " | ".join(map(str, N_PROPOSALS))
        + " |",
        "|---|" + "---:|" * len(N_PROPOSALS),
    ]
    for name, r in results["systems"].items():
        rows = [1000 * sum(row["seconds"].values()) for row in r["many"]]
        lines.append(f"| {NAMES[name]} | " + " | ".join(f"{t:.0f}" for t in rows) + " |")
    return lines


def papers_table() -> list[str]:
    """What the papers measured, as lines of Markdown."""
    return [
        "| in the papers | GPU | seconds per image (= proposals + features + heads) | quality |",
        "|---|---|---:|---|",
        *(f"| {' | '.join(row)} |" for row in PAPERS),
    ]


def insert(results: dict, document: str) -> str:
    """The document with the tables between its marks replaced by those of `results`."""
    parts = [
        systems_table(results), proposals_table(results), recall_table(results), papers_table(),
    ]  # fmt: skip
    return between_marks(document, MARK, "\n\n".join("\n".join(part) for part in parts))


def proposals_picture(results: dict) -> viz.Picture:
    """Milliseconds of each system by number of proposals."""
    lines = {
        NAMES[name]: torch.tensor([1000 * sum(row["seconds"].values()) for row in r["many"]])
        for name, r in results["systems"].items()
    }
    return viz.show_lines(torch.tensor(N_PROPOSALS), lines, "proposals", "milliseconds per image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of the weights (default: shipped)"
    )
    parser.add_argument(
        "--scenes", type=int, default=len(VAL_SCENES), help="fewer for a trial (300)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each number of proposals (5)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (1)")
    parser.add_argument("--print", action="store_true", help="only print, write nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = measure(options.folder, options.scenes, options.rounds)
    print("\n".join([*systems_table(results), "", *proposals_table(results)]))
    if not options.print:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        PICTURE.write_bytes(proposals_picture(results).encoded())
        DOCUMENT.write_text(insert(results, DOCUMENT.read_text()))
        print(f"written to {RESULTS}, {PICTURE} and {DOCUMENT}")


def measure(folder: Path, n_scenes: int, rounds: int) -> dict:
    """The results for every system that has weights in the folder."""
    scenes, systems = replace(VAL_SCENES, n=n_scenes), {}
    for name in tqdm(trained(folder), "systems"):
        model = load(folder / f"{name}.pt")
        systems[name] = quality_and_cost(model, scenes)
        systems[name]["many"] = cost_by_proposals(model, scenes[0][0], rounds)
    recall = recall_of_proposals(replace(scenes, n=min(n_scenes, 100)))
    return {
        "machine": machine("cpu"), "scenes": n_scenes, "systems": systems, "recall": recall,
    }  # fmt: skip


if __name__ == "__main__":
    main()
