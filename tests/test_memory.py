"""Less memory, the same training: recomputed activations, parts of a batch, and bfloat16."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from mrcnn_edu import boxes, rpn
from mrcnn_edu.ablations.measure import step_bytes
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.accelerate import compiled, in_bfloat16
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.memory import low_memory

SCENES = Shapes(n=10, size=48, n_objects=(1, 3), object_size=(0.2, 0.5))
TRAINING = Training(steps=3, batch_size=2, clip_norm=1e9)
RECOMPUTE = replace(TRAINING, activation_checkpointing=True)
LOWER = replace(TRAINING, precision="bfloat16")


pytestmark = pytest.mark.usefixtures("one_thread")


def _fit(training, dtype=torch.float32, **changes):
    torch.manual_seed(1)
    sizes = dict(short_side=48, long_side=48, anchor_sizes=((8,), (16,), (32,), (48,)))
    model = MaskRCNN(Config.tiny(**sizes | changes)).to(dtype)
    return model, fit(model, SCENES, training, progress=False)


@pytest.fixture(scope="module")
def plain():
    torch.set_num_threads(1)
    return _fit(TRAINING)


def test_recomputed_activations_give_the_same_bits(plain):
    """With batch norm, which must not count a batch twice."""
    model, losses = _fit(RECOMPUTE)
    assert losses == plain[1]
    for name, value in plain[0].state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("changes", [dict(neck="c4", mask_size=14), dict(norm="frozen")])
def test_recomputed_activations_suit_other_models(changes):
    runs = [_fit(replace(each, steps=1), **changes) for each in (TRAINING, RECOMPUTE)]
    assert runs[0][1] == runs[1][1]
    for a, b in zip(runs[0][0].parameters(), runs[1][0].parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_fewer_activations_are_kept():
    torch.manual_seed(0)
    model = MaskRCNN(Config.tiny(backbone="tiny-deep", norm="frozen"))

    def kept(training, n_images):
        with low_memory(model, training):
            return step_bytes(model, Shapes(n=n_images), n_images)

    assert kept(RECOMPUTE, n_images=4) < 0.85 * kept(TRAINING, n_images=4)
    # With fewer images the copies of the weights in bfloat16 would hide the difference.
    assert kept(LOWER, n_images=8) < 0.75 * kept(TRAINING, n_images=8)


def test_layers_compute_in_bfloat16_and_all_else_in_float32(plain, monkeypatch):
    model, (image, target) = plain[0], SCENES[0]
    seen, decoded = {}, []
    for name in ("backbone.conv1", "rpn_head.cls_logits", "box_head.cls_score", "mask_head.convs"):
        layer = model.get_submodule(name)
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.dtype}))
    decode = boxes.decode_boxes
    monkeypatch.setattr(
        rpn, "decode_boxes", lambda *args: decoded.extend(a.dtype for a in args) or decode(*args)
    )
    pooled = []
    pool = model.pool
    monkeypatch.setattr(model, "pool", lambda *a: pooled.append(pool(*a)) or pooled[-1])
    with low_memory(model, LOWER):
        losses = model([image], [target], [torch.Generator().manual_seed(0)])
    assert set(seen.values()) == {torch.bfloat16} and len(seen) == 4
    assert set(decoded) == {torch.float32} and {p.dtype for p in pooled} == {torch.bfloat16}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    seen.clear()
    model([image], [target])
    assert set(seen.values()) == {torch.float32}  # outside nothing has changed


def test_bfloat16_learns_alike(plain):
    model, losses = _fit(LOWER)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses[0] != plain[1][0] and losses[0] == pytest.approx(plain[1][0], rel=0.05)
    both, again = _fit(replace(LOWER, activation_checkpointing=True))
    assert again == losses
    for a, b in zip(model.parameters(), both.parameters(), strict=True):
        assert torch.equal(a, b)


def test_layers_are_left_as_they_were(plain):
    """Those of a model that computes in bfloat16 already, too."""
    both = replace(RECOMPUTE, precision="bfloat16")
    plain[0].zero_grad()
    for model in (deepcopy(plain[0]), in_bfloat16(deepcopy(plain[0]))):
        before = {layer: vars(layer).get("forward") for layer in model.modules()}
        with low_memory(model, both):
            during = {layer: vars(layer).get("forward") for layer in model.modules()}
        with pytest.raises(RuntimeError), low_memory(model, both):
            raise RuntimeError
        after = {layer: vars(layer).get("forward") for layer in model.modules()}
        assert after == before != during
        assert during[model.mask_head] is not before[model.mask_head]
        assert during[model.backbone.layer1] is not before[model.backbone.layer1]


def test_activations_of_a_compiled_model_are_not_recomputed(tiny_model):
    with pytest.raises(ValueError, match="compiled model cannot be recomputed: turn off activ"):
        fit(compiled(tiny_model()), SCENES, RECOMPUTE, progress=False)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision is 'half': choose one of float32, bfloat16"):
        _fit(replace(TRAINING, precision="half"))


def test_parts_give_the_gradients_of_the_whole():
    """If each part has as many rows: losses and gradients are the means over the parts."""
    whole = replace(TRAINING, batch_size=4, steps=1, rng_scope="image", optimizer="sgd")
    same_rows = dict(norm="frozen", mask_head=None, roi_batch_per_image=8, rpn_batch_per_image=32)
    runs = [
        _fit(replace(whole, grad_accumulation=n), torch.float64, **same_rows) for n in (1, 2, 4)
    ]
    for model, losses in runs[1:]:
        assert losses[0] == pytest.approx(runs[0][1][0], rel=1e-6)
        for a, b in zip(runs[0][0].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-9)


def test_parts_of_unlike_images_are_means_over_the_parts():
    """The mask loss averages over each part's own positives: near the whole batch's, not equal."""
    whole = replace(TRAINING, batch_size=4, steps=1, rng_scope="image")
    one, two = (_fit(replace(whole, grad_accumulation=n), norm="frozen")[1][0] for n in (1, 2))
    assert two == pytest.approx(one, rel=0.2) and two["loss_mask"] != one["loss_mask"]
