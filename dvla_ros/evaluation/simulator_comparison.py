"""Success in simulation of several variants under several conditions, in the same scenes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.conditions import Condition
from dvla_ros.evaluation.episode_workers import EpisodeJob, run_jobs
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.evaluation.simulated_record import read_record
from dvla_ros.evaluation.variant_record import VariantRecord, record_file
from dvla_ros.evaluation.variants import Variant
from dvla_ros.policies.checkpoint import read_config
from dvla_ros.simulation.tasks import ALL_FAMILIES, FIRST_TRAINING_SEED, task_named


@dataclass(frozen=True)
class Scenes:
    """Which episodes every variant runs under every condition.

    Attributes:
        tasks: Task names; those of a family are run in turn, each round with the next scene seed.
        episodes: Of each family.
        seed: First scene seed.
        time_limit: Simulated seconds per episode.
        whole_chunks: Execute all rows of a chunk before the next look, instead of the checkpoint's own number.

    Raises:
        ConfigurationError: There are no episodes, or their scenes are those of the training.
    """

    tasks: tuple[str, ...]
    episodes: int = 100
    seed: int = 0
    time_limit: float = 20.0
    whole_chunks: bool = False

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or self.seed + self.episodes > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"episodes must be 1 or more and the seeds lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.episodes} "
                f"from {self.seed}."
            )

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """The tasks by family."""
        of = {family: tuple(t for t in self.tasks if task_named(t).family == family) for family in ALL_FAMILIES}
        return {family: tasks for family, tasks in of.items() if tasks}

    def plan(self, family: str, checkpoint: Path) -> SimulateConfig:
        """The nominal episodes of a family."""
        rows = read_config(checkpoint).spec.horizon if self.whole_chunks else 0
        return SimulateConfig(
            tasks=self.families[family],
            episodes=self.episodes,
            seed=self.seed,
            time_limit=self.time_limit,
            execute_steps=rows,
        )


@dataclass(frozen=True)
class Cell:
    """A variant under a condition in the scenes of a family."""

    condition: Condition
    family: str
    record: VariantRecord

    @property
    def variant(self) -> Variant:
        """Which checkpoint and decoder."""
        return self.record.variant


class SimulatorComparison:
    """All cells; those of one variant share a file in the folder `record`.

    Args:
        variants: What is compared; the others are compared with the first one.
        conditions: Under which.
        scenes: In which.
        checkpoints: Folder of a system's own weights, with `{system}` in it.
        record: Folder of the recorded episodes.
        device: cpu or cuda.

    Attributes:
        left_out: Variants whose checkpoint is not there.
        cells: Of all others: condition by condition within a variant.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        conditions: Sequence[Condition],
        scenes: Scenes,
        *,
        checkpoints: str,
        record: Path,
        device: str = "cpu",
    ) -> None:
        self._checkpoints, self._device = checkpoints, device
        present = [variant for variant in variants if variant.checkpoint(checkpoints).is_dir()]
        self.left_out = tuple(variant for variant in variants if variant not in present)
        self.cells = tuple(cell for v in present for cell in self._cells(v, conditions, scenes, record))

    def run(self, workers: int) -> Iterator[Cell]:
        """Run what is missing and record it, episode by episode; yields the cell of each. Errors as of `run_jobs`."""
        jobs = [(cell, self._job(cell, *scene)) for cell in self.cells for scene in cell.record.missing]
        for number, episode in run_jobs([job for _, job in jobs], workers):
            cell = jobs[number][0]
            cell.record.add(episode)
            yield cell

    def _cells(self, variant: Variant, conditions: Sequence[Condition], scenes: Scenes, folder: Path) -> Iterator[Cell]:
        checkpoint, recorded = variant.checkpoint(self._checkpoints), read_record(record_file(folder, variant))
        for condition in conditions:
            for family in scenes.families:
                plan = condition.applied(scenes.plan(family, checkpoint))
                yield Cell(condition, family, VariantRecord(variant, checkpoint, plan, folder, recorded))

    def _job(self, cell: Cell, task: str, seed: int) -> EpisodeJob:
        record = cell.record
        return EpisodeJob(record.checkpoint, record.variant.decoding, self._device, record.plan, task, seed)
