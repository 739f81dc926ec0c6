"""Ablations: the tables, one start for all settings, runs kept and resumed, statistics."""

import contextlib
import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import make_backbones
import pytest
import torch
from scipy import stats

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.ablations import (
    TABLES,
    Results,
    Setting,
    Setup,
    Table,
    job_hash,
    mask_errors,
    measure,
    run,
    train_in_lockstep,
)
from mrcnn_edu.ablations.estimate import estimate
from mrcnn_edu.ablations.setup import BASE_CONFIGS, BASE_TRAINING
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.targets import mask_targets
from mrcnn_edu.train import fit
from mrcnn_edu.train.recipes import FLIP, PAPER
from mrcnn_edu.weights import backbone_file, init_backbone

SMALL = Setup(
    train_data=Shapes(4, n_objects=(1, 2)), val_data=Shapes(2, seed=1, n_objects=(1, 2))
)  # fmt: skip
RUN = sys.modules["mrcnn_edu.ablations.run"]  # the module, which the function `run` hides
PAIR = Table("pair", "?", "-", "c5", (Setting("align"), Setting("pool", {"roi_op": "pool"})))


@pytest.fixture
def here():
    """An executor that computes in this process."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


def in_the_tests(**changes):
    """A run of two steps on four scenes."""
    return run(PAIR, **{"seeds": 1, "steps": 2, "setup": SMALL, "progress": False} | changes)


# The tables


def test_the_papers_differences_are_those_that_it_prints():
    """Table 2b: +5.5, +7.1, +6.4; 2d: +7.3, +5.3, +10.5 for masks, +5.8, +2.6, +9.5 for boxes."""
    printed = {"2b": (5.5, 7.1, 6.4), "2d": (7.3, 5.3, 10.5), "2d-box": (5.8, 2.6, 9.5)}
    for name, differences in printed.items():
        best, other = (setting.paper for setting in TABLES[name].settings[:2])
        assert [round(a - b, 1) for a, b in zip(best, other, strict=True)] == list(differences)


@pytest.mark.parametrize("size", ["tiny", "r50"])
def test_every_setting_makes_a_model_and_differs_from_the_others(size):
    for table in TABLES.values():
        configs = [Setup(size).job(table, setting, 0).config for setting in table.settings]
        for config in configs:
            with torch.device("meta"):
                MaskRCNN(config)
        trained_alike = sum("mask_decoding" in s.changes for s in table.settings)
        assert len(set(configs)) == len(configs) - trained_alike


def test_the_full_size_models_are_the_papers():
    deeper = Setup("r50").job(TABLES["2a"], TABLES["2a"].settings[1], 0).config
    assert deeper == Config.c4(n_classes=6, backbone="resnet101")
    assert Setup("r50").job(TABLES["2d"], TABLES["2d"].settings[0], 0).config.neck == "c5"
    assert Setup("r50", "c4").job(TABLES["2e"], TABLES["2e"].settings[0], 0).config.neck == "c4"


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="no table '2z': choose one of 2a, 2a-longer, 2b"):
        run("2z", folder=tmp_path)
    with pytest.raises(ValueError, match="no setting 'x': choose one of 'sigmoid', 'softmax'"):
        run("2b", settings=["x"], folder=tmp_path)


# The start


def test_every_setting_starts_from_the_same_backbone_and_from_its_seed():
    """Equal parameters wherever two settings have the same layer, before the first step."""
    heads = "neck.", "rpn_head.", "box_head."
    for table in TABLES.values():
        base = first = None
        for setting in table.settings:
            torch.manual_seed(3)
            config = Setup().job(table, setting, 3).config
            state = init_backbone(MaskRCNN(config)).state_dict()
            base, first = base or config, first or state
            alike = ("backbone.",) if config.backbone == base.backbone else ()
            alike += heads if alike and config.neck == base.neck else ()
            names = [name for name in state if name.startswith(alike) and name in first]
            assert len(names) > (50 if alike else -1)
            assert all(torch.equal(state[name], first[name]) for name in names)


@pytest.mark.parametrize("name", make_backbones.NAMES)
def test_a_pretrained_backbone_separates_the_outlines(name):
    """The nearest class mean of other images' features is right for nine images of ten."""
    record = json.loads(backbone_file(name).with_suffix(".json").read_text())
    assert record["accuracy"] > 0.95 and backbone_file(name).stat().st_size < 3_000_000
    model = init_backbone(MaskRCNN(replace(BASE_CONFIGS["tiny"]["c5"], backbone=name))).eval()
    data = make_backbones.labeled(150, seed=2)  # seed 0 was for training, 1 for validation
    images, labels = zip(*(data[i] for i in range(len(data))), strict=True)
    labels = torch.tensor(labels)
    with torch.no_grad():
        maps = model.backbone((torch.stack(images) - 0.5) / 0.25)[-1]
    features = maps.mean(dim=(2, 3))
    references, queries = features[::2], features[1::2]
    means = torch.stack([references[labels[::2] == k].mean(dim=0) for k in range(10)])
    nearest = torch.cdist(queries, means).argmin(dim=1)
    assert (nearest == labels[1::2]).float().mean() > 0.9


