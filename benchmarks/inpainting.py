"""What frozen rows, an early stop and a guess cost and change, for every system, against decoding from scratch.

Examples:
    .venv/bin/python benchmarks/inpainting.py --scenes 10 --json benchmarks/results/inpainting.json
    .venv/bin/python benchmarks/inpainting.py --only dd_vla --scenes 4

The policy drives the simulated arm: it looks, some rows of its chunk are executed, it looks again. At the second look a
chunk is inferred with the first d rows fixed to those that the chunk before has for that time, and once with nothing
fixed and the same seed, which is decoding from scratch.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from machine import machine_line
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.variants import CHECKPOINTS
from dvla_ros.policies.base import Guess, Policy, Prediction
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import tasks_of
from dvla_ros.simulation.teleop import BridgeArm

PART = "in-painting"
DELAYS = range(5)
"""Frozen rows d: how many are executed while the next chunk is inferred."""
STRIDE = 3
"""Rows that are executed between the beginnings of two chunks, and are needed of a chunk beside the frozen ones."""
HEADINGS = (
    "system", "d", "what", "NFE", "NFE ratio", "ms", "ms ratio", "from scratch mm", "needed rows mm", "seam mm",
    "unusable",
)  # fmt: skip
FROZEN = "frozen"
ON_PAGE = ("0", "2", "4")
"""Frozen rows that have a line on the page; the JSON file has all."""
_ANOTHER_SEED = 100_000
_WIDTH, _HEIGHT = 640, 480
_MM = 1000.0
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
    scenes: int = 10
    looks: int = 3
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


@dataclass(frozen=True)
class Look:
    """A second look: the observation, what the chunk before has from there on, and the answer from scratch.

    Attributes:
        observation: What the policy sees.
        before: float32 `[n, D]`, rows of the chunk before that are still to come.
        confidence: float32 `[n, D]`, its confidence in them.
        scratch: The answer to this observation with nothing given.
        seed: That it was drawn with.
    """

    observation: Observation
    before: np.ndarray
    confidence: np.ndarray
    scratch: Prediction
    seed: int


@dataclass
class Figures:
    """One way of asking, over all looks; lists of one number a look."""

    nfe: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    nfe_ratio: list[float] = field(default_factory=list)
    ms_ratio: list[float] = field(default_factory=list)
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
        ms, scratch_ms = (_MM * each.timings.denoise_s for each in (answer, look.scratch))
        self.nfe.append(answer.nfe)
        self.ms.append(ms)
        self.nfe_ratio.append(answer.nfe / look.scratch.nfe)
        self.ms_ratio.append(ms / scratch_ms)
        if not (answer.usable and whole.usable):
            self.unusable += 1
            return
        self.from_scratch_mm.append(path_difference(answer.actions, look.scratch.actions))
        self.needed_rows_mm.append(path_difference(answer.actions[:needed], whole.actions[:needed]))
        if frozen:
            self.seam_mm.append(change(answer.actions, frozen))

    def summary(self) -> dict[str, float]:
        """Means, the median of milliseconds, and how many answers were unusable."""
        means = {name: float(np.mean(each)) for name, each in asdict(self).items() if name != "unusable" and each}
        return {**means, "ms": float(np.median(self.ms)), "unusable": self.unusable}


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
        figures = {"machine": machine, "seed": config.seed, "stride": STRIDE, "systems": {}}
        for name in config.systems:
            figures["systems"][name] = figures_of(load_policy(Path(config.checkpoints.format(system=name))), config)  # type: ignore[index]
            console.print(f"{name} is measured")
        publish(figures, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def figures_of(policy: Policy, config: InpaintingConfig) -> dict[str, object]:
    """The figures of one system: for each d, each way of asking; and what is usual between rows."""
    ways: dict[str, dict[str, Figures]] = {}
    usual, count = [], 0
    for look in looks(policy, config):
        count += 1
        usual.append(np.mean([change(look.scratch.actions, row) for row in range(1, policy.spec.horizon)]))
        for d in DELAYS:
            ask_all(policy, look, d, ways.setdefault(str(d), {}))
    by_delay = {d: {what: each.summary() for what, each in asked.items()} for d, asked in ways.items()}
    return {"looks": count, "row_to_row_mm": float(np.mean(usual)), "by_frozen_rows": by_delay}


def ask_all(policy: Policy, look: Look, d: int, figures: dict[str, Figures]) -> None:
    """Ask in every way with d rows frozen."""
    horizon = policy.spec.horizon
    needed = min(horizon, d + STRIDE)
    frozen = look.before[:d]
    guess = Guess.of_leading(look.before, look.confidence, horizon)
    whole = look.scratch
    for what, options in ways_of(needed, guess, look.seed).items():
        answer = policy.predict(look.observation, frozen_actions=frozen, **options)  # type: ignore[arg-type]
        if what == FROZEN:
            whole = answer
        figures.setdefault(what, Figures()).add(answer, look, whole, d, needed)


def ways_of(needed: int, guess: Guess, seed: int) -> Mapping[str, dict[str, object]]:
    """How a chunk is asked for, by name; the first is what the others are compared with."""
    return {
        FROZEN: {"seed": seed},
        "another seed": {"seed": seed + _ANOTHER_SEED},
        "early stop": {"seed": seed, "needed_steps": needed},
        "guess": {"seed": seed, "warm_start": guess},
        "early stop, guess": {"seed": seed, "needed_steps": needed, "warm_start": guess},
    }


def looks(policy: Policy, config: InpaintingConfig) -> Iterator[Look]:
    """Second looks of the policy on its way; a scene ends where the policy has no answer."""
    names, simulation = tasks_of(("pick",)), Simulation()
    arm, rig = BridgeArm(simulation), CameraRig(simulation.model, _WIDTH, _HEIGHT)
    horizon = policy.spec.horizon
    stride = min(STRIDE, horizon - max(DELAYS))
    for scene in range(config.scenes):
        simulation.reset(names[scene % len(names)], config.seed + scene)
        arm.restart()
        before: Prediction | None = None
        for number in range(config.looks + 1):
            seed = (config.looks + 1) * scene + number
            observation = observe(simulation, arm, rig)
            answer = policy.predict(observation, seed=seed)
            if not answer.usable:
                break
            if before is not None:
                yield Look(observation, before.actions[stride:], before.confidence[stride:], answer, seed)
            before = answer
            for row in answer.actions[:stride]:
                arm.apply(row.astype(np.float64))


def observe(simulation: Simulation, arm: BridgeArm, rig: CameraRig) -> Observation:
    """What the policy sees now."""
    qpos, mocap = simulation.qpos(), simulation.mocap()
    images = {name: rig.render(qpos, name, mocap) for name in CAMERAS}
    return Observation(simulation.time, images, arm.state, simulation.task.instruction)


def publish(figures: dict, config: InpaintingConfig) -> None:  # type: ignore[type-arg]
    """Print the table, and write it where asked."""
    show(console, table_of(figures, tuple(map(str, DELAYS))), "In-painting and decoding from scratch", leave_out="")
    if config.json is not None:
        write_json(console, config.json, figures)
    if config.write is not None:
        usual = ", ".join(f"`{name}` {each['row_to_row_mm']:.1f}" for name, each in figures["systems"].items())
        counts = sorted({each["looks"] for each in figures["systems"].values()})
        about = f"{counts[0]} to {counts[-1]} looks a system. Usual change from row to row, mm: {usual}."
        below = f"{about} Machine: {figures['machine']}."
        write_page(console, config.write, PART, table_of(figures, ON_PAGE), below)


def table_of(figures: dict, delays: Sequence[str]) -> FigureTable:  # type: ignore[type-arg]
    """A line for each way of asking with so many frozen rows; with none, from scratch is the first."""
    rows = [
        (system, d, "from scratch" if (d, what) == ("0", FROZEN) else what, *cells(each))
        for system, measured in figures["systems"].items()
        for d in delays
        for what, each in measured["by_frozen_rows"][d].items()
    ]
    return FigureTable(HEADINGS, tuple(rows))


def cells(each: Mapping[str, float]) -> tuple[str, ...]:
    """The figures of one way as text."""
    seam = f"{each['seam_mm']:.1f}" if "seam_mm" in each else "–"
    return (
        f"{each['nfe']:.1f}",
        f"{each['nfe_ratio']:.2f}",
        f"{each['ms']:.0f}",
        f"{each['ms_ratio']:.2f}",
        f"{each['from_scratch_mm']:.1f}",
        f"{each['needed_rows_mm']:.1f}",
        seam,
        f"{each['unusable']:.0f}",
    )


if __name__ == "__main__":
    sys.exit(main())
