"""What is said when an input is refused: what is wrong with it, and what to do.

Each function returns the exception that `validate` raises. `name` says whose input it is, such as
"target 3 (image_id 17)". Letters: C channels, H and W in pixels, M objects, K classes.
"""

from typing import Any

from torch import Tensor, nn


def not_a_list(what: str, of: str) -> TypeError:
    return TypeError(f"{what} must be a list of {of}, one for each image")


def wrong_image(i: int, image: Tensor, n_channels: int) -> Exception:
    """For an image of another dtype or shape."""
    if not image.is_floating_point():
        return TypeError(f"image {i} has dtype {image.dtype}: give floats in 0..1 (image / 255)")
    return ValueError(
        f"image {i} has shape {list(image.shape)}, the model reads [{n_channels}, H, W]: convert "
        "the image, or make a model with Config(in_channels=...)"
    )


def wrong_pixels(i: int, low: float, high: float) -> ValueError:
    """low, high: the smallest and the largest value; NaN if there is a NaN."""
    if not (low > -float("inf") and high < float("inf")):
        return ValueError(f"image {i} has pixels that are NaN or infinite: look at its file")
    if low < 0:
        return ValueError(
            f"image {i} has values down to {low:g}: give 0..1, without subtracting a mean or "
            "normalizing; the model does that (Config.pixel_mean)"
        )
    return ValueError(f"image {i} has values up to {high:g}: give 0..1 (image / 255)")


def no_tensor(name: str, field: str, value: Any) -> Exception:
    if value is None:
        return ValueError(f"{name} has no {field}: give a tensor (see torch.as_tensor)")
    kind = type(value).__name__
    return TypeError(
        f"{name} has {field} of type {kind}: give a tensor (torch.as_tensor converts lists and "
        "arrays)"
    )


def wrong_dtype(name: str, field: str, values: Tensor, remedy: str) -> TypeError:
    return TypeError(f"{name} has {field} of {values.dtype}: give {remedy}")


def wrong_shape(name: str, field: str, values: Any, expected: list) -> ValueError:
    """expected: the right shape. Its first entry is the number of labels, if it is known."""
    labels = f"{expected[0]} labels and " if isinstance(expected[0], int) else ""
    right = ", ".join(map(str, expected))
    return ValueError(
        f"{name} has {labels}{field} of shape {list(values.shape)}: expected [{right}]"
    )


def wrong_label(name: str, row: int, label: int, n_classes: int) -> ValueError:
    return ValueError(
        f"{name}, object {row} has label {label}: labels run from 1 to {n_classes}, 0 is "
        "background; correct it, or make a model with more n_classes"
    )


def box_without_area(name: str, row: int, box: list[float]) -> ValueError:
    return ValueError(
        f"{name}, object {row} has box {box}, which has no area: boxes are x1, y1, x2, y2 with "
        "x2 > x1 and y2 > y1 (mrcnn-edu check-data lists all)"
    )


def box_outside(name: str, row: int, box: list[float], size: tuple[int, int]) -> ValueError:
    return ValueError(
        f"{name}, object {row} has box {box}, outside of its image of {size[1]} x {size[0]} "
        "pixels, or reaching far out of it: give x1, y1, x2, y2 in pixels of the image"
    )


def wrong_box(name: str, row: int, box: list[float]) -> ValueError:
    return ValueError(
        f"{name}, box {row} is {box}: give x1, y1, x2, y2, finite and with x2 >= x1 and y2 >= y1"
    )


def no_keypoints(name: str, n_keypoints: int) -> ValueError:
    return ValueError(
        f"{name} has no keypoints, and the model has n_keypoints={n_keypoints}: give a tensor "
        f"[M, {n_keypoints}, 3] of x, y and visibility (all 0 for what is not labeled), or make a "
        "model with Config(n_keypoints=0)"
    )


def wrong_keypoint(name: str, row: int, j: int, keypoint: list[float]) -> ValueError:
    """j: which of the object's keypoints it is, from 0."""
    return ValueError(
        f"{name}, object {row} has keypoint {j} = {keypoint}: give x, y in pixels, which are "
        "finite, and the visibility 0 (not labeled), 1 (labeled, hidden) or 2 (visible)"
    )


def not_binary(name: str, masks: Tensor, value: float) -> ValueError:
    example = "masks > 0.5" if masks.is_floating_point() else "masks > 0"
    return ValueError(f"{name} has masks with the value {value:g}: give bool, as in {example}")


def not_finite(model: nn.Module) -> FloatingPointError:
    """The error for a model whose outputs are NaN or infinite; it names the first such weight."""
    name = first_not_finite(model)
    if name is None:
        return FloatingPointError(
            "the network's outputs are NaN or infinite, although its weights are not: some weights "
            "must be far too large; load them again, or train with a lower learning rate"
        )
    return FloatingPointError(
        f"{name} has values that are NaN or infinite: load the weights again, or train with a "
        "lower learning rate"
    )


def first_not_finite(model: nn.Module) -> str | None:
    """The name of the first parameter or buffer that is not finite everywhere, if there is one."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if not value.isfinite().all():
            return name
    return None
