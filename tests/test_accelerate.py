"""Faster: the same numbers from a changed model, whichever changes add up, in detect and training.

CUDA graphs need a GPU. A stand-in records on a CPU: like a graph it computes in fixed memory alone.
"""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from mrcnn_edu import weights
from mrcnn_edu.data import Shapes
from mrcnn_edu.speed import cuda_graphs
from mrcnn_edu.speed.accelerate import channels_last, compiled, in_bfloat16, in_graphs
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.memory import low_memory

# The compiler looks at gradients of what is no parameter.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

SEEDED = torch.Generator().manual_seed(0)
IMAGES = [torch.rand(3, 40, 60, generator=SEEDED), torch.rand(3, 48, 48, generator=SEEDED)]
TRACED = partial(compiled, backend="eager", fullgraph=True)  # all but the making of kernels
C4 = dict(mask_size=14, neck="c4")


@pytest.fixture(autouse=True)
def _nothing_compiled():
    """What is compiled is kept with the class's code, for all models, and only so often."""
    torch.compiler.reset()


def record(forward, x):
    """What `_record` gives, without a graph: input and output lie where they lie."""
    own = cuda_graphs.map_tensors(torch.clone, x)
    out = cuda_graphs.map_tensors(torch.clone, forward(own))

    def replay():
        for to, new in zip(
            cuda_graphs.tensors_of(out), cuda_graphs.tensors_of(forward(own)), strict=True
        ):
            to.copy_(new)

    for value in cuda_graphs.tensors_of(out):
        value.fill_(torch.nan)  # while a graph is recorded nothing is computed
    return own, out, replay


def recorded(model):
    """`in_graphs` with the stand-in."""
    cuda_graphs.record_layers(model, record)
    return model


def same(found, expected, tolerance=1e-4):
    """Whether all detections of all images are equal to the tolerance, of scores and of pixels."""
    for one, other in zip(found, expected, strict=True):
        assert len(one) > 5 and torch.equal(one.labels.cpu(), other.labels.cpu())
        near = partial(assert_close, rtol=0, check_device=False)
        near(one.scores, other.scores, atol=tolerance)
        near(one.boxes, other.boxes, atol=100 * tolerance)
        near(one.mask_probs, other.mask_probs, atol=tolerance)


def same_of_anchors(trace, expected):
    """Whether the dense part says the same, whatever rounding does to the order of what follows."""
    assert_close(trace.objectness, expected.objectness, rtol=0, atol=1e-4)
    assert_close(trace.rpn_deltas, expected.rpn_deltas, rtol=0, atol=1e-4)


@pytest.fixture(params=[{}, C4], ids=["fpn", "c4"])
def model(tiny_model, request):
    return tiny_model(**request.param).eval()


def test_compiled(model):
    expected, names = model.detect(IMAGES), list(model.state_dict())
    same(TRACED(model).detect(IMAGES), expected)
    same(model.detect(IMAGES), expected)
    assert list(model.state_dict()) == names


def test_nothing_is_compiled_twice(tiny_model):
    """Lower precision comes and goes with every step, and is recognized."""
    model, n_compiled = tiny_model(), []
    compiled(model, backend=lambda module, _: n_compiled.append(0) or module.forward)
    for learns, precision in [(True, "float32"), (True, "bfloat16"), (False, "float32")] * 3:
        with torch.set_grad_enabled(learns), low_memory(model, Training(precision=precision)):
            model.rpn_head(model.neck(model.backbone(torch.rand(1, 3, 48, 48))))
    assert len(n_compiled) == 9  # three layers in three ways: all of them are kept


