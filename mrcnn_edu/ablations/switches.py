"""Switches: the settings that a reader can change, written as name=value.

A name is a field of `Config` (what the model is) or of `Training` (how it learns). A value is
written as in Python, or as a plain word: roi_op=pool, mask_head=none, learning_rate=0.001,
anchor_ratios=0.5,1,2.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from mrcnn_edu.ablations.tables import Setting
from mrcnn_edu.config import Config
from mrcnn_edu.train.recipes import Training

CONFIG_FIELDS = {field.name: field for field in fields(Config)}
FROM_DATA = {  # Config fields that the data decides, and why
    "n_classes": "the data has its own classes",
    "in_channels": "the images have their own channels",
    "n_keypoints": "the data has its own keypoints",
}
TRAINING_FIELDS = {field.name: field for field in fields(Training) if field.name != "seed"}
WITHOUT_EFFECT = "checkpoint_every", "workers"  # Training fields that change no result
# Config fields that change nothing in some models, when that is so, and why.
MASKS = (
    "mask_size", "mask_channels", "mask_convs", "mask_hidden", "mask_layers", "mask_loss",
    "mask_decoding", "class_agnostic_mask",
)  # fmt: skip
KEYPOINTS = (
    "keypoint_size", "keypoint_channels", "keypoint_convs", "keypoint_loss", "keypoint_decoding",
)  # fmt: skip
IDLE: list[tuple[tuple[str, ...], Callable[[Config], bool], str]] = [
    (MASKS, lambda c: c.mask_head is None, "mask_head is none"),
    (KEYPOINTS, lambda c: c.n_keypoints == 0, "the data has no keypoints"),
    (("mask_decoding",), lambda c: c.mask_loss != "softmax",
     "only masks that are learned with mask_loss=softmax can be decoded in several ways"),
    (("mask_hidden", "mask_layers"), lambda c: c.mask_head != "mlp", "mask_head is not mlp"),
    (("mask_channels", "mask_convs"), lambda c: c.mask_head != "fcn", "mask_head is not fcn"),
    (("roi_aggregate", "sampling_ratio"), lambda c: c.roi_op == "pool",
     "RoIPool has no sample points: it takes the maximum of a bin's values"),
    (("fpn_channels", "canonical_size"), lambda c: c.neck != "fpn", "neck is not fpn"),
    (("box_hidden", "box_layers", "box_convs"), lambda c: c.neck == "c4",
     "with neck=c4 the box head is the backbone's last stage"),
]  # fmt: skip
WORDS = {"true": True, "yes": True, "false": False, "no": False, "none": None}


def parse_setting(name: str, switches: Sequence[str]) -> Setting:
    """The setting of that name with these switches, each written as "field=value".

    Raises ValueError that names the setting and the switch that cannot be read, and says why. What
    values and combinations are possible is found when the settings' jobs are made.
    """
    changes: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for switch in switches:
        field, equals, text = switch.partition("=")
        field, text = field.strip(), text.strip()
        if not equals or not text:
            raise ValueError(f"{name} has {switch!r}: write field=value, for example roi_op=pool")
        if field in changes or field in training:
            raise ValueError(f"{name} has {field} twice: give it once")
        if field in CONFIG_FIELDS and field not in FROM_DATA:
            changes[field] = parse_value(field, text)
        elif field in TRAINING_FIELDS and field not in WITHOUT_EFFECT:
            training[field] = parse_value(field, text)
        else:
            raise ValueError(f"{name} has {switch!r}: {_why_not(field)}")
    return Setting(name, changes, training=training)


def parse_value(field: str, text: str) -> Any:
    """What a reader has written as the value of a field, in Python's types."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    is_tuple = isinstance((CONFIG_FIELDS | TRAINING_FIELDS)[field].default, tuple)
    return (value,) if is_tuple and not isinstance(value, tuple | list) else value


def check_effects(setting: Setting, config: Config) -> None:
    """Raise ValueError if a switch of the setting changes nothing in a model with this config."""
    for names, is_idle, reason in IDLE:
        for name in names:
            if name in setting.changes and is_idle(config):
                raise ValueError(
                    f"{setting.name}: {name} has no effect here, because {reason}; leave it out, "
                    "or change the other switch"
                )


def switches_of(setting: Setting) -> list[str]:
    """The setting's switches as text, which `parse_setting` reads."""
    values = {**setting.changes, **setting.training}
    return [f"{name}={_text(value)}" for name, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, tuple) and not any(isinstance(part, tuple) for part in value):
        return ",".join(map(str, value)) + "," * (len(value) == 1)
    return "none" if value is None else str(value)


def _why_not(field: str) -> str:
    if field == "seed":
        return "every setting is run with the same seeds; say how many with seeds"
    if field in FROM_DATA:
        return FROM_DATA[field]
    if field in WITHOUT_EFFECT:
        return "it changes no result"
    known = [*CONFIG_FIELDS, *TRAINING_FIELDS]
    similar = get_close_matches(field, known, n=1)
    guess = f"; did you mean {similar[0]}?" if similar else ""
    return f"neither Config nor Training has a field {field!r}{guess}"
