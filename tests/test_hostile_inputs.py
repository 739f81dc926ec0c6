"""Hostile inputs at every door: values or a clear error, and the same answer at all doors."""

import math
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, Subset, random_split

from mrcnn_edu import Config, MaskRCNN, load
from mrcnn_edu.ancestors import FCIS, RCNN, FastRCNN
from mrcnn_edu.ancestors.cost import cost_of_proposals, measure_cost
from mrcnn_edu.ancestors.fcis import FCISConfig
from mrcnn_edu.ancestors.proposals import WithProposals
from mrcnn_edu.ancestors.selective_search import selective_search
from mrcnn_edu.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from mrcnn_edu.data import Augmentation, Cached, Shapes
from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.detections import Detections
from mrcnn_edu.eval_mode import in_eval_mode, shared_copy
from mrcnn_edu.evaluate import coco_results, detect_all, evaluate, read_results, write_results
from mrcnn_edu.nms import batched_nms, nms
from mrcnn_edu.roi_ops import boxes_to_rois, ps_roi_pool, roi_align, roi_pool, roi_warp
from mrcnn_edu.speed.accelerate import in_bfloat16
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.metrics import Validation

SCENES = Shapes(12, seed=3)
IMAGE, TARGET = SCENES[1]
PROPOSALS = torch.tensor([[10.0, 10, 60, 50], [30, 20, 90, 90], [0, 0, 40, 40]])
HALF = torch.float16, torch.bfloat16
NAN, INF = math.nan, math.inf

pytestmark = pytest.mark.usefixtures("one_thread")


def models():
    """A new model of each kind, in training mode, and the arguments of its `detect`."""
    torch.manual_seed(0)
    config = Config.tiny(mask_head=None, rpn_post_nms_top_n_test=20)
    yield MaskRCNN(Config.tiny(score_threshold=0.0, rpn_post_nms_top_n_test=20)), {}
    yield FCIS(FCISConfig.tiny(score_threshold=0.0, rpn_post_nms_top_n_test=20)), {}
    for kind in (RCNN, FastRCNN):
        yield kind(replace(config, score_threshold=0.0)), {"proposals": [PROPOSALS]}


def target_for(model, **changes):
    return TARGET | ({} if hasattr(model, "rpn_head") else {"proposals": PROPOSALS}) | changes


# A model that others are using


def state(model):
    modes = {name: module.training for name, module in model.named_modules()}
    return modes, {name: value.clone() for name, value in model.state_dict().items()}


def assert_unchanged(model, before):
    modes, values = state(model)
    assert modes == before[0]
    assert all(value.equal(before[1][name]) for name, value in values.items())


@pytest.mark.parametrize("i", range(4))
def test_detect_gives_the_answers_of_eval_mode_and_changes_nothing(i):
    model, arguments = list(models())[i]
    model(*[[IMAGE], [target_for(model)]])  # running statistics that differ from a batch's
    before = state(model)
    (found,) = model.detect([IMAGE], **arguments)
    measure_cost(model, [IMAGE], **arguments)
    cost_of_proposals(model, IMAGE, PROPOSALS)
    if hasattr(model, "predict_on_boxes"):
        model.predict_on_boxes(IMAGE, PROPOSALS)
    assert_unchanged(model, before)
    (expected,) = model.eval().detect([IMAGE], **arguments)
    assert found.scores.equal(expected.scores) and found.boxes.equal(expected.boxes)
    assert len(found) > 0 and model.config.rpn_post_nms_top_n_test == 20


def test_dropout_and_layers_of_others_are_off_as_well():
    model = load("shapes-tiny")
    expected = model.detect([IMAGE])[0].scores
    model.box_head.convs = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(64))
    model.box_head.convs[1].running_var.fill_(1 - 1e-5)
    model.train()
    before = state(model)
    torch.testing.assert_close(model.detect([IMAGE])[0].scores, expected)
    assert_unchanged(model, before)


