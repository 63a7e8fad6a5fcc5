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
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import tyro
from publish import show, wide_console, write_json, write_page
from variant_record import ScenesConfig, VariantRecord, run_all

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.simulated import summarise
from dvla_ros.evaluation.variants import SYSTEM_VARIANTS, Variant, chosen
from dvla_ros.provenance import machine_line, machine_name

PART = "systems"
ABOUT = "what it is"
HEADINGS = (
    "variant", ABOUT, "success", "95 % interval", "wrong cube", "NFE", "decode p50 ms", "p95 ms", "malformed",
    "rejected",
)  # fmt: skip
console = wide_console()


@dataclass(frozen=True)
class SystemsConfig(ScenesConfig):
    """Compare systems and decoders.

    Attributes:
        markdown: Print the table in Markdown.
    """

    markdown: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, then print and write the figures of everything recorded."""
    try:
        config = tyro.cli(SystemsConfig, args=arguments)
        torch.set_num_threads(1)
        console.print(f"Machine: {machine_line()}")
        if config.run:
            run_all([r for v in chosen(SYSTEM_VARIANTS, config.only) if (r := opened(v, config))], console)
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
    return config.record_of(variant)


def report(config: SystemsConfig) -> dict:  # type: ignore[type-arg]
    """The figures of all variants with recorded episodes.

    Raises:
        ConfigurationError: There is none.
    """
    present = [v for v in SYSTEM_VARIANTS if v.checkpoint(config.checkpoints).is_dir()]
    records = [config.record_of(variant) for variant in present]
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
