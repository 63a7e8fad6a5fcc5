"""Checkpoints and settings of their decoders that are compared in one report."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.open_loop.policy_range import PolicyRange
from dvla_ros.policies.base import Policy
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.policies.inspection import inspect
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.settings import parse_settings

OWN = "own"
"""Names a checkpoint's own decoder among others."""

_NEVER_MOVED = 1e-6

_COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^\[{]*[\]}])")


@dataclass(frozen=True)
class ComparedPolicy:
    """A checkpoint and how it is decoded; not loaded yet.

    Attributes:
        name: Column of the report.
        checkpoint: Folder.
        decoding: Settings of the decoder that replace the checkpoint's.
        deployment: YAML file that says how a published checkpoint is used; None for none.
        device: `cpu`, `cuda` or `cuda:N`.
        cache: What a denoising step keeps of the one before, see `engine.cache_plan`; "" for what the deployment says.
    """

    name: str
    checkpoint: Path
    decoding: Mapping[str, object] = field(default_factory=dict)
    deployment: Path | None = None
    device: str = "cpu"
    cache: str = ""

    def load(self) -> Policy:
        """The policy.

        Raises:
            CheckpointError: The folder is not a usable checkpoint.
            ConfigurationError: A setting, the device or the deployment does not fit.
        """
        deployment = None if self.deployment is None else Deployment.load(self.deployment)
        return load_policy(self.checkpoint, self.device, self.decoding, deployment, self.cache)

    @property
    def weights(self) -> str:
        """How it holds its weights, one of `engine.weight_form.WEIGHTS`.

        Raises:
            ConfigurationError: The deployment is not usable.
        """
        return UNCHANGED if self.deployment is None else Deployment.load(self.deployment).weights or UNCHANGED

    def cache_plan(self, cache: str) -> CachePlan:
        """The cache that a text means for this checkpoint: "" is what its deployment says, or exact.

        Raises:
            ConfigurationError: There is no such cache, or the deployment is not usable.
        """
        own = "exact" if self.deployment is None else Deployment.load(self.deployment).cache
        return CachePlan.parse(cache or own)

    def action_range(self) -> PolicyRange:
        """The actions that it was trained on: the bounds of its statistics, NaN where a column has none."""
        deployment = None if self.deployment is None else Deployment.load(self.deployment)
        bounds = [
            (column.low, column.high) if column.normalized else (float("nan"), float("nan"))
            for column in inspect(self.checkpoint, deployment).columns
        ]
        low, high = np.array(bounds, np.float64).reshape(-1, 2).T
        varied = high - low > _NEVER_MOVED  # a column that never moved in training says nothing about the scale
        return PolicyRange(np.where(varied, low, np.nan), np.where(varied, high, np.nan))

    def fingerprint(self) -> str:
        """Of the checkpoint's files, see `policies.fingerprint`."""
        return fingerprint(self.checkpoint)

    @property
    def decoder(self) -> str:
        """The settings in words; `own` where the checkpoint's are used."""
        return ", ".join(f"{name}={json.dumps(value)}" for name, value in self.decoding.items()) or OWN


def compared_policies(
    checkpoints: Sequence[Path],
    decodings: Sequence[str] = (),
    deployment: Path | None = None,
    device: str = "cpu",
    cache: str = "",
) -> tuple[ComparedPolicy, ...]:
    """Every checkpoint with every decoder.

    Args:
        checkpoints: Folders.
        decodings: Settings such as `num_steps=4,greedy=true`, or `own`; none: each checkpoint's own.
        deployment: Of all checkpoints that do not say themselves how they are used.
        device: Where they run.
        cache: What a denoising step keeps of the one before; "" for what the deployment says.

    Raises:
        ConfigurationError: A setting is no `name=value`, or something is named twice.
    """
    folders = [folder.expanduser().resolve() for folder in checkpoints]
    names = _names(folders)
    compared = []
    for folder, name in zip(folders, names, strict=True):
        for words in decodings or (OWN,):
            settings = decoder_settings(words)
            policy = ComparedPolicy(name, folder, settings, deployment, device, cache)
            compared.append(policy if not settings else _renamed(policy))
    names = [policy.name for policy in compared]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{twice[0]} is to be evaluated twice; name each checkpoint and decoder once.")
    return tuple(compared)


def decoder_settings(words: str) -> dict[str, object]:
    """Settings by name, from `name=value,name=value` or `own`.

    Raises:
        ConfigurationError: A part is no `name=value`.
    """
    if words.strip() == OWN:
        return {}
    return parse_settings([part.strip() for part in _COMMA_OUTSIDE_BRACKETS.split(words)])


def _renamed(policy: ComparedPolicy) -> ComparedPolicy:
    return replace(policy, name=f"{policy.name}, {policy.decoder}")


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, with those above them where that is not enough to tell them apart."""
    for depth in range(1, 8):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(set(folders)):
            break
    return names