def test_four_threads_detect_while_a_fifth_trains():
    def train(looked_upon):
        torch.manual_seed(0)
        model, done, modes = MaskRCNN(Config.tiny()), threading.Event(), set()

        def look():
            while not done.is_set():
                model.detect([IMAGE])
                modes.add(all(module.training for module in model.modules()))

        threads = [threading.Thread(target=look) for _ in range(4 * looked_upon)]
        model.train()
        for thread in threads:
            thread.start()
        losses = fit(model, SCENES, Training(steps=4, batch_size=2), progress=False)
        done.set()
        for thread in threads:
            thread.join()
        return losses, model.state_dict()

    losses, weights = train(looked_upon=False)
    others, same = train(looked_upon=True)
    assert others == losses
    assert all(value.equal(same[name]) for name, value in weights.items())


@pytest.mark.parametrize("less", [{"precision": "bfloat16"}, {"activation_checkpointing": True}])
def test_training_with_less_memory_does_not_change_what_others_detect(less):
    torch.manual_seed(0)
    model = MaskRCNN(Config.tiny())
    seen = []

    class Head(nn.Module):  # looks at the shared model in the middle of a step
        def __init__(self, head):
            super().__init__()
            self.head = head

        def forward(self, x):
            if torch.is_grad_enabled():
                seen.append([("forward" in vars(layer)) for layer in model.modules()])
            return self.head(x)

    model.box_head = Head(model.box_head)
    fit(model, SCENES, Training(steps=1, batch_size=2, **less), progress=False)
    assert len(seen) == 1 and not any(seen[0])


def test_validation_leaves_the_mode_alone():
    model = MaskRCNN(Config.tiny()).train()
    before = state(model)
    for data in (Shapes(2), Subset(Shapes(4), [1, 2])):
        Validation(model, data, every=1)([{"loss": 1.0}])
    assert_unchanged(model, before)


def test_a_shared_copy_has_the_weights_and_a_mode_of_its_own():
    model = in_bfloat16(MaskRCNN(Config.tiny()))
    twin = shared_copy(model).eval()
    assert all(module.training for module in model.modules())
    pairs = zip(twin.parameters(), model.parameters(), strict=True)
    assert all(a is b for a, b in pairs) and twin.backbone is not model.backbone
    assert twin.backbone.forward.args[0].__self__ is twin.backbone  # replaced, and bound to it
    assert in_eval_mode(model.eval()) is model


# Weights that are broken


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize(
    "name",
    ["backbone.conv1.weight", "rpn_head.bbox_pred.weight", "rpn_head.cls_logits.bias",
     "box_head.cls_score.bias", "box_head.bbox_pred.weight", "mask_head.mask_fcn_logits.weight",
     "backbone.bn1.running_mean"],
)  # fmt: skip
def test_weights_that_are_not_finite_are_named(name, value):
    model = load("shapes-tiny")
    with torch.no_grad():
        model.state_dict()[name].view(-1)[0] = value
    for run in (model.detect, model.trace, lambda images: detect_all(model, SCENES, False)):
        with pytest.raises(FloatingPointError, match=f"^{name} has values that are NaN or inf"):
            run([IMAGE])


def test_one_bad_weight_of_any_model_is_named():
    for model, arguments in models():
        with torch.no_grad():
            model.get_parameter("backbone.conv1.weight").view(-1)[0] = NAN
        with pytest.raises(FloatingPointError, match=r"^backbone\.conv1\.weight has values"):
            model.detect([IMAGE], **arguments)
    with pytest.raises(FloatingPointError, match=r"because backbone\.conv1\.weight has values"):
        fit(model, WithProposals(SCENES), Training(steps=1, batch_size=1), progress=False)


# Images and targets


