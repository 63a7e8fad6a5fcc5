"""The file that collects episodes run without ROS: one JSON line each, several processes may add to it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.simulated import Episode, SimulateConfig
from dvla_ros.policies.checkpoint import CONFIG, WEIGHTS

_CONDITIONS = "conditions"
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


def append_episode(path: Path, conditions: str, episode: Episode) -> None:
    """Add one line, in one write, so that the lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({_CONDITIONS: conditions, **asdict(episode)}) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def read_episodes(path: Path, conditions: str) -> dict[tuple[str, int], Episode]:
    """The recorded episodes of these conditions by task and scene seed; none when there is no such file.

    Raises:
        ConfigurationError: A line is not the record of an episode.
    """
    return read_record(path).get(conditions, {})


def read_record(path: Path) -> dict[str, dict[tuple[str, int], Episode]]:
    """Everything in a file, by the digest of its conditions; errors as for `read_episodes`."""
    if not path.exists():
        return {}
    found: dict[str, dict[tuple[str, int], Episode]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        conditions, episode = _episode(line, f"{path}:{number}")
        found.setdefault(conditions, {})[episode.task, episode.seed] = episode
    return found


def _episode(line: str, where: str) -> tuple[str, Episode]:
    try:
        values: dict[str, Any] = {name: _tupled(value) for name, value in json.loads(line).items()}
        return values.pop(_CONDITIONS), Episode(**values)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        names = ", ".join((_CONDITIONS, *(field.name for field in fields(Episode))))
        raise ConfigurationError(
            f"{where} is not the record of an episode ({error}); its keys must be {names}. Remove the line or the file."
        ) from error


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
