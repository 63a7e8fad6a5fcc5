"""How each system is trained: its tokens, its network, its objective. One function a system."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.normalization import DatasetStatistics
from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.registry import decoder_config, override
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig
from dvla_ros.policies.coding import is_time_local, save_codec, token_values
from dvla_ros.policies.dd_vla import DD_VLA
from dvla_ros.policies.ddim_decoding import override_ddim
from dvla_ros.policies.dfm_vla import DFM_VLA
from dvla_ros.policies.diffusion_vla import DIFFUSION_VLA
from dvla_ros.policies.imagination import FOLDER as VQ_FOLDER
from dvla_ros.policies.imagination import Imagination
from dvla_ros.policies.llada_vla import LLADA_VLA
from dvla_ros.policies.settings import parse_settings
from dvla_ros.policies.systems import system_named
from dvla_ros.policies.token_system import TokenSystem
from dvla_ros.policies.ud_vla import UD_VLA
from dvla_ros.training.batch import Objective, Targets
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.demonstrations import Demonstrations, require_horizon
from dvla_ros.training.frame_column import FrameColumn
from dvla_ros.training.objectives.dd_vla import DdVlaObjective, DdVlaObjectiveConfig
from dvla_ros.training.objectives.dfm_vla import DfmVlaObjective, DfmVlaObjectiveConfig
from dvla_ros.training.objectives.diffusion_vla import DiffusionVlaObjective, DiffusionVlaObjectiveConfig
from dvla_ros.training.objectives.llada_vla import LladaVlaObjective, LladaVlaObjectiveConfig
from dvla_ros.training.objectives.settings import objective_settings
from dvla_ros.training.objectives.ud_vla import UdVlaObjective, UdVlaObjectiveConfig
from dvla_ros.training.reasoning import sentences
from dvla_ros.training.starting_point import (
    action_coding,
    chunk_codec,
    horizon,
    image_tokenizer,
    reasoning_tokenizer,
    require_same_network,
    require_same_system,
    token_table,
)

_IMAGES_PER_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """Everything of a run that depends on the system.

    Attributes:
        config: What the checkpoint will say.
        targets: Of all frames.
        objective: The loss.
        write_extras: Writes what belongs beside the weights into a checkpoint folder.
    """

    config: CheckpointConfig
    targets: Targets
    objective: Objective
    write_extras: Callable[[Path], None]


def make_recipe(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    """The recipe of the system that `config` names.

    Raises:
        ConfigurationError: A setting is unknown or out of range, the image tokenizer is missing, labels are shorter
            than the chunk, or `init` is of another system or network.
        CheckpointError: `init` is not a usable checkpoint.
    """
    require_same_system(config)
    require_horizon(demonstrations, horizon(system_named(config.system).horizon, config), config.system)
    recipe = RECIPES[config.system](config, demonstrations, statistics)
    require_same_network(config, recipe.config.model)
    return recipe


@dataclass(frozen=True)
class _Tokens:
    """What the token systems share: codec, tokens of all frames, network and the checkpoint's config."""

    codec: ChunkCodec
    network: SmallVlaConfig
    config: CheckpointConfig
    targets: Targets

    def write_codec(self, folder: Path) -> None:
        save_codec(self.codec, folder)


def _tokens(
    system: TokenSystem,
    config: TrainConfig,
    demonstrations: Demonstrations,
    statistics: DatasetStatistics,
    imagination: Imagination | None = None,
) -> _Tokens:
    system = replace(system, horizon=horizon(system.horizon, config))
    coding = action_coding(system.coding, config)
    chunks = demonstrations.actions[:, : system.horizon].astype(np.float64)
    codec = chunk_codec(coding, config, statistics, chunks)
    network = system.network(codec, config.perception, imagination, heads=config.heads, layers=config.layers)
    checkpoint = CheckpointConfig(
        system=system.name,
        model=network,
        coding=coding,
        decoding=override(system.decoding, parse_settings(config.decoding)),
        cameras=demonstrations.manifest.cameras,
        execute_steps=config.execute_steps or min(system.execute_steps, system.horizon),
        dt=demonstrations.manifest.dt,
    )
    normalized = torch.from_numpy(coding.normalizer(statistics).normalize(chunks).astype(np.float32))
    return _Tokens(codec, network, checkpoint, Targets(normalized, torch.from_numpy(codec.encode(chunks))))


def _centres(codec: ChunkCodec) -> torch.Tensor | None:
    """The number each token stands for, where it does."""
    return torch.from_numpy(token_values(codec)).float() if is_time_local(codec) else None


