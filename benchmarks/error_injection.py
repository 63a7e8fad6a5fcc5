"""What a decoder repairs: wrong tokens are put on the canvas half-way, and it goes on decoding.

Examples:
    .venv/bin/python benchmarks/error_injection.py --seeds 20 --seed 3000 --json benchmarks/results/error_injection.json
    .venv/bin/python benchmarks/error_injection.py --seeds 20 --seed 3000 --write docs/benchmarks.md

Observations are those of the scripted expert: the first of each scene, and some on its way. Each is decoded
undisturbed, which is the reference, then again from the same seed with a share of the tokens that were right by then
made wrong. The decoders are in `dvla_ros/evaluation/variants.py`.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from publish import show, wide_console, write_json, write_page
from rich.progress import track

from dvla_ros.denoising.loop import denoise
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.error_injection import inject
from dvla_ros.evaluation.expert_frames import ExpertFrame, ExpertFrames
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.opened_policy import OpenedPolicy
from dvla_ros.evaluation.repair import Repair, count_repair, summarise_repairs
from dvla_ros.evaluation.variants import CHECKPOINTS, REPAIR_VARIANTS, Variant, chosen
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.tasks import FIRST_TRAINING_SEED, tasks_of

LABELLED = 8
"""Actions of the expert's chunks; a policy of a shorter horizon is compared with the first ones."""
PART = "error injection"
ABOUT = "what it is"
HEADINGS = (
    "decoder", ABOUT, "share", "errors", "repaired", "within ±2", "if left mm", "error mm", "clean to expert mm",
    "to expert mm", "collateral", "misled", "lost", "NFE",
)  # fmt: skip
console = wide_console()