# Hashes


def test_a_hash_depends_on_everything_that_a_result_does(monkeypatch):
    table, setting = TABLES["2c"], TABLES["2c"].settings[0]
    job = Setup().job(table, setting, 0)
    others = [
        Setup().job(table, table.settings[1], 0), Setup().job(table, setting, 1),
        Setup().job(table, setting, 0, steps=7), replace(job, val_data=Shapes(3)),
        replace(job, train_data=Shapes(3)),
    ]  # fmt: skip
    hashes = {job_hash.job_hash(each) for each in [job, *others]}
    assert len(hashes) == 6 and job_hash.job_hash(Setup().job(table, setting, 0)) in hashes
    monkeypatch.setattr(job_hash, "code_version", lambda: "other code")
    assert job_hash.job_hash(job) not in hashes


# Runs


def test_finished_runs_are_read_and_not_run_again(here, tmp_path, monkeypatch):
    first = in_the_tests(executor=here, folder=tmp_path, seeds=[0, 5])
    assert set(first.records) == {(n, s) for n in ("align", "pool") for s in (0, 5)}
    assert len(list(tmp_path.glob("*.json"))) == 4 and not first.failed
    monkeypatch.setattr(RUN, "measure", None)
    again = in_the_tests(executor=here, folder=tmp_path, seeds=[0, 5])
    assert again.records == first.records
    assert "align" in str(again)
    more = in_the_tests(executor=here, folder=tmp_path, seeds=[0], settings=["pool"])
    assert [s.name for s in more.table.settings] == ["pool"]


def test_a_run_is_the_same_again_to_the_last_bit(here, tmp_path):
    one, two = (
        in_the_tests(executor=here, folder=tmp_path / name).records[("pool", 0)]
        for name in ("a", "b")
    )
    assert one["scores"] == two["scores"] and one["last_losses"] == two["last_losses"]


def test_a_failure_is_reported_and_tried_again(here, tmp_path, monkeypatch):
    real = RUN.measure

    def measure_align_alone(job, folder):
        if job.config.roi_op == "pool":
            raise FloatingPointError("loss_mask is not finite")
        return real(job, folder)

    monkeypatch.setattr(RUN, "measure", measure_align_alone)
    results = in_the_tests(executor=here, folder=tmp_path)
    assert results.failed == {("pool", 0): "FloatingPointError: loss_mask is not finite"}
    assert "failed: pool, seed 0: FloatingPointError" in str(results)
    assert results.mean(PAIR.settings[1]).n == 0
    monkeypatch.setattr(RUN, "measure", real)
    assert not in_the_tests(executor=here, folder=tmp_path).failed