def _dd_vla(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    tokens = _tokens(DD_VLA, config, demonstrations, statistics)
    options = objective_settings(DdVlaObjectiveConfig, config.objective)
    objective = DdVlaObjective(options, tokens.network.canvas, _centres(tokens.codec))
    return Recipe(tokens.config, tokens.targets, objective, tokens.write_codec)


def _llada_vla(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    tokens = _tokens(LLADA_VLA, config, demonstrations, statistics)
    options = objective_settings(LladaVlaObjectiveConfig, config.objective)
    objective = LladaVlaObjective(options, tokens.network.canvas, _centres(tokens.codec))
    return Recipe(tokens.config, tokens.targets, objective, tokens.write_codec)


def _dfm_vla(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    tokens = _tokens(DFM_VLA, config, demonstrations, statistics)
    options = objective_settings(DfmVlaObjectiveConfig, config.objective)
    flow = decoder_config(tokens.config.decoding)
    if not isinstance(flow, FlowConfig):
        raise ConfigurationError("dfm_vla is trained along the path of its decoder; keep decoder=flow.")
    network = replace(tokens.network, rate_head=flow.path == "head")
    distance = embedding_distance(token_table(network, config))
    objective = DfmVlaObjective(options, flow, network.canvas, distance)
    return Recipe(replace(tokens.config, model=network), tokens.targets, objective, tokens.write_codec)


def _ud_vla(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    tokenizer = image_tokenizer(config)
    imagination = Imagination(tokenizer, demonstrations.manifest.cameras)
    tokens = _tokens(UD_VLA, config, demonstrations, statistics, imagination)
    seen, coming = (_image_tokens(imagination, images) for images in (demonstrations.images, demonstrations.futures))
    assert tokens.targets.tokens is not None
    action = tokens.targets.tokens
    begin = torch.full_like(action[:, :1], tokens.codec.vocabulary)
    targets = replace(tokens.targets, tokens=torch.cat([coming, begin, action], dim=1), seen=seen)
    options = objective_settings(UdVlaObjectiveConfig, config.objective)
    end = tokens.codec.eoa if isinstance(tokens.codec, FastChunkCodec) else None

    def write_extras(folder: Path) -> None:
        tokens.write_codec(folder)
        tokenizer.save(folder / VQ_FOLDER)

    decoding = tokens.config.decoding
    if decoding["decoder"] == UD_VLA.decoding["decoder"]:
        decoding = override(decoding, {"eoa_token": end, **parse_settings(config.decoding)})
    objective = UdVlaObjective(options, tokens.network.canvas, end)
    return Recipe(replace(tokens.config, decoding=decoding), targets, objective, write_extras)


def _diffusion_vla(config: TrainConfig, demonstrations: Demonstrations, statistics: DatasetStatistics) -> Recipe:
    system = replace(DIFFUSION_VLA, horizon=horizon(DIFFUSION_VLA.horizon, config))
    options = objective_settings(DiffusionVlaObjectiveConfig, config.objective)
    coding = action_coding(system.coding, config)
    if coding.kind != "continuous":
        raise ConfigurationError(f"diffusion_vla draws numbers; its coding is continuous, not {coding.kind!r}.")
    chunks = demonstrations.actions[:, : system.horizon].astype(np.float64)
    said = sentences(demonstrations) if options.reason else []
    tokenizer = reasoning_tokenizer(config, said) if options.reason else None
    network = system.network(chunks.shape[2], config.perception, tokenizer, heads=config.heads, layers=config.layers)
    checkpoint = CheckpointConfig(
        system=system.name,
        model=network,
        coding=coding,
        decoding=override_ddim(system.decoding, parse_settings(config.decoding)),
        cameras=demonstrations.manifest.cameras,
        execute_steps=config.execute_steps or min(system.execute_steps, system.horizon),
        dt=demonstrations.manifest.dt,
    )
    actions = torch.from_numpy(coding.normalizer(statistics).normalize(chunks).astype(np.float32))
    if tokenizer is None:
        return Recipe(checkpoint, Targets(actions), DiffusionVlaObjective(options), lambda folder: None)
    reasoning = torch.from_numpy(tokenizer.encode(said, network.reasoning_length))
    return Recipe(checkpoint, Targets(actions, reasoning=reasoning), DiffusionVlaObjective(options), tokenizer.save)


def _image_tokens(imagination: Imagination, images: FrameColumn | np.ndarray) -> torch.Tensor:
    """Tokens of many images uint8 `[N, C, h, w, 3]`."""
    parts = [images[i : i + _IMAGES_PER_BATCH] for i in range(0, len(images), _IMAGES_PER_BATCH)]
    return torch.cat([imagination.encode(torch.from_numpy(part).permute(0, 1, 4, 2, 3)) for part in parts])


RECIPES: dict[str, Callable[[TrainConfig, Demonstrations, DatasetStatistics], Recipe]] = {
    "dd_vla": _dd_vla,
    "ud_vla": _ud_vla,
    "llada_vla": _llada_vla,
    "dfm_vla": _dfm_vla,
    "diffusion_vla": _diffusion_vla,
}
