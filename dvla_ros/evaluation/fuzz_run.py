"""One run of the fuzzer: a controller, an arm with faults of its own, a clock that jumps, and chunks of all kinds."""

import math
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.controller import ChunkController, Command, ControllerConfig
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.widowx import FINGER_CLOSED, FINGER_OPEN, LOWER, NEUTRAL, UPPER
from dvla_ros.control.workspace import BRIDGE_BOX, OPENVLA_BOX
from dvla_ros.errors import ActionError
from dvla_ros.evaluation.command_oracle import CommandOracle, CommandRecord, Violation
from dvla_ros.evaluation.fuzz_chunks import Situation, draw_draft

_T = TypeVar("_T")

_RATES = (50.0, 50.0, 50.0, 7.0, 200.0)
_ORIGINS = (0.0, 1000.0, 1.8e9)
_EVENTS = 0.03
"""Part of the ticks in which something happens besides chunks."""


@dataclass
class FuzzReport:
    """What came of one run or several.

    Attributes:
        chunks: Chunks offered, those included that no message could carry.
        commands: Commands looked at.
        accepted: Chunks taken over.
        rejected: Chunks refused, by reason.
        faults: Faults that the controller latched, by reason.
        violations: Commands outside their limits, by kind.
        exceptions: Exceptions, by the call that raised them and their type.
        examples: A sentence for some of the violations and exceptions.
    """

    chunks: int = 0
    commands: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, other: "FuzzReport", examples: int = 20) -> None:
        """Add the counts of another report, and as many of its examples as there is room for."""
        self.chunks, self.commands = self.chunks + other.chunks, self.commands + other.commands
        self.accepted += other.accepted
        self.rejected.update(other.rejected)
        self.faults.update(other.faults)
        self.violations.update(other.violations)
        self.exceptions.update(other.exceptions)
        self.examples += other.examples[: max(examples - len(self.examples), 0)]

    @property
    def is_clean(self) -> bool:
        """True without violations and exceptions."""
        return not self.violations and not self.exceptions


