"""From a checkpoint folder to a policy."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.base import Policy
from dvla_ros.policies.checkpoint import read_config
from dvla_ros.policies.diffusion_vla import DiffusionPolicy
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.policies.token_system import TokenSystem


def load_policy(checkpoint: Path, device: str = "cpu", decoding: Mapping[str, object] | None = None) -> Policy:
    """Load any policy of this package.

    Args:
        checkpoint: Folder with `config.json`.
        device: `cpu`, `cuda` or `cuda:N`.
        decoding: Decoder settings that replace the checkpoint's, by name.

    Raises:
        CheckpointError: The folder is not a usable checkpoint.
        ConfigurationError: The device does not exist, or a decoder setting is unknown or out of range.
    """
    _require_device(device)
    system = read_config(checkpoint).system
    if system not in SYSTEMS:
        raise CheckpointError(f"{checkpoint} is for the system {system!r}; this version runs {', '.join(SYSTEMS)}.")
    kind = TokenPolicy if isinstance(SYSTEMS[system], TokenSystem) else DiffusionPolicy
    return kind.from_checkpoint(checkpoint, device, decoding)


def _require_device(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigurationError(f"There is no device {device!r}; use device=cpu, device=cuda or device=cuda:0.")
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ConfigurationError(f"device={device} was asked for, but PyTorch sees no CUDA GPU; use device=cpu.")
    if (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"device={device} was asked for, but PyTorch sees {torch.cuda.device_count()} GPU(s).")
