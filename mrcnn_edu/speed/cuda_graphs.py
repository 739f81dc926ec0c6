"""CUDA graphs: the kernels of a layer recorded once, and then launched together.

Launching a kernel from Python takes longer than a small kernel runs. Backbone, neck and RPN head
launch about a thousand for an image, always the same for images of a size. A recording is launched
with a single call.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.replace_forward import replace_forward

DENSE_LAYERS = "backbone", "neck", "rpn_head"  # the same work for every image of a size
Maps = Tensor | list[Tensor] | tuple[Tensor, ...]  # inputs and outputs of layers
Recording = tuple[Maps, Maps, Callable[[], Any]]  # input, output, and what computes it again


def in_graphs(model: MaskRCNN) -> MaskRCNN:
    """The model with its dense layers recorded as CUDA graphs, which run unless it is training.

    Each shape of batch gets a recording, so the first `detect` of a shape takes longer, and the
    feature maps stay in memory (half a gigabyte for 800 x 1333 pixels in float32). A recording
    reads the weights where they are stored, so it sees what later training changes. Raises
    ValueError if the model is not on a GPU, or is recorded already.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        raise ValueError(f"the model is on {device}, and CUDA graphs are not: model.to('cuda')")
    pool = torch.cuda.graph_pool_handle()  # one memory for all recordings: they run in turn
    record_layers(model, partial(record_graph, pool))
    return model


def record_layers(model: MaskRCNN, record: Callable[[Callable, Maps], Recording]) -> None:
    """Replace the forwards of the dense layers by recorded ones; record(forward, x) records."""
    for name in DENSE_LAYERS:
        layer = model.get_submodule(name)
        if any(True for _ in layer.parameters()):  # not the neck of C4, which computes nothing
            check_not_recorded(name, layer)
            replace_forward(layer, RecordedForward(layer, layer.forward, record))


def check_not_recorded(name: str, layer: nn.Module) -> None:
    """Raise ValueError if the layer is recorded already. name: what the error calls it."""
    if isinstance(layer.forward, RecordedForward):
        raise ValueError(f"{name} is recorded already: call in_graphs(model) once, and last")


class RecordedForward:
    """A layer's forward, recorded for each shape of its input, and replayed.

    A recording always reads and writes the same memory, so its input is copied into that memory,
    and its output out of it.
    """

    def __init__(
        self, layer: nn.Module, forward: Callable, record: Callable[[Callable, Maps], Recording]
    ):
        self.layer, self.forward, self.record = layer, forward, record
        self.weights: list[nn.Parameter] = []
        self.recordings: dict[Any, Recording] = {}
        self.lock = Lock()  # two threads must not use a recording's memory at the same time

    def __call__(self, x: Maps) -> Maps:
        if torch.is_grad_enabled() or self.layer.training:
            return self.forward(x)
        if torch.is_autocast_enabled("cuda"):
            raise RuntimeError("autocast around a recorded model: use in_bfloat16(model) instead")
        self.weights = self.weights or list(self.layer.parameters())
        layouts = tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors_of(x))
        addresses = tuple(weight.data_ptr() for weight in self.weights)  # .to() may move them
        # Tensors made in inference mode could not be written to outside of it.
        with self.lock, torch.inference_mode(False), torch.no_grad():
            if (layouts, addresses) not in self.recordings:
                self.recordings[layouts, addresses] = self.record(self.forward, x)
            recorded_input, output, replay = self.recordings[layouts, addresses]
            for target, source in zip(tensors_of(recorded_input), tensors_of(x), strict=True):
                target.copy_(source)
            replay()
            return map_tensors(Tensor.clone, output)

    def __reduce__(self):  # a copy of the model makes its own recordings
        return type(self), (self.layer, self.forward, self.record)

    def __deepcopy__(self, memo: dict) -> "RecordedForward":
        layer, forward = deepcopy(self.layer, memo), deepcopy(self.forward, memo)
        new = type(self)(layer, forward, self.record)
        if vars(layer).get("_parameters") is self.layer._parameters:  # as in `trace.shared_copy`
            new.recordings, new.lock = self.recordings, self.lock
        return new


def record_graph(pool: Any, forward: Callable, x: Maps) -> Recording:
    """A recording of forward(x) as a CUDA graph. pool: the memory that recordings share."""
    x = map_tensors(Tensor.clone, x)
    device = tensors_of(x)[0].device
    if device.type != "cuda":
        raise ValueError(f"the model has CUDA graphs, but is on {device} now: load it again")
    with torch.cuda.device(device):  # otherwise the graph would belong to the current device
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):  # warm up: tuning and compiling cannot be recorded
            for _ in range(3):
                forward(x)
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            output = forward(x)
    return x, output, graph.replay


def tensors_of(x: Maps) -> Sequence[Tensor]:
    """The tensors of a layer's input or output, which is one tensor or several."""
    return [x] if isinstance(x, Tensor) else x


def map_tensors(change: Callable[[Tensor], Tensor], x: Maps) -> Maps:
    """A layer's input or output with each of its tensors changed."""
    return change(x) if isinstance(x, Tensor) else type(x)(change(tensor) for tensor in x)
