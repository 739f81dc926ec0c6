"""Runs: a setting trained and scored, once for each seed, kept on disk and never done twice.

Finished results come back at once, the missing ones from an executor: processes of this machine, a
Dask cluster's, or any other of `concurrent.futures`. Each is written by the process that made it,
and a training that was stopped is taken up from its checkpoint.
"""

import ast
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm.auto import tqdm

import mrcnn_edu
from mrcnn_edu.ablations.lab import Folder, Job, Lab, opened
from mrcnn_edu.ablations.results import Results
from mrcnn_edu.ablations.start import start_file, start_from
from mrcnn_edu.ablations.tables import TABLES, Table
from mrcnn_edu.data.coco import write_file
from mrcnn_edu.evaluate import Found, detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit

KEPT = Path("runs/ablations")
READINGS = "probability", "strongest", "background"  # of a mask learned with softmax
CODE = (  # the modules that a result depends on
    "boxes", "anchors", "matching", "roi_ops", "backbone", "rpn", "heads", "targets", "losses",
    "images", "detections", "model", "data/shapes", "evaluate", "train", "ablations/run",
)  # fmt: skip


def run(
    table: str | Table,
    seeds: int | Iterable[int] = 2,
    steps: int | None = None,
    executor: Executor | None = None,
    *,
    settings: Iterable[str] | None = None,
    lab: Lab | None = None,
    folder: str | Path = KEPT,
    progress: bool = True,
) -> Results:
    """The table, measured: every setting trained and scored for each seed.

    table: a name in TABLES, or a Table. seeds: how many, or which. steps: of each training, the
    lab's own number if None. executor: where it is computed; None is as many processes as cores, a
    thread each. settings: names, if not all are wanted. folder: where results are kept; a key of
    the file name stands for settings, seed, steps, data, start and code. Raises ValueError for an
    unknown name; a run that fails is reported in the results, and tried again the next time.
    """
    table, lab, folder = table_of(table), lab or Lab(), Path(folder)
    seeds = range(seeds) if isinstance(seeds, int) else list(seeds)
    wanted = [table.setting(name) for name in settings] if settings else table.settings
    jobs = {(s.name, seed): lab.job(table, s, seed, steps) for seed in seeds for s in wanted}
    records = run_jobs(list(dict.fromkeys(jobs.values())), executor, folder, progress)
    table = replace(table, settings=tuple(wanted))
    return Results(table, {place: records[job] for place, job in jobs.items()})


def table_of(table: str | Table) -> Table:
    """The table of that name. Raises ValueError that lists the names."""
    if isinstance(table, Table):
        return table
    if table not in TABLES:
        raise ValueError(f"there is no table {table!r}: choose one of {', '.join(TABLES)}")
    return TABLES[table]


def run_jobs(
    jobs: list[Job], executor: Executor | None, folder: Path, progress: bool = True
) -> dict[Job, dict]:
    """The record of each job; one with the entry "failed" where a job came to nothing."""
    records = {job: record for job in jobs if (record := kept(job, folder)) is not None}
    missing = [job for job in jobs if job not in records]
    bar = tqdm(total=len(jobs), initial=len(records), desc="ablation runs", disable=not progress)
    own = None
    if missing and executor is None:
        n = min(len(missing), os.cpu_count() or 1)
        executor = own = ProcessPoolExecutor(n, mp_context=get_context("spawn"))
    futures = {executor.submit(run_job, job, folder): job for job in missing}
    try:
        for future in as_completed(futures):
            try:
                records[futures[future]] = future.result()
            except Exception as error:  # whatever it was, the other runs go on
                message = f"{type(error).__name__}: {error}"
                records[futures[future]] = {"failed": message}
            bar.update()
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        raise KeyboardInterrupt(
            f"{len(records)} of {len(jobs)} runs are kept in {folder}"
        ) from None
    finally:
        bar.close()
        if own is not None:
            own.shutdown(cancel_futures=True)
    return records


def run_job(job: Job, folder: Path) -> dict:
    """The record of a job, from the folder, or computed and written there.

    One thread, whatever the machine has: sums of another order are another result.
    """
    if (record := kept(job, folder)) is not None:
        return record
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        record = measure(job, folder / key(job))
    finally:
        torch.set_num_threads(threads)
    write_file(folder / f"{key(job)}.json", json.dumps(record, indent=1).encode())
    shutil.rmtree(folder / key(job), ignore_errors=True)  # the checkpoint
    return record


def measure(job: Job, checkpoints: Path) -> dict:
    """Train and score: the record, which is plain JSON."""
    began = time.time()
    torch.manual_seed(job.training.seed)
    model = start_from(MaskRCNN(job.config))
    if torch.cuda.is_available():
        model.cuda()
    data, held_out = opened(job.train_data), opened(job.held_out)
    losses = fit(model, data, job.training, checkpoints, progress=False)
    seconds = time.time() - began
    found = detect_all(model, held_out, progress=False)
    scores = {"bbox": score(held_out, found, "bbox")}
    if model.mask_head is not None:
        scores["segm"] = score(held_out, found, "segm")
    if job.config.mask_loss == "softmax":
        for reading in READINGS[1:]:
            model.config = replace(job.config, mask_reading=reading)
            again = detect_all(model, held_out, progress=False)
            scores[f"segm {reading}"] = score(held_out, again, "segm")
    return {
        "job": asdict(job),
        "code": code_version(),
        "scores": scores,
        "last_losses": losses[-1],
        "seconds": round(seconds, 1),
        "milliseconds_per_image": round(1000 * sorted(found.seconds)[len(found.seconds) // 2], 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_megabytes": round(step_bytes(model, data, job.training.batch_size) / 1e6, 1),
        "machine": device_name(),
        "torch": torch.__version__,
    }


def device_name() -> str:
    """What it was computed on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()


def score(dataset, found: Found, kind: str) -> dict[str, float]:
    """Average precisions in percent; a size without objects has none."""
    values = asdict(evaluate(dataset, found, kind, progress=False))
    values.pop("per_class")
    return {name: round(100 * value, 3) for name, value in values.items() if value == value}


def step_bytes(model: MaskRCNN, dataset, batch_size: int) -> int:
    """Bytes that a training step keeps for its backward pass, parameters not counted."""
    device = next(model.parameters()).device
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    items = [dataset[i] for i in range(min(batch_size, len(dataset)))]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = model(*zip(*items, strict=True), torch.Generator(device).manual_seed(0))
    total = sum(sizes.values())
    del losses  # until here its storages live, so that no address is used twice
    model.eval()
    return total


def kept(job: Job, folder: Path) -> dict | None:
    """The record of a job that was done before."""
    file = folder / f"{key(job)}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def key(job: Job) -> str:
    """The name of a job's result: other settings, data, start or code have another one."""
    files = [start_file(job.config.backbone)]
    files += [d.annotations for d in (job.train_data, job.held_out) if isinstance(d, Folder)]
    parts = [repr(job), code_version()]
    parts += [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def code_version() -> str:
    """A hash of what the package's code does: of its syntax, without comments and docstrings."""
    hashed = hashlib.sha256()
    for module in CODE:
        tree = ast.parse((Path(mrcnn_edu.__file__).parent / f"{module}.py").read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and is_text(body[0]):
                body[:] = body[1:]
        hashed.update(ast.dump(tree).encode())
    return hashed.hexdigest()[:12]


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text alone, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
