"""Episodes in several processes at once, each with one policy, one thread and an OpenGL context of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes
from dvla_ros.evaluation.worker_processes import answers
from dvla_ros.policies.base import Policy
from dvla_ros.policies.load import load_policy


@dataclass(frozen=True)
class EpisodeJob:
    """One episode to run.

    Attributes:
        checkpoint: Folder of the policy.
        decoding: Settings of the decoder that replace the checkpoint's.
        device: cpu or cuda.
        plan: How it is run.
        task: Task name.
        seed: Scene seed.
    """

    checkpoint: Path
    decoding: Mapping[str, object]
    device: str
    plan: SimulateConfig
    task: str
    seed: int

    def __str__(self) -> str:
        return f"{self.task} in scene {self.seed} with {self.checkpoint}"


def run_jobs(jobs: Sequence[EpisodeJob], workers: int) -> Iterator[tuple[int, Episode]]:
    """The number of each job and how its episode went, as they are done.

    Args:
        jobs: In the order in which they are begun; neighbours of one policy save loading it.
        workers: Processes; 1 runs in this one.

    Raises:
        ConfigurationError: There is not at least one worker.
        DvlaError: What an episode raised, or that a worker ended.
    """
    if workers < 1:
        raise ConfigurationError(f"workers must be 1 or more, got {workers}.")
    if workers > 1 and len(jobs) > 1:
        yield from answers(jobs, episode_runner, workers)
    else:
        run = EpisodeRunner().run
        yield from ((number, run(job)) for number, job in enumerate(jobs))


def episode_runner() -> Callable[[EpisodeJob], Episode]:
    """What runs jobs in a process of its own."""
    torch.set_num_threads(1)
    return EpisodeRunner().run


class EpisodeRunner:
    """Keeps the policy and the simulation of the last job, which the next one mostly needs again."""

    def __init__(self) -> None:
        self._loaded: tuple[object, Policy] | None = None
        self._opened: tuple[object, SimulatedEpisodes] | None = None

    def run(self, job: EpisodeJob) -> Episode:
        """One episode; there is one policy at a time."""
        which = (job.checkpoint, dict(job.decoding), job.device)
        if self._loaded is None or self._loaded[0] != which:
            self._close()
            self._loaded = None
            self._loaded = (which, load_policy(job.checkpoint, job.device, job.decoding))
        rules = replace(job.plan, tasks=("pick_red",), episodes=1, seed=0)  # what tells runners apart, and no more
        if self._opened is None or self._opened[0] != rules:
            self._close()
            self._opened = (rules, SimulatedEpisodes(self._loaded[1], rules))
        return self._opened[1].episode(job.task, job.seed)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
        self._opened = None
