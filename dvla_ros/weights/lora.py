"""LoRA adapters as PEFT writes them, merged into the weights while these are read.

LoRA (arXiv 2106.09685): a layer's weight is W + s B A with s = alpha / r, or alpha / sqrt(r) where the adapter is
rank-stabilised (arXiv 2312.03732).
"""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import json_in
from dvla_ros.weights.own_pages import copy_on_own_pages, empty_on_own_pages
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import HeldTensors, Overlaid, Renamed, TensorSource
from dvla_ros.weights.torch_parts import PEFT_PREFIX, read_torch_part

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TORCH_WEIGHTS = "adapter_model.bin"
# Settings under which W + s B A is not the layer's weight.
_UNSUPPORTED = (
    "use_dora",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
)
# Ways to start an adapter that leave the base weights as published; PiSSA, OLoRA, CorDA and LoftQ change them.
_START_VALUES = (True, False, None, "gaussian", "eva", "orthogonal")
_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")
_FULL = re.compile(r"(?P<module>.+)\.modules_to_save(\.default)?\.(?P<leaf>.+)")
_LISTED = 10  # names in a message
_ROWS = 512  # of a weight that are merged at a time, so that its float32 copy stays small


@dataclass(frozen=True)
class LowRank:
    """The change of one weight.

    Attributes:
        down: Name of A `[r, in]` or `[r, in, h, w]` in the adapter.
        up: Name of B `[out, r]` or `[out, r, 1, 1]`.
        scale: s.
    """

    down: str
    up: str
    scale: float


@dataclass(frozen=True)
class LoraAdapter:
    """An adapter folder; its tensors are read when they are needed.

    Attributes:
        where: The folder.
        tensors: What is in its file.
        changes: The change of each weight, by the weight's name in the base.
        full: Tensors that replace those of the base or come to it, by their name there, with their name in the file.
        transposed: Whether the base has its weights as `[in, out]` (PEFT's fan_in_fan_out).
    """

    where: Path
    tensors: TensorSource
    changes: Mapping[str, LowRank]
    full: Mapping[str, str]
    transposed: bool


def read_adapter(folder: Path) -> LoraAdapter:
    """Read an adapter's settings and the names and shapes of its tensors.

    Raises:
        CheckpointError: A file is missing or broken, the adapter is no plain LoRA, or its tensors contradict its
            settings.
    """
    config = json_in(folder, CONFIG)
    _check_supported(config, folder)
    tensors = _tensors(folder)
    factors, full = _sorted_names(tensors, folder)
    if not factors and not full:
        raise CheckpointError(f"{folder} holds no adapted weight; it is an unfinished adapter.")
    changes = {}
    for module, sides in factors.items():
        scale = _scale(config, module, _rank(tensors, sides, f"{folder}: {module}"), folder)
        changes[f"{module}.weight"] = LowRank(sides["A"], sides["B"], scale)
    return LoraAdapter(folder, tensors, changes, full, bool(config.get("fan_in_fan_out")))


def _check_supported(config: Mapping[str, Any], folder: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"{folder} is an adapter of type {config.get('peft_type')!r}; only LORA is merged.")
    used = [f"{name}={config[name]!r}" for name in _UNSUPPORTED if config.get(name)]
    start = config.get("init_lora_weights")
    if not any(start is value or (isinstance(value, str) and start == value) for value in _START_VALUES):
        used.append(f"init_lora_weights={start!r}")
    if used:
        raise CheckpointError(
            f"{folder} uses {', '.join(used)}, which cannot be merged here; merge the adapter where it was trained "
            "(merge_and_unload) and pass the merged model."
        )


def _tensors(folder: Path) -> TensorSource:
    if not (folder / WEIGHTS).exists() and (folder / TORCH_WEIGHTS).exists():
        return HeldTensors(read_torch_part(folder / TORCH_WEIGHTS))
    return TensorFiles.of_file(folder, WEIGHTS)


