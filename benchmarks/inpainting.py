"""What frozen rows, an early stop and a guess cost and change, for every system, against a chunk from scratch.

Examples:
    .venv/bin/python benchmarks/inpainting.py
    .venv/bin/python benchmarks/inpainting.py --scenes 12 --looks 3 --json benchmarks/results/inpainting.json
    .venv/bin/python benchmarks/inpainting.py --only dd_vla --scenes 4

The policy drives the simulated arm: it looks, some rows of its chunk are executed, it looks again. At the second look a
chunk is inferred with the first d rows fixed to those that the chunk before has for that time, and once with nothing
fixed and the same seed, as `sync` replanning does: that is the chunk from scratch.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from publish import show, wide_console, write_json, write_page
from second_looks import MOST_EXECUTED, Look, frozen_counts, looks

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.variants import CHECKPOINTS
from dvla_ros.policies.base import Guess, Policy, Prediction
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.provenance import machine_line

PART = "inpainting"
FROZEN, EARLY, GUESS, BOTH, OTHER = "frozen", "early stop", "guess", "early stop, guess", "another seed"
WAYS = (FROZEN, EARLY, GUESS, BOTH)
HEADINGS = (
    "system", "d", "NFE", "NFE ratio", "ms", "ms ratio", "ms/floor", "needed mm", "other seed mm", "seam mm",
    "unusable",
)  # fmt: skip
_ANOTHER_SEED = 100_000
_MM = _MS = 1000.0
console = wide_console()


@dataclass(frozen=True)
class InpaintingConfig:
    """Measure in-painting.

    Attributes:
        only: Systems, separated by commas; all by default.
        scenes: How many scenes.
        looks: Second looks in each.
        seed: First scene.
        checkpoints: Checkpoint folder of a system.
        json: File for the figures.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    only: str = ",".join(SYSTEMS)
    scenes: int = 2
    looks: int = 2
    seed: int = 3000
    checkpoints: str = CHECKPOINTS
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if min(self.scenes, self.looks) < 1 or self.seed < 0:
            raise ConfigurationError(f"scenes and looks must be 1 or more and the seed 0 or more, got {self}.")
        if unknown := sorted(set(self.systems) - set(SYSTEMS)):
            raise ConfigurationError(f"Unknown systems {unknown}; choose among {', '.join(SYSTEMS)}.")

    @property
    def systems(self) -> list[str]:
        """Names of the systems."""
        return self.only.split(",")


@dataclass
class Figures:
    """One way of asking, over all looks; lists of one number a look.

    Attributes:
        nfe: Network evaluations.
        nfe_ratio: The same divided by those of the chunk from scratch.
        ms: Wall time of the whole chunk, from the observation to its actions.
        ms_ratio: The same divided by that of the chunk from scratch.
        ms_per_floor: The same divided by `floor_ms`.
        from_scratch_mm: Distance of the positions that it leads to from those of the chunk from scratch.
        needed_rows_mm: Distance over the rows that will be executed to those of the way `frozen`.
        seam_mm: Change of the movement from the last frozen row to the next.
        unusable: Answers without actions, or to be compared with one.
    """

    nfe: list[float] = field(default_factory=list)
    nfe_ratio: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    ms_ratio: list[float] = field(default_factory=list)
    ms_per_floor: list[float] = field(default_factory=list)
    from_scratch_mm: list[float] = field(default_factory=list)
    needed_rows_mm: list[float] = field(default_factory=list)
    seam_mm: list[float] = field(default_factory=list)
    unusable: int = 0

    def add(self, answer: Prediction, look: Look, whole: Prediction, frozen: int, needed: int) -> None:
        """Count one answer.

        Args:
            answer: To count.
            look: To what.
            whole: The answer with the same rows frozen and no early stop or guess.
            frozen: Rows given, d.
            needed: Rows that will be executed.
        """
        ms, scratch_ms = (_MS * each.timings.total_s for each in (answer, look.scratch))
        self.nfe.append(answer.nfe)
        self.nfe_ratio.append(answer.nfe / look.scratch.nfe)
        self.ms.append(ms)
        self.ms_ratio.append(ms / scratch_ms)
        self.ms_per_floor.append(ms / floor_ms(look.scratch, frozen))
        if not (answer.usable and whole.usable):
            self.unusable += 1
            return
        self.from_scratch_mm.append(path_difference(answer.actions, look.scratch.actions))
        self.needed_rows_mm.append(path_difference(answer.actions[:needed], whole.actions[:needed]))
        if frozen:
            self.seam_mm.append(change(answer.actions, frozen))

    def summary(self) -> dict[str, float]:
        """Medians of what is measured by the clock, means of the others, and how many answers were unusable."""
        lists = {name: each for name, each in asdict(self).items() if name != "unusable" and each}
        figures = {n: float(np.median(each) if n.startswith("ms") else np.mean(each)) for n, each in lists.items()}
        return {**figures, "unusable": self.unusable}


def floor_ms(scratch: Prediction, frozen: int) -> float:
    """What a chunk with d of H rows given would take if only denoising fell, and exactly in proportion, (H - d) / H.

    Reading the observation and the prefix (of diffusion_vla also its words) take what they took from scratch.
    """
    timings, horizon = scratch.timings, len(scratch.actions)
    return _MS * (timings.total_s - timings.denoise_s * frozen / horizon)


