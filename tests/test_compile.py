"""The dense layers (backbone, FPN, RPN head) compute the same when compiled or exported."""

import shutil

import pytest
import torch
from torch import nn
from torch.export import Dim
from torch.testing import assert_close


@pytest.fixture
def model(tiny_model):
    return tiny_model().eval()


@pytest.fixture
def dense(model):
    return nn.Sequential(model.backbone, model.neck, model.rpn_head)


IMAGES = [torch.rand(2, 3, 48, 64), torch.rand(1, 3, 64, 80)]


def test_the_exported_dense_layers_take_batches_of_any_size(dense):
    dynamic_shape = {0: Dim("batch"), 2: 16 * Dim("rows"), 3: 16 * Dim("columns")}
    exported = torch.export.export(dense, (IMAGES[0],), dynamic_shapes=(dynamic_shape,)).module()
    for images in IMAGES:
        assert_close(exported(images), dense(images))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_dense_layers_give_the_same_detections(model):
    images = [torch.rand(3, 40, 60), torch.rand(3, 48, 48)]
    expected = model.detect(images)
    for layer in (model.backbone, model.neck, model.rpn_head):
        layer.compile()
    for found, wanted in zip(model.detect(images), expected, strict=True):
        assert torch.equal(found.labels, wanted.labels)
        assert_close(found.boxes, wanted.boxes, rtol=1e-4, atol=1e-3)
        assert_close(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler reads it
def test_the_compiled_dense_layers_learn_the_same(model, random_targets):
    image, target = random_targets(3)
    gradients = []
    for compiled in (False, True):
        if compiled:
            for layer in (model.backbone, model.neck, model.rpn_head):
                layer.compile()
        model.zero_grad()
        losses = model([image], [target], [torch.Generator().manual_seed(0)])
        sum(losses.values()).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, expected in gradients[0].items():
        assert (gradients[1][name] - expected).norm() <= 1e-3 * expected.norm() + 1e-6, name
