"""Batch norms of two kinds: the same numbers mean a little different things to them.

Both divide by sqrt(variance + eps), but with different eps, and only a norm that is trained counts
its batches. What differs is moved into the stored variance, so that the outputs are the same.
"""

from torch import Tensor, nn

COUNT = "num_batches_tracked"


def norm_epsilons(model: nn.Module) -> dict[str, float]:
    """The eps of each batch norm of a model, ours or torchvision's, by the layer's name."""
    norms = {n: module for n, module in model.named_modules() if hasattr(module, "running_var")}
    return {name: float(getattr(norm, "eps")) for name, norm in norms.items()}  # noqa: B009, typed


def fit_norms(model: nn.Module, state: dict[str, Tensor], saved_eps: dict[str, float]) -> None:
    """Change a state so that the model's norms compute what the saved ones did.

    saved_eps: the eps of the norms that the state was saved from, by the names of the model's. Only
    a variance so small that it would become negative is not exact: it becomes 0.
    """
    for name, eps in norm_epsilons(model).items():
        variance = f"{name}.running_var"
        if variance in state and name in saved_eps:
            state[variance] = (state[variance] + (saved_eps[name] - eps)).clamp(min=0)
    expected = model.state_dict()
    for name in [name for name in state if name.endswith(f".{COUNT}") and name not in expected]:
        del state[name]  # the model's norm is frozen
    for name, count in expected.items():
        norm = name.removesuffix(f".{COUNT}")
        if norm != name and name not in state and f"{norm}.running_var" in state:
            state[name] = count  # the saved norm was frozen
