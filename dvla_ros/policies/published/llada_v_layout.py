"""LLaDA-VLA's checkpoints: a folder as LLaDA-V's training code writes it, with statistics of the actions beside it.

LLaDA-VLA published neither code nor weights (arXiv 2509.06932). What it leaves open is chosen here and can be told
otherwise: which 32 rows of the vocabulary stand for actions (`action_token_begin` in `config.json`), and that an action
is normalised between percentiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import nn

from dvla_ros.actions.bin_chunk_codec import BinChunkCodec
from dvla_ros.actions.intervals import UniformIntervals
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.registry import override
from dvla_ros.engine.memory_plan import SENTENCE, WorkingSet
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.llada_v import LladaV, StoredParts, locate_llada_v
from dvla_ros.models.llada_v_config import LladaVConfig
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.llada_vla import LLADA_VLA
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Skeleton
from dvla_ros.policies.published.llada_v_action_tokens import ActionTokens, action_tokens
from dvla_ros.policies.published.llada_v_network import LladaVAttention, LladaVNetwork
from dvla_ros.policies.published.llada_v_statistics import STATISTICS, action_normalizer
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.llada_prompt import LladaPrompt
from dvla_ros.weights.checkpoint_folder import json_in
from dvla_ros.weights.lora import CONFIG as ADAPTER
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import HeldTensors, Overlaid, TensorSource
from dvla_ros.weights.torch_parts import read_torch_part

_BASE = "base"
_TOWER = "vision_tower"
_TRAINED_BESIDE = "non_lora_trainables.bin"
_COMPUTED = (r".*\.rotary_emb\.inv_freq", r"model\.vision_tower\..*\.position_ids")
"""Tables that old versions of the libraries saved and every version can compute."""


@dataclass(frozen=True)
class LladaVSetup:
    """A checkpoint of LLaDA-VLA but for its weights, see `Setup`.

    Attributes:
        system: `llada_vla`.
        folder: The checkpoint.
        deployment: How it is used.
        spec: What the policy needs and gives.
        codec: 32 intervals a number, the gripper either the first or the last.
        normalizer: Of the actions.
        decoding: Settings of the decoder.
        config: Sizes of the networks.
        parts: What the weight files hold of what they need not.
        actions: Rows of the vocabulary that stand for actions.
        attention: Who sees whom.
        prompt: Instruction to ids, by the folder's tokenizer.
        source: The weights, adapters merged.
    """

    system: str
    folder: Path
    deployment: Deployment
    spec: PolicySpec
    codec: BinChunkCodec
    normalizer: Normalizer
    decoding: Mapping[str, object]
    config: LladaVConfig
    parts: StoredParts
    actions: ActionTokens
    attention: LladaVAttention
    prompt: LladaPrompt
    source: TensorSource

    def working_set(self) -> WorkingSet:
        """See `Setup.working_set`."""
        tile = self.config.vision.side * (self.config.vision.side + 1)  # with a newline behind each row
        tiles = self.config.images.most_tiles(self.config.vision.image_size) if len(self.spec.cameras) == 1 else 1
        positions = len(self.spec.cameras) * tiles * tile + 2 * SENTENCE + self.codec.length
        return WorkingSet(positions, self.codec.length, self.actions.size)

    def facts(self) -> Mapping[str, str]:
        """See `Setup.facts`."""
        config, vision = self.config, self.config.vision
        tower = "whole" if self.parts.whole_tower else "without its last layer"
        aspect = config.images.aspect if len(self.spec.cameras) == 1 else "pad"
        newline = ", a newline behind it" if config.images.unpad else ""
        return {
            "vision tower": f"SigLIP, {vision.layers} layers ({tower}), features of the last but one",
            "image": f"{aspect}, {vision.image_size} pixels, {vision.patches} features a tile{newline}, no crop",
            "language model": f"LLaDA, {config.trunk.layers} layers of width {config.trunk.width}",
            "vocabulary": f"{config.vocabulary} rows, actions are {self.actions.begin}..{self.actions.ids[-1]}",
            "sequence": f"chat with {len(self.spec.cameras)} image(s) and the instruction, then {self.codec.length} "
            f"tokens: {self.codec.horizon} actions of {self.codec.dim}",
            "attention": self.attention,
            "statistics": "1st to 99th percentile, every column; the gripper is either low or high",
            "state": f"the robot's {self.spec.state_dim} numbers are not looked at",
        }

    def skeleton(self) -> Skeleton:
        """See `Setup.skeleton`."""
        return Skeleton(on_meta(lambda: LladaV(self.config, self.parts)), locate_llada_v, _COMPUTED)

    def tensors(self) -> TensorSource:
        """See `Setup.tensors`."""
        return self.source

    def side_files(self, network: object) -> Mapping[str, nn.Module]:
        """See `Setup`: all weights lie in the main files."""
        return {}

    def network(self, device: torch.device, dtype: torch.dtype) -> LladaVNetwork:
        """See `Setup.network`."""
        skeleton = self.skeleton()
        model = cast(LladaV, skeleton.module)
        load_into(
            model,
            self.source,
            skeleton.locate,
            device=device,
            dtype=dtype,
            ignored=skeleton.ignored,
            where=self.folder,
        )
        return LladaVNetwork(
            model,
            self.prompt,
            cameras=self.spec.cameras,
            shape=(self.codec.horizon, self.codec.dim),
            actions=self.actions,
            attention=self.attention,
            turned=self.deployment.rotate_180,
        )


class LladaVLayout:
    """See `Layout`."""

    name: str = "llada_v"
    systems: tuple[str, ...] = (LLADA_VLA.name,)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """See `Layout.recognises`."""
        return config.get("model_type") == "llava_llada" or "LlavaLLaDAModelLM" in (config.get("architectures") or ())

    def read(self, folder: Path, config: Mapping[str, Any], deployment: Deployment) -> LladaVSetup:
        """See `Layout.read`."""
        deployment = deployment.seen_by("front")
        _check_images(deployment)
        sizes = LladaVConfig.from_json(config, _tower_config(deployment))
        source = _source(folder, deployment)
        statistics = deployment.file("statistics", folder / STATISTICS)
        normalizer = deployment.in_metres(action_normalizer(statistics, deployment.unnorm_key, deployment.action_names))
        size = LLADA_VLA.coding.size
        codec = BinChunkCodec(
            normalizer,
            UniformIntervals(size),
            deployment.horizon or LLADA_VLA.horizon,
            LLADA_VLA.coding.binary_columns,
        )
        prompt = LladaPrompt(_tokenizer(folder, deployment))
        return LladaVSetup(
            system=LLADA_VLA.name,
            folder=folder,
            deployment=deployment,
            spec=deployment.spec(LLADA_VLA.name, codec.horizon),
            codec=codec,
            normalizer=normalizer,
            decoding=override(LLADA_VLA.decoding, deployment.decoding),
            config=sizes,
            parts=_stored_parts(sizes, source),
            actions=action_tokens(config, sizes.vocabulary, size, prompt.tokenizer),
            attention=_attention(deployment),
            prompt=prompt,
            source=source,
        )


def _check_images(deployment: Deployment) -> None:
    if deployment.image_sizes:
        raise ConfigurationError(
            f"LLaDA-V has one size for all images, got image_sizes {deployment.image_sizes}; leave them out."
        )


def _attention(deployment: Deployment) -> LladaVAttention:
    attention = deployment.attention or "full"
    if attention not in get_args(LladaVAttention):
        raise ConfigurationError(f"LLaDA-V's attention is one of {get_args(LladaVAttention)}, got {attention!r}.")
    return cast(LladaVAttention, attention)


def _tower_config(deployment: Deployment) -> Mapping[str, Any] | None:
    if _TOWER not in deployment.files:
        return None
    return json_in(deployment.file(_TOWER), "config.json")


def _source(folder: Path, deployment: Deployment) -> TensorSource:
    """The weights of the folder, or those of a base with the folder's adapter and what was trained beside it."""
    if not (folder / ADAPTER).exists():
        return TensorFiles.open(folder)
    if _BASE not in deployment.files:
        named = json_in(folder, ADAPTER).get("base_model_name_or_path")
        raise ConfigurationError(
            f"{folder} holds an adapter of {named!r}; name the folder of that model in the deployment file: "
            f"files: {{{_BASE}: PATH}}."
        )
    source: TensorSource = TensorFiles.open(deployment.file(_BASE))
    if (folder / _TRAINED_BESIDE).exists():
        source = Overlaid(source, HeldTensors(read_torch_part(folder / _TRAINED_BESIDE)))
    return Merged(source, read_adapter(folder))


def _tokenizer(folder: Path, deployment: Deployment) -> HfTokenizer:
    """Of the folder, or of an adapter's base."""
    home = deployment.file(_BASE) if _BASE in deployment.files else folder
    return HfTokenizer.open(folder if (folder / "tokenizer.json").exists() else home)


def _stored_parts(config: LladaVConfig, source: TensorSource) -> StoredParts:
    last = f"model.vision_tower.vision_tower.vision_model.encoder.layers.{config.vision.layers - 1}."
    newline = config.images.unpad or "model.image_newline" in source.names
    return StoredParts(any(name.startswith(last) for name in source.names), newline)
