"""What weights in 8 bits cost and lose: the shipped policies in the simulator, against themselves as they are.

    PYTHONPATH=.ros/torchao .venv/bin/python benchmarks/quantised.py

torchao is where `make test` puts it; `pip install torchao` does as well.

Beside each difference stands that of the unquantised policy asked twice with different seeds: how far answers lie apart
that are equally good. Times are medians of whole chunks, one policy after the other: on a busy machine the ratio of
that row, which should be 1, says how far they can be trusted.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path

import numpy as np
import torch
import tyro
from publish import show, wide_console, write_json, write_page
from second_looks import looks

from dvla_ros.control.observation import Observation
from dvla_ros.engine.weight_form import UNCHANGED
from dvla_ros.errors import DvlaError
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.weight_quality import Difference, difference
from dvla_ros.policies.base import Policy, Prediction
from dvla_ros.policies.load import load_policy
from dvla_ros.provenance import machine_name

PART = "quantised"
HEADINGS = ("policy", "weights", "chunks", "same tokens", "translation", "rotation", "same gripper", "chunk", "as fast")


@dataclass
class QuantisedConfig:
    """Options.

    Attributes:
        systems: Shipped policies.
        weights: Ways to hold weights, see `dvla_ros.engine.quantise`.
        checkpoints: Where they lie, with {system}.
        device: `cpu` or `cuda`.
        scenes: Simulated scenes.
        looks: Observations in each.
        seed: Of the first scene.
        threads: Of the CPU.
        json: Where the figures are written; none by default.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    systems: tuple[str, ...] = ("dd_vla", "llada_vla", "dfm_vla", "ud_vla", "diffusion_vla")
    weights: tuple[str, ...] = ("int8", "int8_dynamic")
    checkpoints: str = "checkpoints/widowx_{system}_small"
    device: str = "cpu"
    scenes: int = 3
    looks: int = 4
    seed: int = 0
    threads: int = 1
    json: Path | None = None
    write: Path | None = None


@dataclass(frozen=True)
class Row:
    """One policy with its weights held in one way, or asked again with other seeds."""

    policy: str
    weights: str
    difference: Difference
    chunk_ms: float
    ratio: float

    def cells(self) -> tuple[str, ...]:
        """As text."""
        off = self.difference
        return (
            *(self.policy, self.weights, str(off.chunks), "–" if isnan(off.tokens) else f"{100 * off.tokens:.1f} %"),
            *(f"{off.translation_mm:.2f} mm", f"{off.rotation_deg:.2f}°", f"{100 * off.gripper:.1f} %"),
            *(f"{self.chunk_ms:.1f} ms", f"{self.ratio:.2f} ×"),
        )


def rows_of(system: str, config: QuantisedConfig) -> list[Row]:
    """One row for other seeds, and one for each way."""
    checkpoint = Path(config.checkpoints.format(system=system))
    plain = load_policy(checkpoint, config.device)
    scenes = range(config.seed, config.seed + config.scenes)
    seen = [(look.observation, look.seed) for look in looks(plain, scenes, config.looks)]
    others: dict[str, tuple[Policy, int]] = {"as it is, other seeds": (plain, 1000)}
    others |= {weights: (load_policy(checkpoint, config.device, weights=weights), 0) for weights in config.weights}
    own, plain_ms = _asked(plain, seen, 0)
    rows = []
    for name, (policy, offset) in others.items():
        answers, chunk_ms = _asked(policy, seen, offset)
        rows.append(Row(system, name, difference(zip(own, answers, strict=True)), chunk_ms, plain_ms / chunk_ms))
    return rows


def _asked(policy: Policy, seen: Sequence[tuple[Observation, int]], offset: int) -> tuple[list[Prediction], float]:
    """Answers, and the median time of a chunk in ms."""
    policy.predict(seen[0][0], seed=0)
    answers, spent = [], []
    for observation, seed in seen:
        began = time.perf_counter()
        answers.append(policy.predict(observation, seed=seed + offset))
        spent.append(time.perf_counter() - began)
    return answers, 1e3 * float(np.median(spent))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    config, console = tyro.cli(QuantisedConfig, args=arguments), wide_console()
    torch.set_num_threads(config.threads)
    try:
        rows = [row for system in config.systems for row in rows_of(system, config)]
    except DvlaError as error:
        console.print(str(error))
        return 1
    table = FigureTable(HEADINGS, tuple(row.cells() for row in rows))
    show(console, table, f"8-bit weights, {UNCHANGED} = 1 ×", "")
    if config.json is not None:
        write_json(console, config.json, {"threads": config.threads, "rows": [known(asdict(row)) for row in rows]})
    if config.write is not None:
        below = f"{config.threads} thread(s). {machine_name()}."
        write_page(console, config.write, PART, table, below)
    return 0


if __name__ == "__main__":
    sys.exit(main())
