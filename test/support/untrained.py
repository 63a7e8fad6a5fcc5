"""Writes small checkpoints with random weights: they infer like trained ones and know nothing."""

from pathlib import Path

import numpy as np
import torch

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.control.bridge import ACTION_LOWER, ACTION_NAMES, ACTION_UPPER
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.vq import VqConfig, VqTokenizer
from dvla_ros.policies.checkpoint import CheckpointConfig, write_checkpoint
from dvla_ros.policies.coding import fit_codec, save_codec
from dvla_ros.policies.imagination import FOLDER as VQ_FOLDER
from dvla_ros.policies.imagination import Imagination
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.policies.token_system import TokenSystem

CAMERAS = ("front", "wrist")
SENTENCES = ("the red cube is ahead. next: go down.", "the gripper is open. next: close.")


def write_untrained(
    folder: Path,
    system: str = "dd_vla",
    *,
    cameras: tuple[str, ...] = CAMERAS,
    action_dim: int = 7,
    greatest: float = 1.0,
    coding=None,
    **changes,
) -> Path:
    """Write a checkpoint and return its folder.

    Args:
        folder: Where.
        system: Any of the published systems.
        cameras: What the policy sees.
        action_dim: Columns of an action.
        greatest: No increment is larger, in m and rad.
        coding: Another `ActionCoding` than the system's.
        changes: Of the `CheckpointConfig`.
    """
    torch.manual_seed(0)
    kind = SYSTEMS[system]
    perception = PerceptionConfig(cameras=len(cameras), image_width=32, image_height=24, width=24, keypoints=2)
    chunks, statistics = _chunks(kind.horizon, action_dim, greatest)
    coding = coding or kind.coding
    if isinstance(kind, TokenSystem):
        codec = fit_codec(coding, statistics, chunks)
        network = kind.network(codec, perception, _imagination(kind, folder, cameras), heads=3, layers=1)
        save_codec(codec, folder)
    else:
        tokenizer = ReasoningTokenizer.fit(SENTENCES)
        network = kind.network(action_dim, perception, tokenizer, heads=3, layers=1)
        tokenizer.save(folder)
    names = (ACTION_NAMES * 2)[:action_dim]
    config = CheckpointConfig(system, network, coding, kind.decoding, cameras, names, **changes)
    write_checkpoint(folder, config, make_network(network).state_dict(), statistics)
    return folder


def _chunks(horizon: int, action_dim: int, greatest: float) -> tuple[np.ndarray, DatasetStatistics]:
    random = np.random.default_rng(0)
    low, high = (np.resize(np.clip(limit, -greatest, greatest), action_dim) for limit in (ACTION_LOWER, ACTION_UPPER))
    chunks = random.uniform(low, high, size=(50, horizon, action_dim))
    chunks[..., -1] = np.abs(chunks[..., -1])
    states = random.uniform(ACTION_LOWER * 10, ACTION_UPPER * 10, size=(200, 7))
    rows = FeatureStatistics.fit(chunks.reshape(-1, action_dim), np.arange(action_dim) < action_dim - 1)
    return chunks, DatasetStatistics(rows, FeatureStatistics.fit(states), 400, 3)


def _imagination(kind: TokenSystem, folder: Path, cameras: tuple[str, ...]) -> Imagination | None:
    if not kind.imagines:
        return None
    tokenizer = VqTokenizer(VqConfig(image_width=16, image_height=16, codebook_size=8, widths=(8, 8, 8))).eval()
    tokenizer.save(folder / VQ_FOLDER)
    return Imagination(tokenizer, cameras)
