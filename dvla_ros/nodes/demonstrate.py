"""`dvla demonstrate`: the scripted expert shows tasks through ROS, and everything is recorded as on a real robot."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dvla_ros.errors import ConfigurationError, DvlaError, NodeError, ObservationError
from dvla_ros.evaluation.ros_episode import append_episode
from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner, require_episodes
from dvla_ros.nodes.interruption import Interruption
from dvla_ros.nodes.launch_arguments import EXPERT
from dvla_ros.nodes.recording import NODE
from dvla_ros.nodes.session import simulated_robot
from dvla_ros.simulation.tasks import FIRST_TRAINING_SEED, task_named, tasks_of

READY_S = 180.0

console = Console(soft_wrap=True)


@dataclass(frozen=True)
class DemonstrateConfig:
    """Have the scripted expert show tasks through ROS, and record everything into a bag.

    Attributes:
        out: Folder for the recording (OUT/bag), the episodes' outcomes and the nodes' output; must not exist.
        episodes: How many.
        tasks: Task names or families (pick, put, stack, push, detour), in turn; by default all but the detours.
        seed: First scene seed; evaluation takes those below 1 000 000.
        time_limit: Simulated seconds per episode.
        compressed: Record compressed pictures.

    Raises:
        ConfigurationError: A number is out of range, or the folder exists.
    """

    out: Path
    episodes: int = 20
    tasks: tuple[str, ...] = ()
    seed: int = FIRST_TRAINING_SEED
    time_limit: float = 14.0
    compressed: bool = False

    def __post_init__(self) -> None:
        require_episodes(self.episodes, self.seed, self.time_limit)
        if self.out.exists():
            raise ConfigurationError(f"{self.out} exists already; name another folder.")

    def requests(self) -> list[EpisodeRequest]:
        """All episodes, the tasks in turn, each with the next seed."""
        names = tasks_of(self.tasks)
        chosen = [(task_named(names[index % len(names)]), self.seed + index) for index in range(self.episodes)]
        return [EpisodeRequest(task.name, seed, task.instruction, self.time_limit) for task, seed in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    """Record the demonstrations.

    Returns:
        0 when every episode succeeded, 1 when one did not, 2 for a wrong argument, 3 when the nodes failed, 130 after
        Ctrl-C; what is recorded by then can be read.
    """
    try:
        with Interruption() as interruption:
            config = tyro.cli(DemonstrateConfig, args=arguments, prog="dvla demonstrate")
            failures = _demonstrate(config, config.requests(), interruption)
    except KeyboardInterrupt:
        print("interrupted; every node was stopped, what was recorded can be read", file=sys.stderr)
        return 130
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, (NodeError, ObservationError)) else 2
    successes = config.episodes - failures
    console.print(f"{successes} of {config.episodes} episodes succeeded. Recorded {config.out / 'bag'}.")
    return 1 if failures else 0


def _demonstrate(config: DemonstrateConfig, requests: Sequence[EpisodeRequest], interruption: Interruption) -> int:
    """The number of episodes that failed."""
    given = {"system": EXPERT, "task": requests[0].task, "seed": str(requests[0].seed)}
    given |= {"record": str(config.out / "bag"), "recorder": NODE, "compressed": str(config.compressed).lower()}
    config.out.mkdir(parents=True)
    failures = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        simulated_robot("demonstrate", given, config.out / "log") as session,
        Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar,
    ):

        def check() -> None:
            interruption.check()
            session.nodes.check()

        line = bar.add_task("starting", total=len(requests))
        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, check)
        runner.wait_until_ready(READY_S, lambda missing: bar.update(line, description=f"waiting for {missing}"))
        for done, request in enumerate(requests, start=1):
            episode = runner.run(request)
            append_episode(config.out / "episodes.jsonl", episode)
            failures += not episode.success
            if not episode.success:
                bar.console.print(f"{request.task} seed {request.seed}: {episode.outcome} {episode.detail}")
            bar.update(line, completed=done, description=f"{done - failures} of {done} succeed")
    return failures
