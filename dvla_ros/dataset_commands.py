"""The sub-commands of `dvla` about data sets: convert recordings, and check what is there."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.table import Table

from dvla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from dvla_ros.actions.normalization import DatasetStatistics
    from dvla_ros.datasets.conversion import Conversion
    from dvla_ros.datasets.examination import Examination

console = Console()

TRAINING_SIZE = (128, 96)
"""Width and height of the pictures in a training set, where nothing else is said: what `dvla collect` stores."""


@dataclass(frozen=True)
class Convert:
    """Make a data set of recordings, or of another data set.

    Attributes:
        sources: Bags (or folders of bags), a LeRobot v3 data set, or training sets.
        out: Folder to write; with --validation its folders train and validation.
        to: What to write: a training set for `dvla train`, or a LeRobot v3 data set.
        fps: Frames a second; a recording's are 5 (Bridge), a data set's its own.
        cameras: Which cameras, in which order; all by default.
        image_size: Width and height of the pictures; 128 96 in a training set, as recorded in a LeRobot data set.
        instruction: Sentence of episodes that have none.
        robot_name: Namespace of the robot's topics, and what a LeRobot data set calls the robot.
        actions: Source of the actions in a recording: best, chunks, joint_targets, ee_pose, ee_delta or measured.
        stamp_source: Times of a recording's cameras and joints: those of their headers, or of their arrival (receive).
        gap_s: Silence in a recording that ends an episode, in seconds.
        lag_s: How far the recorded arm is behind its command, in seconds: actions lead on from where pictures show it;
            auto finds it in the recording.
        only_successes: Leave out episodes of the simulated scene that did not end as asked.
        idle: Frames in which nothing is commanded: keep, trim (at both ends of an episode) or drop (all).
        validation: Share of the episodes to keep back for validation.
        seed: Draws those episodes.
        max_frames: Stop after so many frames; 0 takes all.
        images: Where a LeRobot data set keeps pictures: video (H.264, lossy) or parquet (PNG, exact).
        horizon: Actions of each frame's label in a training set.
        json: File for the result.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    to: Literal["training", "lerobot"] = "training"
    fps: float | None = None
    cameras: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    instruction: str = ""
    robot_name: str = "wx250s"
    actions: str = "best"
    stamp_source: Literal["header", "receive"] = "header"
    gap_s: float = 2.0
    lag_s: float | Literal["auto"] = 0.0
    only_successes: bool = False
    idle: Literal["keep", "trim", "drop"] = "keep"
    validation: float = 0.0
    seed: int = 0
    max_frames: int = 0
    images: Literal["video", "parquet"] = "video"
    horizon: int = 8
    json: Path | None = None