class FuzzRun:
    """Offers chunks to one controller; everything follows from the seed.

    Args:
        seed: Any numbers; the same ones give the same run.
        chunks: How many to offer.
    """

    def __init__(self, seed: tuple[int, ...], chunks: int) -> None:
        self._seed, self._left = seed, chunks
        self._rng = np.random.default_rng(seed)
        config = _draw_config(self._rng)
        self._safety = config.safety
        self._oracle = CommandOracle(config.safety, config.max_tick_gap_s)
        self._controller = ChunkController(config, WidowXKinematics())
        self._arm = _Arm(self._rng)
        self._period = 1.0 / float(self._rng.choice(_RATES))
        self._now = float(self._rng.choice(_ORIGINS))
        self._chunks_per_tick = float(self._rng.choice([0.2, 1.0, 5.0]))  # mean number of chunks offered per tick
        self._commanded, self._sequence, self._stamp, self._dt = NEUTRAL, 0, self._now, 0.2
        self._log: list[tuple[float, Command]] = []
        self._begun_at: np.ndarray | None = None
        self.report = FuzzReport()

    def run(self) -> FuzzReport:
        """Offer all chunks and let the arm come to rest."""
        while self._left > 0:
            self._tick()
            if self._rng.random() < _EVENTS:
                self._happen()
            for _ in range(min(int(self._rng.poisson(self._chunks_per_tick)), self._left)):
                self._offer()
        for _ in range(math.ceil(1.0 / self._period)):
            self._tick()
        self._judge()
        self.report.faults.update(self._controller.statistics.faults)
        return self.report

    def _tick(self) -> None:
        self._now += self._period * float(self._rng.choice([1.0, 1.0, self._rng.uniform(0.9, 1.1)]))
        measured, finger = self._arm.measured()
        command = self._call("update", lambda: self._controller.update(self._now, measured, finger))
        if command is None:
            return
        if self._begun_at is None:
            self._begun_at = np.full(6, np.nan) if measured is None else np.array(measured, np.float64)
        self._log.append((self._now, command))
        self._commanded = command.arm
        self._arm.follow(command)

    def _offer(self) -> None:
        self._left -= 1
        self.report.chunks += 1
        situation = Situation(
            self._now, self._commanded, self._controller.epoch, self._sequence, self._stamp, self._dt, self._safety
        )
        draft = draw_draft(situation, self._rng)
        try:
            chunk = draft.chunk()
        except ActionError:
            self.report.rejected["malformed"] += 1
            return
        self._accept(chunk)

    def _accept(self, chunk: ActionChunk) -> None:
        verdict = self._call("accept", lambda: self._controller.accept(chunk, self._now))
        if verdict is None:
            return
        if verdict.accepted:
            self.report.accepted += 1
            self._sequence, self._stamp, self._dt = chunk.sequence, chunk.stamp, chunk.dt
        else:
            self.report.rejected[verdict.reason] += 1

    def _happen(self) -> None:
        """Something that is not a chunk."""
        controller, rng = self._controller, self._rng
        match int(rng.integers(12)):
            case 0:
                self._call("hold", controller.hold)
            case 1 | 2 | 3:
                self._call("release", controller.release)
            case 4:
                self._call("fault", lambda: controller.fault("fuzz", "A fault out of nothing."))
            case 5 | 6 | 7 | 8:
                self._call("reset_fault", controller.reset_fault)
            case 9:
                self._reset()
            case 10:
                self._now += float(rng.choice([0.0, 0.05, 0.2, 1.5, 10.0, -1e-4, -0.02, -0.5, -10.0])) - self._period
            case _:
                horizon = float(rng.choice([0.0, 0.5, 3.0]))
                self._call("preview", lambda: controller.preview(self._now, horizon))

    def _reset(self) -> None:
        self._judge()
        epoch = self._controller.epoch + int(self._rng.choice([0, 1, 2]))
        self._call("reset", lambda: self._controller.reset(epoch))
        self._sequence = -1

    def _call(self, name: str, function: Callable[[], _T]) -> _T | None:
        """Call the controller; an exception is what this is about."""
        try:
            return function()
        except Exception as error:
            self.report.exceptions[f"{name}: {type(error).__name__}"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            self._example(f"{name} raised {type(error).__name__}: {error} ({where.name}, line {where.lineno})")
            return None

    def _judge(self) -> None:
        """Look at all commands since the last start."""
        if self._begun_at is not None:
            record = CommandRecord(
                times=np.array([time for time, _ in self._log]),
                arms=np.array([command.arm for _, command in self._log]),
                velocities=np.array([command.arm_velocity for _, command in self._log]),
                grippers=np.array([command.gripper for _, command in self._log]),
                measured=self._begun_at,
            )
            self.report.commands += len(self._log)
            for violation in self._oracle.violations(record):
                self._count(violation)
        self._log, self._begun_at = [], None

    def _count(self, violation: Violation) -> None:
        self.report.violations[violation.kind] += 1
        self._example(f"{violation.kind} {violation.value:.6g}, limit {violation.limit:.6g}, at {violation.time:.6f} s")

    def _example(self, sentence: str) -> None:
        self.report.examples.append(f"seed {self._seed}: {sentence}")


class _Arm:
    """Joints that follow commands more or less, and joint states that are sometimes missing or wrong."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._joints = NEUTRAL + rng.normal(0.0, 0.1, 6)
        if rng.random() < 0.1:
            self._joints = rng.uniform(LOWER, UPPER)
        self._rate = float(rng.choice([1.0, 0.6, 0.6, 0.2]))
        self._faulty = float(rng.choice([0.0, 0.0, 0.01, 0.1]))
        self._stuck = np.ones(6)
        if rng.random() < 0.1:
            self._stuck[rng.integers(6)] = 0.0

    def follow(self, command: Command) -> None:
        if np.isfinite(command.arm).all():
            self._joints = self._joints + self._rate * self._stuck * (command.arm - self._joints)

    def measured(self) -> tuple[np.ndarray | None, float]:
        """Joints in rad and finger in metres, as they are reported."""
        rng, finger = self._rng, float(self._rng.uniform(FINGER_CLOSED, FINGER_OPEN))
        if rng.random() >= self._faulty:
            return self._joints.copy(), finger
        match int(rng.integers(5)):
            case 0:
                return None, finger
            case 1:
                return np.full(6, math.nan), finger
            case 2:
                return self._joints.copy(), math.inf
            case 3:
                return rng.uniform(2.0 * LOWER, 2.0 * UPPER), finger
            case _:
                return self._joints + rng.normal(0.0, 0.3, 6), finger


def _draw_config(rng: np.random.Generator) -> ControllerConfig:
    """The default settings mostly, else others that are allowed."""
    if rng.random() < 0.5:
        return ControllerConfig()
    box = (BRIDGE_BOX, OPENVLA_BOX)[int(rng.integers(2))]
    scale = float(rng.choice([0.3, 1.0, 2.0]))
    base = SafetyConfig()
    safety = replace(
        base,
        workspace_lower=box.lower,
        workspace_upper=box.upper,
        joint_velocity=tuple(scale * value for value in base.joint_velocity),
        joint_acceleration=tuple(float(value) for value in rng.uniform(3.0, 30.0, 6)),
        joint_jerk=tuple(float(value) for value in rng.uniform(60.0, 2000.0, 6)),
        overload=float(rng.choice([1.0, 3.0, 30.0])),
    )
    return ControllerConfig(
        safety=safety,
        align_fade_s=float(rng.choice([0.0, 0.4])),
        starvation=str(rng.choice(["hold", "decelerate", "stop"])),
        slow_start_s=float(rng.choice([0.0, 2.0])),
        max_lag=float(rng.choice([0.05, 0.15, 1.0])),
    )
