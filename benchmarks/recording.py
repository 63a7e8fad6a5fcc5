"""What recording costs the robot: the same episodes without a recorder, keeping the last seconds, keeping everything.

The three take turns, so that what else the machine does hits all of them alike; without a recorder is the baseline.

Example:
    .venv/bin/python benchmarks/recording.py --json benchmarks/results/recording.json --write docs/benchmarks.md
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.evaluation.ros_summary import summarise
from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner
from dvla_ros.nodes.session import simulated_robot
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.tasks import TASKS

TASK = "pick_red"
READY_S = 180.0
PART = "recording"
BASELINE = "no recorder"
SETTINGS = {
    BASELINE: {},
    "last 30 s": {"recorder": "node", "record_keep_s": "30.0"},
    "everything": {"recorder": "node"},
}
HEADINGS = ("", "to command p50", "p95 ms", "÷ baseline", "denoise ms", "frames", "recorder CPU", "its MB", "MB/s")
console = wide_console()


@dataclass(frozen=True)
class RecordingConfig:
    """Measure what recording costs.

    Attributes:
        rounds: How often each setting has its turn.
        episodes: In each turn.
        seed: First scene seed; every turn of a round has the same ones.
        time_limit: Simulated seconds per episode.
        json: File for the figures.
        write: Page of the documentation to write the table into.
    """

    rounds: int = 3
    episodes: int = 3
    seed: int = 0
    time_limit: float = 15.0
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.episodes < 1 or self.seed < 0 or not self.time_limit > 0.0:
            raise ConfigurationError("rounds, episodes and time_limit must be positive, and seed 0 or more.")


@dataclass(frozen=True)
class Turn:
    """One session: its episodes, and what the recorder took; zeros without one."""

    episodes: list[RosEpisode]
    cpu_share: float = 0.0
    memory_mb: float = 0.0
    written_mb_s: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(RecordingConfig, args=arguments)
        report(config, measure(config))
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(config: RecordingConfig) -> dict[str, list[Turn]]:
    """All turns, by setting."""
    turns: dict[str, list[Turn]] = {setting: [] for setting in SETTINGS}
    for number in range(config.rounds):
        for setting, given in SETTINGS.items():
            console.print(f"round {number + 1} of {config.rounds}: {setting}")
            with tempfile.TemporaryDirectory(prefix="recording_") as folder:
                turns[setting].append(one_turn(config, given, number * config.episodes, Path(folder)))
    return turns


def one_turn(config: RecordingConfig, given: dict[str, str], first: int, folder: Path) -> Turn:
    """Some episodes with one setting."""
    if given:
        given = {**given, "record": str(folder / "bags")}
    seeds = range(config.seed + first, config.seed + first + config.episodes)
    with simulated_robot("recording", {**given, "task": TASK}, folder / "log") as session:
        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, session.nodes.check)
        runner.wait_until_ready(READY_S)
        recorder = session.nodes.process_id("recorder_node")
        before, began = cpu_s(recorder), time.monotonic()
        episodes = [
            runner.run(EpisodeRequest(TASK, seed, TASKS[TASK].instruction, config.time_limit)) for seed in seeds
        ]
        lasted = time.monotonic() - began
        written = sum(path.stat().st_size for path in (folder / "bags").rglob("*") if path.is_file())
        return Turn(episodes, (cpu_s(recorder) - before) / lasted, peak_mb(recorder), 1e-6 * written / lasted)


def cpu_s(process: int | None) -> float:
    """Seconds of processor time that a process took so far (proc(5), `utime` and `stime`); 0 without one."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(process: int | None) -> float:
    """Largest resident memory of a process; 0 without one."""
    if process is None:
        return 0.0
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024.0


def report(config: RecordingConfig, turns: dict[str, list[Turn]]) -> None:
    """Print the table, and write what is asked for."""
    rows = {setting: figures(found) for setting, found in turns.items()}
    table = FigureTable(HEADINGS, tuple(line(setting, row, rows[BASELINE]) for setting, row in rows.items()))
    below = f"{machine_line()}; {config.rounds} rounds of {config.episodes} episodes each, {TASK}, dd_vla."
    show(console, table, "What recording costs", leave_out="")
    console.print(below)
    if config.json is not None:
        write_json(console, config.json, {"machine": machine_line(), "rows": rows})
    if config.write is not None:
        write_page(console, config.write, PART, table, below)


def figures(turns: Sequence[Turn]) -> dict[str, object]:
    """The figures of all turns of a setting; of the recorder the mean, of its memory the largest."""
    count = len(turns)
    return {
        **summarise([episode for turn in turns for episode in turn.episodes]),
        "recorder_cpu": sum(turn.cpu_share for turn in turns) / count,
        "recorder_mb": max(turn.memory_mb for turn in turns),
        "written_mb_s": sum(turn.written_mb_s for turn in turns) / count,
    }


def line(setting: str, row: dict, baseline: dict) -> tuple[str, ...]:
    """One row of the table."""
    parts, before = row["observation_to_command_ms"], baseline["observation_to_command_ms"]
    total, least = parts["total"], before["total"]
    return (
        setting,
        f"{total['p50']:.0f} ms",
        f"{total['p95']:.0f}",
        f"{total['p50'] / least['p50']:.2f}",
        f"{parts['denoise']['p50']:.1f}",
        f"{row['camera_frames_received']:.1%}",
        f"{row['recorder_cpu']:.0%}" if row["recorder_mb"] else "–",
        f"{row['recorder_mb']:.0f}" if row["recorder_mb"] else "–",
        f"{row['written_mb_s']:.2f}" if row["written_mb_s"] else "–",
    )


if __name__ == "__main__":
    sys.exit(main())
