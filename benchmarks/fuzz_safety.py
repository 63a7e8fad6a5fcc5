"""Random and adversarial chunks through the chunk controller; a separate oracle looks at every command.

Examples:
    .venv/bin/python benchmarks/fuzz_safety.py --chunks 1000000 --json benchmarks/results/fuzz_safety.json
    .venv/bin/python benchmarks/fuzz_safety.py --hours 24
    .venv/bin/python benchmarks/fuzz_safety.py --seed 7 --only 42

Chunks of all control modes: sound ones, numbers that are none, sizes and times that make no sense, targets a hair
beyond a limit, motion there and back, stragglers from another epoch. In between: missing and wrong joint states, an arm
that is stuck, jumps of the clock, holds, faults and resets. The oracle (`dvla_ros/evaluation/command_oracle.py`) knows
the limits and the commands, and nothing else. The exit code is 1 when a command left its limits or a call raised.

With `--hours`: so much simulated time at 50 Hz, to see whether the timing drifts or the memory grows.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import tyro
from publish import wide_console, write_json
from rich.progress import track

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.fuzz_run import FuzzReport, FuzzRun
from dvla_ros.evaluation.long_run import LongRunConfig, LongRunReport, long_run
from dvla_ros.provenance import machine_line

CHUNKS_PER_RUN = 300
"""After so many chunks another controller begins, with other settings."""
RUNS_AT_ONCE = 10
EXAMPLES = 20
MOST_GROWTH = 0.01
MOST_ERROR_RAD = 1e-5
console = wide_console()


@dataclass(frozen=True)
class FuzzConfig:
    """Fuzz the safety of the controller.

    Attributes:
        chunks: How many to offer.
        seed: Another seed, other chunks.
        processes: How many to use.
        only: Repeat this one run, as named by an example of an earlier report.
        hours: Instead of fuzzing, simulate so many hours of ordinary work.
        json: File for the figures.
    """

    chunks: int = 20_000
    seed: int = 0
    processes: int = 2
    only: int | None = None
    hours: float | None = None
    json: Path | None = None

    def __post_init__(self) -> None:
        if self.chunks < 1 or self.processes < 1 or self.seed < 0:
            raise ConfigurationError(f"chunks and processes must be 1 or more, seed 0 or more, got {self}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print and write; exit code 1 when something was found."""
    try:
        config = tyro.cli(FuzzConfig, args=arguments)
        if config.hours is not None:
            return judge_hours(config, long_run(LongRunConfig(hours=config.hours)))
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    machine, start = machine_line(), time.monotonic()
    report = fuzz(config)
    publish(config, figures_of(report, config, machine, time.monotonic() - start))
    return 0 if report.is_clean else 1


def fuzz(config: FuzzConfig) -> FuzzReport:
    """All runs, in parallel."""
    if config.only is not None:
        return FuzzRun((config.seed, config.only), CHUNKS_PER_RUN).run()
    runs = -(-config.chunks // CHUNKS_PER_RUN)
    blocks = [range(first, min(first + RUNS_AT_ONCE, runs)) for first in range(0, runs, RUNS_AT_ONCE)]
    total = FuzzReport()
    for report in track(reports(config, blocks), "fuzz", total=len(blocks), console=console):
        total.add(report, EXAMPLES)
    return total


def reports(config: FuzzConfig, blocks: Sequence[range]) -> Iterator[FuzzReport]:
    """One report for each block of runs; processes are started anew, so that none inherits threads."""
    with ProcessPoolExecutor(config.processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(run_block, config.seed), blocks)


def run_block(seed: int, block: range) -> FuzzReport:
    """The runs of one block, one after another."""
    total = FuzzReport()
    for run in block:
        total.add(FuzzRun((seed, run), CHUNKS_PER_RUN).run(), EXAMPLES)
    return total


def figures_of(report: FuzzReport, config: FuzzConfig, machine: str, seconds: float) -> dict[str, Any]:
    """What to write."""
    return {
        "machine": machine,
        "seed": config.seed,
        "seconds": seconds,
        "chunks": report.chunks,
        "commands": report.commands,
        "violations": report.violations.total(),
        "exceptions": report.exceptions.total(),
        "accepted": report.accepted,
        "faults_by_reason": dict(report.faults),
        "violations_by_kind": dict(report.violations),
        "exceptions_by_kind": dict(report.exceptions),
        "rejected_by_reason": dict(report.rejected.most_common()),
        "examples": report.examples,
    }


def publish(config: FuzzConfig, figures: dict[str, Any]) -> None:
    """Print, and write if asked to."""
    for name, value in figures.items():
        if name != "examples":
            console.print(f"{name}: {value}")
    for example in figures["examples"]:
        console.print(example)
    if config.json is not None:
        write_json(console, config.json, figures)


def judge_hours(config: FuzzConfig, report: LongRunReport) -> int:
    """Print, and write if asked to; 1 when timing or memory is not what it should be."""
    measured = {**asdict(report), "rejected": dict(report.rejected), "rss_growth": report.rss_growth}
    publish(config, {"machine": machine_line(), "hours": config.hours, **measured, "examples": []})
    sound = report.rss_growth <= MOST_GROWTH and report.worst_error_rad <= MOST_ERROR_RAD
    return 0 if sound and not report.rejected else 1


if __name__ == "__main__":
    sys.exit(main())
