"""Success of a policy through the real ROS path: simulated robot, policy node and chunker node as processes.

Example:
    .venv/bin/python benchmarks/ros_success.py --seeds 100 --tasks pick --seed 0 --json ros_pick.json

Every episode is written to a JSON-lines file at once; the same command again goes on where it was interrupted.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.chunk_timing import PARTS
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.ros_episode import RosEpisode, append_episode, matching, read_episodes
from dvla_ros.evaluation.ros_summary import NOTHING, summarise
from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner
from dvla_ros.nodes.launch_arguments import AUTO
from dvla_ros.nodes.session import Session, simulated_robot, weights_digest
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.scene import COLOURS
from dvla_ros.simulation.tasks import FIRST_TRAINING_SEED, task_named, tasks_of

READY_S = 180.0
console = Console(soft_wrap=True)


@dataclass(frozen=True)
class SuccessConfig:
    """Measure the success of a policy through ROS.

    Attributes:
        tasks: Task names or families (pick, put, stack, push); all by default.
        seeds: Number of episodes; scene `seed + i` is given to task i modulo the number of tasks.
        seed: First scene seed; training uses those from 1 000 000.
        time_limit: Simulated seconds per episode.
        system: Which shipped policy to measure, where checkpoint is auto.
        checkpoint: Folder of the policy's checkpoint; auto: the one shipped for the system.
        record: File with one JSON line per episode, to which a run adds and from which it goes on.
        logs: Folder for what the nodes print.
        json: File for the figures.
    """

    tasks: tuple[str, ...] = ()
    seeds: int = 100
    seed: int = 0
    time_limit: float = 25.0
    system: str = "dd_vla"
    checkpoint: str = AUTO
    record: Path = Path("ros_success.jsonl")
    logs: Path = Path("ros_success_log")
    json: Path | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.seed < 0 or self.seed + self.seeds > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"seeds must be 1 or more and lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.seeds} from {self.seed}."
            )
        if not self.time_limit > 0.0:
            raise ConfigurationError(f"time_limit must be positive, got {self.time_limit}.")

    def requests(self) -> list[EpisodeRequest]:
        """All episodes, the tasks in turn, each with the next seed."""
        names = tasks_of(tuple(word for text in self.tasks for word in text.split(",") if word))
        turns = [(names[index % len(names)], self.seed + index) for index in range(self.seeds)]
        return [EpisodeRequest(name, seed, task_named(name).instruction, self.time_limit) for name, seed in turns]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the figures of everything asked for."""
    try:
        config = tyro.cli(SuccessConfig, args=arguments)
        episodes = measure(config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    words = shlex.join(sys.argv[1:] if arguments is None else arguments)
    which = {
        "command": f"benchmarks/ros_success.py {words}",
        "system": config.system,
        "checkpoint": config.checkpoint,
        "seed": config.seed,
    }
    summary = {"machine": machine_line(), **which, **summarise(episodes)}
    print_tables(summary)
    if config.json is not None:
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json.dumps(known(summary), indent=1, allow_nan=False) + "\n")
        console.print(f"Wrote {config.json}.")
    return 0


def measure(config: SuccessConfig) -> list[RosEpisode]:
    """The episodes asked for: those in the record, and the others run now."""
    policy = {"system": config.system, "checkpoint": config.checkpoint}
    digest = weights_digest(policy)
    wanted = config.requests()
    known = {(e.task, e.seed): e for e in matching(read_episodes(config.record), digest, config.time_limit)}
    missing = [request for request in wanted if (request.task, request.seed) not in known]
    console.print(f"{len(wanted) - len(missing)} of {len(wanted)} episodes are in {config.record}.")
    if missing:
        given = {**policy, "task": missing[0].task, "seed": str(missing[0].seed)}
        with simulated_robot("ros_success", given, config.logs) as session:
            for episode in run_all(session, missing):
                recorded = replace(episode, checkpoint=digest)
                append_episode(config.record, recorded)
                known[recorded.task, recorded.seed] = recorded
    return [known[request.task, request.seed] for request in wanted]


def run_all(session: Session, requests: Sequence[EpisodeRequest]) -> Iterator[RosEpisode]:
    """Run the episodes one after the other; yields each."""
    runner = EpisodeRunner(session.node, session.robot_name, session.cameras, session.nodes.check)
    with Progress(console=console) as bar:
        line = bar.add_task("starting the nodes", total=len(requests))
        runner.wait_until_ready(READY_S, lambda missing: bar.update(line, description=f"waiting for {missing}"))
        successes = 0
        for index, request in enumerate(requests):
            episode = runner.run(request)
            successes += episode.success
            bar.update(line, completed=index + 1, description=f"{successes} of {index + 1} succeed")
            if not episode.success:
                bar.console.print(f"{request.task} seed {request.seed}: {episode.outcome} {episode.detail}")
            yield episode


def print_tables(summary: dict) -> None:
    """Print success, confusion and latency."""
    console.print(f"Machine: {summary['machine']}")
    table = Table("", "episodes", "successes", "rate", "95 % interval", title="Success through ROS")
    rows = {**summary["by_task"], **{f"all {name}": row for name, row in summary["by_family"].items()}, "all": summary}
    for name, row in rows.items():
        low, high = row["wilson_95"]
        table.add_row(
            name, str(row["episodes"]), str(row["successes"]), f"{row['success_rate']:.1%}", f"{low:.1%} – {high:.1%}"
        )
    console.print(table)
    for family, counts in summary["confusion"].items():
        console.print(confusion_table(family, counts))
    console.print(latency_table(summary))
    console.print(
        f"{summary['simulated_s_mean']:.1f} s to success on average, NFE {summary['nfe']:.1f}, camera frames received "
        f"{summary['camera_frames_received']:.1%}, chunks rejected {summary['chunks_rejected']}, slowest real-time "
        f"factor {summary['real_time_factor_min']:.2f}"
    )


def confusion_table(family: str, counts: dict) -> Table:
    """Colour asked for against colour moved."""
    table = Table("asked for", *COLOURS, NOTHING, title=f"{family}: cube moved as asked")
    for asked, row in counts.items():
        if any(row.values()):
            table.add_row(asked, *(str(row[colour]) for colour in (*COLOURS, NOTHING)))
    return table


def latency_table(summary: dict) -> Table:
    """Observation to first command and its parts."""
    table = Table("part", "p50 ms", "p95 ms", title="Observation to first command")
    for part in (name.removesuffix("_ms") for name in PARTS):
        numbers = summary["observation_to_command_ms"][part]
        table.add_row(part.replace("_", " "), f"{numbers['p50']:.0f}", f"{numbers['p95']:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
