"""The record of one episode that ran through ROS, and the file that collects them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.chunk_timing import ChunkTiming


@dataclass(frozen=True)
class RosEpisode:
    """How one episode went.

    Attributes:
        task: Task name.
        instruction: The sentence the policy was given.
        seed: Scene seed.
        outcome: `success`, `wrong_object`, `timeout`, or the termination reason of a run that ended by itself.
        detail: The colour that was moved by mistake, or why the run ended.
        simulated_s: Simulated time from the reset to the outcome.
        wall_s: Time on the clock from the reset to the outcome.
        chunks: Chunks that the policy published.
        nfe: Network evaluations of each chunk.
        confidence: Mean confidence of each chunk, 0..1.
        timings: Where the time went, for each chunk that a command followed.
        frames_received: Camera frames that reached the policy, all cameras.
        frames_expected: Camera frames that should have.
        chunks_rejected: Chunks that the chunker refused.
        time_limit_s: Simulated time the episode could have taken.
        checkpoint: Digest of the policy's weights.
    """

    task: str
    instruction: str
    seed: int
    outcome: str
    detail: str
    simulated_s: float
    wall_s: float
    chunks: int
    nfe: tuple[int, ...]
    confidence: tuple[float, ...]
    timings: tuple[ChunkTiming, ...]
    frames_received: int
    frames_expected: int
    chunks_rejected: int
    time_limit_s: float
    checkpoint: str = ""

    @property
    def success(self) -> bool:
        """Whether the task was done within the time limit."""
        return self.outcome == "success"

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second of the clock; below 1 the machine was too slow for the simulation."""
        return self.simulated_s / self.wall_s if self.wall_s > 0.0 else 1.0


def append_episode(path: Path, episode: RosEpisode) -> None:
    """Add one line to a JSON-lines file; what is in it survives an interruption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(episode)) + "\n")


def read_episodes(path: Path) -> list[RosEpisode]:
    """All episodes of a JSON-lines file; none when there is no such file.

    Raises:
        ConfigurationError: A line is not the record of an episode.
    """
    if not path.exists():
        return []
    return [_episode(line, f"{path}:{number}") for number, line in enumerate(path.read_text().splitlines(), 1)]


def _episode(line: str, where: str) -> RosEpisode:
    try:
        values: dict[str, Any] = {name: _tupled(value) for name, value in json.loads(line).items()}
        values["timings"] = tuple(ChunkTiming(**timing) for timing in values["timings"])
        return RosEpisode(**values)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        names = ", ".join(field.name for field in fields(RosEpisode))
        raise ConfigurationError(
            f"{where} is not the record of an episode ({error}); its keys must be {names}. Remove the line or the file."
        ) from error


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def matching(episodes: Sequence[RosEpisode], checkpoint: str, time_limit_s: float) -> list[RosEpisode]:
    """The episodes that ran with the weights whose digest is `checkpoint`, and with this time limit."""
    return [e for e in episodes if e.checkpoint == checkpoint and e.time_limit_s == time_limit_s]