def test_a_stopped_run_resumes(here, tmp_path, monkeypatch):
    """It ends like a run that was not stopped: the same losses, and no checkpoint is left."""
    whole = in_the_tests(executor=here, folder=tmp_path / "whole", steps=4, settings=["align"])
    often = replace(BASE_TRAINING["tiny"], checkpoint_every=1)
    monkeypatch.setitem(BASE_TRAINING, "tiny", often)
    real, calls = measure.detect_all, []

    def stopped(*args, **kwargs):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "detect_all", stopped)
    with pytest.raises(KeyboardInterrupt):
        in_the_tests(executor=here, folder=tmp_path / "cut", steps=4, settings=["align"])
    (checkpoint,) = (tmp_path / "cut").glob("*/checkpoint.pt")
    monkeypatch.setattr(measure, "detect_all", real)
    monkeypatch.setattr(measure, "fit", resumed(measure.fit, min_steps=4))
    results = in_the_tests(executor=here, folder=tmp_path / "cut", steps=4, settings=["align"])
    record, expected = results.records[("align", 0)], whole.records[("align", 0)]
    assert calls == [1] and not checkpoint.parent.exists()
    assert record["scores"] == expected["scores"]
    assert record["last_losses"] == expected["last_losses"]


def test_a_resumed_run_has_no_seconds(here, tmp_path, monkeypatch):
    real = measure.detect_all
    monkeypatch.setattr(measure, "detect_all", lambda *_, **__: 1 / 0)
    assert in_the_tests(executor=here, folder=tmp_path, settings=["align"]).failed
    monkeypatch.setattr(measure, "detect_all", real)
    results = in_the_tests(executor=here, folder=tmp_path)
    assert "seconds" not in results.records[("align", 0)]
    assert results.records[("pool", 0)]["seconds"] >= 0
    assert math.isnan(results.cost(PAIR.settings[0], "seconds"))


def test_threads_of_a_process_take_turns(tmp_path):
    """They share torch's generator: at the same time they would draw each other's numbers."""
    one, two = (
        in_the_tests(executor=threads, folder=tmp_path / str(n), seeds=2).records
        for n in (1, 4)
        for threads in [ThreadPoolExecutor(n)]
    )
    for name_and_seed, record in one.items():
        assert two[name_and_seed]["last_losses"] == record["last_losses"], name_and_seed


def test_a_run_waits_for_the_process_that_computes_it(tmp_path):
    job = SMALL.job(PAIR, PAIR.settings[0], 0, 1)
    name = job_hash.job_hash(job)
    with ThreadPoolExecutor(1) as here:
        with RUN.file_lock(tmp_path / name / "lock"):  # as another process would hold it
            other = here.submit(RUN.run_job, job, tmp_path)
            time.sleep(0.5)
            assert not other.done()
            (tmp_path / f"{name}.json").write_text('{"scores": "of the other"}')
        assert other.result() == {"scores": "of the other"}
    assert os.listdir(tmp_path) == [f"{name}.json"]


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    import psutil

    code = f"import test_ablations as t; t.in_the_tests(folder={str(tmp_path)!r}, steps=10**6)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, env=env)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/losses.csv")):
        assert first.poll() is None and time.monotonic() < deadline, "no run has started"
        time.sleep(0.1)
    workers = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    for worker in alive:
        worker.kill()
    assert workers and not alive


def test_a_full_size_model_is_trained_as_the_papers():
    job = Setup("r50").job(TABLES["2c"], TABLES["2c"].settings[0], 3)
    assert job.training == replace(PAPER, seed=3) and job.augmentation == FLIP
    assert Setup().job(TABLES["2c"], TABLES["2c"].settings[0], 3).augmentation == Augmentation()


def resumed(fit, min_steps):
    """fit, which must find a checkpoint of at least so many steps."""

    def fit_again(model, data, training, folder, **options):
        assert len(torch.load(folder / "checkpoint.pt", weights_only=True)["losses"]) >= min_steps
        return fit(model, data, training, folder, **options)

    return fit_again


@pytest.mark.slow
def test_a_local_worker_is_killed(tmp_path):
    """Its run is reported as failed; finished runs are kept, and the others run the next time."""
    killer = ThreadPoolExecutor(1).submit(kill_a_worker, tmp_path)
    results = in_the_tests(folder=tmp_path, seeds=2, steps=40)
    assert killer.result() and results.failed
    assert all("process" in error for error in results.failed.values())
    again = in_the_tests(folder=tmp_path, seeds=2, steps=40)
    assert not again.failed and again.mean(PAIR.settings[0]).n == 2


