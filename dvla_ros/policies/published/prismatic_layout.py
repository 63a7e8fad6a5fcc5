"""Discrete Diffusion VLA as its training code writes it, a fine-tuned OpenVLA-OFT (arXiv 2508.20072, 2502.19645)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dvla_ros.actions.bin_chunk_codec import BinChunkCodec
from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.denoising.registry import override
from dvla_ros.engine.memory_plan import SENTENCE, WorkingSet
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.prismatic import Prismatic, locate_prismatic
from dvla_ros.models.prismatic_config import PrismaticConfig
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Skeleton
from dvla_ros.policies.published.prismatic_network import ATTENTIONS, PrismaticNetwork, StateInput
from dvla_ros.policies.published.prismatic_statistics import PrismaticStatistics
from dvla_ros.policies.published.prismatic_weights import PrismaticWeights, completed_config
from dvla_ros.policies.published.proprio_part import ProprioPart, refuse_other_parts
from dvla_ros.policies.token_system import ACTION
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.openvla_prompt import OpenVlaPrompt
from dvla_ros.preprocessing.prismatic_images import PrismaticImages, PrismaticSettings
from dvla_ros.weights.streaming import TensorSource, load_into, on_meta

_RELEASED_STEPS = 12


@dataclass(frozen=True)
class PrismaticSetup:
    """A checkpoint read but for its main weights.

    Attributes:
        system: `dd_vla`.
        folder: The checkpoint.
        deployment: How it is used.
        config: Sizes and ids of the network.
        weights: Where the main weights are.
        statistics: Of the data it was fine-tuned on.
        proprio: The projector of the state; None for a network that takes none.
        state: Normaliser of the state; None likewise.
        images: Preprocessing of the images.
        prompt: Instruction to ids.
        codec: Chunk to tokens and back.
        spec: What the policy needs and gives.
        decoding: Settings of the decoder.
        attention: Who sees whom.
    """

    system: str
    folder: Path
    deployment: Deployment
    config: PrismaticConfig
    weights: PrismaticWeights
    statistics: PrismaticStatistics
    proprio: ProprioPart | None
    state: Normalizer | None
    images: PrismaticImages
    prompt: OpenVlaPrompt
    codec: BinChunkCodec
    spec: PolicySpec
    decoding: Mapping[str, object]
    attention: str

    @property
    def normalizer(self) -> Normalizer:
        """Of the actions."""
        return self.codec.normalizer

    def working_set(self) -> WorkingSet:
        """See `Setup.working_set`."""
        patches = len(self.spec.cameras) * self.config.towers[0].patches
        return WorkingSet(patches + SENTENCE + self.codec.length, self.codec.length, self.codec.vocabulary)

    def facts(self) -> Mapping[str, str]:
        """See `Setup`."""
        config, trunk, ids = self.config, self.config.trunk, self.config.action_ids
        cameras = len(self.spec.cameras)
        patches = cameras * config.towers[0].patches
        adapter = "" if self.weights.adapter is None else f", adapter {self.weights.adapter} merged on load"
        return {
            "weights": f"{self.weights.folder}{adapter}",
            "vision": " + ".join(f"{tower.kind} {tower.width} x {tower.depth}" for tower in config.towers)
            + f", {config.image_size} pixels, second-to-last block",
            "language model": f"Llama {trunk.width} x {trunk.layers}, {config.vocabulary} rows, norm eps "
            f"{trunk.norm_eps:g}",
            "action tokens": f"{ids.start}..{ids.stop - 1} ({len(ids)} bins), MASK {config.mask_token}",
            "sequence": f"BOS, {patches} patches of {cameras} cameras, {'1 state, ' if self.proprio else ''}prompt, "
            f"{self.codec.length} actions, EOS",
            "attention": f"{self.attention}: the prompt {'sees' if self.attention == 'full' else 'does not see'} the "
            "actions",
            "statistics": f"{self.statistics.key} of {self.statistics.source.name}, "
            f"{self.statistics.platform.bounds} bounds, columns as they are: {self._columns_as_they_are()}",
            "state": "none" if self.proprio is None else f"{self.proprio.state_dim} numbers, {self.proprio.path.name}",
            "images": f"rotated {self.deployment.rotate_180}, JPEG {self.deployment.jpeg}, centre crop "
            f"{self.deployment.center_crop}",
        }

    def skeleton(self) -> Skeleton:
        """See `Setup`; the projector of the state is a part of its own."""
        return Skeleton(on_meta(lambda: Prismatic(self.config)), locate_prismatic)

    def tensors(self) -> TensorSource:
        """See `Setup`."""
        return self.weights.source()

    def side_files(self, network: Any) -> Mapping[str, nn.Module]:
        """See `Setup`: the state's projector."""
        if self.proprio is None or network.projector is None:
            return {}
        return {self.proprio.path.name: network.projector}

    def network(self, device: torch.device, dtype: torch.dtype) -> PrismaticNetwork:
        """See `Setup`."""
        skeleton = self.skeleton()
        model = skeleton.module
        assert isinstance(model, Prismatic)
        load_into(model, self.tensors(), skeleton.locate, device=device, dtype=dtype, where=self.weights.folder)
        state = None
        if self.proprio is not None and self.state is not None:
            state = StateInput(self.state, self.proprio.network(device, dtype))
        segment = Segment(ACTION, self.codec.horizon, self.codec.dim, self.codec.vocabulary)
        canvas = Canvas((segment,))
        return PrismaticNetwork(model, state, self.images, self.prompt, self.spec.cameras, canvas, self.attention)

    def _columns_as_they_are(self) -> str:
        names = zip(self.spec.action_names, self.statistics.action.mask, strict=True)
        return ", ".join(name for name, normalized in names if not normalized) or "none"


