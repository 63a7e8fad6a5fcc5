"""How well chunks join: jumps of the plan at each seam, jerk of the commands, and gaps without a row."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.controller import ChunkController, Command
from dvla_ros.control.kinematics import forward

_STEP_S = 0.02
"""Velocities of the plan are differences over this time."""


@dataclass(frozen=True)
class Seam:
    """What changed when a chunk took over, at the end of the row that was being executed.

    Attributes:
        position_jump: Distance in metres between where the end effector was to be then, and where it is to be now.
        velocity_jump: Change of its planned velocity then, in m/s.
    """

    position_jump: float
    velocity_jump: float


@dataclass(frozen=True)
class SeamFigures:
    """Figures of many episodes; the names are those of the benchmark's JSON.

    Attributes:
        seam_position_jump: Mean over the seams, in metres.
        seam_position_jump_max: Largest.
        seam_velocity_jump: Mean over the seams, in m/s.
        jerk_rms: Root of the mean square of the joints' third differences, in rad/s^3.
        gap_s: Longest time without a row to execute between the first row and the end of an episode.
        seams: How many.
    """

    seam_position_jump: float
    seam_position_jump_max: float
    seam_velocity_jump: float
    jerk_rms: float
    gap_s: float
    seams: int


class SeamRecorder:
    """Watches `SimulatedEpisodes`; an `EpisodeObserver`."""

    def __init__(self, control_hz: float) -> None:
        self._period = 1.0 / control_hz
        self._seams: list[Seam] = []
        self._squared_jerks: list[float] = []
        self._gaps: list[float] = []
        self._arms: list[np.ndarray] = []
        self._waiting_since: float | None = None
        self._started = False
        self._plan: tuple[np.ndarray, np.ndarray] | None = None

    def restart(self) -> None:
        """A new episode begins."""
        self._finish()
        self._arms, self._waiting_since, self._started = [], None, False

    def commanded(self, now: float, command: Command, waiting: bool) -> None:
        """A command was sent at `now` seconds; `waiting` when no row was being executed."""
        self._arms.append(command.arm)
        if not waiting:
            self._end_gap(now)
        elif self._waiting_since is None:
            self._waiting_since = now

    def taking_over(self, controller: ChunkController, chunk: ActionChunk, now: float) -> None:
        """A chunk is about to be given to the controller: remember what was planned."""
        self._seam_time = _end_of_row(chunk, now)
        self._plan = self._planned(controller, now) if self._started and self._waiting_since is None else None
        self._started = True

    def taken_over(self, controller: ChunkController, chunk: ActionChunk, now: float) -> None:
        """The controller accepted the chunk: compare with what was planned."""
        if self._plan is None:
            return
        (position, velocity), (old_position, old_velocity) = self._planned(controller, now), self._plan
        jump = float(np.linalg.norm(position - old_position))
        self._seams.append(Seam(jump, float(np.linalg.norm(velocity - old_velocity))))

    def figures(self) -> SeamFigures:
        """Figures of all episodes so far."""
        self._finish()
        self._arms = []
        positions = [seam.position_jump for seam in self._seams] or [0.0]
        velocities = [seam.velocity_jump for seam in self._seams] or [0.0]
        return SeamFigures(
            seam_position_jump=float(np.mean(positions)),
            seam_position_jump_max=float(np.max(positions)),
            seam_velocity_jump=float(np.mean(velocities)),
            jerk_rms=float(np.sqrt(np.mean(self._squared_jerks))) if self._squared_jerks else 0.0,
            gap_s=max(self._gaps, default=0.0),
            seams=len(self._seams),
        )

    def _planned(self, controller: ChunkController, now: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity of the end effector at the seam as planned at present, each `[3]`."""
        preview = controller.preview(now, max(self._seam_time - now, 0.0) + 2.0 * _STEP_S)
        at, later = (
            forward(np.array([np.interp(time, preview.times, column) for column in preview.positions.T]))[:3, 3]
            for time in (self._seam_time, self._seam_time + _STEP_S)
        )
        return at, (later - at) / _STEP_S

    def _end_gap(self, now: float) -> None:
        if self._waiting_since is not None:
            self._gaps.append(now - self._waiting_since)
            self._waiting_since = None

    def _finish(self) -> None:
        if len(self._arms) > 3:
            jerks = np.diff(np.array(self._arms), n=3, axis=0) / self._period**3
            self._squared_jerks += np.mean(jerks**2, axis=1).tolist()


def _end_of_row(chunk: ActionChunk, now: float) -> float:
    """When the row ends that is being executed at `now`, on the grid of the chunk."""
    rows = max(0.0, np.floor((now - chunk.stamp) / chunk.dt + 1e-6) + 1.0)
    return float(chunk.stamp + rows * chunk.dt)