@pytest.mark.slow
def test_a_dask_cluster_whose_worker_is_killed(tmp_path):
    """Dask starts another worker, which resumes the run: nothing fails."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask warns when a worker is lost
        with (
            distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            executor = client.get_executor(retries=2)
            killer = ThreadPoolExecutor(1).submit(kill_a_worker, tmp_path)
            results = in_the_tests(executor=executor, folder=tmp_path, seeds=2, steps=40)
    assert killer.result()
    assert not results.failed and results.difference(PAIR.settings[1]).n == 2


def kill_a_worker(folder) -> bool:
    """Kill a worker that has computed for a while, once there is one; whether one was killed."""
    import psutil

    for _ in range(3000):
        with contextlib.suppress(psutil.NoSuchProcess):  # one has just ended
            children = psutil.Process().children(recursive=True)
            busy = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
            if busy and sum(c.cpu_times().user for c in busy) > 6:
                os.kill(busy[0].pid, signal.SIGKILL)
                return True
        time.sleep(0.1)
    return False


# Statistics


def made_up(scores: dict) -> Results:
    """Results of PAIR with the AP of each setting over seeds 0, 1, ...; None: no such run."""
    records = {
        (name, seed): {"scores": {"segm": {"ap": ap, "ap75": ap / 2}}, "parameters": 10}
        for name, values in scores.items()
        for seed, ap in enumerate(values)
        if ap is not None
    }
    return Results(PAIR, records)


def test_the_interval_is_that_of_students_t():
    values = [30.0, 31.5, 29.0, 33.0, 30.5]
    found = estimate(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval))
    assert found.mean == pytest.approx(30.8) and f"{found:.1f}" == "30.8 ± 1.9"


def test_the_interval_contains_the_true_mean_in_19_cases_of_20():
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(2000, 5, generator=generator) + 7
    contains = [e.low <= 7 <= e.high for e in map(estimate, draws.tolist())]
    assert 0.935 < sum(contains) / len(contains) < 0.965


def test_differences_are_seed_by_seed():
    """Seeds differ by 10 points, settings always by 2: the seeds' differences cancel."""
    results = made_up({"align": [30, 40, 50, None], "pool": [28, 38.1, 47.9, 99]})
    align, pool = PAIR.settings
    difference = results.difference(pool)
    assert difference.n == 3 and difference.mean == pytest.approx(-2)
    assert difference.high - difference.low < 1 < results.mean(align).high - results.mean(align).low
    assert results.difference(align).mean == 0
    assert results.difference(pool, "ap75").mean == pytest.approx(-1)


@pytest.mark.parametrize("values, text", [([], "-"), ([31.25], "31.2"), ([1, 1], "1.0 ± 0.0")])
def test_few_seeds(values, text):
    assert f"{estimate(values):.1f}" == text


def test_the_printed_table_has_differences_and_costs():
    text = str(made_up({"align": [30, 31], "pool": [20, 22]}))
    assert "-9.5 ± 6.4" in text and "0.00 M" in text and "2 seeds" in text


def test_the_memory_of_a_step_grows_with_its_images():
    torch.manual_seed(0)
    model, scenes = MaskRCNN(BASE_CONFIGS["tiny"]["fpn"]), Shapes(4, n_objects=(3, 3))
    one, four = (measure.step_bytes(model, scenes, n) for n in (1, 4))
    assert one > 1e6 and 2.5 < four / one < 5  # what is kept for RoIs varies


# Lockstep and mask errors


def test_settings_in_lockstep_learn_as_they_do_by_themselves():
    jobs = {s.name: SMALL.job(PAIR, s, 1, steps=2) for s in PAIR.settings}
    *_, (step, models) = train_in_lockstep(jobs)
    assert step == 2
    for name, job in jobs.items():
        torch.manual_seed(1)
        model = init_backbone(MaskRCNN(job.config))
        fit(model, job.train_data, job.training, progress=False)
        in_lockstep = models[name].state_dict()
        assert all(value.equal(in_lockstep[key]) for key, value in model.state_dict().items())