@dataclass(frozen=True)
class ErrorInjectionConfig:
    """Measure what decoders repair.

    Attributes:
        only: Shell patterns of the decoders, separated by commas; all by default.
        seeds: Scenes; scene `seed + i` is of task i modulo the number of tasks.
        frames: Observations of each scene, the first one and the next ones on the expert's way.
        spacing: Actions between them.
        shares: Of the tokens that were right half-way, how many become wrong.
        at: After which part of the steps.
        tasks: Task names or families (pick, put, stack, push).
        seed: First scene seed; training uses those from 1 000 000.
        checkpoints: Checkpoint folder of a system.
        json: File for the figures.
        markdown: Print the table in Markdown.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    only: str = "*"
    seeds: int = 20
    frames: int = 3
    spacing: int = 4
    shares: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    at: float = 0.5
    tasks: tuple[str, ...] = ("pick",)
    seed: int = 0
    checkpoints: str = CHECKPOINTS
    json: Path | None = None
    markdown: bool = False
    write: Path | None = None

    def __post_init__(self) -> None:
        if min(self.seeds, self.frames, self.spacing) < 1 or not self.shares:
            raise ConfigurationError(
                "seeds, frames and spacing must be 1 or more and there must be a share, got "
                f"{self.seeds}, {self.frames}, {self.spacing} and {self.shares}."
            )
        if self.seed < 0 or self.seed + self.seeds > FIRST_TRAINING_SEED:
            raise ConfigurationError(
                f"the seeds must lie in 0..{FIRST_TRAINING_SEED - 1}, got {self.seeds} from {self.seed}."
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(ErrorInjectionConfig, args=arguments)
        torch.set_num_threads(1)
        publish(measure(config), config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(config: ErrorInjectionConfig) -> dict:
    """The figures of all decoders whose checkpoint is there."""
    machine = machine_line()
    console.print(f"Machine: {machine}")
    variants = [variant for variant in chosen(REPAIR_VARIANTS, config.only) if present(variant, config)]
    observed = list(frames(config))
    return {
        "machine": machine,
        "seed": config.seed,
        "at": config.at,
        "frames": len(observed),
        "decoders": {
            variant.name: {
                "about": variant.about,
                "decoding": dict(variant.decoding),
                "by_share": shares_of(variant, observed, config),
            }
            for variant in variants
        },
    }


def present(variant: Variant, config: ErrorInjectionConfig) -> bool:
    """Whether the checkpoint of a variant is there (yet)."""
    folder = variant.checkpoint(config.checkpoints)
    if not folder.is_dir():
        console.print(f"{variant.name} is left out: there is no checkpoint {folder}.")
    return folder.is_dir()


def frames(config: ErrorInjectionConfig) -> Iterator[ExpertFrame]:
    """The observations, the same for every decoder."""
    names, expert = tasks_of(config.tasks), ExpertFrames()
    for index in track(range(config.seeds), "the expert drives", console=console):
        task, seed = names[index % len(names)], config.seed + index
        yield from expert.episode(task, seed, frames=config.frames, spacing=config.spacing, horizon=LABELLED)


def shares_of(variant: Variant, observed: Sequence[ExpertFrame], config: ErrorInjectionConfig) -> dict:
    """The figures of one decoder for each share of errors."""
    policy = OpenedPolicy.from_checkpoint(variant.checkpoint(config.checkpoints))
    repairs: dict[float, list[Repair]] = {share: [] for share in config.shares}
    for number, frame in enumerate(track(observed, variant.name, console=console)):
        for share, repair in repairs_of(policy, variant, frame, config, seed=number):
            repairs[share].append(repair)
    return {f"{share:g}": summarise_repairs(each) for share, each in repairs.items()}


def repairs_of(
    policy: OpenedPolicy, variant: Variant, frame: ExpertFrame, config: ErrorInjectionConfig, seed: int
) -> Iterator[tuple[float, Repair]]:
    """One observation: decoded undisturbed once, and once with each share of errors."""
    network, decoder, canvas = policy.network(frame.observation), policy.decoder(variant.decoding), policy.canvas
    clean = denoise(network, canvas, decoder, seeds=[seed])
    for share in config.shares:
        injection = inject(network, canvas, decoder, clean, seed=seed, share=share, at=config.at)
        reference, damaged, result = (
            policy.chunk(tokens).actions for tokens in (injection.reference, injection.damaged, injection.result)
        )
        yield share, count_repair(injection, reference, damaged, result, frame.actions[: len(reference)])


def publish(figures: dict, config: ErrorInjectionConfig) -> None:
    """Print the table, and write it where asked."""
    rows = [
        cells(name, row["about"], share, each)
        for name, row in figures["decoders"].items()
        for share, each in row["by_share"].items()
    ]
    table = FigureTable(HEADINGS, tuple(rows))
    show(console, table, f"Errors on the canvas, {figures['frames']} observations", leave_out=ABOUT)
    if config.markdown:
        print(table.markdown())
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        below = f"{figures['frames']} observations, errors after {figures['at']:.0%} of the steps."
        write_page(console, config.write, PART, table, f"{below} Machine: {figures['machine']}.")


def cells(name: str, about: str, share: str, each: dict) -> tuple[str, ...]:
    """One decoder at one share of errors as text."""
    shares = {key: percent(each[key]) for key in ("repaired", "nearly", "collateral", "misled")}
    return (
        name,
        about,
        f"{float(share):.0%}",
        str(each["errors"]),
        shares["repaired"],
        shares["nearly"],
        millimetres(each["damage_mm"]),
        millimetres(each["error_mm"]),
        millimetres(each["reference_to_expert_mm"]),
        millimetres(each["result_to_expert_mm"]),
        shares["collateral"],
        shares["misled"],
        str(each["malformed"]),
        f"{each['nfe']:.1f}",
    )


def percent(share: float) -> str:
    """A share as text, a dash where there was nothing to count."""
    return "–" if math.isnan(share) else f"{share:.0%}"


def millimetres(value: float) -> str:
    """A length as text, a dash where there was none."""
    return "–" if math.isnan(value) else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
