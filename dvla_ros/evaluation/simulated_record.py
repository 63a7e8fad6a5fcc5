"""The file that collects episodes run without ROS: one JSON line each, several processes may add to it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from dvla_ros.evaluation.episode_lines import read_lines
from dvla_ros.evaluation.simulated import Episode, SimulateConfig
from dvla_ros.policies.checkpoint import CONFIG, WEIGHTS

_WHICH_EPISODES = ("tasks", "episodes", "seed")  # these do not change how an episode goes
_LATER = ("appearance", "phrasing")  # counted only where they are not the default: what was recorded before is valid


def conditions_digest(checkpoint: Path, decoding: Mapping[str, object], config: SimulateConfig) -> str:
    """Sixteen hexadecimal digits of all that an episode depends on, beside its task, its seed and the code.

    Args:
        checkpoint: Folder of the policy.
        decoding: Settings of the decoder that replace the checkpoint's.
        config: How episodes are run.
    """
    usual = {f.name for f in fields(config) if f.name in _LATER and getattr(config, f.name) == f.default}
    rules = {name: value for name, value in asdict(config).items() if name not in {*_WHICH_EPISODES, *usual}}
    digest = hashlib.sha256(json.dumps([dict(decoding), rules], sort_keys=True).encode())
    for name in (CONFIG, WEIGHTS):
        digest.update((checkpoint / name).read_bytes())
    return digest.hexdigest()[:16]


def read_episodes(path: Path, conditions: str) -> dict[tuple[str, int], Episode]:
    """The recorded episodes of these conditions by task and scene seed; none when there is no such file.

    Raises:
        ConfigurationError: A line is not the record of an episode.
    """
    return read_record(path).get(conditions, {})


def read_record(path: Path) -> dict[str, dict[tuple[str, int], Episode]]:
    """Everything in a file, by the digest of its conditions; errors as for `read_episodes`."""
    return read_lines(path, Episode, lambda episode: (episode.task, episode.seed))
