"""How evenly the chunker node commands while inference keeps the processor busy.

The real node runs in a process of its own and is measured by its own diagnostics; a second process infers with the real
network without a pause. Compared are, in the same run and under the same load: a plain sleep loop (the baseline), the
node without and with real-time priority (as shipped), and the paced thread with nothing to do (the floor).

Example:
    .venv/bin/python benchmarks/control_loop.py --seconds 30 --seed 0 --json control_loop.json
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from control_processes import empty_loop, infer_until, sleep_loop
from machine import machine_line
from rich import box
from rich.console import Console
from rich.table import Table
from stand_in_robot import ROBOT, StandInRobot

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.nodes.background_nodes import BackgroundNodes
from dvla_ros.nodes.isolation import isolate
from dvla_ros.nodes.launch_arguments import AUTO
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.nodes.spinning_node import SpinningNode
from dvla_ros.policies.checkpoint import read_config

CONTROL_HZ = 50.0
SHIPPED_PRIORITY = 10
TARGET_P99_MS = 2.0
START_S = 60.0
KEYS = ("rate_hz", "p50_period_error_ms", "p99_period_error_ms", "worst_period_error_ms", "overruns")
BASELINE, PLAIN, SHIPPED, FLOOR = "sleep loop", "no priority", "as shipped", "empty loop"
console = Console()


@dataclass(frozen=True)
class ControlLoopConfig:
    """Measure the evenness of the commands.

    Attributes:
        seconds: Duration of each of the four measurements.
        seed: Of the chunks and of the inference.
        checkpoint: Folder of the policy that infers; auto: the shipped one.
        logs: Folder for what the node prints.
        json: File for the figures.
    """

    seconds: float = 30.0
    seed: int = 0
    checkpoint: str = AUTO
    logs: Path = Path("control_loop_log")
    json: Path | None = None

    def __post_init__(self) -> None:
        if not self.seconds >= 2.0 or self.seed < 0:
            raise ConfigurationError(f"seconds must be 2 or more and seed 0 or more, got {self.seconds}, {self.seed}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(ControlLoopConfig, args=arguments)
        figures = measure(config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_table(figures)
    if config.json is not None:
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json.dumps(figures, indent=1) + "\n")
        console.print(f"Wrote {config.json}.")
    return 0


def measure(config: ControlLoopConfig) -> dict[str, object]:
    """All four measurements under one load; the shipped setting's figures stand at the top level."""
    machine = machine_line()
    checkpoint = shipped_checkpoint("dd_vla") if config.checkpoint == AUTO else Path(config.checkpoint)
    read_config(checkpoint)
    isolate()
    rows: dict[str, dict[str, float]] = {}
    with (
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool,
        inference(pool, checkpoint, config) as load,
    ):
        rows[BASELINE] = asdict(pool.submit(sleep_loop, CONTROL_HZ, config.seconds, config.seed).result())
        rows[PLAIN] = measure_node(config, priority=0)
        rows[SHIPPED] = measure_node(config, SHIPPED_PRIORITY)
        rows[FLOOR] = asdict(pool.submit(empty_loop, CONTROL_HZ, config.seconds, SHIPPED_PRIORITY).result())
    times = sorted(load.result())
    inference_ms = {"predictions": len(times), "p50_ms": 1e3 * times[len(times) // 2]}
    shipped = {key: rows[SHIPPED][key] for key in KEYS}
    return {**shipped, "machine": machine, "seed": config.seed, "inference": inference_ms, "by_setting": rows}


@contextmanager
def inference(pool: ProcessPoolExecutor, checkpoint: Path, config: ControlLoopConfig) -> Iterator[Future[list[float]]]:
    """Inference without a pause in another process, from its first answer to the end of the context."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        ready, stop = manager.Event(), manager.Event()
        load = pool.submit(infer_until, checkpoint, config.seed, ready, stop)
        while not ready.wait(0.2):
            if load.done():
                load.result()
        try:
            yield load
        finally:
            stop.set()
            load.exception()


def measure_node(config: ControlLoopConfig, priority: int) -> dict[str, float]:
    """The chunker node's own diagnostics after it has commanded for a while."""
    parameters = {"robot_name": ROBOT, "control_hz": CONTROL_HZ, "dry_run": "false", "realtime_priority": priority}
    settings = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "dvla_ros.nodes.chunker_node", "--ros-args", *settings]
    with SpinningNode("control_loop") as node:
        robot = StandInRobot(node, config.seed)
        with robot.running(), BackgroundNodes({f"chunker_node_{priority}": command}, config.logs) as nodes:
            wait_for_commands(robot, nodes)
            time.sleep(config.seconds)
            nodes.check()
    return {**robot.numbers, "overruns": int(robot.numbers["overruns"]), "commands_received": robot.commands}


def wait_for_commands(robot: StandInRobot, nodes: BackgroundNodes) -> None:
    """Return once the node commands.

    Raises:
        ConfigurationError: It does not within a minute.
    """
    deadline = time.monotonic() + START_S
    while not (robot.commands and robot.numbers):
        nodes.check()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"chunker_node sent no command within {START_S:.0f} s.")
        time.sleep(0.1)


def print_table(figures: dict) -> None:  # type: ignore[type-arg]
    """Print one row per setting with the ratio to the baseline and to the floor."""
    rows, load = figures["by_setting"], figures["inference"]
    console.print(f"Machine: {figures['machine']}")
    console.print(f"Load: {load['predictions']} predictions without a pause, {load['p50_ms']:.0f} ms each (median)")
    table = Table(title="Period error", box=box.SIMPLE)
    for column in ("", "rate Hz", "p50 ms", "p99 ms", "worst ms", "overruns", "p99/base", "p99/floor"):
        table.add_column(column, no_wrap=True)
    for name, row in rows.items():
        p99 = row["p99_period_error_ms"]
        ratios = (f"{p99 / rows[other]['p99_period_error_ms']:.3g}" for other in (BASELINE, FLOOR))
        cells = (f"{row[key]:.3f}" for key in KEYS[:-1])
        table.add_row(name, *cells, f"{row['overruns']:.0f}", *ratios)
    console.print(table)
    console.print(f"Baseline: {BASELINE}. chunker_node: {PLAIN}, {SHIPPED}. Floor: {FLOOR}.")
    granted = "granted" if rows[SHIPPED]["realtime_priority"] else "not permitted here, so the loads compete as equals"
    verdict = "met" if figures["p99_period_error_ms"] <= TARGET_P99_MS else "missed"
    console.print(f"Real-time priority: {granted}. Target p99 <= {TARGET_P99_MS:g} ms: {verdict}.")


if __name__ == "__main__":
    sys.exit(main())
