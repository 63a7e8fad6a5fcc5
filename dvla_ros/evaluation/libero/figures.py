"""Figures of recorded episodes in LIBERO, of a task or a suite, their table, and what sets them apart from others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from dvla_ros.evaluation.libero.episodes import LiberoEpisode, LiberoPlan
from dvla_ros.evaluation.libero.suites import INITIAL_STATES, suite_named
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.statistics import percentile, wilson_interval

ALL_TASKS = -1


@dataclass(frozen=True)
class LiberoFigures:
    """Of the recorded episodes of a task, or of all tasks of a suite.

    Attributes:
        suite: Its name.
        task: Number of the task; -1 for all that were run.
        sentence: What the task asks for; of all, how many were run.
        episodes: Recorded.
        successes: Of these.
        wilson_95: Interval of the success rate.
        steps: Mean number of commands until success; NaN without one.
        chunks: Predictions.
        nfe: Network evaluations of a chunk, mean.
        decode_ms_p50: Median wall time of a prediction.
        malformed: Predictions that could not be executed.
    """

    suite: str
    task: int
    sentence: str
    episodes: int
    successes: int
    wilson_95: tuple[float, float]
    steps: float
    chunks: int
    nfe: float
    decode_ms_p50: float
    malformed: int

    @classmethod
    def of(cls, suite: str, task: int, sentence: str, episodes: Sequence[LiberoEpisode]) -> "LiberoFigures":
        """Figures of some episodes, at least one."""
        nfe = [count for episode in episodes for count in episode.nfe]
        steps = [episode.steps for episode in episodes if episode.success]
        return cls(
            suite=suite,
            task=task,
            sentence=sentence,
            episodes=len(episodes),
            successes=len(steps),
            wilson_95=wilson_interval(len(steps), len(episodes)),
            steps=float(np.mean(steps)) if steps else float("nan"),
            chunks=len(nfe),
            nfe=float(np.mean(nfe)),
            decode_ms_p50=percentile([ms for episode in episodes for ms in episode.decode_ms], 50),
            malformed=sum(episode.malformed for episode in episodes),
        )

    def to_json(self) -> dict[str, object]:
        """By name."""
        return asdict(self)


def figures_of(suite: str, episodes: Sequence[LiberoEpisode]) -> list[LiberoFigures]:
    """Of every task that was run, then of all of them; nothing without an episode."""
    if not episodes:
        return []
    by_task: dict[int, list[LiberoEpisode]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task, []).append(episode)
    rows = [LiberoFigures.of(suite, task, of[0].sentence, of) for task, of in sorted(by_task.items())]
    told = f"{len(by_task)} of {suite_named(suite).tasks} tasks"
    return [*rows, LiberoFigures.of(suite, ALL_TASKS, told, episodes)]


def figures_table(figures: Sequence[LiberoFigures]) -> FigureTable:
    """A row for each."""
    headings = ("suite", "task", "asked", "success", "steps", "NFE", "decode p50 ms", "malformed")
    return FigureTable(headings, tuple(_cells(row) for row in figures))


def differences(plans: Sequence[LiberoPlan], versions: Mapping[str, str]) -> list[str]:
    """What sets these figures apart from published ones, in sentences; there is always something."""
    told = [
        f"Simulated with {', '.join(f'{name} {version}' for name, version in versions.items())}; other versions move "
        "and draw otherwise, and published evaluations seldom say theirs.",
        "Each episode's scene is seeded, so that it goes alike whichever were run before; published evaluations seed "
        "once a task.",
    ]
    for plan in plans:
        suite = suite_named(plan.suite)
        tasks = len({task for task, _ in plan.scenes})
        if (tasks, plan.episodes) != (suite.tasks, INITIAL_STATES):
            states = f"{plan.episodes} of {INITIAL_STATES} initial states each"
            told.append(f"{plan.suite}: {tasks} of {suite.tasks} tasks, {states}.")
        if plan.steps != suite.max_steps:
            told.append(f"{plan.suite}: {plan.steps} steps an episode, published {suite.max_steps}.")
    return told


def _cells(row: LiberoFigures) -> tuple[str, ...]:
    low, high = row.wilson_95
    return (
        row.suite,
        "all" if row.task == ALL_TASKS else str(row.task),
        row.sentence,
        f"{row.successes} of {row.episodes} ({100 * low:.0f}–{100 * high:.0f} %)",
        "–" if np.isnan(row.steps) else f"{row.steps:.0f}",
        f"{row.nfe:.1f}",
        f"{row.decode_ms_p50:.0f}",
        f"{row.malformed} of {row.chunks}",
    )
