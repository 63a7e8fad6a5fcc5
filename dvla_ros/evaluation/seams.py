"""How well chunks join: jumps at the seams, jerk of the commands, and gaps without a row."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.controller import ChunkController, Command

_GRID = 1e3
"""Due times are told apart by the millisecond."""


@dataclass(frozen=True)
class Seam:
    """How far what was executed is from what the chunk that takes over believes to have been executed.

    A chunk that comes late starts in the middle: the rows before are over. It continues its own path at the place where
    the arm was led by the chunk before. With increments this shows as an arm that is elsewhere than the chunk takes it
    to be, with absolute targets as a jump of the target.

    Attributes:
        position_jump: Distance of the end effector in metres.
        velocity_jump: Difference of its velocity in the last of these rows, in m/s.
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
        gap_s: Longest time without a row to execute after the first row, because the next chunk was not there yet.
        held: How often the controller dropped the rows, because the arm could not keep up, and started from rest.
        seams: How many.
    """

    seam_position_jump: float
    seam_position_jump_max: float
    seam_velocity_jump: float
    jerk_rms: float
    gap_s: float
    held: int
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
        self._is_held, self._held = False, 0
        self._executed: dict[int, np.ndarray] = {}

    def restart(self) -> None:
        """A new episode begins."""
        self._finish()
        self._arms, self._waiting_since, self._is_held, self._executed = [], None, False, {}

    def commanded(self, now: float, command: Command, waiting: bool) -> None:
        """A command was sent at `now` seconds; `waiting` when no row was being executed."""
        self._arms.append(command.arm)
        if not waiting:
            self._end_gap(now)
            self._is_held = False
        elif self._waiting_since is None and not self._is_held:
            self._waiting_since = now

    def dropped(self, now: float) -> None:
        """The controller dropped its rows at `now` seconds."""
        self._end_gap(now)
        self._is_held, self._executed = True, {}
        self._held += 1

    def taken_over(self, controller: ChunkController, chunk: ActionChunk, now: float) -> None:
        """The controller accepted the chunk: compare its first rows with those that were executed instead."""
        first = min(chunk.horizon, max(0, int(np.ceil((now - chunk.stamp) / chunk.dt - 1e-6))))
        dues = [round(_GRID * (chunk.stamp + index * chunk.dt)) for index in range(chunk.horizon)]
        executed = [self._executed.get(due) for due in dues[:first]]
        rows = [row for row in executed if row is not None]
        if len(rows) == first and self._executed:
            self._seams.append(_seam(np.array(rows), chunk.actions[:first], chunk))
        self._executed = {due: row for due, row in self._executed.items() if first < len(dues) and due < dues[first]}
        self._executed |= dict(zip(dues[first:], chunk.actions[first:], strict=True))

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
            held=self._held,
            seams=len(self._seams),
        )

    def _end_gap(self, now: float) -> None:
        if self._waiting_since is not None:
            self._gaps.append(now - self._waiting_since)
            self._waiting_since = None

    def _finish(self) -> None:
        if len(self._arms) > 3:
            jerks = np.diff(np.array(self._arms), n=3, axis=0) / self._period**3
            self._squared_jerks += np.mean(jerks**2, axis=1).tolist()


def _seam(executed: np.ndarray, believed: np.ndarray, chunk: ActionChunk) -> Seam:
    """The seam after `executed` rows `[f, D]` in place of `believed` ones."""
    if len(executed) == 0:
        return Seam(0.0, 0.0)
    difference = (executed - believed)[:, :3]
    if chunk.mode in (ControlMode.EE_DELTA, ControlMode.JOINT_DELTA):
        position, velocity = difference.sum(axis=0), difference[-1] / chunk.dt
    else:
        position, velocity = difference[-1], np.diff(difference, axis=0)[-1:].sum(axis=0) / chunk.dt
    return Seam(float(np.linalg.norm(position)), float(np.linalg.norm(velocity)))
