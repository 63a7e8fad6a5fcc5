"""Episodes of a variant in simulation, recorded one by one so that a measurement can be interrupted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes
from dvla_ros.evaluation.simulated_record import append_episode, conditions_digest, read_episodes
from dvla_ros.evaluation.variants import CHECKPOINTS, Variant
from dvla_ros.policies.load import load_policy
from dvla_ros.simulation.tasks import tasks_of

FIRST_TRAINING_SEED = 1_000_000
"""Demonstrations are made in scenes from this seed on; see `training/collect.py`."""


@dataclass(frozen=True)
class ScenesConfig:
    """Which episodes a comparison runs, and where they are recorded.

    Attributes:
        only: Shell patterns of the variants to run, separated by commas; all by default.
        episodes: Episodes of each variant: the tasks in turn, each round with the next scene seed.
        tasks: Task names or families (pick, put, stack, push), where a variant does not name its own.
        seed: First scene seed, the same for all variants; training uses those from 1 000 000.
        time_limit: Simulated seconds per episode.
        run: Run what is missing; `--no-run` shows what is recorded.
        checkpoints: Checkpoint folder of a system.
        record: Folder with a file of episodes for each variant.
        json: File for the figures.
        write: Page whose table is replaced, docs/benchmarks.md.

    Raises:
        ConfigurationError: There are no episodes, or their scenes are those of the training.
    """

    only: str = "*"
    episodes: int = 90
    tasks: tuple[str, ...] = ("pick",)
    seed: int = 0
    time_limit: float = 20.0
    run: bool = True
    checkpoints: str = CHECKPOINTS
    record: Path = Path("systems_record")
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or self.seed + self.episodes > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"episodes must be 1 or more and the seeds lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.episodes} "
                f"from {self.seed}."
            )

    def record_of(self, variant: Variant, replanning: ReplanningConfig | None = None) -> "VariantRecord":
        """What is recorded of a variant whose checkpoint is there, and what is missing; None: the arm waits at rest."""
        names = tasks_of(tuple(word for text in variant.tasks or self.tasks for word in text.split(",") if word))
        plan = SimulateConfig(tasks=names, episodes=self.episodes, seed=self.seed, time_limit=self.time_limit)
        plan = plan if replanning is None else replace(plan, replanning=replanning)
        return VariantRecord(variant, variant.checkpoint(self.checkpoints), plan, self.record)


class VariantRecord:
    """The episodes of one variant: which are wanted, which are recorded.

    Args:
        variant: A checkpoint and how it is decoded.
        checkpoint: Its folder.
        plan: The episodes wanted.
        folder: Where the file of the variant is.
    """

    def __init__(self, variant: Variant, checkpoint: Path, plan: SimulateConfig, folder: Path) -> None:
        self.variant, self.checkpoint, self.plan = variant, checkpoint, plan
        self._path = folder / f"{variant.name}.jsonl"
        self._conditions = conditions_digest(self.checkpoint, variant.decoding, self.plan)
        self._recorded = read_episodes(self._path, self._conditions)

    @property
    def scenes(self) -> list[tuple[str, int]]:
        """Task and scene seed of every wanted episode."""
        tasks, plan = self.plan.tasks, self.plan
        return [(tasks[index % len(tasks)], plan.seed + index // len(tasks)) for index in range(plan.episodes)]

    @property
    def episodes(self) -> list[Episode]:
        """The wanted episodes that are recorded."""
        return [self._recorded[scene] for scene in self.scenes if scene in self._recorded]

    @property
    def missing(self) -> list[tuple[str, int]]:
        """The scenes of the others."""
        return [scene for scene in self.scenes if scene not in self._recorded]

    @property
    def progress(self) -> str:
        """One line."""
        successes = sum(episode.outcome == "success" for episode in self.episodes)
        return f"{self.variant.name}: {successes} of {len(self.episodes)} succeed"

    def add(self, episode: Episode) -> None:
        """Record one."""
        append_episode(self._path, self._conditions, episode)
        self._recorded[episode.task, episode.seed] = episode


def run_all(records: Sequence[VariantRecord], console: Console) -> None:
    """Run the missing episodes, one variant after the other."""
    with Progress(console=console) as bar:
        for record in records:
            line = bar.add_task(record.progress, total=record.plan.episodes, completed=len(record.episodes))
            for episode in run_missing(record):
                record.add(episode)
                bar.update(line, completed=len(record.episodes), description=record.progress)


def run_missing(record: VariantRecord) -> Iterator[Episode]:
    """Run the missing episodes of one variant; loads nothing when there are none."""
    if not record.missing:
        return
    policy = load_policy(record.checkpoint, decoding=record.variant.decoding)
    runner = SimulatedEpisodes(policy, record.plan)
    for task, seed in record.missing:
        yield runner.episode(task, seed)
