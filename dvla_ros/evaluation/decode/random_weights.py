"""A policy of a published layout with random weights, at true size without gigabytes on the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from dvla_ros.engine.quantise import quantise
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.policies.published.load import make_policy
from dvla_ros.policies.published.recognise import read_setup

SPREAD = 0.02
"""Standard deviation of a weight."""


@contextmanager
def fresh_layout(system: str, size: Literal["small", "true"], parent: Path | None = None) -> Iterator[Path]:
    """A checkpoint in a temporary folder; at true size its main weights are holes in files, which read as zeros.

    Args:
        system: Whose layout.
        size: See `WRITERS`.
        parent: Where the folder is made; the system's place for temporary files by default.
    """
    with tempfile.TemporaryDirectory(prefix="decode_", dir=parent) as folder:
        checkpoint = Path(folder) / "run" / "checkpoint"
        WRITERS[system](checkpoint, size=size, seed=0, weights=size == "small")
        yield checkpoint


def open_layout(
    checkpoint: Path,
    deployment: Deployment,
    device: torch.device,
    dtype: torch.dtype,
    *,
    draw: bool,
    weights: str = UNCHANGED,
) -> Any:
    """The policy of a checkpoint.

    Args:
        checkpoint: Of `fresh_layout`.
        deployment: How it is used.
        device: Where.
        dtype: Of its weights.
        draw: Whether to draw the main weights on the device, because the files hold none.
        weights: How the trunk holds its weights, see `engine.quantise`.
    """
    setup = read_setup(checkpoint, deployment)
    network = setup.network(device, dtype)
    if draw:
        draw_weights(network.model)
    policy = make_policy(setup, network, str(device))
    quantise(network.model, weights)
    return policy


@torch.no_grad()
def draw_weights(model: nn.Module, seed: int = 0) -> None:
    """Fill a model in place: matrices with normal numbers, scales with 1, all else with 0."""
    generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=SPREAD, generator=generator)
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
