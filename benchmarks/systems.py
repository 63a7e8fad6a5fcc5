"""Success of the five systems and of the choices in their decoders, in simulation without ROS, in the same scenes.

Examples:
    .venv/bin/python benchmarks/systems.py --episodes 51 --seed 3000
    .venv/bin/python benchmarks/systems.py --episodes 51 --seed 3000 --only "dd_vla*"
    .venv/bin/python benchmarks/systems.py --episodes 51 --seed 3000 --no-run --write docs/benchmarks.md

The variants are in `dvla_ros/evaluation/variants.py`. Every episode is added to a file at once, one file per variant:
the same command goes on where it was interrupted, and several processes may run at the same time. The tables show all
that is recorded for these episodes, whatever `--only` says.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from publish import show, wide_console, write_json, write_page
from rich.progress import Progress

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes, summarise
from dvla_ros.evaluation.simulated_record import append_episode, conditions_digest, read_episodes
from dvla_ros.evaluation.variants import CHECKPOINTS, SYSTEM_VARIANTS, Variant, chosen
from dvla_ros.policies.load import load_policy
from dvla_ros.provenance import machine_line, machine_name
from dvla_ros.simulation.tasks import tasks_of

FIRST_TRAINING_SEED = 1_000_000
"""Demonstrations are made in scenes from this seed on; see `training/collect.py`."""
PART = "systems"
ABOUT = "what it is"
HEADINGS = (
    "variant", ABOUT, "success", "95 % interval", "wrong cube", "NFE", "decode p50 ms", "p95 ms", "malformed",
    "rejected",
)  # fmt: skip
console = wide_console()


@dataclass(frozen=True)
class SystemsConfig:
    """Compare systems and decoders.

    Attributes:
        only: Shell patterns of the variants to run, separated by commas; all by default.
        episodes: Episodes of each variant: the tasks in turn, each round with the next scene seed.
        tasks: Task names or families (pick, put, stack, push), where a variant does not name its own.
        seed: First scene seed, the same for all variants; training uses those from 1 000 000.
        time_limit: Simulated seconds per episode.
        run: Run what is missing; `--no-run` shows what is recorded.
        checkpoints: Checkpoint folder of a system.
        record: Folder with a file of episodes for each variant.
        json: File for the figures.
        markdown: Print the table in Markdown.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    only: str = "*"
    episodes: int = 90
    tasks: tuple[str, ...] = ("pick",)
    seed: int = 0
    time_limit: float = 20.0
    run: bool = True
    checkpoints: str = CHECKPOINTS
    record: Path = Path("systems_record")
    json: Path | None = None
    markdown: bool = False
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or self.seed + self.episodes > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"episodes must be 1 or more and the seeds lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.episodes} "
                f"from {self.seed}."
            )

    def plan(self, variant: Variant) -> SimulateConfig:
        """The episodes of one variant."""
        names = tasks_of(tuple(word for text in variant.tasks or self.tasks for word in text.split(",") if word))
        return SimulateConfig(tasks=names, episodes=self.episodes, seed=self.seed, time_limit=self.time_limit)


