"""A day of chunks at an accelerated clock: does the timing drift, does the memory grow?"""

import gc
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.controller import ChunkController, ControllerConfig
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.widowx import ARM_JOINTS, FINGER_OPEN, NEUTRAL
from dvla_ros.errors import ConfigurationError

EPOCH_S = 1.8e9
"""Seconds since 1970, as the clock of a robot shows them."""

_DT = 0.2
_STEPS = np.array([1.0, 1.0, -2.0]) / 32.0
"""rad per row: there and back. Exact in float32, so that nothing adds up but what the controller adds."""

_WARM_UP = 0.1
"""Part of the run after which memory is first measured: by then everything was imported and allocated once."""


@dataclass(frozen=True)
class LongRunConfig:
    """What to simulate.

    Attributes:
        hours: Simulated time.
        hz: Ticks per second while a chunk is executed; a multiple of 5.
        every_s: A chunk of 0.6 s every so many seconds; there are no ticks while the arm rests between them.

    Raises:
        ConfigurationError: A number is out of range.
    """

    hours: float = 24.0
    hz: int = 50
    every_s: float = 0.6

    def __post_init__(self) -> None:
        if not self.hours > 0.0 or self.every_s < 0.6:
            raise ConfigurationError(f"hours must be positive and every_s 0.6 or more, got {self}.")
        if self.hz < 5 or self.hz % 5:
            raise ConfigurationError(f"hz must be a multiple of 5, got {self.hz}.")


@dataclass
class LongRunReport:
    """What was measured.

    Attributes:
        chunks: Chunks offered.
        rejected: Chunks refused, by reason.
        commands: Commands made.
        worst_error_rad: Largest distance of a joint from where a row wanted it, at the end of the row.
        first_hour_error_rad: The same for the first hour alone: had the timing drifted, it would be smaller.
        rss_start_mb: Memory after a tenth of the run, in 10^6 bytes.
        rss_end_mb: Memory at the end.
    """

    chunks: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    worst_error_rad: float = 0.0
    first_hour_error_rad: float = 0.0
    rss_start_mb: float = 0.0
    rss_end_mb: float = 0.0

    @property
    def rss_growth(self) -> float:
        """Growth of the memory as a part of what it was."""
        return self.rss_end_mb / self.rss_start_mb - 1.0


def long_run(config: LongRunConfig) -> LongRunReport:
    """Execute chunk after chunk with an arm that follows at once."""
    controller = ChunkController(ControllerConfig(max_tick_gap_s=config.every_s + 1.0), WidowXKinematics())
    report, count = LongRunReport(), max(round(config.hours * 3600.0 / config.every_s), 2)
    controller.update(EPOCH_S - 1.0 / config.hz, NEUTRAL, FINGER_OPEN)
    for index in range(count):
        if index == round(_WARM_UP * count):
            report.rss_start_mb = _resident_mb()
        stamp = EPOCH_S + index * config.every_s
        error = _execute(controller, _chunk(stamp, index), config, report)
        report.worst_error_rad = max(report.worst_error_rad, error)
        if index * config.every_s <= 3600.0:
            report.first_hour_error_rad = report.worst_error_rad
    report.rss_end_mb = _resident_mb()
    return report


def _execute(controller: ChunkController, chunk: ActionChunk, config: LongRunConfig, report: LongRunReport) -> float:
    """Offer a chunk right before it starts and tick until it is over; the largest error at the ends of its rows."""
    verdict = controller.accept(chunk, chunk.stamp - 0.5 / config.hz)
    report.chunks += 1
    if not verdict.accepted:
        report.rejected[verdict.reason] += 1
    arm, per_row, worst = NEUTRAL, round(_DT * config.hz), 0.0
    for tick in range(1, len(_STEPS) * per_row + 1):
        command = controller.update(chunk.stamp + tick / config.hz, arm, FINGER_OPEN)
        assert command is not None
        arm, report.commands = command.arm, report.commands + 1
        if tick % per_row == 0:
            wanted = NEUTRAL + _STEPS[: tick // per_row].sum()
            worst = max(worst, float(np.max(np.abs(arm - wanted))))
    return worst


def _chunk(stamp: float, index: int) -> ActionChunk:
    actions = np.column_stack([np.tile(_STEPS[:, None], (1, 6)), np.ones(len(_STEPS))]).astype(np.float32)
    names = (*ARM_JOINTS, "gripper")
    return ActionChunk(stamp, _DT, actions, ControlMode.JOINT_DELTA, names, index, observation_stamp=stamp)


def _resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
