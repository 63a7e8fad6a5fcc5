"""The figures of one cell of a comparison in simulation, and of the same scenes with another variant."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from dvla_ros.evaluation.simulated import Episode
from dvla_ros.evaluation.simulator_comparison import Cell
from dvla_ros.evaluation.statistics import percentile, sign_test, wilson_interval


@dataclass(frozen=True)
class Paired:
    """One variant beside another in the scenes that both have run.

    Attributes:
        scenes: How many.
        better: Where only this one succeeds.
        worse: Where only the other does.
    """

    scenes: int
    better: int
    worse: int

    def __add__(self, other: "Paired") -> "Paired":
        return Paired(self.scenes + other.scenes, self.better + other.better, self.worse + other.worse)

    @property
    def p(self) -> float:
        """Of both being as good, exact and two-sided."""
        return sign_test(self.better, self.worse)


@dataclass(frozen=True)
class CellFigures:
    """What came out in one cell.

    Attributes:
        variant: Name.
        about: What it is.
        condition: Name.
        axis: Of the condition.
        strength: Of the condition.
        family: Of the tasks.
        episodes: How many were run.
        successes: How many ended as asked.
        wilson_95: Interval of the success rate.
        outcomes: How many ended in which way.
        by_task: Successes and episodes of each task.
        nfe: Network function evaluations per chunk, mean.
        decode_ms_p50: Wall time of one prediction, median.
        decode_ms_p95: Wall time of one prediction, 95th percentile.
        chunks: How many were decoded.
        malformed: Chunks whose tokens are not what an encoder writes.
        rejected: Chunks that the safety gate refused.
        against_first: Beside the first variant under the same condition; None for that one itself.
    """

    variant: str
    about: str
    condition: str
    axis: str
    strength: float
    family: str
    episodes: int
    successes: int
    wilson_95: tuple[float, float]
    outcomes: dict[str, int]
    by_task: dict[str, tuple[int, int]]
    nfe: float
    decode_ms_p50: float
    decode_ms_p95: float
    chunks: int
    malformed: int
    rejected: int
    against_first: Paired | None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        paired = self.against_first
        return asdict(self) | {"against_first": None if paired is None else asdict(paired) | {"p": paired.p}}


def figures_of(cells: Sequence[Cell]) -> list[CellFigures]:
    """The figures of all cells with an episode; the first variant of all is what the others are compared with."""
    first = {(c.condition, c.family): c for c in cells if c.variant == cells[0].variant}
    return [
        _figures(cell, None if cell.variant == cells[0].variant else first[cell.condition, cell.family])
        for cell in cells
        if cell.record.episodes
    ]


def paired(episodes: Sequence[Episode], others: Sequence[Episode]) -> Paired:
    """Episodes beside those of another variant, over the scenes that both have."""
    succeeded = {(e.task, e.seed): e.outcome == "success" for e in others}
    both = [(e.outcome == "success", succeeded[e.task, e.seed]) for e in episodes if (e.task, e.seed) in succeeded]
    return Paired(len(both), sum(a and not b for a, b in both), sum(b and not a for a, b in both))


def _figures(cell: Cell, first: Cell | None) -> CellFigures:
    episodes = cell.record.episodes
    successes = sum(e.outcome == "success" for e in episodes)
    tasks = dict.fromkeys(e.task for e in episodes)
    times = [ms for e in episodes for ms in e.decode_ms]
    return CellFigures(
        variant=cell.variant.name,
        about=cell.variant.about,
        condition=cell.condition.name,
        axis=cell.condition.axis,
        strength=cell.condition.strength,
        family=cell.family,
        episodes=len(episodes),
        successes=successes,
        wilson_95=wilson_interval(successes, len(episodes)),
        outcomes=dict(Counter(e.outcome for e in episodes)),
        by_task={task: _count([e for e in episodes if e.task == task]) for task in tasks},
        nfe=float(np.mean([n for e in episodes for n in e.nfe])),
        decode_ms_p50=percentile(times, 50),
        decode_ms_p95=percentile(times, 95),
        chunks=sum(len(e.nfe) for e in episodes),
        malformed=sum(e.malformed for e in episodes),
        rejected=sum(e.rejected for e in episodes),
        against_first=None if first is None else paired(episodes, first.record.episodes),
    )


def _count(episodes: Sequence[Episode]) -> tuple[int, int]:
    return sum(e.outcome == "success" for e in episodes), len(episodes)
