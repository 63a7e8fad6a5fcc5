"""From a published checkpoint to a policy that has passed its tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dvla_ros.actions.gripper import gripper_convention
from dvla_ros.denoising.registry import override
from dvla_ros.engine.cache_plan import CachePlan, require_exact
from dvla_ros.engine.memory_plan import Setting, free_memory, require_memory
from dvla_ros.engine.quantise import quantise, require_weights
from dvla_ros.policies.base import Policy
from dvla_ros.policies.diffusion_vla import DiffusionPolicy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.policies.published.self_tests import check_answer, check_network, check_setup, require_passed
from dvla_ros.policies.token_policy import TokenPolicy


def load_published(
    folder: Path,
    deployment: Deployment,
    device: str = "cpu",
    decoding: Mapping[str, object] | None = None,
    cache: str = "",
    weights: str = "",
    graphs: bool | None = None,
) -> Policy:
    """Load a published checkpoint and test it, before anything depends on it.

    Args:
        folder: As the training code wrote it; nothing is written into it.
        deployment: How it is used.
        device: `cpu`, `cuda` or `cuda:N`.
        decoding: Settings of the decoder that replace those of the deployment.
        cache: As of `load_policy`.
        weights: Likewise.
        graphs: Likewise.

    Raises:
        CheckpointError: The folder does not fit, or a test failed; the message lists what, and says the fix.
        ConfigurationError: The deployment or a decoder setting does not fit.
        DependencyError: The weights need a package that is not installed.
        DeviceMemoryError: A GPU has not enough free memory; nothing was loaded.
    """
    setup = read_setup(folder, deployment)
    require_passed(check_setup(setup), folder)
    weights = weights or deployment.weights
    require_weights(weights, torch.device(device))
    _require_memory(setup, torch.device(device), weights, cache, graphs)
    network = setup.network(torch.device(device), inference_dtype(device))
    require_passed(check_network(setup, network, torch.device(device)), folder)
    policy = make_policy(setup, network, device, decoding, cache, graphs)
    if not decoding and not cache:
        require_passed(check_answer(setup, policy), folder)
    quantise(network.model, weights)
    return policy


def _require_memory(setup: Setup, device: torch.device, weights: str, cache: str, graphs: bool | None) -> None:
    """Of a GPU; a CPU has its operating system to say so."""
    if device.type != "cuda":
        return
    plan = CachePlan.parse(cache or setup.deployment.cache)
    setting = Setting(inference_dtype(str(device)), weights, plan.name, graphs=graphs is not False)
    require_memory(setup.skeleton().module, setup.working_set(), setting, str(device), free_memory(device))


def make_policy(
    setup: Setup,
    network: Any,
    device: str = "cpu",
    decoding: Mapping[str, object] | None = None,
    cache: str = "",
    graphs: bool | None = None,
) -> TokenPolicy | DiffusionPolicy:
    """The policy around a loaded network.

    Raises:
        ConfigurationError: A decoder setting is unknown or out of range, or the cache does not fit.
    """
    plan = CachePlan.parse(cache or setup.deployment.cache)
    gripper = gripper_convention(setup.deployment.gripper)
    if setup.codec is None:
        require_exact(plan, setup.system)
        settings = {**setup.decoding, **(decoding or {})}
        return DiffusionPolicy(setup.spec, network, setup.normalizer, settings, gripper, device)
    settings = override(setup.decoding, decoding or {})
    return TokenPolicy(setup.spec, network, setup.codec, settings, gripper, device, plan, graphs)


def inference_dtype(device: str) -> torch.dtype:
    """bfloat16, in which the weights are published, on a GPU; float32 on a CPU, where few can multiply bfloat16."""
    return torch.float32 if device == "cpu" else torch.bfloat16
