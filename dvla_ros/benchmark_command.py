"""`dvla benchmark`: how fast policies decode on this machine, beside its floor and the published way."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.quantise import require_weights
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.decode.cases import SYSTEMS, Size, cases
from dvla_ros.evaluation.decode.checks import Check, checks
from dvla_ros.evaluation.decode.growth import Point, growth
from dvla_ros.evaluation.decode.measured_case import CaseFigures, Settings, measure_case
from dvla_ros.evaluation.decode.measured_rates import BestRates
from dvla_ros.evaluation.decode.row import Row, cell, rows_table
from dvla_ros.evaluation.decode.work import Rates
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.markdown_table import FigureTable, rewrite_part
from dvla_ros.policies.load import require_device
from dvla_ros.policies.published.load import inference_dtype
from dvla_ros.provenance import git_revision, machine_line

_WIDTH = 200
_WIDE_TABLE = ("device", "dtype", "peak_memory_gb")
"""Columns that only a page has room for; what they hold stands above the table, too."""
_PART, _GROWTH_PART = "decode {device}", "decode growth"
_CHECK_HEADINGS = ("what", "measured", "must be", "holds")

console = Console(soft_wrap=True, width=max(Console().width, _WIDTH))


@dataclass(frozen=True)
class Benchmark:
    """Measure how fast policies decode, against this device's floor and the published way.

    Attributes:
        systems: Which.
        size: small and true are published layouts with random weights, shipped the policies of this repository; by
            default small and shipped on a CPU, true on a GPU.
        device: cpu, cuda or cuda:N.
        dtype: Of the weights of published layouts; auto: bfloat16 on a GPU, float32 on a CPU.
        weights: How trunks hold their weights: bf16 (as loaded), int8, int8_dynamic or fp8; generate keeps its own.
        cache: What a denoising step keeps of the one before: exact, prefix, dllm or dllm:KP,KR,RATIO.
        attention: block_causal, released, or both; of published layouts.
        repeats: Chunks of each row; the published way is asked a quarter as often.
        threads: CPU threads.
        chunks: Measure the policies.
        checks: Measure what holds on any machine: canvas-only steps, sliced heads, the loop.
        growth: Measure how the cost grows with prefix, canvas, steps, cameras and batch.
        checkpoints: Folder of a shipped policy.
        folder: Where temporary checkpoints are written.
        json: File for the figures.
        plot: File for the picture of the rows, .png.
        growth_plot: File for the picture of the growth, .png.
        write: Page whose tables are to be renewed.
    """

    systems: tuple[str, ...] = SYSTEMS
    size: tuple[Size, ...] = ()
    device: str = "cpu"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    weights: str = UNCHANGED
    cache: tuple[str, ...] = ("exact",)
    attention: tuple[Literal["block_causal", "released"], ...] = ("block_causal", "released")
    repeats: int = 12
    threads: int = 1
    chunks: bool = True
    checks: bool = True
    growth: bool = False
    checkpoints: str = "checkpoints/widowx_{system}_small"
    folder: Path | None = None
    json: Path | None = None
    plot: Path | None = None
    growth_plot: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.systems if name not in SYSTEMS]:
            raise ConfigurationError(f"There is no system {unknown[0]!r}; choose of {', '.join(SYSTEMS)}.")
        if min(self.repeats, self.threads) < 1:
            raise ConfigurationError(f"repeats and threads must be 1 or more, got {self.repeats} and {self.threads}.")
        _ = self.plans  # whose own checks come before anything is measured
        if self.device == "cpu" and "true" in self.size:
            raise ConfigurationError(
                "A chunk of true size takes minutes on a CPU. Run this on a machine with an NVIDIA GPU of 40 GB or "
                "more, with --device cuda; or measure --size small here."
            )

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Those asked for, or those that suit the device."""
        default: tuple[Size, ...] = ("small", "shipped") if self.device == "cpu" else ("true",)
        return self.size or default

    @property
    def plans(self) -> tuple[CachePlan, ...]:
        """What a denoising step may keep."""
        return tuple(CachePlan.parse(text) for text in self.cache)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Of published layouts."""
        return inference_dtype(self.device) if self.dtype == "auto" else getattr(torch, self.dtype)


@dataclass(frozen=True)
class Found:
    """All figures of a run.

    Attributes:
        machine: Processor, cores, load.
        device: Name of the device.
        command: What was typed.
        rates: Of the device.
        cases: Rows and their parts.
        checks: What holds on any machine.
        points: Of the growth.
    """

    machine: str
    device: str
    command: str
    rates: Rates
    cases: tuple[CaseFigures, ...]
    checks: tuple[Check, ...]
    points: tuple[Point, ...]

    @property
    def rows(self) -> list[Row]:
        """Of all cases."""
        return [row for case in self.cases for row in case.rows]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "machine": self.machine,
            "device": self.device,
            "revision": git_revision(),
            "command": self.command,
            "rates": asdict(self.rates),
            "rows": [row.to_json() for row in self.rows],
            "parts": [part for case in self.cases for part in case.parts],
            "checks": [asdict(check) | {"holds": check.holds} for check in self.checks],
            "growth": [asdict(point) for point in self.points],
        }


def benchmark(words: Sequence[str], prog: str = "dvla benchmark") -> int:
    """Measure, print and write; 1 where a check does not hold."""
    options = tyro.cli(Benchmark, args=words, prog=prog)
    require_device(options.device)
    require_weights(options.weights, torch.device(options.device))
    torch.set_num_threads(options.threads)
    found = measure(options, f"{prog} {' '.join(words)}".strip())
    show(found)
    publish(found, options)
    return 0 if all(check.holds for check in found.checks) else 1


def measure(options: Benchmark, command: str) -> Found:
    """Everything that is asked for, one after the other."""
    device, machine = torch.device(options.device), machine_line()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    best = BestRates(device, options.torch_dtype)
    rates = best.measure()
    console.print(
        f"{machine}. {name}, {options.threads} thread(s): copies {rates.bytes_per_s / 1e9:.3g} GB/s, multiplies "
        f"{rates.flop_per_s / 1e12:.3g} TFLOP/s in {str(options.torch_dtype).removeprefix('torch.')}"
    )
    settings = Settings(
        device,
        name,
        options.torch_dtype,
        options.repeats,
        best,
        options.checkpoints,
        options.folder,
        options.weights,
    )
    done = tuple(_cases(options, settings)) if options.chunks else ()
    held = tuple(checks(device, options.torch_dtype)) if options.checks else ()
    points = tuple(growth(device, options.torch_dtype, best)) if options.growth else ()
    return Found(machine, name, command, best.measure(), done, held, points)


def _cases(options: Benchmark, settings: Settings) -> list[CaseFigures]:
    found = []
    for case in cases(options.systems, options.sizes, options.attention, options.plans):
        figures = measure_case(case, settings)
        for row in figures.rows:
            ratio = "" if row.baseline_ratio is None else f", {row.baseline_ratio:.1f} x the baseline"
            console.print(
                f"{row.system} {row.size} {row.cache}: {row.chunk_ms_p50:.1f} ms, {row.floor_ratio:.2f} x floor{ratio}"
            )
        found.append(figures)
    return found


def show(found: Found) -> None:
    """Print the tables."""
    if found.rows:
        _print(rows_table(found.rows), f"Chunks on {found.device}", leave_out=_WIDE_TABLE)
    if found.checks:
        _print(_checks_table(found.checks), "On any machine")


def publish(found: Found, options: Benchmark) -> None:
    """Write files and pages, where asked."""
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(known(found.to_json()), indent=1, allow_nan=False) + "\n")
        console.print(f"Wrote {options.json}.")
    if options.plot is not None or options.growth_plot is not None:
        _draw(found, options)
    if options.write is not None:
        below = f"{found.machine}. `{found.command}`"
        if found.rows or found.checks:
            parts = [rows_table(found.rows).markdown()] if found.rows else []
            parts += [_checks_table(found.checks).markdown()] if found.checks else []
            name = _PART.format(device=options.device.partition(":")[0])
            rewrite_part(options.write, name, "\n\n".join([*parts, below]))
        if found.points:
            rewrite_part(options.write, _GROWTH_PART, f"{_growth_table(found.points).markdown()}\n\n{below}")
        console.print(f"Wrote the tables into {options.write}.")


def _draw(found: Found, options: Benchmark) -> None:
    from dvla_ros.evaluation.decode.plots import plot_growth, plot_rows

    if options.plot is not None and found.rows:
        plot_rows(found.rows, options.plot)
        console.print(f"Wrote {options.plot}.")
    if options.growth_plot is not None and found.points:
        plot_growth(found.points, options.growth_plot)
        console.print(f"Wrote {options.growth_plot}.")


def _checks_table(held: Sequence[Check]) -> FigureTable:
    return FigureTable(_CHECK_HEADINGS, tuple(_check_cells(check) for check in held))


def _check_cells(check: Check) -> tuple[str, ...]:
    unit = f" {check.unit}" if check.unit else " x"
    bound = f"{'at least' if check.at_least else 'at most'} {check.bound:g}{unit}"
    return check.name, f"{check.value:.3g}{unit}", bound, "yes" if check.holds else "no"


def _growth_table(points: Sequence[Point]) -> FigureTable:
    headings = ("what grows", "to", "chunk ms", "its floor", "published way ms", "its floor ")
    return FigureTable(headings, tuple(tuple(cell(value) for value in asdict(point).values()) for point in points))


def _print(table: FigureTable, title: str, leave_out: Sequence[str] = ()) -> None:
    shown: Any = Table(title=title, box=box.SIMPLE)
    kept = [index for index, heading in enumerate(table.headings) if heading not in leave_out]
    for index in kept:
        shown.add_column(table.headings[index], no_wrap=True, justify="left" if index < 1 else "right")
    for row in table.rows:
        shown.add_row(*(row[index] for index in kept))
    console.print(shown)
