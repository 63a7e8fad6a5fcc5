"""The sub-command `dvla train`: settings in, bars and a checkpoint out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from dvla_ros.training.config import TrainConfig

console = Console()


def train(words: Sequence[str]) -> int:
    """`dvla train`."""
    from dvla_ros.training.progress import Progress
    from dvla_ros.training.train import Trainer

    @dataclass(frozen=True)
    class Train:
        """Train a small policy of one of the systems on demonstrations or recordings."""

        train: tyro.conf.OmitArgPrefixes[TrainConfig]
        json: Path | None = None

    options = tyro.cli(Train, args=words, prog="dvla train")
    config = options.train
    trainer = Trainer(config)
    for warning in trainer.warnings:
        console.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    if trainer.done:
        console.print(f"Going on with {config.out} after step {trainer.done}.")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    last: list[Progress] = []
    with ProgressBar(*columns, console=console, disable=not trainer.is_first) as bar:
        task = bar.add_task("training", total=config.steps, completed=trainer.done, rate="")

        def report(progress: Progress) -> None:
            last[:] = [progress]
            losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            rate = f"{progress.examples_per_second:.0f} examples/s"
            bar.update(task, completed=progress.step, rate=rate)
            bar.console.print(f"step {progress.step}/{config.steps}  {rate}  {losses}")

        def validated(step: int, figures: Mapping[str, float]) -> None:
            said = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            bar.console.print(f"step {step} validated: {said}")

        trainer.run(report, validated)
    if trainer.is_first:  # of several processes, only the first reports and writes
        console.print(f"Wrote {config.out}: the checkpoint of step {trainer.folder.chosen()}.")
        _write_json(options.json, {**(asdict(last[0]) if last else {}), "seed": config.seed})
    return 0


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
        console.print(f"Wrote {path}.")
