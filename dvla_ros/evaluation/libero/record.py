"""The file that collects episodes in LIBERO, one JSON line each, so that a measurement can be interrupted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dvla_ros.evaluation.episode_lines import append_line, read_lines
from dvla_ros.evaluation.libero.episodes import LiberoEpisode, LiberoPlan
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.policies.published.deployment import Deployment

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
        recorded = read_lines(self._path, LiberoEpisode, lambda episode: (episode.task, episode.initial_state))
        self._found = recorded.get(self._digest, {})

    @property
    def episodes(self) -> list[LiberoEpisode]:
        """The wanted episodes that are recorded."""
        return [self._found[scene] for scene in self.plan.scenes if scene in self._found]

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Task and initial state of the others."""
        return [scene for scene in self.plan.scenes if scene not in self._found]

    def add(self, episode: LiberoEpisode) -> None:
        """Record one."""
        append_line(self._path, self._digest, episode)
        self._found[episode.task, episode.initial_state] = episode