BAD_IMAGES = {
    "normalized": ((IMAGE * 0.8 - 0.45) / 0.22, ValueError, r"down to -.*without subtracting"),
    "mean subtracted": (IMAGE - 0.8, ValueError, "down to"),
    "bytes": ((IMAGE * 255).byte(), TypeError, "dtype torch.uint8"),
    "0..255": (IMAGE * 255, ValueError, "image / 255"),
    "NaN": (IMAGE / 0 * 0, ValueError, "NaN or infinite"),
    "infinite": (IMAGE / 0, ValueError, "NaN or infinite"),
    "a batch": (IMAGE[None], ValueError, "shape"),
    "empty": (IMAGE[:, :0], ValueError, "shape"),
    "an array": (IMAGE.numpy(), TypeError, "list of tensors"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_are_refused_at_every_door(name):
    image, kind, message = BAD_IMAGES[name]
    for model, arguments in models():
        with pytest.raises(kind, match=message):
            model([image], [target_for(model)])
        with pytest.raises(kind, match=message):
            model.detect([image], **arguments)
        if hasattr(model, "predict_on_boxes"):
            with pytest.raises(kind, match=message):
                model.predict_on_boxes(image, PROPOSALS)


@pytest.mark.parametrize("images", [None, 3, IMAGE[None], {"a": IMAGE}, [None], [], [[IMAGE]]])
def test_what_is_no_list_of_images(images):
    for model, arguments in models():
        with pytest.raises((TypeError, ValueError), match="images"):
            model(images, [target_for(model)])
        with pytest.raises((TypeError, ValueError), match="images"):
            model.detect(images, **arguments)


def boxes_of(*box):
    return TARGET["boxes"].index_put((torch.tensor(0),), torch.tensor(box, dtype=torch.float32))


N = len(TARGET["labels"])
BAD_TARGETS = [
    {"boxes": TARGET["boxes"].tolist()}, {"boxes": TARGET["boxes"].numpy()}, {"boxes": None},
    {"boxes": TARGET["boxes"][:-1]}, {"boxes": TARGET["boxes"][:, :3]},
    {"boxes": TARGET["boxes"] > 3},
    {"boxes": TARGET["boxes"].flatten()}, {"boxes": boxes_of(0, 0, INF, 9)},
    {"boxes": boxes_of(-INF, 0, 5, 9)}, {"boxes": boxes_of(0, 0, NAN, 9)},
    {"boxes": boxes_of(-1e6, -1e6, 1e6, 1e6)}, {"boxes": boxes_of(200, 200, 230, 230)},
    {"boxes": boxes_of(9, 9, 5, 5)}, {"boxes": boxes_of(9, 9, 9, 12)},
    {"labels": TARGET["labels"].tolist()}, {"labels": TARGET["labels"][:, None]},
    {"labels": TARGET["labels"] - 1 - TARGET["labels"].min() + 1}, {"labels": TARGET["labels"] + 6},
    {"labels": TARGET["labels"].float()}, {"labels": TARGET["labels"] > 0}, {"labels": None},
    {"iscrowd": [0] * N}, {"iscrowd": torch.zeros(N - 1)}, {"iscrowd": torch.zeros(N, 1)},
]  # fmt: skip
BAD_MASKS = [
    {"masks": TARGET["masks"] * 0.9}, {"masks": -TARGET["masks"].int()}, {"masks": None},
    {"masks": TARGET["masks"] / TARGET["masks"].float()}, {"masks": TARGET["masks"].numpy()},
    {"masks": TARGET["masks"][:, 1:]}, {"masks": TARGET["masks"].byte() * 255},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_TARGETS + BAD_MASKS, ids=str)
def test_bad_targets_are_refused_by_every_model(change):
    for model, _ in models():
        needs_masks = isinstance(model, MaskRCNN | FCIS)
        if needs_masks or "masks" not in change:
            for side in (96, 48):  # scaled or not
                model.config = replace(model.config, short_side=side)
                with pytest.raises((TypeError, ValueError), match=r"^target 0 (\(image_id 1\) )?"):
                    model([IMAGE], [target_for(model, **change)])


@pytest.mark.parametrize("targets", [None, 3, TARGET, [None], [TARGET["boxes"]], [], [TARGET] * 2])
def test_what_is_no_list_of_targets(targets):
    for model, _ in models():
        with pytest.raises((TypeError, ValueError), match="target"):
            model([IMAGE], targets)


@pytest.mark.parametrize("change", BAD_TARGETS, ids=str)
def test_evaluation_refuses_what_training_refuses(change):
    class Data:
        classes = SCENES.classes

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return IMAGE, TARGET | change

    columns = TARGET["boxes"], TARGET["labels"], torch.rand(N), TARGET["masks"]
    found = Detections(*columns, mask_probs=None)
    boxes = change.get("boxes")
    is_box = isinstance(boxes, torch.Tensor) and boxes.shape == (N, 4) and boxes.is_floating_point()
    if is_box and boxes.isfinite().all() and (boxes[:, 2:] >= boxes[:, :2]).all():
        evaluate(Data(), [found], "bbox", progress=False)  # without area or far off: COCO scores it
        return
    with pytest.raises((TypeError, ValueError), match="image 0"):
        evaluate(Data(), [found], "bbox", progress=False)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_whole_numbers_of_all_types_are_labels_and_boxes(dtype):
    model, losses = MaskRCNN(Config.tiny(short_side=64)).eval(), []
    rounded = TARGET["boxes"].round()
    for change in (
        {"boxes": rounded},
        {"boxes": rounded.to(dtype), "labels": TARGET["labels"].to(dtype)},
    ):
        losses.append(model([IMAGE], [TARGET | change], torch.Generator().manual_seed(0)))
    assert losses[0] == losses[1]


def test_a_gradient_reaches_the_image():
    model = load("shapes-tiny").train()
    images = [IMAGE.clone().requires_grad_(), SCENES[2][0]]
    sum(model(images, [TARGET, SCENES[2][1]]).values()).backward()
    assert images[0].grad.abs().sum() > 0


# Precision


def random_boxes(n, generator):
    corner, size = torch.rand(2, n, 2, generator=generator) * 1000
    return torch.cat((corner, corner + size + 1), dim=1)


@pytest.mark.parametrize("dtype", [*HALF, torch.float64, torch.int32, torch.int64])
def test_box_functions_compute_in_float32_or_better(dtype):
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        boxes = random_boxes(30, generator).to(dtype)
        exact, scores = boxes.float(), torch.rand(30, generator=generator)
        for function in (box_area, lambda b: box_iou(b, b), lambda b: encode_boxes(b, b.flip(0))):
            torch.testing.assert_close(
                function(boxes).float(), function(exact), rtol=1e-5, atol=1e-5
            )
        assert clip_boxes(boxes, (500, 400)).float().equal(clip_boxes(exact, (500, 400)))
        assert decode_boxes(torch.zeros(30, 4), boxes).isfinite().all()
        assert nms(boxes, scores, 0.3).equal(nms(exact, scores, 0.3))
        if dtype in HALF:
            rough = scores.to(dtype)
            assert nms(boxes, rough, 0.3).equal(nms(exact, rough.float(), 0.3))


@pytest.mark.parametrize("dtype", [*HALF, torch.float64, torch.int64])
def test_rois_of_other_types_are_computed_in_float32(dtype):
    features = torch.rand(2, 8, 40, 40, generator=torch.Generator().manual_seed(0))
    boxes = random_boxes(9, torch.Generator().manual_seed(1)) / 8
    rois = boxes_to_rois(boxes, 1).to(dtype)
    for operation in (roi_align, roi_warp, roi_pool):
        expected = operation(features, rois.float(), 3, 1 / 8)
        torch.testing.assert_close(operation(features, rois, 3, 1 / 8), expected)
        if dtype in HALF:  # features as well: up to their own precision
            low = operation(features.to(dtype), rois, 3, 1 / 8)
            assert low.dtype == dtype and (low.float() - expected).abs().max() < 0.01
    expected = ps_roi_pool(features, rois.float(), 2, 1 / 8)
    torch.testing.assert_close(ps_roi_pool(features, rois, 2, 1 / 8), expected)


@pytest.mark.parametrize("dtype", [*HALF, torch.float64])
def test_models_and_images_of_other_types(dtype):
    model = load("shapes-tiny")
    (expected,) = model.detect([IMAGE])
    (found,) = model.detect([IMAGE.to(dtype)])
    assert found.labels.equal(expected.labels) and found.boxes.dtype == torch.float32
    (found,) = model.to(dtype).detect([IMAGE])
    best = expected.scores > 0.5
    assert (
        found.boxes.dtype in (torch.float32, torch.float64) and found.scores.dtype != dtype
    ) or (dtype == torch.float64)
    assert found.labels[: int(best.sum())].tolist() == expected.labels[best].tolist()
    losses = model([IMAGE], [TARGET], torch.Generator().manual_seed(0))
    assert all(value.isfinite() for value in losses.values())


# Operations on lists of boxes


@pytest.mark.parametrize(
    "boxes, scores, groups, threshold",
    [
        (torch.rand(4, 4), torch.rand(3), torch.zeros(4), 0.5),
        (torch.rand(4, 4), torch.rand(4), torch.zeros(3), 0.5),
        (torch.rand(3, 4), torch.rand(4), torch.zeros(4), 0.5),
        (torch.rand(4, 5), torch.rand(4), torch.zeros(4), 0.5),
        (torch.rand(4), torch.rand(4), torch.zeros(4), 0.5),
        (torch.rand(4, 4), torch.rand(4), torch.zeros(4), -0.1),
        (torch.rand(4, 4), torch.rand(4), torch.zeros(4), NAN),
        (torch.rand(4, 4), torch.rand(4), torch.zeros(4), 2),
    ],
)
def test_nms_of_what_does_not_belong_together(boxes, scores, groups, threshold):
    with pytest.raises(ValueError, match="give"):
        batched_nms(boxes, scores, groups, threshold)


@pytest.mark.parametrize(
    "changes",
    [
        {"rois": torch.rand(3, 4)}, {"rois": [torch.rand(3, 4)]}, {"rois": torch.rand(5)},
        {"rois": torch.tensor([[2.0, 0, 0, 5, 5]])}, {"rois": torch.tensor([[-1.0, 0, 0, 5, 5]])},
        {"rois": torch.tensor([[0.0, 0, 0, INF, 5]])},
        {"rois": torch.tensor([[0.0, 0, NAN, 5, 5]])},
        {"output_size": 0}, {"output_size": -1}, {"output_size": 1.5}, {"spatial_scale": 0},
        {"spatial_scale": -1.0}, {"spatial_scale": NAN}, {"features": torch.rand(4, 9, 9)},
    ],
)  # fmt: skip
def test_rois_that_cannot_be_read_are_refused(changes):
    usual = dict(
        features=torch.rand(2, 4, 9, 9), rois=torch.rand(3, 5), output_size=2, spatial_scale=1.0
    )
    usual["rois"][:, 0] = 0
    for operation in (roi_align, roi_warp, roi_pool, ps_roi_pool):
        assert operation(**usual).isfinite().all()
        with pytest.raises(ValueError, match=r"give|has"):
            operation(**usual | changes)


def test_roi_align_of_boxes_without_area_is_torchvisions():
    from torchvision.ops import roi_align as reference

    features = torch.rand(1, 2, 5, 5, requires_grad=True)
    rois = torch.tensor([[0.0, 3, 4, 5, 4], [0, 1, 1, 1, 3], [0, 2, 2, 2, 2], [0, 3, 3, 1, 1],
                         [0, 0, 0, 4, 4]])  # fmt: skip
    for aligned in (True, False):
        found = roi_align(features, rois, 7, 1.0, 0, aligned=aligned)
        torch.testing.assert_close(found, reference(features, rois, 7, 1.0, 0, aligned))
        assert bool((found[:4] == 0).all()) == aligned
    (grad,) = torch.autograd.grad(roi_align(features, rois[:4], 7, 1.0, 0, True).sum(), features)
    assert not grad.any()


def test_an_enormous_roi_is_refused_before_memory_runs_out():
    with pytest.raises(ValueError, match="clip it"):
        roi_align(torch.rand(1, 1, 9, 9), torch.tensor([[0.0, -1e7, -1e7, 1e7, 1e7]]), 7, 1.0, 0)


# Settings


HOSTILE = [-1, NAN, -INF, "x", None, True, [], {}, "1"]
CONFIGS = [(Config, {}), (Training, {}), (Augmentation, {}), (Shapes, {}), (FCISConfig, {})]


@pytest.mark.parametrize("kind, usual", CONFIGS)
def test_hostile_settings_are_refused_by_name(kind, usual):
    allowed = [
        ("head_norm", None), ("mask_head", None), ("class_agnostic_mask", True), ("seed", -1),
        ("group_by_shape", True), ("activation_checkpointing", True), ("sampling_ratio", -1),
        ("milestones", []), ("short_sides", []),
    ]  # fmt: skip
    for field in fields(kind):
        for value in HOSTILE:
            if (field.name, value) in allowed and kind is not Shapes:
                continue
            if (field.name, value) == ("render_size", None):
                continue
            with pytest.raises(ValueError, match=field.name):
                kind(**usual | {field.name: value})


def test_numbers_of_numpy_and_lists_become_plain():
    config = Config.tiny(
        np.int64(3), pixel_mean=[np.float32(0.5)] * 3, anchor_sizes=[[8], [16], [32], [64]]
    )
    assert type(config.n_classes) is int and config.anchor_sizes == ((8,), (16,), (32,), (64,))
    assert {type(value) for value in config.pixel_mean} == {float}
    assert hash(config) == hash(replace(config))


@pytest.mark.parametrize("sizes, ratios", [((1,), (0.25,)), ((2,), (4.0,)), ((0.9,), (1.0,))])
def test_anchors_without_area_are_refused(sizes, ratios):
    with pytest.raises(ValueError, match="anchors have no area"):
        Config.tiny(anchor_sizes=(sizes, (16,), (32,), (64,)), anchor_ratios=ratios)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cached(SCENES, -1), lambda: Cached(SCENES, NAN), lambda: Cached(SCENES, "1 GB"),
        lambda: selective_search(IMAGE, -1), lambda: selective_search(IMAGE, scales=(0,)),
        lambda: selective_search(IMAGE, min_region=-1), lambda: selective_search(IMAGE, seed=-1),
        lambda: WithProposals(SCENES, -1), lambda: WithProposals(SCENES, 1.5),
        lambda: Validation(None, SCENES, 0), lambda: Validation(None, SCENES, -1),
        lambda: Augmentation(flip=2), lambda: Augmentation(scale=(0, 1)),
        lambda: Augmentation(scale=(2, 1)), lambda: Augmentation(short_sides=(0,)),
        lambda: FCISConfig.tiny(merge_threshold=0.0), lambda: FCISConfig.tiny(score_kernel=2),
        lambda: Config(rpn_positive_iou=0.2, rpn_negative_iou=0.3),
        lambda: Config(score_threshold=2), lambda: Config(sampling_ratio=10_000),
        lambda: fit(MaskRCNN(Config.tiny()).requires_grad_(False), SCENES, Training(steps=1)),
    ],
)  # fmt: skip
def test_counts_and_limits_are_refused(make):
    with pytest.raises(ValueError, match=r"give|frozen"):
        make()


