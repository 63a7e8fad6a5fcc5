"""Checkpoints of UD-VLA and DFM-VLA as UniVLA's training code writes them: an Emu3 with FAST actions.

`config.json` and the weights are those of the language model. The image tokenizer (BAAI/Emu3-VisionTokenizer), the text
tokenizer (BAAI/Emu3-Stage1), the FAST folder and `norm_stats.json` lie in the folder, beside it, or where the
deployment says.

What the deployment's `jpeg` and `center_crop` say belongs to other families and is not looked at: these systems were
trained on whole images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.registry import override
from dvla_ros.engine.memory_plan import SENTENCE, WorkingSet
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.emu3 import VISUAL, Emu3Config, is_emu3, size_text
from dvla_ros.models.emu3_vq import Emu3Vq, Emu3VqConfig, locate_emu3_vq
from dvla_ros.models.language_model import locate_language_model
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.emu3_actions import read_codec
from dvla_ros.policies.published.emu3_network import Emu3Network
from dvla_ros.policies.published.emu3_sequence import Emu3Sequence, Grid
from dvla_ros.policies.published.layout import Skeleton
from dvla_ros.preprocessing.emu3_images import Emu3Images
from dvla_ros.preprocessing.emu3_prompt import Emu3Prompt
from dvla_ros.preprocessing.emu3_tokenizer import Emu3Tokenizer
from dvla_ros.weights.checkpoint_folder import json_in
from dvla_ros.weights.lora import CONFIG as ADAPTER
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import TensorSource

_BASE = "base"
UD_VLA, DFM_VLA = "ud_vla", "dfm_vla"
ATTENTION: Mapping[str, tuple[str, ...]] = {
    UD_VLA: ("merged", "block_causal", "image_causal_first"),
    DFM_VLA: ("full", "merged", "block_causal", "image_causal_first"),
}
"""Attention of each system, that of the released weights (DFM-VLA: of the paper) first."""

VISION_TOKENIZER, TEXT_TOKENIZER = "vision_tokenizer", "text_tokenizer"
IGNORED = (r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",)
"""Tables that old versions of the training code saved and this one computes."""

_STATIC, _WRIST = (200, 200), (80, 80)
_STRIDE = 8
_SHORTEST_TEXT = 2  # BOS and one word


@dataclass(frozen=True)
class Emu3Setup:
    """A `Setup`: an Emu3 checkpoint read but for its weights."""

    system: str
    folder: Path
    deployment: Deployment
    spec: PolicySpec
    codec: FastChunkCodec
    decoding: Mapping[str, object]
    attention: str
    language: Emu3Config
    vision: Emu3VqConfig
    vision_folder: Path
    prompt: Emu3Prompt
    images: tuple[Emu3Images, ...]
    sequence: Emu3Sequence

    def working_set(self) -> WorkingSet:
        """See `Setup.working_set`."""
        vision = sum(parameter.numel() for parameter in self.vision_skeleton().module.parameters())
        canvas = self.sequence.canvas
        return WorkingSet(self.sequence.length(SENTENCE), canvas.length, canvas.vocabulary, vision)

    def facts(self) -> Mapping[str, str]:
        """What was recognised, in words."""
        trunk, sequence = self.language.trunk, self.sequence
        cameras = ", ".join(
            f"{grid.camera} {grid.rows * _STRIDE}x{grid.columns * _STRIDE} as {size_text(grid.rows, grid.columns)}"
            for grid in sequence.grids
        )
        room = self.language.longest - sequence.length(0)
        return {
            "language model": f"Emu3, {trunk.layers} layers of {trunk.width}",
            "image tokenizer": f"{self.vision_folder}, {self.vision.codebook_size} codes",
            "images": cameras,
            "canvas": f"{sequence.canvas.length} positions, "
            + ("future images and actions" if sequence.imagines else "actions"),
            "sequence": f"{sequence.length(0)} positions and the instruction, for which there is room for {room}",
            "actions": f"FAST, {self.codec.tokenizer.vocabulary} ids, {self.codec.horizon} x {self.codec.dim} numbers, "
            "the gripper among them",
            "attention": self.attention,
            "state": "not looked at",
        }

    @property
    def normalizer(self) -> Normalizer:
        """Of the actions, gripper and all."""
        return self.codec.normalizer

    def skeleton(self) -> Skeleton:
        """The language model: all of the main weight files."""
        return Skeleton(on_meta(self.language.network), locate_language_model, IGNORED)

    def vision_skeleton(self) -> Skeleton:
        """The image tokenizer, whose weights are `model.safetensors` in `vision_folder`."""
        return Skeleton(on_meta(lambda: Emu3Vq(self.vision)), locate_emu3_vq)

    def tensors(self) -> TensorSource:
        """The weights of the language model: of the folder, or of a base with the folder's adapter."""
        if not (self.folder / ADAPTER).is_file():
            return TensorFiles.open(self.folder)
        if _BASE not in self.deployment.files:
            raise ConfigurationError(
                f"{self.folder} holds only an adapter; name the folder of the model that it was trained on in the "
                f"deployment file: files: {{{_BASE}: PATH}}."
            )
        return Merged(TensorFiles.open(self.deployment.file(_BASE)), read_adapter(self.folder))

    def side_files(self, network: object) -> Mapping[str, nn.Module]:
        """See `Setup`: all weights lie in the main files."""
        return {}

    def network(self, device: torch.device, dtype: torch.dtype) -> Emu3Network:
        """The networks with their weights; the image tokenizer always in float32, see `Emu3Vq`."""
        vision_weights = TensorFiles.open(self.vision_folder)
        language = _loaded(self.skeleton(), self.tensors(), device, dtype, self.folder)
        vision = _loaded(self.vision_skeleton(), vision_weights, device, torch.float32, self.vision_folder)
        return Emu3Network(
            language, vision, self.prompt, self.images, self.sequence, self.attention, self.language.longest
        )


