"""What a run takes over from the checkpoint `init` that it starts from, or makes new.

Trained weights mean something only together with the action coding, the tokenizers and the network they were trained
with. A run that starts from a checkpoint therefore never fits new ones, and whoever asks for others is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import numpy as np
from torch import Tensor

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.normalization import DatasetStatistics
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.networks import NetworkConfig, make_network
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.models.vq import VqTokenizer
from dvla_ros.policies.checkpoint import dataclass_from_json, read_config, read_weights
from dvla_ros.policies.coding import ActionCoding, fit_codec, load_codec
from dvla_ros.policies.imagination import FOLDER as VQ_FOLDER
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.policies.settings import parse_settings
from dvla_ros.policies.token_system import action_positions
from dvla_ros.training.config import TrainConfig


def action_coding(published: ActionCoding, config: TrainConfig) -> ActionCoding:
    """The system's coding with the settings of `config`, or that of `init`.

    Raises:
        ConfigurationError: A setting is unknown, out of range or unlike that of `init`.
    """
    changes = parse_settings(config.coding)
    if config.init is None:
        return _changed(published, changes)
    coding = read_config(config.init).coding
    if _changed(coding, changes) != coding:
        raise ConfigurationError(f"{config.init} was trained with {coding}; leave out coding={config.coding}.")
    return coding


def horizon(published: int, config: TrainConfig) -> int:
    """Rows of a chunk: those of `init`, else as `config` says, else the published number.

    Raises:
        ConfigurationError: `config` asks for other rows than those of `init`.
    """
    if config.init is None:
        return config.horizon or published
    rows = read_config(config.init).model.horizon
    if config.horizon not in {0, rows}:
        raise ConfigurationError(f"{config.init} decides {rows} actions at once; leave out horizon={config.horizon}.")
    return rows


def chunk_codec(
    coding: ActionCoding, config: TrainConfig, statistics: DatasetStatistics, chunks: np.ndarray
) -> ChunkCodec:
    """A codec fitted to the physical chunks `[N, H, D]`, or that of `init`."""
    if config.init is None:
        return fit_codec(coding, statistics, chunks)
    network = read_config(config.init).model
    assert isinstance(network, SmallVlaConfig)
    return load_codec(coding, statistics, network.horizon, action_positions(network), config.init)


def image_tokenizer(config: TrainConfig) -> VqTokenizer:
    """The tokenizer that `config` names, or that of `init`.

    Raises:
        ConfigurationError: There is neither.
        CheckpointError: It is missing or broken.
    """
    if config.init is not None:
        return VqTokenizer.load(config.init / VQ_FOLDER)
    if config.vq is None:
        raise ConfigurationError("ud_vla needs the image tokenizer that `dvla train-vq` writes: give vq its folder.")
    return VqTokenizer.load(config.vq)


def reasoning_tokenizer(config: TrainConfig, said: Sequence[str]) -> ReasoningTokenizer:
    """A tokenizer with the words of the sentences, or that of `init`."""
    return ReasoningTokenizer.fit(said) if config.init is None else ReasoningTokenizer.load(config.init)


def token_table(network: SmallVlaConfig, config: TrainConfig) -> Tensor:
    """Embeddings `[V, width]` of action tokens that are not trained: those that the trained policy will have too."""
    model = make_network(network)
    if config.init is not None:
        read_weights(config.init, model)
    table: Tensor = model.token_table("action")
    return table


def require_same_system(config: TrainConfig) -> None:
    """Refuse to start from another system's checkpoint.

    Raises:
        ConfigurationError: It is one.
        CheckpointError: `init` is not a usable checkpoint.
    """
    if config.init is not None and (system := read_config(config.init).system) != config.system:
        raise ConfigurationError(f"{config.init} is a checkpoint of {system}, not of {config.system}.")


def require_same_network(config: TrainConfig, model: NetworkConfig) -> None:
    """Refuse weights of a network other than `model`; those of other heads or another attention would even fit.

    Fine-tuning may begin to count the ways from the frozen rows (`PerceptionConfig.ways_after_frozen`): with no row
    frozen it is the same network.

    Raises:
        ConfigurationError: The networks differ.
    """
    if config.init is None:
        return
    there, here = asdict(read_config(config.init).model), asdict(model)
    there["perception"]["ways_after_frozen"] |= here["perception"]["ways_after_frozen"]
    differing = [field.name for field in fields(model) if here[field.name] != there.get(field.name)]
    if differing:
        wanted = ", ".join(f"{name}={there.get(name)}" for name in differing)
        raise ConfigurationError(f"The network of {config.init} has {wanted}; this run would make another.")


def _changed(coding: ActionCoding, changes: Mapping[str, object]) -> ActionCoding:
    changed: ActionCoding = dataclass_from_json(ActionCoding, {**coding.__dict__, **changes})
    return changed
