"""How evenly the chunker node commands, and whether each command arrives, while more programs run than there are cores.

The load: one process infers with the real network without a pause, and others spin, each in a session of its own (the
kernel shares the processors between sessions). At each rate four things are measured, one after the other under that
load: a plain sleep loop (the baseline), the real node without real-time priority and as shipped, and the paced thread
with nothing to do (the floor).

Example:
    .venv/bin/python benchmarks/control_loop.py --rates 50 --seconds 30 --minutes 10 --json control_loop.json
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro
from control_processes import empty_loop, infer_until, sleep_loop, spin
from measured_node import measure_node, stolen_s
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.period_statistics import PeriodSummary
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.nodes.isolation import isolate
from dvla_ros.nodes.launch_arguments import AUTO
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.policies.checkpoint import read_config
from dvla_ros.provenance import machine_line

SHIPPED_HZ = 50.0
FLOOR_PRIORITY = 10
TARGET_P99_MS, TARGET_WORST_MS = 1.0, 5.0
PART = "control loop"
BASELINE, PLAIN, SHIPPED, FLOOR = "sleep loop", "no priority", "as shipped", "empty loop"
HEADINGS = {
    "p50 ms": "p50_period_error_ms",
    "p99 ms": "p99_period_error_ms",
    "worst ms": "worst_period_error_ms",
    "sent p99 ms": "sent_p99_error_ms",
    "sent worst ms": "sent_worst_error_ms",
    "stolen ms": "stolen_ms",
}
COUNTS = {"overruns": "overruns", "skipped": "skipped", "sent": "commands_sent", "lost": "lost"}
UNKNOWN = "–"
Row = dict[str, Any]
console = wide_console()


@dataclass(frozen=True)
class ControlLoopConfig:
    """Measure the evenness of the commands and count them.

    Attributes:
        rates: Commands per second, one set of measurements for each.
        seconds: Duration of each measurement.
        minutes: Duration of that of the node as shipped at 50 Hz, its own rate; 0: as the others.
        busy: Processes that spin beside the inference; -1: three more than there are processors.
        seed: Of the chunks and of the inference.
        checkpoint: Folder of the policy that infers; auto: the shipped one.
        logs: Folder for what the node prints.
        json: File for the figures.
        write: Page of the documentation to write the table into.
    """

    rates: tuple[float, ...] = (50.0, 100.0, 200.0)
    seconds: float = 30.0
    minutes: float = 0.0
    busy: int = -1
    seed: int = 0
    checkpoint: str = AUTO
    logs: Path = Path("control_loop_log")
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if not self.rates or not all(rate >= 1.0 for rate in self.rates):
            raise ConfigurationError(f"rates needs at least one, none below 1 Hz, got {self.rates}.")
        if not self.seconds >= 2.0 or self.seed < 0:
            raise ConfigurationError(f"seconds must be 2 or more and seed 0 or more, got {self.seconds}, {self.seed}.")
        if not self.minutes >= 0.0 or self.busy < -1:
            raise ConfigurationError(f"minutes must be 0 or more and busy -1 or more, got {self.minutes}, {self.busy}.")

    def shipped_s(self, rate: float) -> float:
        """Seconds of the measurement of the node as shipped at a rate in Hz."""
        return 60.0 * self.minutes if self.minutes and rate == SHIPPED_HZ else self.seconds

    @property
    def spinning(self) -> int:
        """Number of processes that spin."""
        return (os.cpu_count() or 1) + 3 if self.busy < 0 else self.busy


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(ControlLoopConfig, args=arguments)
        report(config, measure(config))
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(config: ControlLoopConfig) -> dict[str, Any]:
    """All measurements under one load; the figures of the node as shipped stand at the top level, too."""
    machine = machine_line()
    checkpoint = shipped_checkpoint("dd_vla") if config.checkpoint == AUTO else Path(config.checkpoint)
    read_config(checkpoint)
    isolate()
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, spawn, initializer=os.setsid) as pool,
        inference(pool, checkpoint, config.seed) as load,
        spinning(config.spinning),
    ):
        rows = [row for rate in config.rates for row in measure_rate(config, rate, pool)]
    times = sorted(load.result())
    inferred = {"predictions": len(times), "p50_ms": 1e3 * times[len(times) // 2]}
    loads = {"machine": machine, "seed": config.seed, "busy": config.spinning, "inference": inferred}
    return {**shipped_row(rows), **loads, "rows": rows}


def measure_rate(config: ControlLoopConfig, rate: float, pool: ProcessPoolExecutor) -> Iterator[Row]:
    """One row per setting."""

    def loop(function: Callable[..., PeriodSummary], argument: int) -> Row:
        stolen = stolen_s()
        summary = asdict(pool.submit(function, rate, config.seconds, argument).result())
        return {**summary, "skipped": summary["skipped_slots"], "stolen_ms": 1e3 * (stolen_s() - stolen)}

    def node(seconds: float, **parameters: str) -> Row:
        return measure_node(rate, seconds, config.seed, config.logs, parameters)

    measurements: dict[str, Callable[[], Row]] = {
        BASELINE: lambda: loop(sleep_loop, config.seed),
        PLAIN: lambda: node(config.seconds, realtime_priority="0"),
        SHIPPED: lambda: node(config.shipped_s(rate)),
        FLOOR: lambda: loop(empty_loop, FLOOR_PRIORITY),
    }
    for setting, measurement in measurements.items():
        row = {"control_hz": rate, "setting": setting, **measurement()}
        console.print(f"{rate:g} Hz, {setting}: p99 {row['p99_period_error_ms']:.3f} ms")
        yield row


def shipped_row(rows: Sequence[Row]) -> Row:
    """The node as shipped at the rate it is shipped with, or at the first one that was measured."""
    shipped = [row for row in rows if row["setting"] == SHIPPED]
    return next((row for row in shipped if row["control_hz"] == SHIPPED_HZ), shipped[0])


@contextmanager
def inference(pool: ProcessPoolExecutor, checkpoint: Path, seed: int) -> Iterator[Future[list[float]]]:
    """Inference without a pause in another process, from its first answer to the end of the context."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        ready, stop = manager.Event(), manager.Event()
        load = pool.submit(infer_until, checkpoint, seed, ready, stop)
        while not ready.wait(0.2):
            if load.done():
                load.result()
        try:
            yield load
        finally:
            stop.set()
            load.exception()