def _sorted_names(tensors: TensorSource, folder: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Names of A and B by module, and those of full tensors by their name in the base."""
    factors: dict[str, dict[str, str]] = {}
    full: dict[str, str] = {}
    odd = []
    for stored in sorted(tensors.names):
        name = stored.removeprefix(PEFT_PREFIX)
        if match := _FACTOR.fullmatch(name):
            goal, key = factors.setdefault(match["module"], {}), match["side"]
        elif "lora_" in name:
            odd.append(stored)
            continue
        elif match := _FULL.fullmatch(name):
            goal, key = full, f"{match['module']}.{match['leaf']}"
        else:
            goal, key = full, name.replace(".base_layer.", ".")
        if key in goal:
            raise CheckpointError(f"{folder} holds the same tensor twice, as {goal[key]} and as {stored}.")
        goal[key] = stored
    odd += [name for sides in factors.values() if len(sides) == 1 for name in sides.values()]
    if odd:
        raise CheckpointError(
            f"{folder}: {len(odd)} tensors are no pair of lora_A.weight and lora_B.weight: {', '.join(odd[:_LISTED])}. "
            "Merge the adapter where it was trained and pass the merged model."
        )
    return factors, full


def _rank(tensors: TensorSource, sides: Mapping[str, str], where: str) -> int:
    down, up = tensors.shape(sides["A"]), tensors.shape(sides["B"])
    if len(down) < 2 or len(up) < 2 or down[0] != up[1] or math.prod(up[2:]) != 1:
        raise CheckpointError(f"{where}: lora_A {list(down)} and lora_B {list(up)} cannot be multiplied.")
    return down[0]


def _scale(config: Mapping[str, Any], module: str, rank: int, folder: Path) -> float:
    given = _setting(config, "r", "rank_pattern", module)
    alpha = _setting(config, "lora_alpha", "alpha_pattern", module)
    if given != rank:
        raise CheckpointError(f"{folder / CONFIG} says rank {given!r} for {module}, its tensors have {rank}.")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise CheckpointError(f"{folder / CONFIG}: lora_alpha of {module} must be a number, got {alpha!r}.")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _setting(config: Mapping[str, Any], name: str, patterns_name: str, module: str) -> Any:
    """A setting of one module: that of the first pattern that matches the end of its name, or the common one."""
    patterns = config.get(patterns_name) or {}
    for pattern, value in patterns.items():
        try:
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return value
        except re.error as error:
            raise CheckpointError(f"{CONFIG}: {patterns_name} has the wrong pattern {pattern!r}: {error}.") from error
    return config.get(name)


class Merged:
    """A base with an adapter merged into it; a weight is merged when it is read, in float32, and rounded once.

    Args:
        source: The base.
        adapter: Its adapter.

    Raises:
        CheckpointError: The adapter changes weights that the base does not have or that have another shape.
    """

    def __init__(self, source: TensorSource, adapter: LoraAdapter) -> None:
        self._base = Overlaid(source, Renamed(adapter.tensors, adapter.full))
        self._adapter = adapter
        if lacking := sorted(adapter.changes.keys() - self._base.names):
            raise CheckpointError(
                f"{adapter.where} adapts {len(lacking)} weights that the base model does not have: "
                f"{', '.join(lacking[:_LISTED])}. Name the base model that the adapter was trained on."
            )
        wrong = [text for name in adapter.changes if (text := self._wrong_shape(name))]
        if wrong:
            raise CheckpointError(
                f"{adapter.where} adapts {len(wrong)} weights of another shape or type: {'; '.join(wrong[:_LISTED])}. "
                "Name the base model that the adapter was trained on."
            )

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""
        return self._base.names

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""
        return self._base.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers, that of the base."""
        return self._base.dtype(name)

    def read(self, name: str) -> Tensor:
        """The tensor, with the adapter's change if it has one."""
        weight = self._base.read(name)
        change = self._adapter.changes.get(name)
        if change is not None:
            exact = torch.promote_types(weight.dtype, torch.float32)
            down, up = (self._factor(key, exact) for key in (change.down, change.up))
            left, right = (down.T, up.T) if self._adapter.transposed else (up, down)
            _add_product(weight.view(weight.shape[0], -1), left, right, change.scale)
        return weight

    def _factor(self, key: str, dtype: torch.dtype) -> Tensor:
        return copy_on_own_pages(self._adapter.tensors.read(key), dtype).flatten(1)

    def _wrong_shape(self, name: str) -> str:
        change, shape = self._adapter.changes[name], self._base.shape(name)
        down, up = self._adapter.tensors.shape(change.down), self._adapter.tensors.shape(change.up)
        fits = (down[1], up[0]) if self._adapter.transposed else (up[0], *down[1:])
        if shape == fits and self._base.dtype(name).is_floating_point and not (self._adapter.transposed and down[2:]):
            return ""
        return f"{name} is {list(shape)} {self._base.dtype(name)}, the adapter needs {list(fits)}"


def _add_product(weight: Tensor, left: Tensor, right: Tensor, scale: float) -> None:
    """Add scale times left `[N, r]` right `[r, M]` to a weight `[N, M]`, in the type of left and right."""
    sums = empty_on_own_pages((min(_ROWS, weight.shape[0]), weight.shape[1]), left.dtype)
    for some, factor in zip(weight.split(_ROWS), left.split(_ROWS), strict=True):
        some.copy_(sums[: len(some)].copy_(some).addmm_(factor, right, alpha=scale))
