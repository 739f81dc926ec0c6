"""Fine-tuning: a model for your classes that starts from the weights of another model.

What a network has learned to see is useful for other objects too; only its last layers know
classes. So all other layers are copied, and in the last ones a new class starts as the mean of the
old classes. Letters: K classes (label 0 is background), C channels.
"""

import torch
from torch import Tensor

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.checkpoint import load_state
from mrcnn_edu.weights.norms import fit_norms, norm_epsilons

CLASS_LAYERS = (  # K + 1 blocks of rows each, one block for each class
    "box_head.cls_score", "box_head.bbox_pred", "mask_head.mask_fcn_logits",
    "mask_head.mask_logits",
)  # fmt: skip
HEADS = "rpn_head.", "box_head.", "mask_head.", "keypoint_head."
FIRST = "backbone.conv1"


def init_from_model(
    model: MaskRCNN, given: MaskRCNN, classes: list[str], source: str = "the weights"
) -> list[str]:
    """Sentences that describe what was copied from `given` into `model`, and what was not.

    classes: the names of the model's labels; `given` has its own. In the last layers, which know
    the classes, background and classes of the same name keep their rows, and each other class
    starts as the mean of all classes of `given`. Other layers of the heads are copied if they fit,
    and otherwise left as they are. Backbone and neck must fit, except for the channels of the
    images. Raises ValueError that lists everything that does not fit; source names the weights.
    """
    expected, state = model.state_dict(), dict(given.state_dict())
    notes = [_fit_first_layer(model, given, state), _fit_norms(model, given, state)]
    copied_classes = _fit_classes(model, given, classes, state)
    new_layers, unused_layers = _fit_heads(expected, state)
    load_state(model, state, source)

    if copied_classes is not None:
        layers = [n for n in CLASS_LAYERS if f"{n}.weight" in expected and n not in new_layers]
        notes += _describe_classes(layers, copied_classes, classes, given.classes)
    if new_layers:
        notes.append(f"reinitialized, as no layer of this shape was given: {', '.join(new_layers)}")
    if unused_layers:
        notes.append(f"not used, as this model lacks them: {', '.join(unused_layers)}")
    notes = [note for note in notes if note]
    return ["copied all layers but those named here", *notes] if notes else ["copied all layers"]


def _describe_classes(
    layers: list[str], copied: list[str], classes: list[str], old_classes: list[str]
) -> list[str]:
    notes = [f"{', '.join(layers)} were adapted to the new classes"]
    if len(copied) < len(classes):
        n_new, n = len(classes) - len(copied), len(classes)
        notes.append(f"{n_new} of {n} classes start as the mean of the {len(old_classes)} old ones")
    if copied:
        names = ", ".join(copied[:8]) + (", ..." if len(copied) > 8 else "")
        notes.append(f"classes copied by their names: {names}")
    return notes


def _fit_classes(
    model: MaskRCNN, given: MaskRCNN, classes: list[str], state: dict[str, Tensor]
) -> list[str] | None:
    """Fit the last layers in `state`, and return the classes that both models know.

    None if both have the same classes with the same labels, and nothing had to be fitted.
    """
    old_labels = {name.casefold(): label for label, name in enumerate(given.classes, start=1)}
    rows = {0: 0}  # new labels and the old ones of the same classes
    for label, name in enumerate(classes, start=1):
        if name.casefold() in old_labels:
            rows[label] = old_labels[name.casefold()]
    agnostic, was_agnostic = model.config.class_agnostic_mask, given.config.class_agnostic_mask
    n, n_old = len(classes), len(given.classes)
    if agnostic == was_agnostic and n == n_old and rows == {k: k for k in range(n + 1)}:
        return None
    expected = model.state_dict()
    for layer in CLASS_LAYERS:
        one_mask = layer.startswith("mask_head.") and (agnostic or was_agnostic)
        for name in (f"{layer}.weight", f"{layer}.bias"):
            if name not in expected or name not in state:
                continue
            if one_mask:
                sizes = 1 if agnostic else n, 1 if was_agnostic else n_old
                state[name] = _class_rows(state[name], *sizes, {0: 0})
            else:
                state[name] = _class_rows(state[name], n, n_old, rows)
    return [classes[label - 1] for label in rows if label > 0]


def _class_rows(values: Tensor, n: int, n_old: int, rows: dict[int, int]) -> Tensor:
    """A last layer's rows for background and n classes, from those for n_old classes.

    rows: the old label of each new label that keeps its rows. The others get the mean: random rows
    would at first undo what the layers before them know about any object.
    """
    old = values.unflatten(0, (n_old + 1, -1))
    new = old[1:].mean(dim=0).repeat(n + 1, *[1] * (old.ndim - 1))
    new[list(rows)] = old[list(rows.values())]
    return new.flatten(0, 1)


def _fit_first_layer(model: MaskRCNN, given: MaskRCNN, state: dict[str, Tensor]) -> str:
    """Fit the first convolution to the channels of the images, and say how; "" if it fits."""
    name = f"{FIRST}.weight"
    weight, own = state[name], model.state_dict()[name]
    n, channels = weight.shape[1], own.shape[1]
    if n == channels or own.shape[2:] != weight.shape[2:]:
        return ""
    if channels == 1:
        # Gray shown in all channels gives the sum; each channel had been divided by its own std.
        std = torch.tensor(given.config.pixel_std)[:, None, None]
        state[name] = (weight / std).sum(dim=1, keepdim=True) * model.config.pixel_std[0]
        return f"{FIRST} sums over its {n} channels, so that gray images give what they gave before"
    if channels > n:
        state[name] = torch.cat((weight, torch.zeros_like(own[:, n:])), dim=1)
        return f"{FIRST} keeps its {n} channels as the first ones, and the others start at 0"
    state[name] = own
    return f"{FIRST} is reinitialized: it had {n} channels, and the images have {channels}"


def _fit_norms(model: MaskRCNN, given: MaskRCNN, state: dict[str, Tensor]) -> str:
    """Fit frozen norms to trained ones or the other way around, and say so; "" if they agree."""
    fit_norms(model, state, norm_epsilons(given))
    if model.config.norm == given.config.norm:
        return ""
    return f"the backbone's norms were {given.config.norm} and are now {model.config.norm}"


def _fit_heads(
    expected: dict[str, Tensor], state: dict[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Fit the heads' layers in `state`: those that keep the model's weights, and those dropped."""
    new_layers = {
        _layer(name)
        for name, value in expected.items()
        if name.startswith(HEADS) and (name not in state or state[name].shape != value.shape)
    }
    unused = {_layer(name) for name in state if name.startswith(HEADS) and name not in expected}
    for name, value in expected.items():
        if _layer(name) in new_layers:
            state[name] = value
    for name in list(state):
        if name not in expected and _layer(name) in unused:
            del state[name]
    return sorted(new_layers), sorted(unused)


def _layer(name: str) -> str:
    """The layer that a parameter belongs to: "box_head.cls_score" of its weight, for example."""
    return name.rpartition(".")[0]