def path_difference(actions: np.ndarray, others: np.ndarray) -> float:
    """Mean distance in mm of the positions that two chunks lead to from the same start."""
    return float(_MM * np.linalg.norm(np.cumsum((actions - others)[:, :3], axis=0), axis=1).mean())


def change(actions: np.ndarray, row: int) -> float:
    """How much the movement of a row differs from that of the row before, in mm."""
    return float(_MM * np.linalg.norm(actions[row, :3] - actions[row - 1, :3]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(InpaintingConfig, args=arguments)
        torch.set_num_threads(1)
        machine = machine_line()
        console.print(f"Machine: {machine}")
        figures = {"machine": machine, "seed": config.seed, "systems": {}}
        for name in config.systems:
            figures["systems"][name] = figures_of(load_policy(Path(config.checkpoints.format(system=name))), config)  # type: ignore[index]
            console.print(f"{name} is measured")
        publish(figures, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def figures_of(policy: Policy, config: InpaintingConfig) -> dict[str, object]:
    """The figures of one system: for each d, each way of asking; and what is usual between rows.

    Raises:
        ConfigurationError: The policy had no answer twice in a row anywhere.
    """
    asked: dict[int, dict[str, Figures]] = {d: {} for d in frozen_counts(policy)}
    usual, sync_ms = [], []
    for look in looks(policy, range(config.seed, config.seed + config.scenes), config.looks):
        horizon = policy.spec.horizon
        usual.append(np.mean([change(look.scratch.actions, row) for row in range(1, horizon)]))
        sync_ms.append(_MS * look.scratch.timings.total_s)
        for d, figures in asked.items():
            ask_all(policy, look, d, figures)
    if not usual:
        raise ConfigurationError(f"{policy.spec.system} had no usable answers to compare; take more scenes.")
    return {
        "looks": len(usual),
        "sync_ms": float(np.median(sync_ms)),
        "row_to_row_mm": float(np.mean(usual)),
        "by_frozen_rows": {str(d): {way: each.summary() for way, each in ways.items()} for d, ways in asked.items()},
    }


def ask_all(policy: Policy, look: Look, d: int, figures: dict[str, Figures]) -> None:
    """Ask in every way with d rows frozen."""
    horizon = policy.spec.horizon
    needed = min(horizon, d + MOST_EXECUTED)
    guess = Guess.of_leading(look.before, look.confidence, horizon)
    whole = look.scratch
    for way, options in options_of(needed, guess, look.seed).items():
        answer = policy.predict(look.observation, frozen_actions=look.before[:d], **options)  # type: ignore[arg-type]
        if way == FROZEN:
            whole = answer
        figures.setdefault(way, Figures()).add(answer, look, whole, d, needed)


def options_of(needed: int, guess: Guess, seed: int) -> Mapping[str, dict[str, object]]:
    """How a chunk is asked for, by name; the first is what the others are compared with."""
    return {
        FROZEN: {"seed": seed},
        OTHER: {"seed": seed + _ANOTHER_SEED},
        EARLY: {"seed": seed, "needed_steps": needed},
        GUESS: {"seed": seed, "warm_start": guess},
        BOTH: {"seed": seed, "needed_steps": needed, "warm_start": guess},
    }


def publish(figures: dict, config: InpaintingConfig) -> None:
    """Print the table, and write it where asked."""
    table = table_of(figures)
    show(console, table, f"In-painting; ratios to a chunk from scratch: {' / '.join(WAYS)}", leave_out="")
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        systems = figures["systems"].items()
        usual = ", ".join(f"`{name}` {each['row_to_row_mm']:.1f}" for name, each in systems)
        counts = ", ".join(f"`{name}` {each['looks']}" for name, each in systems)
        below = f"Looks: {counts}. Usual change from row to row, mm: {usual}. Machine: {figures['machine']}."
        write_page(console, config.write, PART, table, below)


def table_of(figures: dict) -> FigureTable:
    """A line for each system and number of frozen rows."""
    rows = [
        (name, d, *cells(ways))
        for name, measured in figures["systems"].items()
        for d, ways in measured["by_frozen_rows"].items()
    ]
    return FigureTable(HEADINGS, tuple(rows))


def cells(ways: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The figures of one number of frozen rows as text."""
    frozen = ways[FROZEN]
    return (
        f"{frozen['nfe']:.1f}",
        " / ".join(f"{ways[way]['nfe_ratio']:.2f}" for way in WAYS),
        f"{frozen['ms']:.0f}",
        " / ".join(f"{ways[way]['ms_ratio']:.2f}" for way in WAYS),
        f"{frozen['ms_per_floor']:.2f}",
        millimetres(ways[BOTH], "needed_rows_mm"),
        millimetres(ways[OTHER], "needed_rows_mm"),
        millimetres(frozen, "seam_mm"),
        f"{sum(each['unusable'] for each in ways.values()):.0f}",
    )


def millimetres(figures: Mapping[str, float], name: str) -> str:
    """One figure as text; a dash where there is none."""
    return f"{figures[name]:.1f}" if name in figures else "–"


if __name__ == "__main__":
    sys.exit(main())
