"""Chunk seams in the four modes of replanning, at several inference delays: jumps, jerk, gaps and success."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import tyro
from publish import show, wide_console, write_json, write_page
from rich.progress import Progress

from dvla_ros.control.replanning import MODES, ReplanningConfig
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.seams import SeamRecorder
from dvla_ros.evaluation.simulated import SimulateConfig, SimulatedEpisodes
from dvla_ros.evaluation.statistics import wilson_interval
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.tasks import tasks_of

console = wide_console()


@dataclass(frozen=True)
class SeamsConfig:
    """What to measure.

    Attributes:
        system: Shipped policy that drives.
        modes: Modes of replanning.
        delays_ms: Simulated inference delays in milliseconds.
        tasks: Tasks or families.
        episodes: Per mode and delay, spread evenly over the tasks.
        seed: First scene seed; every mode and delay sees the same scenes.
        time_limit: Simulated seconds per episode.
        tracking_lag_s: See `ReplanningConfig`.
        warm_start: See `ReplanningConfig`.
        processes: Worker processes.
        json: File for the figures.
        write: Document whose table is replaced.
    """

    system: str = "dd_vla"
    modes: tuple[str, ...] = MODES
    delays_ms: tuple[int, ...] = (0, 100, 200, 400, 800)
    tasks: tuple[str, ...] = ("pick",)
    episodes: int = 51
    seed: int = 3000
    time_limit: float = 20.0
    tracking_lag_s: float = 0.1
    warm_start: bool = False
    processes: int = 2
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if unknown := set(self.modes) - set(MODES):
            raise ConfigurationError(f"Unknown modes {sorted(unknown)}; known are {', '.join(MODES)}.")
        if self.episodes < 1 or self.processes < 1 or any(delay < 0 for delay in self.delays_ms):
            raise ConfigurationError(f"episodes and processes must be 1 or more, delays 0 ms or more: {self}.")


@dataclass(frozen=True)
class Cell:
    """One mode at one delay."""

    mode: str
    delay_ms: int
    config: SeamsConfig


def measure(cell: Cell) -> dict[str, Any]:
    """One row of the result."""
    import torch

    from dvla_ros.policies.load import load_policy

    torch.set_num_threads(1)
    config = cell.config
    replanning = ReplanningConfig(
        mode=cell.mode, lead_s=0.0, tracking_lag_s=config.tracking_lag_s, warm_start=config.warm_start
    )
    simulated = SimulateConfig(
        tasks=tasks_of(config.tasks),
        episodes=config.episodes,
        seed=config.seed,
        time_limit=config.time_limit,
        inference_s=cell.delay_ms / 1e3,
        replanning=replanning,
    )
    recorder = SeamRecorder(simulated.control_hz)
    policy = load_policy(shipped_checkpoint(config.system))
    episodes = list(SimulatedEpisodes(policy, simulated, recorder).run())
    successes = sum(episode.outcome == "success" for episode in episodes)
    times = sorted(episode.seconds for episode in episodes if episode.outcome == "success")
    return {
        "mode": cell.mode,
        "delay_ms": cell.delay_ms,
        **asdict(recorder.figures()),
        "success_rate": successes / len(episodes),
        "successes": successes,
        "episodes": len(episodes),
        "wilson_95": wilson_interval(successes, len(episodes)),
        "seconds_p50": times[len(times) // 2] if times else None,
        "nfe": sum(sum(e.nfe) for e in episodes) / max(1, sum(len(e.nfe) for e in episodes)),
        "rejected": sum(episode.rejected for episode in episodes),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(SeamsConfig, args=arguments)
        rows = run(config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    figures = {"machine": machine_line(), "conditions": _conditions(config), "rows": rows}
    shown = FigureTable(_COLUMNS, tuple(_cells(row) for row in rows))
    show(console, shown, "Seams", leave_out="")
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        write_page(console, config.write, "seams", shown, f"Measured on {figures['machine']}.")
    return 0


def run(config: SeamsConfig) -> list[dict[str, Any]]:
    """All cells, several at a time."""
    cells = [Cell(mode, delay, config) for mode in config.modes for delay in config.delays_ms]
    with Progress(console=console) as bar, get_context("spawn").Pool(config.processes) as pool:
        task = bar.add_task("episodes", total=len(cells))
        rows = []
        for row in pool.imap(measure, cells):
            rows.append(row)
            bar.update(task, advance=1, description=f"{row['mode']} {row['delay_ms']} ms: {row['success_rate']:.0%}")
    return rows


def _conditions(config: SeamsConfig) -> dict[str, Any]:
    kept = ("system", "tasks", "episodes", "seed", "time_limit", "tracking_lag_s", "warm_start")
    return {name: getattr(config, name) for name in kept}


_COLUMNS = (
    "mode",
    "delay ms",
    "position jump mm",
    "largest mm",
    "velocity jump mm/s",
    "jerk rms rad/s³",
    "longest gap s",
    "held",
    "success",
    "95 %",
    "seconds",
    "NFE",
)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = row["wilson_95"]
    seconds = row["seconds_p50"]
    return (
        str(row["mode"]),
        str(row["delay_ms"]),
        f"{1e3 * row['seam_position_jump']:.1f}",
        f"{1e3 * row['seam_position_jump_max']:.1f}",
        f"{1e3 * row['seam_velocity_jump']:.0f}",
        f"{row['jerk_rms']:.1f}",
        f"{row['gap_s']:.2f}",
        str(row["held"]),
        f"{row['successes']} of {row['episodes']}",
        f"{low:.0%}–{high:.0%}",
        "" if seconds is None else f"{seconds:.1f}",
        f"{row['nfe']:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
