"""The sub-commands `dvla train` and `dvla fine-tune`: settings in, bars and a checkpoint out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from dvla_ros.training.config import TrainConfig
from dvla_ros.training.fine_tune_config import FineTuneConfig

if TYPE_CHECKING:
    from dvla_ros.training.progress import Progress
    from dvla_ros.training.run import Run

console = Console()


def train(words: Sequence[str]) -> int:
    """`dvla train`."""
    from dvla_ros.training.train import Trainer

    @dataclass(frozen=True)
    class Train:
        """Train a small policy of one of the systems on demonstrations or recordings."""

        train: tyro.conf.OmitArgPrefixes[TrainConfig]
        json: Path | None = None

    options = tyro.cli(Train, args=words, prog="dvla train")
    trainer = Trainer(options.train)
    _run(trainer.run, trainer.warnings, options.train.seed, options.json)
    return 0


def fine_tune(words: Sequence[str]) -> int:
    """`dvla fine-tune`."""
    from dvla_ros.training.fine_tune import FineTuner

    @dataclass(frozen=True)
    class FineTune:
        """Fine-tune a published checkpoint on recordings."""

        fine_tune: tyro.conf.OmitArgPrefixes[FineTuneConfig]
        json: Path | None = None

    options = tyro.cli(FineTune, args=words, prog="dvla fine-tune")
    tuner = FineTuner(options.fine_tune)
    if tuner.run.is_first:
        console.print(f"Memory: {tuner.memory}.", soft_wrap=True)
        if tuner.before is not None:
            console.print(
                f"Before: {tuner.before.tokens:.1%} of the tokens and {tuner.before.chunks:.1%} of the chunks of "
                f"{tuner.before.frames} frames are those of the checkpoint's own attention.",
                soft_wrap=True,
            )
    last = _run(tuner.run, tuner.warnings, options.fine_tune.seed, options.json)
    if tuner.utilisation is not None and last is not None and tuner.run.is_first:
        used, speed = tuner.utilisation, last.examples_per_second
        console.print(
            f"{used.flop / 1e12:.3g} TFLOP an observation, {speed:.3g} of them a second on {used.devices} device(s) of "
            f"{used.peak / 1e12:g} TFLOP/s: MFU {used.of(speed):.1%}."
        )
    return 0


def _run(run: "Run", warnings: Sequence[str], seed: int, json_file: Path | None) -> "Progress | None":
    """Train to the end; of several processes only the first reports and writes. Returns the last report."""
    out = run.folder.root
    for warning in warnings if run.is_first else ():
        console.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    if run.done and run.is_first:
        console.print(f"Going on with {out} after step {run.done}.")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    last: list[Progress] = []
    with ProgressBar(*columns, console=console, disable=not run.is_first) as bar:
        task = bar.add_task("training", total=run.steps, completed=run.done, rate="")

        def report(progress: "Progress") -> None:
            last[:] = [progress]
            losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            rate = f"{progress.examples_per_second:.3g} examples/s"
            bar.update(task, completed=progress.step, rate=rate)
            bar.console.print(f"step {progress.step}/{run.steps}  {rate}  {losses}", soft_wrap=True)

        def validated(step: int, figures: Mapping[str, float]) -> None:
            said = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            bar.console.print(f"step {step} validated: {said}", soft_wrap=True)

        run(report, validated)
    if run.is_first:
        console.print(f"Wrote {out}: the checkpoint of step {run.folder.chosen()}.")
        _write_json(json_file, {**(asdict(last[0]) if last else {}), "seed": seed})
    return last[0] if last else None


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
        console.print(f"Wrote {path}.")
