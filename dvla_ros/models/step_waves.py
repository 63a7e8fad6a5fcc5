"""Which diffusion step it is, as sines and cosines of many wavelengths."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError

WavePrecision = Literal["float32", "bfloat16"]
"""The released heads of DexVLA were trained with waves in bfloat16; use that with their weights, float32 otherwise."""

_LONGEST = 10_000.0


def check_waves(width: int, precision: WavePrecision) -> None:
    """Raise a ConfigurationError where such waves cannot be made."""
    if width < 4 or width % 2:
        raise ConfigurationError(f"A step embedding needs an even width of 4 or more, got {width}.")
    if precision not in get_args(WavePrecision):
        raise ConfigurationError(f"wave_precision must be one of {get_args(WavePrecision)}, got {precision!r}.")


def unet_waves(timestep: Tensor, width: int, precision: WavePrecision = "float32") -> Tensor:
    """sin(t f_i), then cos(t f_i), with f_i = 10000^(-i / (width / 2 - 1)): those of Diffusion Policy's U-Net.

    Args:
        timestep: int64 `[B]`.
        width: Of the embedding.
        precision: `bfloat16` rounds frequencies, phases and waves.

    Returns:
        `[B, width]` of that precision.
    """
    dtype = getattr(torch, precision)
    index = torch.arange(width // 2, device=timestep.device, dtype=dtype)
    frequencies = torch.exp(index * (-math.log(_LONGEST) / (width // 2 - 1)))
    phases = timestep.to(dtype).unsqueeze(-1) * frequencies
    return torch.cat([phases.sin(), phases.cos()], dim=-1)


def dit_waves(timestep: Tensor, width: int, precision: WavePrecision = "float32") -> Tensor:
    """cos(t f_i), then sin(t f_i), with f_i = 10000^(-i / (width / 2)): those of the diffusion transformer.

    `bfloat16` rounds frequencies and waves, but not phases; the rest as for `unet_waves`.
    """
    dtype = getattr(torch, precision)
    index = torch.arange(width // 2, device=timestep.device, dtype=dtype)
    frequencies = torch.exp(-math.log(_LONGEST) * index / (width // 2))
    phases = timestep.float().unsqueeze(-1) * frequencies
    return torch.cat([phases.cos(), phases.sin()], dim=-1).to(dtype)