class FixedMasks:
    """A model of six classes whose mask head always outputs the given logits [M, 7, 28, 28]."""

    def __init__(self, logits, mask_loss="sigmoid"):
        self.logits, self.config = logits, Config.tiny(mask_loss=mask_loss)

    def predict_on_boxes(self, image, boxes):
        return None, self.logits[: len(boxes)]

    def mask_channels(self, labels):
        return labels


SCENES = Shapes(1, seed=1, n_objects=(2, 2), object_size=(0.4, 0.5), overlap=0)


def perfect_logits() -> torch.Tensor:
    """The logits of a mask head that has learned the ground truth."""
    _, target = SCENES[0]
    logits = torch.full((2, 7, 28, 28), -9.0)
    soft = mask_targets([target["masks"]], [target["boxes"]], [torch.arange(2)], 28)
    logits[torch.arange(2), target["labels"]] = soft.logit(1e-4)
    return logits


def test_perfect_logits_have_an_iou_of_nearly_1_and_sizes_are_the_masks():
    ious, sizes = mask_errors.ious_and_sizes(FixedMasks(perfect_logits()), SCENES)
    assert ious.min() > 0.97
    assert sizes.square().tolist() == pytest.approx(SCENES[0][1]["masks"].sum(dim=(1, 2)).tolist())
    upside_down = FixedMasks(perfect_logits().flip(2))
    assert mask_errors.ious_and_sizes(upside_down, SCENES)[0].mean() < ious.mean()


def test_scenes_without_objects_have_nothing_to_measure():
    empty = Shapes(2, n_objects=(0, 0))
    nothing = FixedMasks(torch.zeros(0, 7, 28, 28), "softmax")
    assert [len(part) for part in mask_errors.ious_and_sizes(nothing, empty)] == [0, 0]
    assert set(mask_errors.winner_shares(nothing, empty).values()) == {0}


def test_winner_shares_count_the_pixels_on_objects_by_their_strongest_channel():
    labels = SCENES[0][1]["labels"]
    other = 1 + labels[1] % 6
    probs = torch.full((2, 7, 28, 28), 0.01)
    probs[0, labels[0]], probs[0, 0] = 0.8, 0.15  # object 0: its class, over half
    probs[1, labels[1]], probs[1, 0] = 0.4, 0.39  # object 1, left: its class, with less;
    probs[1, other, :, 14:] = 0.6  # right: another class
    shares = shares_of(probs)
    assert sum(shares.values()) == pytest.approx(1) and shares.pop("background") == 0
    assert len(shares) == 3 and min(shares.values()) > 0.1
    probs[:, 0] = 5
    assert shares_of(probs)["background"] == 1


def shares_of(probs):
    """The winner shares of a model with these probabilities, up to their sum."""
    logits = (probs / probs.sum(dim=1, keepdim=True)).log()
    return mask_errors.winner_shares(FixedMasks(logits, "softmax"), SCENES)


def test_a_model_without_masks_has_no_mask_errors():
    model = MaskRCNN(Config.tiny(mask_head=None))
    with pytest.raises(ValueError, match="the model has no mask head"):
        mask_errors.masks_in_gt_boxes(model, *SCENES[0])


def test_differences_are_printed_beside_the_papers():
    papers = {"a": (30.0, 50, 40), "b": (24.0, 48, 32), "c": (None, None, None)}
    table = Table("x", "?", "-", "c4", tuple(Setting(n, paper=p) for n, p in papers.items()))
    scores = {"a": (40, 42), "b": (30, 31), "c": (41, 42)}
    records = {
        (name, seed): {"scores": {"segm": {"ap": float(ap)}}}
        for name, both in scores.items()
        for seed, ap in enumerate(both)
    }
    results = Results(table, records)
    assert results.differences.splitlines()[0].endswith("the paper's -6.0")
    assert results.differences.splitlines()[1].startswith("c +0.5")
    assert results.relative_gain(table.settings[1]) == pytest.approx((41 / 30.5 - 1, 0.25))
    assert math.isnan(results.relative_gain(table.settings[2])[1])


