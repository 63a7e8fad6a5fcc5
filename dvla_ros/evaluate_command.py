"""The sub-command `dvla evaluate`: checkpoints and decoders on recordings, side by side in one report."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as ProgressBar
from rich.table import Table

from dvla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from dvla_ros.evaluation.bag_evaluation import EvaluationPlan
    from dvla_ros.evaluation.evaluation_result import EvaluationResult
    from dvla_ros.evaluation.real_time import RealTimeFigures

console = Console()


@dataclass(frozen=True)
class Evaluate:
    """Measure checkpoints and decoders on recordings, and write a report.

    Attributes:
        bags: Folders of rosbag2 recordings, or single .mcap and .db3 files.
        checkpoint: Checkpoint folders; by default the one that was driving when the first bag was recorded.
        system: Shipped policies that are evaluated, too.
        decoding: Decoders, each as name=value,name=value, or own for the checkpoint's; every checkpoint with each.
        deployment: YAML file that says how a published checkpoint is used.
        cache: What a denoising step keeps: exact, prefix, dllm or dllm:25,7,0.25; by default as the deployment says.
        out: Folder for report.html, report.md and report.json.
        json: One more file for the figures.
        instruction: What the robot was asked to do, where a recording does not say it.
        robot_name: Namespace of the robot's topics.
        actions: What is compared with: chunks, joint_targets, ee_pose, ee_delta, measured; auto: the best there is.
        every: Ask at most once in so many seconds; 0: at every row.
        lag_s: Seconds that the arm is behind its command; by default as recorded, else 0.
        max_episodes: Evaluate so many episodes; 0: all.
        gap_s: Shortest pause in seconds that tells episodes apart.
        camera_latency_s: Seconds from exposure to stamp, one number or one for each camera; by default as recorded.
        stamp_source: header or receive; by default as recorded.
        camera_poses: YAML file that says where real cameras are, to draw paths into pictures; simulation: the scene's.
        seed: Of the first answer and of the bootstrap.
        bootstrap: Draws for the intervals.
        replay: Ask recorded inferences again.
        real_time: Also play each bag in real time to the nodes, and measure latency and drops; needs ROS.
        device: cpu or cuda.
        threads: CPU threads.
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    checkpoint: tuple[Path, ...] = ()
    system: tuple[str, ...] = ()
    decoding: tuple[str, ...] = ()
    deployment: Path | None = None
    cache: str = ""
    out: Path = Path("evaluation")
    json: Path | None = None
    instruction: str = ""
    robot_name: str = "wx250s"
    actions: str = "auto"
    every: float = 0.0
    lag_s: float | None = None
    max_episodes: int = 0
    gap_s: float = 2.0
    camera_latency_s: tuple[float, ...] = ()
    stamp_source: str = ""
    camera_poses: str = ""
    seed: int = 0
    bootstrap: int = 1000
    replay: bool = True
    real_time: bool = False
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.bags:
            raise ConfigurationError("Name at least one recording: dvla evaluate BAG.")
        for name in ("every", "max_episodes", "gap_s", "seed"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        for name in ("bootstrap", "threads"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")


def evaluate(words: Sequence[str]) -> int:
    """`dvla evaluate`."""
    options = tyro.cli(Evaluate, args=words, prog="dvla evaluate")
    import torch

    from dvla_ros.evaluation.report.write import write_report
    from dvla_ros.evaluation.run_metadata import run_metadata

    torch.set_num_threads(options.threads)
    metadata = run_metadata(("evaluate", *words), asdict(options))
    result = _evaluated(options, metadata)
    if options.real_time:
        result = replace(result, real_time=tuple(_played(options, result)))
    report = write_report(result, options.out)
    _show(result)
    for path in report.files:
        console.print(f"Wrote {path}.")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report.facts, indent=1) + "\n")
        console.print(f"Wrote {options.json}.")
    return 0


def _evaluated(options: Evaluate, metadata: dict[str, object]) -> "EvaluationResult":
    from dvla_ros.evaluation.bag_evaluation import BagEvaluation
    from dvla_ros.evaluation.compared_policy import compared_policies

    checkpoints = [*options.checkpoint, *(_shipped(system) for system in options.system)]
    policies = compared_policies(
        checkpoints or [_recorded_checkpoint(options)],
        options.decoding,
        options.deployment,
        options.device,
        options.cache,
    )
    with ProgressBar(console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=None)

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=escape(name))

        return BagEvaluation(_plan(options), policies, progress).run(metadata)


def _plan(options: Evaluate) -> "EvaluationPlan":
    from dvla_ros.evaluation.bag_evaluation import EvaluationPlan
    from dvla_ros.evaluation.prepared_bag import ReadingPlan

    reading = ReadingPlan(
        robot_name=options.robot_name,
        instruction=options.instruction,
        gap_s=options.gap_s,
        every_s=options.every,
        lag_s=options.lag_s,
        actions=options.actions,
        camera_latency_s=options.camera_latency_s or None,
        stamp_source=options.stamp_source or None,
    )
    return EvaluationPlan(
        bags=options.bags,
        reading=reading,
        max_episodes=options.max_episodes,
        seed=options.seed,
        bootstrap=options.bootstrap,
        replay=options.replay,
        camera_poses=options.camera_poses,
    )


def _recorded_checkpoint(options: Evaluate) -> Path:
    """The checkpoint that was driving when the first bag was recorded.

    Raises:
        ConfigurationError: The bag does not name one, or it is not on this machine.
    """
    from dvla_ros.evaluation.recorded_answers import recorded_answers
    from dvla_ros.recordings.bag import Bag
    from dvla_ros.recordings.topics import RecordedTopics

    with Bag(options.bags[0]) as bag:
        policies = recorded_answers(bag, RecordedTopics(options.robot_name)).policies
    if not policies:
        raise ConfigurationError(f"{options.bags[0]} does not say which policy drove; name one with --checkpoint.")
    folder = Path(policies[-1].checkpoint)
    if folder.is_dir():
        return folder
    raise ConfigurationError(
        f"{options.bags[0]} was recorded with the checkpoint {folder}, which is not here; name one with --checkpoint."
    )


def _shipped(system: str) -> Path:
    from dvla_ros.nodes.node_table import shipped_checkpoint
    from dvla_ros.policies.systems import system_named

    return shipped_checkpoint(system_named(system).name)


def _played(options: Evaluate, result: "EvaluationResult") -> "list[RealTimeFigures]":
    """Every bag played to the first policy with its own decoder."""
    from dvla_ros.nodes.real_time_replay import real_time_replay

    first = result.variants[0]
    arguments = {"checkpoint": str(first.checkpoint), "cameras": ",".join(first.cameras), "device": options.device}
    arguments |= {"robot_name": options.robot_name, "system": first.system, "cache": options.cache}
    if options.deployment is not None:
        arguments["deployment"] = str(options.deployment)
    return [
        real_time_replay(
            bag, arguments, instruction=options.instruction, logs=options.out / "real_time_log", say=console.print
        )
        for bag in options.bags
    ]


def _show(result: "EvaluationResult") -> None:
    from dvla_ros.evaluation.report.tables import summary_table

    figures = summary_table(result)
    table = Table(title=f"{len(result.episodes)} episodes")
    for index, heading in enumerate(figures.headings):
        table.add_column(escape(heading), justify="left" if index == 0 else "right")
    for row in figures.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for warning in result.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