class VariantRecord:
    """The episodes of one variant: which are wanted, which are recorded."""

    def __init__(self, variant: Variant, config: SystemsConfig) -> None:
        self.variant, self.plan = variant, config.plan(variant)
        self.checkpoint = variant.checkpoint(config.checkpoints)
        self._path = config.record / f"{variant.name}.jsonl"
        self._conditions = conditions_digest(self.checkpoint, variant.decoding, self.plan)
        self._recorded = read_episodes(self._path, self._conditions)

    @property
    def scenes(self) -> list[tuple[str, int]]:
        """Task and scene seed of every wanted episode."""
        tasks, plan = self.plan.tasks, self.plan
        return [(tasks[index % len(tasks)], plan.seed + index // len(tasks)) for index in range(plan.episodes)]

    @property
    def episodes(self) -> list[Episode]:
        """The wanted episodes that are recorded."""
        return [self._recorded[scene] for scene in self.scenes if scene in self._recorded]

    @property
    def missing(self) -> list[tuple[str, int]]:
        """The scenes of the others."""
        return [scene for scene in self.scenes if scene not in self._recorded]

    @property
    def progress(self) -> str:
        """One line."""
        successes = sum(episode.outcome == "success" for episode in self.episodes)
        return f"{self.variant.name}: {successes} of {len(self.episodes)} succeed"

    def add(self, episode: Episode) -> None:
        """Record one."""
        append_episode(self._path, self._conditions, episode)
        self._recorded[episode.task, episode.seed] = episode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, then print and write the figures of everything recorded."""
    try:
        config = tyro.cli(SystemsConfig, args=arguments)
        torch.set_num_threads(1)
        console.print(f"Machine: {machine_line()}")
        if config.run:
            run_all([record for v in chosen(SYSTEM_VARIANTS, config.only) if (record := opened(v, config))])
        figures = report(config)
        publish(figures, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def opened(variant: Variant, config: SystemsConfig) -> VariantRecord | None:
    """The record of a variant, none where its checkpoint is not there (yet)."""
    folder = variant.checkpoint(config.checkpoints)
    if not folder.is_dir():
        console.print(f"{variant.name} is left out: there is no checkpoint {folder}.")
        return None
    return VariantRecord(variant, config)


def run_all(records: Sequence[VariantRecord]) -> None:
    """Run the missing episodes, one variant after the other."""
    with Progress(console=console) as bar:
        for record in records:
            line = bar.add_task(record.progress, total=record.plan.episodes, completed=len(record.episodes))
            for episode in run_missing(record):
                record.add(episode)
                bar.update(line, completed=len(record.episodes), description=record.progress)


def run_missing(record: VariantRecord) -> Iterator[Episode]:
    """Run the missing episodes of one variant; loads nothing when there are none."""
    if not record.missing:
        return
    policy = load_policy(record.checkpoint, decoding=record.variant.decoding)
    runner = SimulatedEpisodes(policy, record.plan)
    for task, seed in record.missing:
        yield runner.episode(task, seed)


def report(config: SystemsConfig) -> dict:  # type: ignore[type-arg]
    """The figures of all variants with recorded episodes.

    Raises:
        ConfigurationError: There is none.
    """
    present = [v for v in SYSTEM_VARIANTS if v.checkpoint(config.checkpoints).is_dir()]
    records = [VariantRecord(variant, config) for variant in present]
    if not any(record.episodes for record in records):
        raise ConfigurationError(f"Nothing is recorded in {config.record} for these scenes; run without --no-run.")
    return {
        "machine": machine_name(),
        "seed": config.seed,
        "time_limit": config.time_limit,
        "variants": {record.variant.name: figures_of(record) for record in records if record.episodes},
    }


def figures_of(record: VariantRecord) -> dict:  # type: ignore[type-arg]
    """What a variant is and how it did."""
    variant, episodes = record.variant, record.episodes
    return {
        "about": variant.about,
        "decoding": dict(variant.decoding),
        "tasks": record.plan.tasks,
        "chunks": sum(len(episode.nfe) for episode in episodes),
        **summarise(episodes),
    }


def publish(figures: dict, config: SystemsConfig) -> None:  # type: ignore[type-arg]
    """Print the table, and write it where asked."""
    table = FigureTable(HEADINGS, tuple(cells(name, row) for name, row in figures["variants"].items()))
    show(console, table, f"Success in simulation, scenes from seed {config.seed}", leave_out=ABOUT)
    if config.markdown:
        print(table.markdown())
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        below = f"Scenes from seed {config.seed}, {config.time_limit:g} s each. Machine: {figures['machine']}."
        write_page(console, config.write, PART, table, below)


def cells(name: str, row: dict) -> tuple[str, ...]:  # type: ignore[type-arg]
    """One variant as text."""
    successes = sum(task["successes"] for task in row["by_task"].values())
    low, high = row["wilson_95"]
    return (
        name,
        row["about"],
        f"{successes} of {row['episodes']}",
        f"{100 * low:.0f}–{100 * high:.0f} %",
        str(sum(outcome == "wrong_object" for _, _, outcome, _ in row["failures"])),
        f"{row['nfe']:.1f}",
        f"{row['decode_ms_p50']:.0f}",
        f"{row['decode_ms_p95']:.0f}",
        f"{row['chunks_malformed']} of {row['chunks']}",
        str(row["chunks_rejected"]),
    )


if __name__ == "__main__":
    sys.exit(main())
