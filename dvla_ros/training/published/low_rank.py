"""LoRA (arXiv 2106.09685) on a published network, through PEFT."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.models.head import SlicedHead
from dvla_ros.models.trunk import Trunk
from dvla_ros.training.published.trained_rows import TrainedRows

ADAPTER = "default"
"""PEFT's name of the only adapter."""


@dataclass(frozen=True)
class LowRankConfig:
    """What of a network is adapted, and how.

    Attributes:
        rank: r.
        alpha: The adapter is added alpha / r times.
        dropout: Of the adapter's input.
        targets: Regular expression; a layer whose whole name matches is adapted.
        whole: Likewise; parameters that are trained themselves.
        rows: Name of an embedding of which the rows of the action tokens are trained; "" for none.

    Raises:
        ConfigurationError: A number is out of range, or an expression is none.
    """

    rank: int
    alpha: int
    dropout: float = 0.0
    targets: str = ""
    whole: str = ""
    rows: str = ""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise ConfigurationError(
                f"rank and alpha must be 1 or more and dropout in 0..1, below 1, got {self.rank}, {self.alpha} and "
                f"{self.dropout}."
            )
        for name in ("targets", "whole"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ConfigurationError(
                    f"{name} {getattr(self, name)!r} is no regular expression: {error}."
                ) from error


def adapt(module: nn.Module, config: LowRankConfig, ids: Sequence[int] = (), never_run: str = "") -> None:
    """Put adapters into a network, in place; nothing but these and what `config` names is trained then.

    The adapters are float32 whatever the base is: run the network under autocast where that is bfloat16.

    Args:
        module: May be on the meta device.
        config: What is adapted.
        ids: Rows of the embedding `config.rows`.
        never_run: Regular expression; names of what stands in the checkpoint and takes part in nothing.

    Raises:
        ConfigurationError: No layer has such a name.
        DependencyError: PEFT is not installed.
    """
    for trunk in [part for part in module.modules() if isinstance(part, Trunk)]:
        trunk.unpack()
    names = [name for name, _ in module.named_modules() if config.targets and re.fullmatch(config.targets, name)]
    if not names:
        raise ConfigurationError(f"No layer is called {config.targets!r}; choose other targets.")
    _inject(module, config, names, never_run)
    if config.rows:
        path, _, leaf = config.rows.rpartition(".")
        owner = module.get_submodule(path)
        setattr(owner, leaf, TrainedRows(getattr(owner, leaf), ids))
    for name, parameter in module.named_parameters():
        own = ".lora_" in name or name == f"{config.rows}.change"
        parameter.requires_grad_(own or bool(config.whole and re.fullmatch(config.whole, name)))
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _inject(module: nn.Module, config: LowRankConfig, names: list[str], never_run: str) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model

        from dvla_ros.training.published.low_rank_head import LowRankHead
    except ImportError as error:
        raise DependencyError("LoRA needs peft; install it, e.g. pip install 'dvla_ros[train]'.") from error
    settings: Any = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets,
        exclude_modules=never_run if any(re.fullmatch(never_run, name) for name in names) else None,
    )
    settings._register_custom_module({SlicedHead: LowRankHead})  # PEFT's documented way, in spite of its underscore
    meta = any(parameter.is_meta for parameter in module.parameters())
    inject_adapter_in_model(settings, module, ADAPTER, low_cpu_mem_usage=meta)


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Those that take gradients, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def run_again(module: nn.Module, again: bool) -> None:
    """Whether layers are run again for their gradient instead of kept: those of the trunk, and of vision towers."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    trunk_of(module).checkpointing = again
    for part in module.modules():
        if isinstance(part, GradientCheckpointingLayer):
            part.gradient_checkpointing = again
            part._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)  # what transformers sets


def trunk_of(module: nn.Module) -> Trunk:
    """The language model's layers.

    Raises:
        ConfigurationError: The network has none, or several.
    """
    found = [part for part in module.modules() if isinstance(part, Trunk)]
    if len(found) != 1:
        raise ConfigurationError(f"A published network has one trunk, this one {len(found)}.")
    return found[0]


def train_all(module: nn.Module, frozen: str = "", never_run: str = "", dtype: torch.dtype = torch.float32) -> None:
    """Full fine-tuning of everything but parameters whose name `frozen` or `never_run` matches; all held as `dtype`."""
    for trunk in [part for part in module.modules() if isinstance(part, Trunk)]:
        trunk.unpack()
    left_out = [pattern for pattern in (frozen, never_run) if pattern]
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not any(re.fullmatch(pattern, name) for pattern in left_out))
        parameter.data = parameter.data.to(dtype)
