"""`dvla demo`: starts the simulated robot's nodes, has the policy follow a sentence, films and records it."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.status import Status

from dvla_ros.errors import DvlaError, NodeError, ObservationError
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes.demo_report import DemoFiles, result, write_result
from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner, require_episodes
from dvla_ros.nodes.film_maker import FilmMaker
from dvla_ros.nodes.interruption import Interruption
from dvla_ros.nodes.launch_arguments import AUTO
from dvla_ros.nodes.recording import NODE
from dvla_ros.nodes.session import Session, simulated_robot
from dvla_ros.recordings.removal import remove_bag
from dvla_ros.simulation.tasks import Task, task_for_instruction

READY_S = 180.0
"""Patience with nodes that start; the first start on a slow disk takes a while."""

console = Console(soft_wrap=True)


@dataclass(frozen=True)
class DemoConfig:
    """Drive the simulated WidowX with a sentence, through ROS; film and record it.

    Attributes:
        instruction: What to do, e.g. "put the blue cube on the plate".
        episodes: How many scenes.
        seed: Seed of the first scene; the next ones follow.
        out: Folder for film, contact sheet, recording, result and the nodes' output.
        json: One more file for the result.
        system: Which shipped policy drives, where checkpoint is auto.
        checkpoint: Folder of the policy's checkpoint; auto: the one shipped for the system.
        deployment: YAML file that says how a published checkpoint is used.
        time_limit: Simulated seconds per episode.

    Raises:
        ConfigurationError: A number is out of range.
    """

    instruction: str = "pick up the red cube"
    episodes: int = 1
    seed: int = 0
    out: Path = Path("demo")
    json: Path | None = None
    system: str = "dd_vla"
    checkpoint: str = AUTO
    deployment: str = ""
    time_limit: float = 25.0

    def __post_init__(self) -> None:
        require_episodes(self.episodes, self.seed, self.time_limit)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 when every episode succeeded, 1 when one did not, 2 for a wrong argument, 3 when the nodes failed, 130 after
        Ctrl-C.
    """
    try:
        with Interruption() as interruption:
            config = tyro.cli(DemoConfig, args=arguments, prog="dvla demo")
            return _demonstrate(config, interruption)
    except KeyboardInterrupt:
        print("interrupted; every node was stopped", file=sys.stderr)
        return 130
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, (NodeError, ObservationError)) else 2


def _demonstrate(config: DemoConfig, interruption: Interruption) -> int:
    task = task_for_instruction(config.instruction)
    files = DemoFiles(config.out)
    given = {"system": config.system, "checkpoint": config.checkpoint, "deployment": config.deployment}
    given |= {"task": task.name, "seed": str(config.seed), "record": str(files.bag), "recorder": NODE}
    remove_bag(files.bag)
    with simulated_robot("demo", given, files.logs) as session, console.status("starting") as status:

        def check() -> None:
            interruption.check()
            session.nodes.check()

        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, check)
        with FilmMaker(session.node, session.robot_name, session.cameras, runner.monitor, files) as films:
            _wait_until_ready(runner, session, status)
            episodes = [_episode(config, task, index, runner, films, status) for index in range(config.episodes)]
            status.update("stopping the nodes")
    facts = result(episodes, config.instruction, files)
    write_result(facts, [files.result, *([config.json] if config.json is not None else [])])
    _print_end(facts, files)
    return 0 if all(episode.success for episode in episodes) else 1


def _wait_until_ready(runner: EpisodeRunner, session: Session, status: Status) -> None:
    began = time.monotonic()
    console.print(f"Starting simulated robot, policy and chunker; what they print is in {session.nodes.logs}.")
    runner.wait_until_ready(
        READY_S, lambda missing: status.update(f"starting, {time.monotonic() - began:.0f} s; waiting for {missing}")
    )
    console.print(f"Ready after {time.monotonic() - began:.1f} s.")


def _episode(
    config: DemoConfig, task: Task, index: int, runner: EpisodeRunner, films: FilmMaker, status: Status
) -> RosEpisode:
    title = f"Episode {index + 1} of {config.episodes}"
    request = EpisodeRequest(task.name, config.seed + index, config.instruction, config.time_limit)

    def show(scene: TaskStatus) -> None:
        chunks = len(runner.monitor.chunks())
        status.update(
            f"{title}: '{config.instruction}', {scene.elapsed:.1f} of {config.time_limit:g} s, {chunks} chunks"
        )

    films.start()
    episode = runner.run(request, show)
    status.update(f"{title}: drawing the film")
    films.finish(episode, runner.began)
    console.print(f"{title} (seed {request.seed}): {verdict_line(episode)}")
    return episode


def verdict_line(episode: RosEpisode) -> str:
    """The outcome in one line, with rich's colours."""
    mean = sum(episode.confidence) / max(1, len(episode.confidence))
    numbers = f"{episode.simulated_s:.1f} s, {episode.chunks} chunks, mean confidence {mean:.2f}"
    if episode.success:
        return f"[bold green]SUCCESS[/] '{episode.instruction}' is done; {numbers}"
    why = f"the {episode.detail} cube was moved instead" if episode.outcome == "wrong_object" else episode.detail
    return f"[bold red]FAILED[/] ({episode.outcome}) {why}; {numbers}"


def _print_end(facts: Mapping[str, object], files: DemoFiles) -> None:
    console.print(
        f"Camera frames received: {facts['camera_frames_received']:.1%}; "
        f"observation to first command, p95: {facts['observation_to_command_ms_p95']:.0f} ms."
    )
    console.print(f"Film: {files.film}\nContact sheet: {files.sheet}\nRecording: {files.bag}\nResult: {files.result}")
    colour = "green" if facts["success"] else "red"
    console.print(f"[bold {colour}]{facts['successes']} of {facts['episodes']} episodes succeeded.[/]")


if __name__ == "__main__":
    sys.exit(main())
