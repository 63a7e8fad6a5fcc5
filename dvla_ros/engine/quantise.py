"""Weights of a trunk in 8 bits, through torchao: half the bytes that a denoising step reads.

Embeddings, heads, normalisations and vision towers stay as they are. Scales are per output row.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dvla_ros.engine.weight_form import UNCHANGED, WEIGHTS
from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.models.layer import Layer
from dvla_ros.models.trunk import Trunk

_FP8_SINCE = (8, 9)


def require_weights(weights: str, device: torch.device) -> None:
    """Make sure that weights can be held so on a device.

    Raises:
        ConfigurationError: There is no such way, or the device cannot multiply such numbers.
        DependencyError: torchao is not installed.
    """
    if weights not in WEIGHTS:
        raise ConfigurationError(f"weights must be one of {', '.join(WEIGHTS)}, got {weights!r}.")
    if weights == UNCHANGED:
        return
    if weights == "fp8" and device.type != "cuda":
        raise ConfigurationError(f"weights=fp8 needs an NVIDIA GPU, the device is {device}; use weights=int8_dynamic.")
    if weights == "fp8" and (capability := torch.cuda.get_device_capability(device)) < _FP8_SINCE:
        raise ConfigurationError(
            f"weights=fp8 needs compute capability 8.9, {device} has {'.'.join(map(str, capability))}; use "
            "weights=int8_dynamic."
        )
    _torchao()


def quantise(networks: nn.Module, weights: str) -> None:
    """Hold the weights of every trunk in another way, in place; for inference only, and for good.

    Raises:
        ConfigurationError: There is no such way, or the device cannot multiply such numbers.
        DependencyError: torchao is not installed.
    """
    require_weights(weights, next(networks.parameters()).device)
    if weights == UNCHANGED:
        return
    ao = _torchao()
    for layer in networks.modules():
        if isinstance(layer, Layer):
            layer.self_attn.unpack()  # the packed weight would stay beside the smaller ones
            ao.quantize_(layer, _config(ao, weights))


def linears(networks: nn.Module) -> Iterator[nn.Linear]:
    """The layers whose weights are held in another way."""
    for trunk in networks.modules():
        if isinstance(trunk, Trunk):
            yield from (module for module in trunk.modules() if isinstance(module, nn.Linear))


def _config(ao: Any, weights: str) -> Any:
    if weights == "int8":
        return ao.Int8WeightOnlyConfig()
    if weights == "int8_dynamic":
        return ao.Int8DynamicActivationInt8WeightConfig()
    return ao.Float8DynamicActivationFloat8WeightConfig(granularity=ao.PerRow())


def _torchao() -> Any:
    try:
        import torchao.quantization
    except ImportError as error:
        raise DependencyError(
            "Weights in 8 bits need torchao, which is not installed: pip install 'dvla_ros[quantise]', or pip install "
            "torchao. weights=bf16 needs nothing."
        ) from error
    return torchao.quantization