# Detections


def test_detections_are_ordinary_and_can_be_indexed():
    (found,) = load("shapes-tiny").detect([IMAGE])
    found.boxes[:, [0, 2]] = 96 - found.boxes[:, [2, 0]]
    found.scores.requires_grad_().sum().backward()
    n = len(found)
    for rows, length in (
        (0, 1), (-1, 1), (np.int64(1), 1), (torch.tensor(1), 1), (slice(2), 2), ([0, 1], 2),
        (torch.tensor([0, 1]), 2), (found.scores > 2, 0), (np.array([0, 1]), 2), (slice(0, 0), 0),
    ):  # fmt: skip
        some = found[rows]
        assert len(some) == len(some.masks) == len(some.labels) == length
        assert some.boxes.shape == (length, 4)
    assert sum(len(one) for one in found) == n
    for rows in (n, -n - 1, np.int64(n)):
        with pytest.raises(IndexError, match=f"of {n}"):
            found[rows]


# Data sets of PyTorch


def test_parts_of_a_data_set_know_what_the_whole_knows():
    half, rest = random_split(SCENES, [8, 4], torch.Generator().manual_seed(0))
    nested = ConcatDataset([Subset(half, [1, 2]), rest])
    for data in (half, Subset(half, torch.tensor([1, 2])), Subset(half, np.array([3])), nested):
        items = as_dataset(data)
        assert items.classes == SCENES.classes and items.category_ids == [1, 2, 3, 4, 5, 6]
        assert len(items) == len(data) and items.fingerprint
        for i in range(len(items)):
            assert items[i][0].equal(data[i][0]) and items.image(i).equal(data[i][0])
            assert items.target(i)["boxes"].equal(data[i][1]["boxes"])
            assert items.encoded_item(i)[0].equal(data[i][0]) and items.image_size(i) == (96, 96)
        model = MaskRCNN(Config.tiny())
        fit(model, data, Training(steps=1, batch_size=2), progress=False)
        detections = detect_all(model, data, progress=False)
        assert evaluate(data, detections, progress=False).ap >= 0
        assert model.classes == SCENES.classes
    assert as_dataset(nested)[3][1]["image_id"] == 3
    assert as_dataset(half)[3][1]["image_id"] == half.indices[3]