@dataclass(frozen=True)
class Stats:
    """Check recordings or a data set, say what looks wrong, and write its statistics.

    Attributes:
        sources: Bags (or folders of bags), a LeRobot v3 data set, or training sets.
        out: File to write the statistics to, such as dataset_statistics.json.
        name: Key of the data set in that file; the name of the first source by default.
        fps: Frames a second; a recording's are 5 (Bridge), a data set's its own.
        cameras: Which cameras a recording must have at each frame; all by default.
        robot_name: Namespace of the robot's topics.
        actions: Source of the actions in a recording: best, chunks, joint_targets, ee_pose, ee_delta or measured.
        stamp_source: Times of a recording's cameras and joints: those of their headers, or of their arrival (receive).
        gap_s: Silence in a recording that ends an episode, in seconds.
        idle: Idle frames left out of the statistics: keep, trim or drop, as in `dvla convert`.
        json: File for figures and findings.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path | None = None
    name: str = ""
    fps: float | None = None
    cameras: tuple[str, ...] = ()
    robot_name: str = "wx250s"
    actions: str = "best"
    stamp_source: Literal["header", "receive"] = "header"
    gap_s: float = 2.0
    idle: Literal["keep", "trim", "drop"] = "keep"
    json: Path | None = None


def convert(words: Sequence[str]) -> int:
    """`dvla convert`."""
    options = tyro.cli(Convert, args=words, prog="dvla convert")
    from dvla_ros.datasets.conversion import ConversionOptions, convert_source
    from dvla_ros.datasets.read_options import ReadOptions
    from dvla_ros.datasets.sources import open_source

    target = ConversionOptions(
        out=options.out,
        to=options.to,
        instruction=options.instruction,
        validation=options.validation,
        seed=options.seed,
        idle=options.idle,
        max_frames=options.max_frames,
        robot_name=options.robot_name,
        images=options.images,
        horizon=options.horizon,
    )
    reading = ReadOptions(
        fps=options.fps,
        cameras=options.cameras,
        size=options.image_size or (TRAINING_SIZE if options.to == "training" else None),
        instruction=options.instruction,
        robot_name=options.robot_name,
        actions=options.actions,
        stamp_source=options.stamp_source,
        gap_s=options.gap_s,
        lag_s=options.lag_s,
        only_successes=options.only_successes,
    )
    source = open_source(_given(options.sources), reading)
    with ProgressBar(console=console, transient=True) as bar:
        task = bar.add_task("converting", total=source.episodes)

        def report(episode: int, frames: int) -> None:
            bar.update(task, completed=episode + 1, description=f"{frames} frames")

        done = convert_source(source, target, report)
    _tell(done, options.out)
    _write_json(options.json, asdict(done) | {"seed": options.seed})
    return 0


def stats(words: Sequence[str]) -> int:
    """`dvla stats`; 1 where something makes the data set unusable."""
    options = tyro.cli(Stats, args=words, prog="dvla stats")
    from dvla_ros.datasets.examination import examine
    from dvla_ros.datasets.read_options import ReadOptions
    from dvla_ros.datasets.sources import open_source

    reading = ReadOptions(
        fps=options.fps,
        cameras=options.cameras,
        pictures=False,
        robot_name=options.robot_name,
        actions=options.actions,
        stamp_source=options.stamp_source,
        gap_s=options.gap_s,
    )
    found = examine(open_source(_given(options.sources), reading), options.idle)
    _show(found)
    _write_json(options.json, found.to_json())
    if options.out is not None and found.usable and found.statistics is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        found.statistics.save(options.out, options.name or found.source)
        console.print(f"Wrote {options.out}.")
    elif options.out is not None:
        console.print(f"{options.out} is not written: the data set is not usable as it is.")
    return 0 if found.usable else 1


def _given(sources: tuple[Path, ...]) -> tuple[Path, ...]:
    if not sources:
        raise ConfigurationError("Name at least one bag or data set, as in: dvla stats recordings/first.")
    return sources


def _tell(done: "Conversion", out: Path) -> None:
    parts = ", ".join(f"{part}: {done.episodes[part]} episodes, {done.frames[part]} frames" for part in done.frames)
    console.print(f"{done.source} at {done.fps:g} frames a second, cameras {', '.join(done.cameras)}; {parts}.")
    console.print(f"Actions: {done.convention}.")
    if done.idle_frames:
        console.print(f"{done.idle_frames} idle frames are left out.")
    for warning in done.warnings:
        console.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    console.print(f"Wrote {out}.")


def _show(found: "Examination") -> None:
    console.print(
        f"{found.source}: {found.episodes} episodes, {found.frames} usable frames at {found.fps:g} a second, cameras "
        f"{', '.join(found.cameras) or '–'}; actions: {found.convention}.",
        soft_wrap=True,
    )
    if found.statistics is not None:
        _show_columns(found.statistics)
    if found.streams:
        _show_streams(found)
    for warning in found.warnings:
        console.print(f"[yellow]left out:[/] {warning}", soft_wrap=True)
    for finding in found.findings:
        colour = "red" if finding.level == "error" else "yellow"
        console.print(f"[{colour}]{finding.level} ({finding.check}):[/] {finding.text}", soft_wrap=True)
    if not found.findings:
        console.print("[green]Nothing looks wrong.[/]")


def _show_columns(statistics: "DatasetStatistics") -> None:
    from dvla_ros.control.bridge import ACTION_NAMES
    from dvla_ros.datasets.trajectory import STATE_NAMES

    table = Table()
    for heading in ("column", "min", "1 %", "mean", "std", "99 %", "max"):
        table.add_column(heading, justify="left" if heading == "column" else "right")
    for names, block in ((ACTION_NAMES, statistics.action), (STATE_NAMES, statistics.proprio)):
        for i, values in enumerate(zip(block.min, block.q01, block.mean, block.std, block.q99, block.max, strict=True)):
            name = names[i] if len(names) == len(block.mean) else str(i)
            table.add_row(name, *(f"{value:.4g}" for value in values))
        table.add_section()
    console.print(table)


def _show_streams(found: "Examination") -> None:
    import numpy as np

    from dvla_ros.datasets.examination import lost_of

    table = Table()
    for heading in ("topic", "messages", "rate, Hz", "lost", "age, ms"):
        table.add_column(heading, justify="left" if heading == "topic" else "right")
    for stream in found.streams:
        age = f"{1000 * np.median(stream.age):.0f}" if len(stream.stamps) else "–"
        lost = str(lost_of(stream, found.streams))
        table.add_row(stream.topic, str(len(stream.stamps)), f"{stream.rate:.1f}", lost, age)
    console.print(table)


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
        console.print(f"Wrote {path}.")
