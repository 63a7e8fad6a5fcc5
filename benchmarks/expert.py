"""How often the scripted expert solves each task, and how much its ways differ.

Example:
    .venv/bin/python benchmarks/expert.py --seeds 100 --seed 0 --json expert.json
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.expert import Expert, draw_style, yaw_of
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import FAMILIES, TASKS
from dvla_ros.simulation.teleop import BridgeArm

MAX_ACTIONS = 60
TARGET = 0.98
STYLES = 8
SPREAD_SEEDS = 3
console = Console()


@dataclass(frozen=True)
class ExpertConfig:
    """Measure the expert.

    Attributes:
        seeds: Scenes per task.
        seed: First scene seed.
        json: File for the figures.
    """

    seeds: int = 100
    seed: int = 0
    json: Path | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.seed < 0:
            raise ConfigurationError(f"seeds must be 1 or more and seed 0 or more, got {self.seeds} and {self.seed}.")


@dataclass(frozen=True)
class Episode:
    """How one episode went; `path` `[N, 3]` are the commanded positions in m."""

    seed: int
    outcome: str
    path: np.ndarray

    @property
    def actions(self) -> int:
        """Number of actions it took."""
        return len(self.path)


class ExpertRunner:
    """Lets the expert act, one action at a time."""

    def __init__(self) -> None:
        self._simulation = Simulation()
        self._arm = BridgeArm(self._simulation)

    def run(self, task: str, seed: int, style_seed: int) -> Episode:
        """One episode in a scene with a style."""
        simulation, arm = self._simulation, self._arm
        simulation.reset(task, seed)
        arm.restart()
        rng = np.random.default_rng([style_seed, seed])
        expert = Expert(simulation.task, draw_style(simulation.task, simulation.scene_state(), yaw_of(arm.pose), rng))
        path: list[np.ndarray] = []
        while simulation.judge().outcome == "running" and len(path) < MAX_ACTIONS:
            arm.apply(expert.action(arm))
            path.append(arm.pose[:3, 3].copy())
        return Episode(seed, simulation.judge().outcome, np.array(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; exit code 1 when a task is solved too rarely."""
    try:
        config = tyro.cli(ExpertConfig, args=arguments)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    machine, runner = machine_line(), ExpertRunner()
    by_task = {name: measure(runner, name, config) for name in track(TASKS, "expert", console=console)}
    figures = {"machine": machine, "seed": config.seed, **totals(by_task), "by_task": by_task}
    print_table(figures)
    if config.json is not None:
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json.dumps(figures, indent=1) + "\n")
        console.print(f"Wrote {config.json}.")
    return 0 if min(row["success_rate"] for row in by_task.values()) >= TARGET else 1


def measure(runner: ExpertRunner, task: str, config: ExpertConfig) -> dict:
    """Figures of one task."""
    seeds = range(config.seed, config.seed + config.seeds)
    episodes = [runner.run(task, seed, style_seed=config.seed) for seed in seeds]
    failures = {episode.seed: episode.outcome for episode in episodes if episode.outcome != "success"}
    actions = [episode.actions for episode in episodes]
    return {
        "episodes": len(episodes),
        "successes": len(episodes) - len(failures),
        "success_rate": 1.0 - len(failures) / len(episodes),
        "failures": failures,
        "actions_p50": float(np.median(actions)),
        "actions_max": max(actions),
        "spread_mm": 1e3 * float(np.mean([spread(runner, task, seed) for seed in seeds[:SPREAD_SEEDS]])),
    }


def spread(runner: ExpertRunner, task: str, seed: int) -> float:
    """How far (m) the ways through one scene lie apart: largest distance of simultaneous positions over the styles."""
    paths = [runner.run(task, seed, style_seed).path for style_seed in range(STYLES)]
    shared = np.stack([path[: min(map(len, paths))] for path in paths])
    return float(np.linalg.norm(shared[:, None] - shared[None], axis=-1).max())


def totals(by_task: dict) -> dict:
    """Sums over all tasks and by family."""
    families = {family: [by_task[name] for name in TASKS if TASKS[name].family == family] for family in FAMILIES}
    return {**total(list(by_task.values())), "by_family": {family: total(rows) for family, rows in families.items()}}


def total(rows: list) -> dict:
    """Sum of some tasks' figures."""
    episodes, successes = (sum(row[key] for row in rows) for key in ("episodes", "successes"))
    return {
        "episodes": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "actions_p50": float(np.median([row["actions_p50"] for row in rows])),
        "actions_max": max(row["actions_max"] for row in rows),
        "spread_mm": float(np.mean([row["spread_mm"] for row in rows])),
    }


def print_table(figures: dict) -> None:
    """Print one row per family and those tasks that fail at all."""
    console.print(f"Machine: {figures['machine']}")
    caption = f"actions: median of the medians, and most; spread: how far {STYLES} styles lie apart in one scene"
    table = Table("", "episodes", "successes", "rate", "actions", "most", "spread mm", caption=caption)
    for name, row in {**figures["by_family"], "all": figures}.items():
        counts = (str(row["episodes"]), str(row["successes"]), f"{row['success_rate']:.1%}")
        table.add_row(name, *counts, f"{row['actions_p50']:.0f}", str(row["actions_max"]), f"{row['spread_mm']:.0f}")
    console.print(table)
    for name, row in figures["by_task"].items():
        if row["failures"]:
            console.print(f"{name} fails with seeds {row['failures']}")


if __name__ == "__main__":
    sys.exit(main())
