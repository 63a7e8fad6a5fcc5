"""A layout: how one family of published checkpoints lies on disk and is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.engine.memory_plan import WorkingSet
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.weights.names import Locate
from dvla_ros.weights.tensor_source import TensorSource


@dataclass(frozen=True)
class Skeleton:
    """The networks of a checkpoint without their weights, and where these lie in its main files.

    Attributes:
        module: On the meta device.
        locate: Where its parameters lie.
        ignored: Regular expressions of published tensors that are known and not needed.
        tied: Published tensors that may be absent, because they equal the one named.
    """

    module: nn.Module
    locate: Locate
    ignored: tuple[str, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)


class Setup(Protocol):
    """A checkpoint read but for its weights: everything small has been checked."""

    @property
    def system(self) -> str:
        """Name of the published system."""

    @property
    def folder(self) -> Path:
        """The checkpoint."""

    @property
    def deployment(self) -> Deployment:
        """How it is used."""

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs and gives."""

    @property
    def codec(self) -> ChunkCodec | None:
        """Chunk to tokens and back; None where actions are numbers."""

    @property
    def normalizer(self) -> Normalizer:
        """Of the actions."""

    @property
    def decoding(self) -> Mapping[str, object]:
        """Settings of the decoder."""

    def working_set(self) -> WorkingSet:
        """What its networks handle at a time, for an estimate of the memory."""

    def facts(self) -> Mapping[str, str]:
        """What was recognised, in words, for people: vocabulary, sequence, attention, conventions."""

    def skeleton(self) -> Skeleton:
        """The networks of the main weight files, empty."""

    def tensors(self) -> TensorSource:
        """The main weights, an adapter merged; opened and checked, not read.

        Raises:
            CheckpointError: Files are missing or broken.
        """

    def network(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The networks with their weights: a `TokenNetwork` or a `ReasoningNetwork`, whose `model` is the skeleton's.

        Raises:
            CheckpointError: Weights are missing, unexpected or misshapen, or a file is unreadable.
        """

    def side_files(self, network: Any) -> Mapping[str, nn.Module]:
        """What lies in `.pt` files of its own, by file name."""


class Layout(Protocol):
    """One family of checkpoints."""

    @property
    def name(self) -> str:
        """Of the family, e.g. `prismatic`."""

    @property
    def systems(self) -> tuple[str, ...]:
        """Published systems that use it, the default first."""

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a `config.json` with these keys is of this family."""

    def read(self, folder: Path, config: Mapping[str, Any], deployment: Deployment) -> Setup:
        """Read everything but the weights.

        Raises:
            CheckpointError: A file is missing or does not fit; the message lists what and says the fix.
            ConfigurationError: The deployment does not fit.
        """
