"""Which episodes a comparison in simulation runs, and running them one variant after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.evaluation.variant_record import VariantRecord, run_missing
from dvla_ros.evaluation.variants import CHECKPOINTS, Variant
from dvla_ros.simulation.tasks import FIRST_TRAINING_SEED, tasks_of


@dataclass(frozen=True)
class ScenesConfig:
    """Which episodes a comparison runs, and where they are recorded.

    Attributes:
        only: Shell patterns of the variants to run, separated by commas; all by default.
        episodes: Episodes of each variant: the tasks in turn, each round with the next scene seed.
        tasks: Task names or families (pick, put, stack, push).
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
    record: Path = Path("simulator_record")
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or self.seed + self.episodes > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"episodes must be 1 or more and the seeds lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.episodes} "
                f"from {self.seed}."
            )

    def record_of(self, variant: Variant, replanning: ReplanningConfig | None = None) -> VariantRecord:
        """What is recorded of a variant whose checkpoint is there, and what is missing; None: the arm waits at rest."""
        names = tasks_of(tuple(word for text in self.tasks for word in text.split(",") if word))
        plan = SimulateConfig(tasks=names, episodes=self.episodes, seed=self.seed, time_limit=self.time_limit)
        plan = plan if replanning is None else replace(plan, replanning=replanning)
        return VariantRecord(variant, variant.checkpoint(self.checkpoints), plan, self.record)


def run_all(records: Sequence[VariantRecord], console: Console) -> None:
    """Run the missing episodes, one variant after the other."""
    with Progress(console=console) as bar:
        for record in records:
            line = bar.add_task(record.progress, total=record.plan.episodes, completed=len(record.episodes))
            for episode in run_missing(record):
                record.add(episode)
                bar.update(line, completed=len(record.episodes), description=record.progress)
