"""From a published checkpoint to a policy that has passed its tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dvla_ros.actions.gripper import gripper_convention
from dvla_ros.denoising.registry import override
from dvla_ros.policies.base import Policy
from dvla_ros.policies.diffusion_vla import DiffusionPolicy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.policies.published.self_tests import check_answer, check_network, check_setup, require_passed
from dvla_ros.policies.token_policy import TokenPolicy


def load_published(
    folder: Path, deployment: Deployment, device: str = "cpu", decoding: Mapping[str, object] | None = None
) -> Policy:
    """Load a published checkpoint and test it, before anything depends on it.

    Args:
        folder: As the training code wrote it; nothing is written into it.
        deployment: How it is used.
        device: `cpu`, `cuda` or `cuda:N`.
        decoding: Settings of the decoder that replace those of the deployment.

    Raises:
        CheckpointError: The folder does not fit, or a test failed; the message lists what, and says the fix.
        ConfigurationError: The deployment or a decoder setting does not fit.
    """
    setup = read_setup(folder, deployment)
    require_passed(check_setup(setup), folder)
    network = setup.network(torch.device(device), inference_dtype(device))
    require_passed(check_network(setup, network, torch.device(device)), folder)
    policy = make_policy(setup, network, device, decoding)
    if not decoding:
        require_passed(check_answer(setup, policy), folder)
    return policy


def make_policy(
    setup: Setup, network: Any, device: str = "cpu", decoding: Mapping[str, object] | None = None
) -> TokenPolicy | DiffusionPolicy:
    """The policy around a loaded network.

    Raises:
        ConfigurationError: A decoder setting is unknown or out of range.
    """
    gripper = gripper_convention(setup.deployment.gripper)
    if setup.codec is None:
        settings = {**setup.decoding, **(decoding or {})}
        return DiffusionPolicy(setup.spec, network, setup.normalizer, settings, gripper, device)
    return TokenPolicy(setup.spec, network, setup.codec, override(setup.decoding, decoding or {}), gripper, device)


def inference_dtype(device: str) -> torch.dtype:
    """bfloat16, in which the weights are published, on a GPU; float32 on a CPU, where few can multiply bfloat16."""
    return torch.float32 if device == "cpu" else torch.bfloat16