def test_a_compiled_model_learns_the_same(tiny_model, random_targets):
    image, target = random_targets(3)
    gradients = []
    for change in (lambda model: model, partial(TRACED, backend="aot_eager")):
        model = change(tiny_model())
        losses = model([image], [target], [torch.Generator().manual_seed(0)])
        sum(losses.values()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, expected in gradients[0].items():
        assert (gradients[1][name] - expected).norm() <= 1e-4 * expected.norm() + 1e-7, name


def test_bfloat16_is_near(model):
    """And float32 wherever it is said to be."""
    exact, near = model.trace(IMAGES), in_bfloat16(model).trace(IMAGES)
    assert {m.dtype for m in near.features} == {near.roi_features.dtype} == {torch.bfloat16}
    for name in ("objectness", "rpn_deltas", "class_logits", "box_deltas", "mask_logits"):
        assert getattr(near, name).dtype == torch.float32, name
    for name in ("objectness", "rpn_deltas"):  # of the same anchors
        a, b = getattr(exact, name), getattr(near, name)
        assert 0 < (a - b).norm() < 0.03 * a.norm(), name
    for one, other in zip(exact.detections, near.detections, strict=True):
        for name in ("boxes", "scores", "mask_probs"):
            assert getattr(other, name).dtype == torch.float32
        assert (one.scores[:10] - other.scores[:10]).abs().max() < 0.02


@pytest.mark.parametrize("mask_head", ["fcn", None])
def test_all_of_them_learn(tiny_model, mask_head):
    """As a plain model does, for all that lies in the precision."""
    scenes = Shapes(n=6, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
    training, losses = Training(3, batch_size=2, optimizer="sgd", learning_rate=1e-3), []
    for change in (lambda model: model, lambda model: channels_last(in_bfloat16(TRACED(model)))):
        model = change(tiny_model(mask_head=mask_head))
        losses.append(fit(model, scenes, training, progress=False)[-1])
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses[1] != losses[0] and losses[1] == pytest.approx(losses[0], rel=0.2)


def test_channels_last(model, random_targets):
    image, target = random_targets(3)
    expected = model.trace(IMAGES)
    losses = model([image], [target], [torch.Generator().manual_seed(0)])
    same_of_anchors(channels_last(model).trace(IMAGES), expected)
    again = model([image], [target], [torch.Generator().manual_seed(0)])
    for name in ("loss_objectness", "loss_rpn_box_reg"):  # of anchors, the same in both
        assert_close(again[name], losses[name], rtol=1e-4, atol=0)
    maps = model.features(model.preprocess([image]))  # with gradients
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in maps)


def same_for_every_shape(model, record):
    """What is recorded detects what the model did before, whatever comes in between."""
    batches = IMAGES, IMAGES[:1], [image.flip(2) for image in IMAGES]
    expected = [model.detect(list(batch)) for batch in batches]
    record(model)
    for _ in range(2):
        for batch, wanted in zip(batches, expected, strict=True):
            same(model.detect(list(batch)), wanted)


def test_recordings_give_the_same_for_every_shape(model):
    same_for_every_shape(model, recorded)
    assert len(model.backbone.forward.recordings) == 2  # the third batch has the first one's shape


def test_a_trace_is_not_written_over(model):
    recorded(model)
    first = model.trace(IMAGES)
    kept = [m.clone() for m in (*first.features, first.objectness)]
    model.trace([image.flip(1) for image in IMAGES])
    for now, before in zip((*first.features, first.objectness), kept, strict=True):
        assert torch.equal(now, before)
    assert not first.objectness.is_inference()


def test_a_recorded_model_sees_what_it_learns(tiny_model):
    plain, model = tiny_model(), recorded(tiny_model())
    scenes = Shapes(n=6, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
    model.detect(IMAGES)
    for each in (plain, model):
        fit(each, scenes, Training(2, batch_size=2), progress=False)
    same(model.detect(IMAGES), plain.detect(IMAGES))
    # Weights lie elsewhere now.
    same_of_anchors(channels_last(model).trace(IMAGES), plain.trace(IMAGES))
    assert len(model.backbone.forward.recordings) == 2


def test_a_changed_model_is_saved_copied_and_loaded(tiny_model, tmp_path):
    plain = tiny_model()
    model = recorded(channels_last(in_bfloat16(TRACED(tiny_model()))))
    expected = model.detect(IMAGES)
    weights.save(tmp_path / "model.pt", model, list("abcdef"))
    loaded = weights.load(tmp_path / "model.pt")
    same(loaded.detect(IMAGES), plain.detect(IMAGES))  # a plain model of the same weights
    other = deepcopy(model)
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    same(other.detect(IMAGES), expected)  # it has weights of its own


def test_the_order_is_kept(tiny_model, monkeypatch):
    with pytest.raises(ValueError, match="backbone is changed already: call compiled"):
        compiled(in_bfloat16(tiny_model()))
    with pytest.raises(ValueError, match="backbone is recorded already: call in_graphs"):
        in_bfloat16(recorded(tiny_model()))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    with pytest.raises(RuntimeError, match="autocast around a recorded model"):
        recorded(tiny_model()).detect(IMAGES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("changes", [(), (in_bfloat16, channels_last)])
def test_graphs_give_the_same(tiny_model, changes):
    model = tiny_model().eval().to("cuda")
    for change in changes:
        change(model)
    same_for_every_shape(model, in_graphs)


def test_graphs_need_a_gpu(tiny_model):
    with pytest.raises(ValueError, match="the model is on cpu, and CUDA graphs are not"):
        in_graphs(tiny_model())
    with pytest.raises(ValueError, match="has CUDA graphs, but is on cpu now"):
        cuda_graphs.record_graph(None, torch.neg, torch.rand(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_what_a_cpu_says(tiny_model, random_targets):
    image, target = random_targets(3)
    here, there = tiny_model().eval(), tiny_model().eval().to("cuda")
    same(there.detect(IMAGES), here.detect(IMAGES), tolerance=1e-3)
    said = (model.predict_on_boxes(image, target["boxes"]) for model in (here, there))
    assert_close(*said, rtol=1e-3, atol=1e-3, check_device=False)
    for model in (here, there):
        generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
        losses = model([image], [target], [generator])
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_compiled_model_does_not_recompute(tiny_model):
    training = Training(1, batch_size=1, activation_checkpointing=True)
    with pytest.raises(ValueError, match="turn off activation_checkpointing"):
        fit(TRACED(tiny_model()), Shapes(n=2, size=48), training, progress=False)
