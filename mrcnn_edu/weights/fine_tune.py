"""Fine-tuning: a model for your classes that starts from another's weights.

What a network learned to see is of use for other objects, too; only its last layers know classes.
So everything is kept but those, and there a new class starts as the mean of the old ones.
Letters: K classes (label 0 is background), C channels.
"""

import torch
from torch import Tensor

from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights import load_state

CLASS_LAYERS = (  # K + 1 blocks of rows each, one block a class
    "box_head.cls_score", "box_head.bbox_pred", "mask_head.mask_fcn_logits",
    "mask_head.mask_logits",
)  # fmt: skip
HEADS = "rpn_head.", "box_head.", "mask_head."
FIRST = "backbone.conv1.weight"


def init_from_model(
    model: MaskRCNN, given: MaskRCNN, classes: list[str], source: str = "the weights"
) -> list[str]:
    """Sentences that say what the model now has of `given`, and what starts anew.

    classes: the names of the model's labels; `given` has its own. In the last layers, which know
    the classes, background and classes of the same name keep their rows, and each other class
    starts as the mean of all classes of `given`. Other layers of the heads are kept if they fit,
    and start anew if not. Backbone and neck must fit, but for the channels of the images. Raises
    ValueError that names all that does not.
    """
    own, state = model.state_dict(), dict(given.state_dict())
    norms = _fit_norms(model, given, own, state)
    first = _fit_first(model.config, given.config, own, state)
    shared = _fit_classes(model.config, given.config, classes, given.classes, own, state)
    layers = {
        name.rpartition(".")[0]
        for name in own
        if name.startswith(HEADS) and (name not in state or state[name].shape != own[name].shape)
    }
    for name in own:
        if name.rpartition(".")[0] in layers:
            state[name] = own[name]
    left_out = {n.rpartition(".")[0] for n in state if n.startswith(HEADS) and n not in own}
    state = {n: v for n, v in state.items() if n in own or n.rpartition(".")[0] not in left_out}
    load_state(model, state, source)

    sentences = ["kept: every layer that is not named here"]
    if first:
        sentences.append(first)
    if norms:
        sentences.append(norms)
    if shared is not None:
        names = ", ".join(shared[:8]) + (", ..." if len(shared) > 8 else "")
        last = [name for name in CLASS_LAYERS if f"{name}.weight" in own and name not in layers]
        sentences.append(f"{', '.join(last)}, which know the classes, are made anew")
        if len(shared) < len(classes):
            n = f"{len(classes) - len(shared)} of {len(classes)} classes"
            sentences.append(f"{n} start as the mean of the {len(given.classes)} there")
        if shared:
            sentences.append(f"kept by their names: {names}")
    if layers:
        sentences.append(f"{', '.join(sorted(layers))} start anew: none there of this shape")
    if left_out:
        sentences.append(f"left out: {', '.join(sorted(left_out))}, which this model has not")
    return sentences if len(sentences) > 1 else ["kept: every layer"]


def _fit_classes(
    config: Config, given: Config, classes: list[str], known: list[str], own: dict, state: dict
) -> list[str] | None:
    """Classes that both know; None if they are the same with the same labels. `state` is fitted."""
    labels = {name.casefold(): label for label, name in enumerate(known, start=1)}
    pairs = {0: 0} | {
        label: labels[name.casefold()]
        for label, name in enumerate(classes, start=1)
        if name.casefold() in labels
    }
    agnostic = config.class_agnostic_mask or given.class_agnostic_mask
    if len(classes) == len(known) == sum(a == b for a, b in pairs.items()) - 1 and (
        config.class_agnostic_mask == given.class_agnostic_mask
    ):
        return None
    for layer in CLASS_LAYERS:
        n, n_known, rows = len(classes), len(known), pairs
        if agnostic and layer.startswith("mask_head."):
            n = 1 if config.class_agnostic_mask else n
            n_known = 1 if given.class_agnostic_mask else n_known
            rows = {0: 0}
        for name in (f"{layer}.weight", f"{layer}.bias"):
            if name in own and name in state:
                old = state[name].unflatten(0, (n_known + 1, -1))
                # Random rows at first undo what the layers before them know of any object.
                new = old[1:].mean(dim=0).repeat(n + 1, *[1] * (old.ndim - 1))
                new[list(rows)] = old[list(rows.values())]
                state[name] = new.flatten(0, 1)
    return [classes[label - 1] for label in pairs if label > 0]


def _fit_first(config: Config, given: Config, own: dict, state: dict) -> str:
    """What became of the first convolution, for images of another number of channels."""
    n, channels = state[FIRST].shape[1], own[FIRST].shape[1]
    if n == channels or own[FIRST].shape[2:] != state[FIRST].shape[2:]:
        return ""
    if channels == 1:
        # Gray shown in all channels gives the sum; each channel had been divided by its own std.
        std = torch.tensor(given.pixel_std)[:, None, None]
        state[FIRST] = (state[FIRST] / std).sum(dim=1, keepdim=True) * config.pixel_std[0]
        return f"{FIRST[:-7]} sums its {n} channels: gray gives what gray in all of them gave"
    if channels > n:
        more: Tensor = torch.zeros_like(own[FIRST][:, n:])
        state[FIRST] = torch.cat((state[FIRST], more), dim=1)
        return f"{FIRST[:-7]} keeps its {n} channels as the first ones, and the others start at 0"
    state[FIRST] = own[FIRST]
    return f"{FIRST[:-7]} starts anew: it had {n} channels, and the images have {channels}"


def _fit_norms(model: MaskRCNN, given: MaskRCNN, own: dict, state: dict) -> str:
    """Says if norms that were trained are now frozen, or frozen ones trained; `state` is fitted."""
    theirs = dict(given.named_modules())
    for name, norm in model.named_modules():
        variance = f"{name}.running_var"
        if hasattr(norm, "running_var") and variance in state:
            change = theirs[name].eps - norm.eps  # what each kind adds to the variance
            state[variance] = (state[variance] + change).clamp(min=0)
    counts = ".num_batches_tracked"  # which only norms that are trained have
    for name in [name for name in state if name.endswith(counts) and name not in own]:
        del state[name]
    for name in [name for name in own if name.endswith(counts) and name not in state]:
        state[name] = own[name]
    if model.config.norm == given.config.norm:
        return ""
    return f"norms of the backbone, {given.config.norm} there, are {model.config.norm} here"