@contextmanager
def spinning(number: int) -> Iterator[None]:
    """So many processes that compute without end."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=spin, daemon=True) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def report(config: ControlLoopConfig, figures: dict[str, Any]) -> None:
    """Print the table, and write what was asked for."""
    table = figure_table(figures["rows"])
    show(console, table, "Period error", leave_out="")
    below = load_line(figures)
    console.print(f"{below}\n{verdict(figures)}")
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{verdict(figures)} {below}")


def figure_table(rows: Sequence[Row]) -> FigureTable:
    """One row per rate and setting, with the ratios to baseline and floor of the same rate."""
    headings = ("Hz", "setting", *HEADINGS, *COUNTS, "p99/baseline", "p99/floor")
    return FigureTable(headings, tuple(_cells(row, rows) for row in rows))


def _cells(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    p99 = {other["setting"]: other["p99_period_error_ms"] for other in rows if other["control_hz"] == row["control_hz"]}
    times = (_number(row.get(key), ".2f") for key in HEADINGS.values())
    counts = (_number(row.get(key), ".0f") for key in COUNTS.values())
    ratios = (f"{row['p99_period_error_ms'] / p99[other]:.2g}" for other in (BASELINE, FLOOR))
    return (f"{row['control_hz']:g}", row["setting"], *times, *counts, *ratios)


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def load_line(figures: dict[str, Any]) -> str:
    """What ran beside it, and on what."""
    inferred = figures["inference"]
    return (
        f"Load: {figures['busy']} spinning processes and {inferred['predictions']} predictions without a pause, "
        f"{inferred['p50_ms']:.0f} ms each (median). Machine: {figures['machine']}."
    )


def verdict(figures: dict[str, Any]) -> str:
    """The node as shipped against its targets."""
    p99, worst, lost = (figures[key] for key in ("p99_period_error_ms", "worst_period_error_ms", "lost"))
    met = "met" if p99 <= TARGET_P99_MS and worst <= TARGET_WORST_MS and lost == 0 else "missed"
    priority = "" if figures["priority_granted"] else " Real-time priority was not permitted."
    return (
        f"Target at {figures['control_hz']:g} Hz (p99 ≤ {TARGET_P99_MS:g} ms, worst ≤ {TARGET_WORST_MS:g} ms, none of "
        f"{figures['commands_sent']} commands lost): {met}.{priority}"
    )


if __name__ == "__main__":
    sys.exit(main())
