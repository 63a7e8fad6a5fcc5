"""`dvla benchmark-sim`: success of systems and decoders in simulation, under conditions that no demonstration had."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich import box
from rich.table import Table

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.cell_figures import CellFigures, figures_of
from dvla_ros.evaluation.comparison_sets import variants_of
from dvla_ros.evaluation.conditions import conditions_of
from dvla_ros.evaluation.episode_bar import episode_bar, wide_console
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.markdown_table import rewrite_part
from dvla_ros.evaluation.simulator_comparison import Scenes, SimulatorComparison
from dvla_ros.evaluation.simulator_table import ABOUT, comparison_table
from dvla_ros.evaluation.variants import CHECKPOINTS, Variant, chosen
from dvla_ros.policies.load import require_device
from dvla_ros.provenance import git_revision, machine_line
from dvla_ros.simulation.tasks import tasks_of

console = wide_console()


@dataclass(frozen=True)
class BenchmarkSim:
    """Compare systems and decoders in simulation; the same command goes on where it was interrupted.

    Attributes:
        sets: Sets of variants: systems, orders, remasking, steps, flow_split, rules, chunk, bins, fast_against_bins.
        only: Shell patterns of the variants to take of them, separated by commas.
        checkpoint: One more variant, as name=FOLDER; can be given several times.
        tasks: Task names or families (pick, put, stack, push, detour).
        episodes: Of each family under each condition: its tasks in turn, each round with the next scene seed.
        seed: First scene seed, the same for all; training uses those from 1 000 000.
        conditions: nominal, axis:strength, an axis for all its strengths, or all. Axes: delay, noise, light, texture,
            colour, camera, phrasing.
        whole_chunks: Execute every row of a chunk before looking again, instead of the checkpoint's own number.
        time_limit: Simulated seconds per episode.
        workers: Processes, of one thread each.
        device: cpu or cuda.
        run: Run what is missing; --no-run shows what is recorded.
        checkpoints: Checkpoint folder of a system.
        record: Folder with a file of episodes for each variant.
        json: File for the figures.
        plot: File for the picture of the success by variant, .png.
        fall_off_plot: File for the picture of the success along each axis, .png.
        write: Page whose table is replaced, docs/benchmarks.md.
        part: Which table of the page: it stands between the comments "PART: begin" and "PART: end".
    """

    sets: tuple[str, ...] = ("systems",)
    only: str = "*"
    checkpoint: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    tasks: tuple[str, ...] = ("pick",)
    episodes: int = 100
    seed: int = 0
    conditions: tuple[str, ...] = ("nominal",)
    whole_chunks: bool = False
    time_limit: float = 20.0
    workers: int = 1
    device: str = "cpu"
    run: bool = True
    checkpoints: str = CHECKPOINTS
    record: Path = Path("simulator_record")
    json: Path | None = None
    plot: Path | None = None
    fall_off_plot: Path | None = None
    write: Path | None = None
    part: str = "simulator"

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigurationError(f"workers must be 1 or more, got {self.workers}.")

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those of the sets and the user's own.

        Raises:
            ConfigurationError: A set is unknown, a checkpoint is not name=FOLDER or not there, or a name is taken.
        """
        own = tuple(_own_variant(text) for text in self.checkpoint)
        variants = (*variants_of(self.sets), *own)
        if not variants:
            raise ConfigurationError("There is nothing to compare: name sets, or a checkpoint as name=FOLDER.")
        if taken := {v.name for v in own if sum(v.name == other.name for other in variants) > 1}:
            raise ConfigurationError(f"A variant is called {taken.pop()!r} already; give the checkpoint another name.")
        return chosen(variants, self.only)

    def comparison(self) -> SimulatorComparison:
        """All cells, with what is recorded of them."""
        return SimulatorComparison(
            self.variants,
            conditions_of(self.conditions),
            Scenes(tasks_of(self.tasks), self.episodes, self.seed, self.time_limit, self.whole_chunks),
            checkpoints=self.checkpoints,
            record=self.record,
            device=self.device,
        )


def benchmark_sim(words: Sequence[str], prog: str = "dvla benchmark-sim") -> int:
    """Run what is missing, then print and write the figures of everything recorded for these scenes."""
    options = tyro.cli(BenchmarkSim, args=words, prog=prog)
    require_device(options.device)
    torch.set_num_threads(1)
    comparison = options.comparison()
    _say_what_is_left_out(comparison)
    if options.run:
        run(comparison, options.workers)
    figures = figures_of(comparison.cells)
    if not figures:
        raise ConfigurationError(f"Nothing is recorded in {options.record} for these scenes; run without --no-run.")
    publish(figures, comparison, options, f"{prog} {shlex.join(words)}".strip())
    return 0


def run(comparison: SimulatorComparison, workers: int) -> None:
    """Run the missing episodes behind a bar that says how long it will take."""
    total = sum(len(cell.record.scenes) for cell in comparison.cells)
    missing = sum(len(cell.record.missing) for cell in comparison.cells)
    with episode_bar(console) as bar:
        line = bar.add_task("", total=total, completed=total - missing)
        for cell in comparison.run(workers):
            bar.update(line, advance=1, description=f"{cell.condition.name}, {cell.family}: {cell.record.progress}")


def publish(
    figures: Sequence[CellFigures], comparison: SimulatorComparison, options: BenchmarkSim, command: str
) -> None:
    """The table on the screen, and everything that is asked for in files."""
    from dvla_ros.evaluation.simulator_plots import plot_fall_off, plot_success

    table, machine = comparison_table(figures), machine_line()
    _print(table.headings, table.rows)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        values = {
            "machine": machine,
            "revision": git_revision(),
            "command": command,
            "seed": options.seed,
            "episodes": options.episodes,
            "cells": [f.to_json() for f in figures],
            "left_out": [{"variant": v.name, "training": v.training} for v in comparison.left_out],
        }
        options.json.write_text(json.dumps(known(values), indent=1, allow_nan=False) + "\n")
        console.print(f"Wrote {options.json}.")
    for path, draw in ((options.plot, plot_success), (options.fall_off_plot, plot_fall_off)):
        if path is not None:
            draw(figures, path)
            console.print(f"Wrote {path}.")
    if options.write is not None:
        below = f"Scenes from seed {options.seed}, {options.time_limit:g} s each. {machine}.\n\n`{command}`"
        rewrite_part(options.write, options.part, f"{table.markdown()}\n\n{below}")
        console.print(f"Wrote the table into {options.write}.")


def _own_variant(text: str) -> Variant:
    name, equals, folder = text.partition("=")
    if not equals or not Path(folder).is_dir():
        raise ConfigurationError(f"A checkpoint is name=FOLDER with a folder that is there, got {text!r}.")
    return Variant(name, folder, weights=folder)


def _say_what_is_left_out(comparison: SimulatorComparison) -> None:
    for variant in comparison.left_out:
        how = f" Make it: {variant.training}" if variant.training else ""
        console.print(f"{variant.name} is left out: there is no checkpoint of it.{how}")


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    shown: Any = Table(title="Success in simulation", box=box.SIMPLE)
    kept = [index for index, heading in enumerate(headings) if heading != ABOUT]
    for index in kept:
        shown.add_column(headings[index], no_wrap=True, justify="left" if index < 2 else "right")
    for row in rows:
        shown.add_row(*(row[index] for index in kept))
    console.print(shown)
