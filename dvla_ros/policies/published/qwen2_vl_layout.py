"""DiffusionVLA and DexVLA as their training code writes them: Qwen2-VL 2B with a diffusion head (arXiv 2502.05855)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.actions.standardizer import Standardizer
from dvla_ros.engine.memory_plan import SENTENCE, WorkingSet
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.qwen2_vl_config import tokens
from dvla_ros.models.qwen2_vla import UNUSED_WITHOUT_FILM, Qwen2Vla, locate_qwen2_vla
from dvla_ros.models.qwen2_vla_config import Qwen2VlaConfig
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.ddim_decoding import ddim_decoding
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.dexvla_statistics import FILE as STATISTICS
from dvla_ros.policies.published.dexvla_statistics import DexVlaStatistics
from dvla_ros.policies.published.layout import Skeleton
from dvla_ros.policies.published.qwen2_vl_network import Qwen2VlNetwork
from dvla_ros.policies.published.qwen2_vl_reader import PREPROCESSOR, Qwen2VlReader
from dvla_ros.policies.published.qwen2_vl_weights import ADAPTER, Qwen2VlWeights
from dvla_ros.preprocessing.json_file import read_json, read_optional_json
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_source import TensorSource

_LONGEST_ANSWER = 256  # tokens, as released
_LARGEST_IMAGE = 512  # tokens, of a camera of about 640 x 480


@dataclass(frozen=True)
class Qwen2VlSetup:
    """A checkpoint read but for its weights.

    Attributes:
        system: `diffusion_vla`.
        folder: The checkpoint.
        deployment: How it is used.
        spec: What the policy needs and gives.
        config: Sizes of the networks.
        weights: Where they are.
        reader: Makes prompts of observations.
        normalizer: Of the actions.
        state: Normaliser of the state; None for a head without.
        statistics: The file that both are from.
        codec: None: actions are numbers.
    """

    system: str
    folder: Path
    deployment: Deployment
    spec: PolicySpec
    config: Qwen2VlaConfig
    weights: Qwen2VlWeights
    reader: Qwen2VlReader
    normalizer: Normalizer
    state: Standardizer | None
    statistics: Path
    codec: None = field(default=None)

    @property
    def decoding(self) -> Mapping[str, object]:
        """Settings of the decoder, see `DdimDecoding`."""
        return {"decoder": "ddim", "num_steps": self.config.denoising_steps, **self.deployment.decoding}

    @property
    def longest_answer(self) -> int:
        """Most tokens of a reasoning: as released, or as many as the deployment asks for."""
        asked = ddim_decoding(self.decoding).max_reasoning_tokens
        return (asked or _LONGEST_ANSWER) if self.config.using_film else 0

    def working_set(self) -> WorkingSet:
        """See `Setup.working_set`."""
        return WorkingSet(len(self.spec.cameras) * _LARGEST_IMAGE + 2 * SENTENCE + self.longest_answer)

    def facts(self) -> Mapping[str, str]:
        """What was recognised, in words."""
        backbone, head = self.config.backbone, self.config.head
        crop = "0.95 of each side, then " if self.deployment.center_crop else ""
        said = f"up to {self.longest_answer} tokens, greedy" if self.longest_answer else "none (using_film is false)"
        return {
            "backbone": f"Qwen2-VL, width {backbone.trunk.width}, {backbone.trunk.layers} layers",
            "vocabulary": f"{backbone.vocabulary}, head {'tied' if backbone.tied else 'of its own'}",
            "attention": "causal",
            "action head": f"{self.config.head_type}, {head.action_dim} columns, {self.config.horizon} rows",
            "reasoning": said,
            "denoising": f"DDIM, {self.config.denoising_steps} of {self.config.noise_levels} levels",
            "images": f"{crop}Qwen2-VL's smart resize",
            "statistics": f"{self.statistics}: actions min-max, state mean and deviation",
            "state": "none" if self.state is None else f"{self.state.dim} numbers",
            "weights": str(self.weights),
        }

    def skeleton(self) -> Skeleton:
        """The networks, empty."""
        tied = {"lm_head.weight": "model.embed_tokens.weight"} if self.config.backbone.tied else {}
        ignored = () if self.config.using_film else UNUSED_WITHOUT_FILM
        return Skeleton(on_meta(partial(Qwen2Vla, self.config)), locate_qwen2_vla, ignored, tied)

    def tensors(self) -> TensorSource:
        """All tensors by their published names, an adapter merged; opened and checked, not read.

        Raises:
            CheckpointError: Files are missing or broken, or adapter and base do not go together.
        """
        return self.weights.source()

    def side_files(self, network: object) -> Mapping[str, nn.Module]:
        """See `Setup`: all weights lie in the main files."""
        return {}

    def network(self, device: torch.device, dtype: torch.dtype) -> Qwen2VlNetwork:
        """The networks with their weights.

        Raises:
            CheckpointError: Weights are missing, unexpected or misshapen, or a file is unreadable.
        """
        skeleton = self.skeleton()
        load_into(
            skeleton.module,
            self.tensors(),
            skeleton.locate,
            device=device,
            dtype=dtype,
            ignored=skeleton.ignored,
            tied=skeleton.tied,
            where=str(self.weights),
        )
        assert isinstance(skeleton.module, Qwen2Vla)
        return Qwen2VlNetwork(skeleton.module, self.reader, self.deployment.cameras, self.state, self.longest_answer)


class Qwen2VlLayout:
    """Folders with the `config.json` of Qwen2-VL plus an action head, or LoRA adapters of such models."""

    name: str = "qwen2_vl"
    systems: tuple[str, ...] = ("diffusion_vla",)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a `config.json` is of a Qwen2-VL; `read` refuses one without action head and says what is missing."""
        return config.get("model_type") in ("qwen2_vla", "qwen2_vl")

    def read(self, folder: Path, config: Mapping[str, Any], deployment: Deployment) -> Qwen2VlSetup:
        """Read everything but the weights.

        Raises:
            CheckpointError: A file is missing or does not fit.
            ConfigurationError: The deployment does not fit.
        """
        deployment = deployment.seen_by("front", "wrist")
        weights = Qwen2VlWeights.find(folder, deployment)
        sizes = Qwen2VlaConfig.from_json(_with_head(folder, config))
        _check_deployment(sizes, deployment)
        path = deployment.file("statistics", folder / STATISTICS, folder.resolve().parent / STATISTICS)
        statistics = DexVlaStatistics.load(path)
        statistics.check_widths(sizes.head.action_dim, sizes.head.state_dim, path)
        processor = _processor(weights, deployment)
        sizes = _with_ends(sizes, folder, processor)
        return Qwen2VlSetup(
            system=self.systems[0],
            folder=folder,
            deployment=deployment,
            spec=deployment.spec(self.systems[0], sizes.horizon, reasons=sizes.using_film),
            config=sizes,
            weights=weights,
            reader=Qwen2VlReader.open(folder, processor, sizes.backbone, deployment),
            normalizer=deployment.in_metres(statistics.actions),
            state=statistics.state if sizes.head.state_dim else None,
            statistics=path,
        )


