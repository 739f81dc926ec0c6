"""Faster on a GPU: changes to a model, each of them one line, and they add up in this order.

    compiled(model)        # torch.compile: what lies between two convolutions is one kernel
    in_bfloat16(model)     # convolutions and products in 16 bits, with sums in 32
    channels_last(model)   # weights and maps with all channels of a pixel together
    in_graphs(model)       # `detect` starts the thousand kernels of the dense part in three calls

Each changes the model in place, and returns it. Only how the layers compute changes, from outside:
their weights keep names, shapes and precision, and the model's code does not know of it.
"""

from collections.abc import Callable
from functools import partial
from types import MethodType

import torch
from torch import Tensor, nn

from mrcnn_edu.model import MaskRCNN

MAPS = "backbone", "neck", "last_stage"  # layers whose outputs are read by other layers alone
DENSE = "backbone", "neck", "rpn_head"  # layers that look everywhere, whatever the images show
Maps = Tensor | list[Tensor] | tuple[Tensor, ...]  # what a layer takes and gives


def compiled(model: MaskRCNN, **options) -> MaskRCNN:
    """The model with its layers compiled, each when it first runs, and again for other shapes.

    options: of `torch.compile`. Raises ValueError if the layers are changed already. Training that
    recomputes maps refuses the model.
    """
    for name, layer in _with_weights(model).items():
        if "forward" in vars(layer):
            raise ValueError(f"{name} is changed already: call compiled(model) before the others")
        # The class's own code: what has been compiled is found by its code, and a wrapper's would
        # be the same for all layers, and soon hold more than torch.compile keeps.
        layer.forward = MethodType(torch.compile(type(layer).forward, **options), layer)
    model.is_compiled = True  # read by `lighter`
    return model


def in_bfloat16(model: MaskRCNN) -> MaskRCNN:
    """The model with convolutions and products in bfloat16 (`torch.autocast`).

    Maps and RoI features are bfloat16, too. What the heads say is float32, and so is all that is
    made of it: boxes, scores, masks and losses. Raises ValueError after `in_graphs`.
    """
    for name, layer in _with_weights(model).items():
        _check_not_recorded(name, layer)
        layer.forward = bf16_forward(name, layer)
    return model


def bf16_forward(name: str, layer: nn.Module) -> Callable:
    """The forward, in bfloat16, of the model's layer of that name."""
    return partial(_run_in_bf16, layer.forward, name in MAPS)


def _run_in_bf16(forward: Callable, stays: bool, x: Maps) -> Maps:
    with torch.autocast(_tensors(x)[0].device.type, torch.bfloat16):
        out = forward(x)
    return out if stays else _each(Tensor.float, out)


def channels_last(model: MaskRCNN) -> MaskRCNN:
    """The model with its weights in channels-last memory: its convolutions' maps are then, too."""
    return model.to(memory_format=torch.channels_last)


def in_graphs(model: MaskRCNN) -> MaskRCNN:
    """The model with its dense part recorded as CUDA graphs, and replayed, unless it is training.

    There is a recording for every shape of batch: the first `detect` of each takes longer, and the
    maps of each stay in memory (an image of 800 x 1333: half a gigabyte in float32). It reads the
    weights where they lie, so it sees what training makes of them. Raises ValueError on a CPU.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        raise ValueError(f"the model is on {device}, and CUDA graphs are not: model.to('cuda')")
    pool = torch.cuda.graph_pool_handle()  # memory for all, as one runs after the other
    for name, layer in _with_weights(model).items():
        if name in DENSE:
            _check_not_recorded(name, layer)
            layer.forward = _Replayed(layer, layer.forward, partial(_record, pool))
    return model


class _Replayed:
    """A layer's forward, recorded for each shape of its input, and replayed.

    A recording reads and writes always the same memory, so its input is copied to there, and its
    output from there.
    """

    def __init__(self, layer: nn.Module, forward: Callable, record: Callable):
        self.layer, self.forward, self.record = layer, forward, record
        self.weights, self.recordings = None, {}

    def __call__(self, x: Maps) -> Maps:
        if torch.is_grad_enabled() or self.layer.training:
            return self.forward(x)
        if torch.is_autocast_enabled("cuda"):
            raise RuntimeError("autocast around a recorded model: use in_bfloat16(model) instead")
        self.weights = self.weights or list(self.layer.parameters())
        kind = tuple((t.shape, t.stride(), t.dtype, t.device) for t in _tensors(x))
        where = tuple(weight.data_ptr() for weight in self.weights)  # .to() may have moved them
        # A recording made in inference mode could not be written to outside.
        with torch.inference_mode(False), torch.no_grad():
            if (kind, where) not in self.recordings:
                self.recordings[kind, where] = self.record(self.forward, x)
            own, out, replay = self.recordings[kind, where]
            for to, given in zip(_tensors(own), _tensors(x), strict=True):
                to.copy_(given)
            replay()
            return _each(Tensor.clone, out)

    def __reduce__(self):  # a copy of the model makes its own recordings
        return type(self), (self.layer, self.forward, self.record)


def _record(pool, forward: Callable, x: Maps) -> tuple[Maps, Maps, Callable]:
    """A recording of forward(x): its input, its output, and what runs it."""
    own = _each(Tensor.clone, x)
    device = _tensors(own)[0].device
    if device.type != "cuda":
        raise ValueError(f"the model has CUDA graphs, and lies on {device} now: load it anew")
    with torch.cuda.device(device):  # or the graph would be another device's, and empty
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # what is chosen or compiled the first time is not recorded
            for _ in range(3):
                forward(own)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            out = forward(own)
    return own, out, graph.replay


def _with_weights(model: MaskRCNN) -> dict[str, nn.Module]:
    """The layers that have something to compute with."""
    layers = dict(model.named_children())
    return {name: layer for name, layer in layers.items() if any(True for _ in layer.parameters())}


def _check_not_recorded(name: str, layer: nn.Module) -> None:
    if isinstance(layer.forward, _Replayed):
        raise ValueError(f"{name} is recorded already: call in_graphs(model) once, and last")


def _tensors(x: Maps) -> list[Tensor] | tuple[Tensor, ...]:
    return [x] if isinstance(x, Tensor) else x


def _each(change: Callable, x: Maps) -> Maps:
    return change(x) if isinstance(x, Tensor) else type(x)(change(value) for value in x)
