"""The weights of a network in training as the network without adapters has them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from torch import Tensor, nn

from dvla_ros.training.published.low_rank import ADAPTER
from dvla_ros.training.published.trained_rows import TrainedRows

_BASE = ".base_layer."


def merged_tensors(module: nn.Module, values: Mapping[str, Tensor] | None = None) -> dict[str, Callable[[], Tensor]]:
    """Each parameter by the name that it has without adapters, adapters merged when it is asked for.

    Args:
        module: With or without adapters.
        values: Other values of its parameters, by their name there: averaged ones, or gathered from several processes.
            A parameter that is not named has its own.
    """
    values = values or {}
    own = dict(module.named_parameters(remove_duplicate=False))

    def value(name: str) -> Tensor:
        return values.get(name, own[name]).detach()

    found: dict[str, Callable[[], Tensor]] = {}
    for name in own:
        if ".lora_" in name or name.endswith(".change"):
            continue
        owner_name, _, _ = name.partition(_BASE)
        if _BASE not in name or not name.endswith(".weight"):
            found[name.replace(_BASE, ".")] = partial(value, name)
            continue
        owner = module.get_submodule(owner_name)
        plain = name.replace(_BASE, ".")
        if isinstance(owner, TrainedRows):
            found[plain] = partial(_with_rows, owner, partial(value, name), partial(value, f"{owner_name}.change"))
        else:
            down, up = (partial(value, f"{owner_name}.lora_{side}.{ADAPTER}.weight") for side in "AB")
            scale = owner.scaling[ADAPTER]  # type: ignore[index]
            found[plain] = partial(_with_product, partial(value, name), down, up, cast(float, scale))
    return found


def _with_rows(owner: TrainedRows, base: Callable[[], Tensor], change: Callable[[], Tensor]) -> Tensor:
    return owner.whole(base(), change())


def _with_product(
    base: Callable[[], Tensor], down: Callable[[], Tensor], up: Callable[[], Tensor], scale: float
) -> Tensor:
    """W + s B A in float32, rounded once; also for a convolution."""
    weight = base()
    a, b = (factor().float().to(weight.device).flatten(1) for factor in (down, up))
    return (weight.float() + scale * (b @ a).view_as(weight)).to(weight.dtype)