class Emu3Layout:
    """The `Layout` of this family."""

    name = "emu3"
    systems = (UD_VLA, DFM_VLA)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether `model_type` is Emu3's."""
        return is_emu3(config)

    def read(self, folder: Path, config: Mapping[str, Any], deployment: Deployment) -> Emu3Setup:
        """See `Layout.read`."""
        deployment = deployment.seen_by("front", "wrist")
        system = deployment.system or self.systems[0]
        if system not in self.systems:
            raise ConfigurationError(
                f"{folder} is an Emu3 checkpoint: system must be one of {self.systems}, got {system!r}."
            )
        language = Emu3Config.from_json(config)
        vision_folder = _vision_folder(folder, deployment)
        vision = _vision_config(vision_folder)
        prompt = Emu3Prompt(Emu3Tokenizer.open(_text_folder(folder, deployment)))
        codec = read_codec(folder, deployment)
        images = _images(vision_folder, deployment)
        grids = tuple(
            Grid(name, height // _STRIDE, width // _STRIDE)
            for name, (height, width) in zip(deployment.cameras, _sizes(deployment), strict=True)
        )
        sequence = Emu3Sequence(grids, codec.tokenizer.vocabulary, imagines=system == UD_VLA)
        _check_room(sequence, language.longest)
        for grid in grids:
            if tuple(prompt.image_start(grid.rows, grid.columns)) != grid.before:
                raise CheckpointError(
                    f"The text tokenizer writes {size_text(grid.rows, grid.columns)!r} in other ids than Emu3's; copy "
                    "emu3.tiktoken of BAAI/Emu3-Stage1."
                )
        return Emu3Setup(
            system=system,
            folder=folder,
            deployment=deployment,
            spec=deployment.spec(system, codec.horizon, imagines=system == UD_VLA),
            codec=codec,
            decoding=_decoding(system, sequence, deployment),
            attention=_attention(system, deployment),
            language=language,
            vision=vision,
            vision_folder=vision_folder,
            prompt=prompt,
            images=images,
            sequence=sequence,
        )


def _decoding(system: str, sequence: Emu3Sequence, deployment: Deployment) -> Mapping[str, object]:
    """The released decoder of UD-VLA and the paper's of DFM-VLA, with what the deployment changes."""
    released = {"decoder": "joint", "eoa_token": sequence.eoa} if system == UD_VLA else {"decoder": "flow"}
    return override(released, deployment.decoding)


def _attention(system: str, deployment: Deployment) -> str:
    known = ATTENTION[system]
    attention = deployment.attention or known[0]
    if attention not in known:
        raise ConfigurationError(f"attention of {system} must be one of {', '.join(known)}, got {attention!r}.")
    return attention


def _vision_folder(folder: Path, deployment: Deployment) -> Path:
    names = ("vision_tokenizer", "Emu3-VisionTokenizer")
    return deployment.file(VISION_TOKENIZER, *(place / name for place in (folder, folder.parent) for name in names))


def _text_folder(folder: Path, deployment: Deployment) -> Path:
    places = (folder, *(place / "Emu3-Stage1" for place in (folder, folder.parent)))
    found = deployment.file(TEXT_TOKENIZER, *(place / "emu3.tiktoken" for place in places))
    return found.parent if found.is_file() else found


def _vision_config(folder: Path) -> Emu3VqConfig:
    config = Emu3VqConfig.from_json(json_in(folder, "config.json"))
    if config.codebook_size != len(VISUAL) or config.stride != _STRIDE:
        raise CheckpointError(
            f"The image tokenizer {folder} has {config.codebook_size} codes of {config.stride} pixels, Emu3 "
            f"has words for {len(VISUAL)} of {_STRIDE}; copy BAAI/Emu3-VisionTokenizer."
        )
    return config


def _sizes(deployment: Deployment) -> tuple[tuple[int, int], ...]:
    """(height, width) of each camera's image: the first static, all others on the wrist, where none is given."""
    return deployment.image_sizes or (_STATIC, *(_WRIST,) * (len(deployment.cameras) - 1))


def _images(folder: Path, deployment: Deployment) -> tuple[Emu3Images, ...]:
    chains = []
    for camera, size in zip(deployment.cameras, _sizes(deployment), strict=True):
        chain = Emu3Images.open(folder, size, rotate_180=deployment.rotate_180)
        if min(size) < _STRIDE or (fitting := chain.smart_resize(*size)) != size:
            advice = "" if min(size) < _STRIDE else f"; {list(fitting)} would do"
            raise ConfigurationError(
                f"image_sizes: the image of camera '{camera}' must have sides that are multiples of {_STRIDE} and "
                f"{chain.smart_resize.min_pixels} to {chain.smart_resize.max_pixels} pixels, got {list(size)}{advice}."
            )
        chains.append(chain)
    return tuple(chains)


def _check_room(sequence: Emu3Sequence, longest: int) -> None:
    needed = sequence.length(_SHORTEST_TEXT)
    if needed > longest:
        count = len(sequence.grids)
        raise ConfigurationError(
            f"{count} camera{'s' if count > 1 else ''} need {needed} positions and more with the instruction, the "
            f"checkpoint was trained for {longest}: set cameras and image_sizes as in its training."
        )


def _loaded(skeleton: Skeleton, weights: TensorSource, device: torch.device, dtype: torch.dtype, folder: Path) -> Any:
    module: nn.Module = skeleton.module
    load_into(
        module,
        weights,
        skeleton.locate,
        device=device,
        dtype=dtype,
        ignored=skeleton.ignored,
        tied=skeleton.tied,
        where=folder,
    )
    return module
