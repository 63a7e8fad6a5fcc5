"""From a checkpoint folder to a policy."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from dvla_ros.engine.cache_plan import EXACT, CachePlan, require_exact
from dvla_ros.engine.quantise import quantise, require_weights
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.base import Policy
from dvla_ros.policies.checkpoint import read_config
from dvla_ros.policies.diffusion_vla import DiffusionPolicy
from dvla_ros.policies.golden import require_golden
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.recognise import is_published
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.policies.token_system import TokenSystem


def load_policy(
    checkpoint: Path,
    device: str = "cpu",
    decoding: Mapping[str, object] | None = None,
    deployment: Deployment | None = None,
    cache: str = "",
    weights: str = "",
    graphs: bool | None = None,
) -> Policy:
    """Load a checkpoint of this repository, or one as a published system's training code wrote it.

    Args:
        checkpoint: Folder with `config.json`.
        device: `cpu`, `cuda` or `cuda:N`.
        decoding: Decoder settings that replace the checkpoint's, by name.
        deployment: How a published checkpoint is used; None for the defaults. A checkpoint of this repository says so
            itself.
        cache: What a denoising step keeps of the one before, see `engine.cache_plan.CachePlan.parse`; "" for what the
            deployment says, or else exact.
        weights: How weights are held, one of `engine.weight_form.WEIGHTS`; "" for what the deployment says, or else
            bf16.
        graphs: Whether denoising steps are captured in CUDA graphs; None: on a GPU.

    Raises:
        CheckpointError: The folder is not a usable checkpoint.
        ConfigurationError: The device does not exist, a decoder setting is unknown or out of range, or the deployment,
            the cache or the weights do not fit.
        DependencyError: The weights need a package that is not installed.
        DeviceMemoryError: A GPU has not enough free memory for a published checkpoint.
    """
    require_device(device)
    require_weights(weights or UNCHANGED, torch.device(device))
    if is_published(checkpoint) or (deployment is not None and not (checkpoint / "config.json").is_file()):
        # Brings all of transformers' towers with it.
        from dvla_ros.policies.published.load import load_published

        return load_published(checkpoint, deployment or Deployment(), device, decoding, cache, weights, graphs)
    system = read_config(checkpoint).system
    if system not in SYSTEMS:
        raise CheckpointError(f"{checkpoint} is for the system {system!r}; this version runs {', '.join(SYSTEMS)}.")
    if deployment is not None:
        raise ConfigurationError(f"{checkpoint} says itself how it is used; leave the deployment file out.")
    plan = CachePlan.parse(cache or "exact")
    policy: TokenPolicy | DiffusionPolicy
    if isinstance(SYSTEMS[system], TokenSystem):
        policy = TokenPolicy.from_checkpoint(checkpoint, device, decoding, plan, graphs)
    else:
        require_exact(plan, system)
        policy = DiffusionPolicy.from_checkpoint(checkpoint, device, decoding)
    if not decoding and plan == EXACT:
        require_golden(policy, checkpoint)
    quantise(cast(Any, policy.network).model, weights or UNCHANGED)
    return policy


def require_device(device: str) -> None:
    """Make sure that a device exists.

    Raises:
        ConfigurationError: It does not.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigurationError(f"There is no device {device!r}; use device=cpu, device=cuda or device=cuda:0.")
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ConfigurationError(f"device={device} was asked for, but PyTorch sees no CUDA GPU; use device=cpu.")
    if (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"device={device} was asked for, but PyTorch sees {torch.cuda.device_count()} GPU(s).")
