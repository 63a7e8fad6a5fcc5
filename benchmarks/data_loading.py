"""Whether reading keeps up with training, and how much memory it takes.

Examples:
    .venv/bin/python benchmarks/data_loading.py --episodes 2 --copies 4 --workers 0 1 --rounds 4
    .venv/bin/python benchmarks/data_loading.py --json benchmarks/results/data_loading.json --write docs/benchmarks.md

Demonstrations are collected, and copied on the disk to a larger set (not linked: copies are other files for the disk
and its cache). For each set and number of workers a fresh process reads an epoch, then trains with the loader and on
batches that are in memory already. Those two take turns, some steps each, so that other work on the machine meets both
alike; the share is the median over the rounds. Before each turn of the loader, training steps until what was read ahead
meanwhile is used up. Memory is the proportional set of the process and its workers, without what they share
counted twice, at the begin, in the middle and at the end of an epoch.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.models.networks import make_network
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.provenance import machine_line, machine_name
from dvla_ros.training.batch import Batch, example_noise, losses
from dvla_ros.training.collect import CollectConfig, collect
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.demonstrations import read_demonstrations
from dvla_ros.training.example_loader import PREFETCH, ExampleLoader
from dvla_ros.training.example_order import BatchShare, StepSampler
from dvla_ros.training.examples import Examples
from dvla_ros.training.frame_tensors import FrameTensors
from dvla_ros.training.learner import SmallLearner
from dvla_ros.training.recipes import Recipe, make_recipe
from dvla_ros.training.sentence_choice import SentenceChoice
from dvla_ros.training.train import fit_statistics

console = wide_console()
PART = "data loading"
CACHED = 8
"""Batches that are held in memory for the loop without loading."""
_FEWEST = 8
"""Batches of an epoch, so that it has a begin, a middle and an end."""


@dataclass(frozen=True)
class DataLoadingConfig:
    """Measure loading beside training.

    Attributes:
        data: Demonstrations; some are collected when there are none.
        episodes: To collect.
        copies: Of them in the larger set.
        workers: Numbers of loading processes.
        batch_size: Examples of a step.
        rounds: Turns of both loops.
        steps: Of one turn.
        threads: Of the training process.
        device: Where to train.
        folder: Where to put the sets; a temporary folder by default.
        json: File for the figures.
        write: Page whose table is to be renewed.
        measure: Measure one set with the first number of workers, print JSON; what the fresh process does.
    """

    data: tuple[Path, ...] = ()
    episodes: int = 20
    copies: int = 10
    workers: tuple[int, ...] = (0, 1, 2)
    batch_size: int = 32
    rounds: int = 7
    steps: int = 10
    threads: int = 1
    device: str = "cpu"
    folder: Path | None = None
    json: Path | None = None
    write: Path | None = None
    measure: Path | None = None


@dataclass(frozen=True)
class Loading:
    """What was measured of one set with one number of workers.

    Attributes:
        frames: Of the set.
        gigabytes: Of its pictures on the disk.
        workers: Loading processes.
        alone: Examples a second of the loader, of a whole epoch.
        cached: Examples a second of training on batches in memory.
        loaded: The same with the loader.
        share: Of the cached loop's speed, median of the rounds.
        begin_mb: Memory after the first batches of an epoch.
        middle_mb: In its middle.
        end_mb: At its end.
    """

    frames: int
    gigabytes: float
    workers: int
    alone: float
    cached: float
    loaded: float
    share: float
    begin_mb: float
    middle_mb: float
    end_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    config = tyro.cli(DataLoadingConfig, args=arguments)
    if config.measure is not None:
        print(json.dumps(asdict(measured(config, config.measure))))
        return 0
    with tempfile.TemporaryDirectory(dir=config.folder) as folder:
        sets = made(config, Path(folder))
        rows = [in_a_fresh_process(config, data, workers) for data in sets for workers in config.workers]
    table = table_of(rows)
    show(console, table, machine_line(), leave_out="")
    if config.json is not None:
        write_json(console, config.json, {"machine": machine_line(), "rows": [asdict(row) for row in rows]})
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{machine_name()}.")
    return 0


def made(config: DataLoadingConfig, folder: Path) -> tuple[Path, Path]:
    """The set and the larger one, below a folder."""
    small, large = folder / "collected", folder / "copies"
    for data in config.data:
        shutil.copytree(data, small / data.name)
    if not config.data:
        for episodes, _, _ in collect(CollectConfig(small, config.episodes)):
            console.print(f"\rCollected {episodes} of {config.episodes} episodes", end="")
        console.print()
    for number in range(config.copies):
        shutil.copytree(small, large / f"{number:03d}")
    return small, large


def in_a_fresh_process(config: DataLoadingConfig, data: Path, workers: int) -> Loading:
    """Measure where nothing else has taken memory."""
    words = ["--measure", str(data), "--workers", str(workers), "--device", config.device]
    for name in ("batch_size", "rounds", "steps", "threads"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    console.print(f"{data.name}, {workers} workers ...")
    done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True)
    return Loading(**json.loads(done.stdout.splitlines()[-1]))


def measured(config: DataLoadingConfig, data: Path) -> Loading:
    """All figures of one set, in this process."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(0)
    examples, recipe, frames, size = prepared(data)
    workers, share = config.workers[0], BatchShare(config.batch_size)
    epoch = max(frames // config.batch_size, _FEWEST)
    rate, memory = of_an_epoch(ExampleLoader(examples, StepSampler(share, epoch), workers, config.device), config)
    batches = list(ExampleLoader(examples, StepSampler(share, CACHED), device=config.device))
    turns = config.rounds * (config.steps + ahead(workers)) + 1
    loaded = iter(ExampleLoader(examples, StepSampler(share, CACHED + turns, CACHED), workers, config.device))
    rates = training_rates(config, step_of(config, recipe), batches, loaded, ahead(workers))
    cached, with_loader = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(loader / memory_only for memory_only, loader in rates)
    return Loading(frames, size / 1e9, workers, rate, cached, with_loader, ratio, *memory)


def prepared(data: Path) -> tuple[Examples, Recipe, int, int]:
    """Examples, how they are trained on, how many frames there are and the bytes of their pictures."""
    demonstrations = read_demonstrations([data])
    settings = TrainConfig((data,), Path("unused"))
    fitted = fit_statistics(demonstrations)
    recipe = make_recipe(settings, demonstrations, fitted)
    sentences = SentenceChoice(demonstrations.manifest, SentenceEncoder(settings.perception.text_tokens))
    examples = Examples(demonstrations, FrameTensors.of(demonstrations, fitted), recipe.targets, sentences, 0)
    return examples, recipe, len(demonstrations), demonstrations.images.nbytes


def ahead(workers: int) -> int:
    """Batches that may have been read ahead."""
    return workers * PREFETCH + 1


def of_an_epoch(loader: ExampleLoader[Batch], config: DataLoadingConfig) -> tuple[float, list[float]]:
    """Examples a second, and memory at the begin, in the middle and at the end of an epoch."""
    first = min(2 * ahead(config.workers[0]), len(loader) // 4)
    memory, begun = {}, time.perf_counter()
    for number, _ in enumerate(loader):
        if number in (first, len(loader) // 2, len(loader) - 1):
            memory[number] = memory_mb()
    rate = len(loader) * config.batch_size / (time.perf_counter() - begun)
    return rate, list(memory.values())


def step_of(config: DataLoadingConfig, recipe: Recipe) -> Callable[[Batch], None]:
    """A training step as the small policies take it."""
    model = make_network(recipe.config.model).to(config.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    learner = SmallLearner(model)

    def step(batch: Batch) -> None:
        noise = example_noise(0, range(len(batch.images)), config.device)
        loss = losses(recipe.objective, learner, batch, noise).total
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return step


def training_rates(
    config: DataLoadingConfig,
    step: Callable[[Batch], None],
    batches: Sequence[Batch],
    loaded: Iterator[Batch],
    read_ahead: int,
) -> list[tuple[float, float]]:
    """Examples a second on batches in memory and on loaded ones, for each round."""

    def rate(source: Iterator[Batch]) -> float:
        begun = time.perf_counter()
        for _ in range(config.steps):
            step(next(source))
        if config.device != "cpu":
            torch.cuda.synchronize()
        return config.steps * config.batch_size / (time.perf_counter() - begun)

    def used_up() -> Iterator[Batch]:
        for _ in range(read_ahead):
            step(next(loaded))
        return loaded

    cached = (batches[number % len(batches)] for number in range(config.rounds * config.steps + 1))
    step(next(cached))
    return [(rate(cached), rate(used_up())) for _ in range(config.rounds)]


def memory_mb() -> float:
    """Proportional set of this process and its children."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return sum(map(_proportional_kb, [str(own), *children])) / 1e3


def _proportional_kb(process: str) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def table_of(rows: Sequence[Loading]) -> FigureTable:
    """One row for each set and number of workers."""
    headings = (
        "frames",
        "GB of pictures",
        "workers",
        "loader alone, examples/s",
        "training on cached batches",
        "with the loader",
        "share",
        "MB at begin",
        "in the middle",
        "at the end",
    )
    cells = [
        (
            f"{row.frames}",
            f"{row.gigabytes:.2f}",
            f"{row.workers}",
            f"{row.alone:.0f}",
            f"{row.cached:.1f}",
            f"{row.loaded:.1f}",
            f"{100 * row.share:.0f} %",
            f"{row.begin_mb:.0f}",
            f"{row.middle_mb:.0f}",
            f"{row.end_mb:.0f}",
        )
        for row in rows
    ]
    return FigureTable(headings, tuple(cells))


if __name__ == "__main__":
    sys.exit(main())