def _with_head(folder: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration that names the action head: of an adapter saved during training, that above its folder."""
    above = folder.resolve().parent
    if "policy_head_type" in config or not (folder / ADAPTER).is_file() or not (above / "config.json").is_file():
        return config
    return read_json(above, "config.json", "")


def _processor(weights: Qwen2VlWeights, deployment: Deployment) -> Path:
    """The folder with the files that training does not write: the one named, the checkpoint, or the adapter's base."""
    if "processor" in deployment.files:
        return deployment.file("processor")
    base = weights.base
    return base if base is not None and not (weights.folder / PREPROCESSOR).is_file() else weights.folder


def _with_ends(sizes: Qwen2VlaConfig, *folders: Path) -> Qwen2VlaConfig:
    """The same with the ends that `generation_config.json` names besides."""
    ends = set(sizes.backbone.ends)
    for folder in folders:
        values = read_optional_json(folder, "generation_config.json")
        if values.get("eos_token_id") is not None:
            ends |= set(tokens(values["eos_token_id"], "generation_config.json: eos_token_id"))
    return replace(sizes, backbone=replace(sizes.backbone, ends=tuple(sorted(ends))))


def _check_deployment(sizes: Qwen2VlaConfig, deployment: Deployment) -> None:
    if deployment.unnorm_key:
        raise ConfigurationError(
            f"{STATISTICS} holds the statistics of one data set without a name; leave unnorm_key empty, got "
            f"{deployment.unnorm_key!r}."
        )
    if deployment.image_sizes:
        raise ConfigurationError("Qwen2-VL chooses its image size itself; leave image_sizes empty.")
    if deployment.attention not in ("", "causal"):
        raise ConfigurationError(f"Qwen2-VL is causal; leave attention empty, got {deployment.attention!r}.")
    if deployment.horizon not in (0, sizes.horizon):
        raise ConfigurationError(f"The action head makes {sizes.horizon} rows, but horizon is {deployment.horizon}.")
    if len(deployment.action_names) != sizes.head.action_dim:
        raise CheckpointError(
            f"The checkpoint's actions have {sizes.head.action_dim} numbers, but action_names are "
            f"{len(deployment.action_names)}: {list(deployment.action_names)}. Choose a checkpoint for this robot."
        )
    expected = 0 if deployment.state == "none" else deployment.state_width
    if sizes.head.state_dim != expected:
        raise CheckpointError(
            f"The checkpoint takes a state of {sizes.head.state_dim} numbers, but with state: {deployment.state} there "
            f"are {expected}. Choose a checkpoint for this robot, or state: {'none' if expected else 'bridge'}."
        )
    ddim_decoding({"decoder": "ddim", **deployment.decoding})
