"""Episodes of a variant in simulation, recorded one by one so that a measurement can be interrupted."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dvla_ros.evaluation.episode_lines import append_line
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes
from dvla_ros.evaluation.simulated_record import conditions_digest, read_record
from dvla_ros.evaluation.variants import Variant
from dvla_ros.policies.load import load_policy

Recorded = Mapping[str, Mapping[tuple[str, int], Episode]]
"""Episodes by the digest of their conditions, then by task and scene seed."""


def record_file(folder: Path, variant: Variant) -> Path:
    """Where the episodes of a variant are, whatever their conditions."""
    return folder / f"{variant.name}.jsonl"


class VariantRecord:
    """The episodes of one variant: which are wanted, which are recorded.

    Args:
        variant: A checkpoint and how it is decoded.
        checkpoint: Its folder.
        plan: The episodes wanted.
        folder: Where the file of the variant is.
        recorded: What `read_record` found in that file, where it has been read already.
    """

    def __init__(
        self, variant: Variant, checkpoint: Path, plan: SimulateConfig, folder: Path, recorded: Recorded | None = None
    ) -> None:
        self.variant, self.checkpoint, self.plan = variant, checkpoint, plan
        self._path = record_file(folder, variant)
        self._conditions = conditions_digest(self.checkpoint, variant.decoding, self.plan)
        found = read_record(self._path) if recorded is None else recorded
        self._recorded = dict(found.get(self._conditions, {}))

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
        append_line(self._path, self._conditions, episode)
        self._recorded[episode.task, episode.seed] = episode


def run_missing(record: VariantRecord) -> Iterator[Episode]:
    """Run the missing episodes of one variant; loads nothing when there are none."""
    if not record.missing:
        return
    policy = load_policy(record.checkpoint, decoding=record.variant.decoding)
    runner = SimulatedEpisodes(policy, record.plan)
    for task, seed in record.missing:
        yield runner.episode(task, seed)