class PrismaticLayout:
    """Folders whose `config.json` is OpenVLA's.

    Attributes:
        name: `prismatic`.
        systems: Discrete Diffusion VLA only.
    """

    name = "prismatic"
    systems: tuple[str, ...] = ("dd_vla",)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """See `Layout`; other heads of OpenVLA are recognised too, and then refused with their name."""
        architectures = config.get("architectures")
        named = isinstance(architectures, list) and "OpenVLAForActionPrediction" in architectures
        return config.get("model_type") == "openvla" or named

    def read(self, folder: Path, config: Mapping[str, Any], deployment: Deployment) -> PrismaticSetup:
        """See `Layout`."""
        deployment = deployment.seen_by("front", "wrist")
        refuse_other_parts(folder)
        weights = PrismaticWeights.find(folder, deployment)
        _check_cameras(config, folder, deployment)
        sizes = PrismaticConfig.from_json(completed_config(config, folder, deployment))
        statistics = PrismaticStatistics.read(folder, config, deployment.unnorm_key)
        codec = _codec(statistics, deployment, sizes)
        proprio = ProprioPart.find(folder, sizes.trunk.width)
        return PrismaticSetup(
            system=self.systems[0],
            folder=folder,
            deployment=deployment,
            config=sizes,
            weights=weights,
            statistics=statistics,
            proprio=proprio,
            state=_state(proprio, statistics, deployment),
            images=_images(weights.beside(folder, "preprocessor_config.json"), deployment, sizes),
            prompt=_prompt(weights.beside(folder, "tokenizer.json"), sizes),
            codec=codec,
            spec=deployment.spec(self.systems[0], codec.horizon),
            decoding=_decoding(deployment),
            attention=_attention(deployment),
        )


def _codec(statistics: PrismaticStatistics, deployment: Deployment, sizes: PrismaticConfig) -> BinChunkCodec:
    normalizer = statistics.action_normalizer()
    if normalizer.dim != len(deployment.action_names):
        raise CheckpointError(
            f"{statistics.source}, {statistics.key}: an action has {normalizer.dim} numbers, the robot takes "
            f"{len(deployment.action_names)}, {list(deployment.action_names)}. Choose another unnorm_key or a "
            "checkpoint for this robot."
        )
    horizon = deployment.horizon or statistics.platform.horizon
    return BinChunkCodec(deployment.in_metres(normalizer), UniformBins(sizes.bins), horizon)


def _state(proprio: ProprioPart | None, statistics: PrismaticStatistics, deployment: Deployment) -> Normalizer | None:
    if proprio is None:
        if deployment.state != "none":
            raise ConfigurationError(
                "The checkpoint has no proprio_projector--STEP_checkpoint.pt, so it takes no state: set state: none in "
                "the deployment file, or copy the file if it was trained with one."
            )
        return None
    if deployment.state == "none":
        raise ConfigurationError(
            f"The checkpoint takes a state of {proprio.state_dim} numbers ({proprio.path.name}), the deployment says "
            "state: none; set state: bridge, or libero."
        )
    normalizer = statistics.state_normalizer()
    if normalizer.dim != proprio.state_dim:
        raise CheckpointError(
            f"{proprio.path} takes a state of {proprio.state_dim} numbers, {statistics.source}, {statistics.key}, has "
            f"statistics of {normalizer.dim}; take both from one training run."
        )
    if proprio.state_dim != deployment.state_width:
        raise CheckpointError(
            f"{proprio.path} takes a state of {proprio.state_dim} numbers; with state: {deployment.state} there are "
            f"{deployment.state_width}. LIBERO's has 8 (state: libero, in its simulator only), ALOHA's 14: for this "
            "robot fine-tune on data of it."
        )
    return normalizer


def _images(folder: Path, deployment: Deployment, sizes: PrismaticConfig) -> PrismaticImages:
    settings = PrismaticSettings(
        rotate_180=deployment.rotate_180,
        jpeg="tensorflow" if deployment.jpeg else None,
        center_crop=deployment.center_crop,
    )
    images = PrismaticImages.open(folder, settings)
    if images.size != sizes.image_size or len(images.towers) != len(sizes.towers):
        raise CheckpointError(
            f"{folder}: preprocessor_config.json makes images of {images.size} pixels for {len(images.towers)} towers, "
            f"config.json has {len(sizes.towers)} towers of {sizes.image_size}; take both from one model."
        )
    return images


def _check_cameras(config: Mapping[str, Any], folder: Path, deployment: Deployment) -> None:
    """Training code that notes the number of images is held to it; the released code does not."""
    trained = config.get("num_images_in_input")
    if trained is not None and trained != len(deployment.cameras):
        raise CheckpointError(
            f"{folder} was trained with {trained} camera(s), the deployment names {list(deployment.cameras)}; name "
            "those it was trained with, in their order."
        )


def _prompt(folder: Path, sizes: PrismaticConfig) -> OpenVlaPrompt:
    prompt = OpenVlaPrompt(HfTokenizer.open(folder))
    mask = prompt.tokenizer.find("<mask>")
    if mask is not None and mask != sizes.mask_token:
        raise CheckpointError(
            f"{folder}: the tokenizer's <mask> is {mask}, mask_token_id of config.json is {sizes.mask_token}; take "
            "both from one training run."
        )
    return prompt


def _decoding(deployment: Deployment) -> Mapping[str, object]:
    released = {"decoder": "masked", **asdict(MaskedConfig.released(_RELEASED_STEPS))}
    return override(released, deployment.decoding)


def _attention(deployment: Deployment) -> str:
    attention = deployment.attention or ATTENTIONS[0]
    if attention not in ATTENTIONS:
        raise ConfigurationError(f"attention must be one of {ATTENTIONS} for dd_vla, got {attention!r}.")
    return attention