def results_of(table, seeds=(0, 1), **scores):
    """Results with the given mask AP of each setting; the others are one less than it."""
    records = {}
    for name, values in scores.items():
        for seed in seeds:
            segm = {"ap": values[seed], "ap50": values[seed] - 1, "ap75": values[seed] - 1}
            costs = {"parameters": 1_234_567, "seconds": 60.04, "step_megabytes": 28.44}
            costs |= {"milliseconds_per_image": 43.21}
            records[name, seed] = {"scores": {"segm": segm, "bbox": segm}, **costs}
    return Results(table, records)


WITH_PAPER = Table(
    "t", "Is it better?", "ResNet", "c4",
    (Setting("a", paper=(30.0, 50.0, 31.0)), Setting("b, c", paper=(28.0, 48.0, 30.5))),
)  # fmt: skip


def test_a_table_is_printed_in_blocks():
    text = str(results_of(WITH_PAPER, **{"a": [30.0, 32.0], "b, c": [29.0, 29.0]})).splitlines()
    assert text[0] == "Table t: Is it better? (paper: ResNet)"
    assert " ".join(text[2].split()) == "average precision mask AP AP50 AP75 box AP paper's AP"
    assert text[3].startswith("a  ") and text[3].endswith("30.0") and "31.0 ± 12.7" in text[3]
    assert " ".join(text[6].split()) == "difference from a mask AP AP75 paper's AP, AP75"
    assert text[7].startswith("b, c  ") and text[7].endswith("-2.0, -0.5")
    assert text[10].split() == ["a", "1.23", "M", "60", "28", "43"]
    assert text[-1] == "2 seeds; ± is half the width of a 95 % confidence interval"
    assert max(map(len, text)) <= 100


def test_a_single_seed_and_a_single_setting():
    alone = replace(WITH_PAPER, settings=WITH_PAPER.settings[:1])
    text = str(results_of(alone, seeds=[0], a=[30.0]))
    assert text.endswith("\n1 seed") and "difference" not in text and "±" not in text
    assert results_of(alone, seeds=[0], a=[30.0]).csv().count("\n") == 1


def test_what_is_missing_is_a_dash_in_a_table_and_nothing_in_csv():
    failed = Results(PAIR, {("align", 0): {"failed": "ValueError: x"}})
    assert "nan" not in str(failed) and "nan" not in failed.csv() and "nan" not in failed.markdown()
    assert "failed: align, seed 0: ValueError: x" in str(failed)
    assert "paper" not in str(failed)  # which has no numbers


def test_csv_can_be_computed_with():
    text = results_of(WITH_PAPER, **{"a": [30.0, 32.0], "b, c": [29.0, 29.0]}).csv()
    first, second = csv.DictReader(text.splitlines())
    assert second["setting"] == "b, c" and first["seeds"] == "2"
    assert float(first["mask_ap"]) == 31 and float(first["mask_ap_ci"]) == pytest.approx(12.706)
    assert float(second["mask_ap_difference"]) == -2 and float(second["paper_ap75"]) == 30.5
    assert int(first["parameters"]) == 1_234_567


def test_markdown_has_a_ruler_below_each_header():
    lines = results_of(WITH_PAPER, **{"a": [30.0, 32.0], "b, c": [29.0, 29.0]}).markdown()
    lines = lines.splitlines()
    assert lines[0] == "**Table t: Is it better? (paper: ResNet)**"
    for i, line in enumerate(lines):
        if line.startswith("| ---"):
            assert lines[i - 1].count("|") == line.count("|") == lines[i + 1].count("|")
    assert sum(line.startswith("| ---") for line in lines) == 3


@pytest.mark.parametrize("name", TABLES)
def test_tables_fit_a_hundred_columns(name):
    """With every score of two digits, and intervals of two digits."""
    table = TABLES[name]
    records = {}
    for seed in range(2):
        ap = {"ap": 40.0 + 5 * seed, "ap50": 80.0 - 5 * seed, "ap75": 40.0 - 5 * seed}
        kinds = "segm", "bbox", "segm strongest", "segm background"
        record = {"scores": {kind: ap for kind in kinds}, "parameters": 63e6, "seconds": 123_456}
        records |= {(setting.name, seed): record for setting in table.settings}
    text = str(Results(table, records))
    assert "± 31.8" in text and max(map(len, text.splitlines())) <= 100