def test_other_parts_are_other_data(tmp_path):
    fit(MaskRCNN(Config.tiny()), Subset(SCENES, [0, 1]), Training(steps=1, batch_size=1), tmp_path,
        progress=False)  # fmt: skip
    with pytest.raises(ValueError, match=r"data was .*items .* now"):
        fit(MaskRCNN(Config.tiny()), Subset(SCENES, [2, 3]), Training(steps=1, batch_size=1),
            tmp_path, progress=False)  # fmt: skip


def test_data_sets_of_other_classes_cannot_be_joined():
    with pytest.raises(ValueError, match=r"data sets 0 and 1 .* other classes.*ring.*blob"):
        as_dataset(ConcatDataset([Subset(SCENES, [1]), Shapes(3, outlines="blobs")]))
    with pytest.raises(TypeError, match="list is not a dataset, it has no classes"):
        as_dataset(Subset([(IMAGE, TARGET)], [0]))


# Evaluation and runs


class Twice(Shapes):
    """Two images with one id."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, target | {"image_id": index // 2}


def test_two_images_with_one_id_are_refused(tmp_path):
    data, model = Twice(3), load("shapes-tiny")
    detections = detect_all(model, data, progress=False)
    write_results(Shapes(3), detections, tmp_path / "found.json")
    for run in (
        lambda: evaluate(data, detections, progress=False),
        lambda: read_results(data, tmp_path / "found.json"),
        lambda: coco_results(data, detections),
    ):
        with pytest.raises(
            ValueError, match="images 0 and 1 of the dataset have the same image_id 0"
        ):
            run()


def test_detections_that_are_no_list_are_refused():
    (found,) = load("shapes-tiny").detect([IMAGE])
    for detections in (found, iter([found]), None, 3):
        with pytest.raises(TypeError, match="give a list"):
            evaluate(Subset(SCENES, range(len(found))), detections, progress=False)
    for change, message in (
        ({"labels": found.labels - found.labels.min()}, "label 0: 0 is background"),
        ({"boxes": found.boxes * NAN}, "finite"), ({"boxes": found.boxes / 0}, "finite"),
        ({"scores": found.scores * NAN}, "NaN"), ({"masks": found.masks * 0.7}, "masks > 0.5"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            evaluate(Subset(SCENES, [1]), [replace(found, **change)], progress=False)


def test_other_frozen_layers_are_named_when_a_run_is_resumed(tmp_path):
    training = Training(steps=1, batch_size=1)
    model = MaskRCNN(Config.tiny())
    model.rpn_head.bbox_pred.bias.requires_grad_(False)
    fit(model, SCENES, training, tmp_path, progress=False)
    model = MaskRCNN(Config.tiny())
    model.backbone.requires_grad_(False)
    was = r"frozen was \['rpn_head.bbox_pred.bias'\], and is \['backbone'\] now"
    with pytest.raises(ValueError, match=was):
        fit(model, SCENES, training, tmp_path, progress=False)
