"""Apple's GPUs (MPS): nothing that a device computes is float64, and each operation has a kernel.

They know no float64, and what has no kernel raises. A CPU has both, so we look at what it is given,
and at PyTorch's own list of which operation has a kernel where.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mrcnn_edu import Config, MaskRCNN
from mrcnn_edu.data import Shapes
from mrcnn_edu.train.recipes import Training, make_optimizer

NATIVE = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
IMAGES, TARGETS = (list(column) for column in zip(*(Shapes(3)[i] for i in range(3)), strict=True))


class Watch(TorchDispatchMode):
    """Inside, every operation is noted, and those that give or take float64 once more."""

    def __init__(self):
        super().__init__()
        self.operations, self.in_float64 = set(), set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        self.operations.add(str(operation))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        if torch.float64 in {x.dtype for x in tensors}:
            self.in_float64.add(str(operation))
        return out


@cache
def native_functions():
    return {f["func"].partition("(")[0]: f for f in yaml.safe_load(NATIVE.read_text())}


def runs_on_mps(operation):
    """Whether PyTorch has a kernel for "aten.name.overload", or makes it of others that have."""
    name = operation.removeprefix("aten.").removesuffix(".default")
    function = native_functions()[name]
    if "structured_delegate" in function:
        return runs_on_mps(function["structured_delegate"])
    kernels = ", ".join(function.get("dispatch", ["CompositeImplicitAutograd"]))
    return "MPS" in kernels or "Composite" in kernels


def test_the_list_tells_what_has_a_kernel_and_what_has_none():
    assert runs_on_mps("aten.add.Tensor") and runs_on_mps("aten.relu_.default")
    assert not runs_on_mps("aten.mkldnn_linear.default")


def test_float64_is_noticed():
    with Watch() as watch:
        (torch.ones(2) + torch.ones(2, dtype=torch.float64)).float()
    assert {"aten.ones.default", "aten.add.Tensor", "aten._to_copy.default"} == watch.in_float64


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    "changes",
    [{}, dict(neck="c4", mask_size=14), dict(roi_op="pool"),
     dict(roi_op="warp", roi_aggregate="max"),
     dict(norm="frozen", mask_head="mlp", mask_loss="softmax")],
    ids=str,
)  # fmt: skip
def test_detection_and_training_run_on_apples_gpus(changes, optimizer):
    model = MaskRCNN(Config.tiny(6, **changes))
    step = make_optimizer(model, Training(optimizer=optimizer)).step
    with Watch() as watch:
        model.detect(IMAGES)
        sum(
            model(IMAGES, TARGETS, [torch.Generator().manual_seed(0)] * len(IMAGES)).values()
        ).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step()
    assert watch.in_float64 == set()
    used = {operation for operation in watch.operations if operation.startswith("aten.")}
    assert len(used) > 100 and [each for each in sorted(used) if not runs_on_mps(each)] == []
