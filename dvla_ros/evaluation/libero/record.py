"""The file that collects episodes in LIBERO, one JSON line each, so that a measurement can be interrupted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.episodes import LiberoEpisode, LiberoPlan
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.policies.published.deployment import Deployment

_CONDITIONS = "conditions"
_WHICH_EPISODES = ("tasks", "episodes")  # these do not change how an episode goes


@dataclass(frozen=True)
class LiberoConditions:
    """All that an episode depends on, beside its task, its initial state and the code.

    Attributes:
        checkpoint: Folder of the policy.
        deployment: How a published checkpoint is used; None for its own word, or the defaults.
        decoding: Settings of the decoder that replace the checkpoint's.
        cache: What a denoising step keeps; "" for what the checkpoint says.
        device: Kind of device; networks compute in other precisions on others.
        plan: How episodes are run.
        versions: Of the simulator's packages.
    """

    checkpoint: Path
    deployment: Deployment | None
    decoding: Mapping[str, object]
    cache: str
    device: str
    plan: LiberoPlan
    versions: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over them."""
        plan = {name: value for name, value in asdict(self.plan).items() if name not in _WHICH_EPISODES}
        plan["max_steps"] = self.plan.steps
        deployment = None if self.deployment is None else asdict(self.deployment)
        rules = [plan, deployment, dict(self.decoding), self.cache, self.device.split(":")[0], dict(self.versions)]
        text = f"{fingerprint(self.checkpoint)}{json.dumps(rules, sort_keys=True)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class LiberoRecord:
    """The episodes of a suite under some conditions: which are wanted, which are recorded.

    Args:
        folder: Where the files are, one for each suite.
        conditions: Those of the wanted episodes; others in the file are left alone.

    Raises:
        ConfigurationError: A line of the file is not the record of an episode.
    """

    def __init__(self, folder: Path, conditions: LiberoConditions) -> None:
        self.plan = conditions.plan
        self._path = folder / f"{self.plan.suite}.jsonl"
        self._digest = conditions.digest
        self._found = _read(self._path).get(self._digest, {})

    @property
    def episodes(self) -> list[LiberoEpisode]:
        """The wanted episodes that are recorded."""
        return [self._found[scene] for scene in self.plan.scenes if scene in self._found]

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Task and initial state of the others."""
        return [scene for scene in self.plan.scenes if scene not in self._found]

    def add(self, episode: LiberoEpisode) -> None:
        """Record one, in one write."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({_CONDITIONS: self._digest, **asdict(episode)}) + "\n"
        with self._path.open("ab", buffering=0) as file:
            file.write(line.encode())
        self._found[episode.task, episode.initial_state] = episode


def _read(path: Path) -> dict[str, dict[tuple[int, int], LiberoEpisode]]:
    found: dict[str, dict[tuple[int, int], LiberoEpisode]] = {}
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        conditions, episode = _episode(line, f"{path}:{number}")
        found.setdefault(conditions, {})[episode.task, episode.initial_state] = episode
    return found


def _episode(line: str, where: str) -> tuple[str, LiberoEpisode]:
    try:
        values: dict[str, Any] = {name: _tupled(value) for name, value in json.loads(line).items()}
        return values.pop(_CONDITIONS), LiberoEpisode(**values)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        names = ", ".join((_CONDITIONS, *(field.name for field in fields(LiberoEpisode))))
        raise ConfigurationError(
            f"{where} is not the record of an episode ({error}); its keys must be {names}. Remove the line or the file."
        ) from error


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
