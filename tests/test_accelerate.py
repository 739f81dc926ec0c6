"""Accelerated models compute the same, with any combination of changes, in detect and training.

CUDA graphs need a GPU. A stand-in records on a CPU: like a graph, it computes in fixed memory only.
"""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from mrcnn_edu import weights
from mrcnn_edu.data import Shapes
from mrcnn_edu.speed.accelerate import (
    channels_last,
    compiled,
    in_bfloat16,
    in_graphs,
    is_compiled,
)
from mrcnn_edu.speed.cuda_graphs import map_tensors, record_graph, record_layers, tensors_of
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.memory import low_memory

# The compiler reads the gradients of tensors that are not parameters.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

SEEDED = torch.Generator().manual_seed(0)
IMAGES = [torch.rand(3, 40, 60, generator=SEEDED), torch.rand(3, 48, 48, generator=SEEDED)]
TRACED = partial(compiled, backend="eager", fullgraph=True)  # everything but code generation
C4 = dict(mask_size=14, neck="c4")


@pytest.fixture(autouse=True)
def _nothing_compiled():
    """torch.compile caches a limited number of versions of a class's code, for all models."""
    torch.compiler.reset()


def record_on_cpu(forward, x):
    """`record_graph` without a graph: input and output stay where they are in memory."""
    x = map_tensors(torch.clone, x)
    output = map_tensors(torch.clone, forward(x))

    def replay():
        for target, source in zip(tensors_of(output), tensors_of(forward(x)), strict=True):
            target.copy_(source)

    for tensor in tensors_of(output):
        tensor.fill_(torch.nan)  # nothing is computed while a graph is recorded
    return x, output, replay


def recorded(model):
    """`in_graphs` with the stand-in."""
    record_layers(model, record_on_cpu)
    return model


def same(found, expected, tolerance=1e-4):
    """All detections are equal: scores and masks up to the tolerance, boxes up to 100 times it."""
    for one, other in zip(found, expected, strict=True):
        assert len(one) > 5 and torch.equal(one.labels.cpu(), other.labels.cpu())
        near = partial(assert_close, rtol=0, check_device=False)
        near(one.scores, other.scores, atol=tolerance)
        near(one.boxes, other.boxes, atol=100 * tolerance)
        near(one.mask_probs, other.mask_probs, atol=tolerance)


def same_rpn_outputs(trace, expected):
    """The RPN has the same outputs; rounding may change the order of what follows."""
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
    """bfloat16 replaces the forwards in every training step; the compiled code is found again."""
    model, n_compiled = tiny_model(), []
    compiled(model, backend=lambda module, _: n_compiled.append(0) or module.forward)
    for learns, precision in [(True, "float32"), (True, "bfloat16"), (False, "float32")] * 3:
        with torch.set_grad_enabled(learns), low_memory(model, Training(precision=precision)):
            model.rpn_head(model.neck(model.backbone(torch.rand(1, 3, 48, 48))))
    assert len(n_compiled) == 9  # three versions of each of three layers, all cached


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
    """The outputs of the heads and the detections are float32."""
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
    """As the unchanged model does, up to the loss of precision."""
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
    same_rpn_outputs(channels_last(model).trace(IMAGES), expected)
    new_losses = model([image], [target], [torch.Generator().manual_seed(0)])
    for name in ("loss_objectness", "loss_rpn_box_reg"):  # their anchors are the same
        assert_close(new_losses[name], losses[name], rtol=1e-4, atol=0)
    maps = model.features(model.preprocess([image]))  # with gradients
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in maps)


def same_for_every_shape(model, record):
    """A recorded model detects the same as before, with the batches in any order."""
    batches = IMAGES, IMAGES[:1], [image.flip(2) for image in IMAGES]
    expected = [model.detect(list(batch)) for batch in batches]
    record(model)
    for _ in range(2):
        for batch, wanted in zip(batches, expected, strict=True):
            same(model.detect(list(batch)), wanted)


def test_recordings_give_the_same_for_every_shape(model):
    same_for_every_shape(model, recorded)
    assert len(model.backbone.forward.recordings) == 2  # the third batch has the first one's shape


def test_a_trace_is_not_overwritten_by_the_next(model):
    recorded(model)
    first = model.trace(IMAGES)
    kept = [m.clone() for m in (*first.features, first.objectness)]
    model.trace([image.flip(1) for image in IMAGES])
    for now, before in zip((*first.features, first.objectness), kept, strict=True):
        assert torch.equal(now, before)
    assert not first.objectness.is_inference()


def test_a_recorded_model_uses_the_weights_it_learns(tiny_model):
    plain, model = tiny_model(), recorded(tiny_model())
    scenes = Shapes(n=6, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
    model.detect(IMAGES)
    for each in (plain, model):
        fit(each, scenes, Training(2, batch_size=2), progress=False)
    same(model.detect(IMAGES), plain.detect(IMAGES))
    # The weights are elsewhere in memory now.
    same_rpn_outputs(channels_last(model).trace(IMAGES), plain.trace(IMAGES))
    assert len(model.backbone.forward.recordings) == 2


def test_a_changed_model_is_saved_copied_and_loaded(tiny_model, tmp_path):
    plain = tiny_model()
    model = recorded(channels_last(in_bfloat16(TRACED(tiny_model()))))
    expected = model.detect(IMAGES)
    weights.save(tmp_path / "model.pt", model, list("abcdef"))
    loaded = weights.load(tmp_path / "model.pt")
    same(loaded.detect(IMAGES), plain.detect(IMAGES))  # an unchanged model with the same weights
    other = deepcopy(model)
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    same(other.detect(IMAGES), expected)  # the copy has its own weights


def test_changes_in_a_wrong_order_are_refused(tiny_model, monkeypatch):
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
        record_graph(None, torch.neg, torch.rand(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_what_a_cpu_does(tiny_model, random_targets):
    image, target = random_targets(3)
    on_cpu, on_gpu = tiny_model().eval(), tiny_model().eval().to("cuda")
    same(on_gpu.detect(IMAGES), on_cpu.detect(IMAGES), tolerance=1e-3)
    gpu_logits, cpu_logits = (m.predict_on_boxes(image, target["boxes"]) for m in (on_gpu, on_cpu))
    assert_close(gpu_logits, cpu_logits, rtol=1e-3, atol=1e-3, check_device=False)
    for model in (on_cpu, on_gpu):
        generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
        losses = model([image], [target], [generator])
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_compiled_model_is_not_recomputed(tiny_model):
    assert is_compiled(deepcopy(TRACED(tiny_model()))) and not is_compiled(tiny_model())
    training = Training(1, batch_size=1, activation_checkpointing=True)
    with pytest.raises(ValueError, match="turn off activation_checkpointing"):
        fit(TRACED(tiny_model()), Shapes(n=2, size=48), training, progress=False)
