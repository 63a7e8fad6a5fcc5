"""Executing rows on one arm: targets one after another, smooth motion between them, holding when one fails."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.action_space import Target, next_target
from dvla_ros.control.interpolation import JointMotion, passing_velocity
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.safety import SafetyGate
from dvla_ros.control.timeline import Row
from dvla_ros.control.widowx import gripper_from_finger
from dvla_ros.errors import ActionError, KinematicsError

_RESUME_S = 0.1
"""Time to reach the last target when an interruption ends while no row is due; longer if the speed limit says so."""


@dataclass(frozen=True)
class Command:
    """What to send to the arm now.

    Attributes:
        arm: float64 `[6]` joint positions in rad.
        arm_velocity: float64 `[6]` rad/s.
        gripper: Opening, 0 closed .. 1 open.
    """

    arm: np.ndarray
    arm_velocity: np.ndarray
    gripper: float


@dataclass(frozen=True)
class Fault:
    """Why the last command is being repeated.

    Attributes:
        reason: Short word to count by.
        detail: One sentence.
    """

    reason: str
    detail: str


class RowExecution:
    """The commanded state of one arm, from the moment its joints are known. Belongs to one thread.

    Attributes:
        command: The latest command.
        target: Where the arm shall be at the end of the row being executed; increments start from it.
        fault: Why the arm does not do what the row asks for; None while it does.
        last_tick: Time of the latest command in seconds.
    """

    def __init__(
        self, measured: np.ndarray, finger: float, now: float, gate: SafetyGate, kinematics: WidowXKinematics
    ) -> None:
        """Begin at rest where the arm is: joints `measured` `[6]` in rad, `left_finger` in metres, `now` in seconds."""
        joints, gripper = np.array(measured, np.float64), gripper_from_finger(finger)
        self._gate = gate
        self._kinematics = kinematics
        self._motion = JointMotion(joints, gate.velocity)
        self._row_key: tuple[int, int, int] | None = None
        self._interrupted = False
        self.command = Command(joints, np.zeros(6), gripper)
        self.target = Target(joints, kinematics.forward(joints), gripper)
        self.fault: Fault | None = None
        self.last_tick = now

    def is_new(self, row: Row) -> bool:
        """True when the row has not been begun yet."""
        return row.key != self._row_key

    def begin(self, row: Row, following: Row | None, measured: np.ndarray, now: float) -> bool:
        """Start moving to the target of a row; if it has none that may be executed, rest at the target before it.

        Args:
            row: The row that is due.
            following: The row after it, if that becomes due at once: the arm then passes the target without stopping.
            measured: `[6]` measured joints in rad.
            now: Seconds.

        Returns:
            False when the row is not executed; `fault` says why.
        """
        missed_its_start = self._interrupted or row.due <= self.last_tick
        self._row_key = row.key
        target = self._safe_target(row, self.target, self._kinematics.forward(measured))
        if isinstance(target, Fault):
            self.resume(row, now)
            self.fault = target
            return False
        self._interrupted, self.fault = False, None
        start = now if missed_its_start else row.due
        self._motion.move_to(target.joints, start, row.end, self._end_velocity(row, following, target))
        self.target = target
        return True

    def interrupt(self, fault: Fault) -> None:
        """Stop where the command is until `resume` or the next `begin`; the target stays."""
        self._stop(fault)
        self._interrupted = True

    def resume(self, row: Row | None, now: float) -> None:
        """After an interruption, go on to the target, by the end of `row` if one is being executed."""
        if not self._interrupted:
            return
        self._interrupted, self.fault = False, None
        if not np.array_equal(self.command.arm, self.target.joints):
            end = now + _RESUME_S if row is None else row.end
            self._motion.move_to(self.target.joints, now, end, np.zeros(6))

    def hold(self, fault: Fault) -> None:
        """Stop where the command is, and give up the way still to go."""
        self._stop(fault)
        arm = self.command.arm
        self.target = Target(arm, self._kinematics.forward(arm), self.command.gripper)
        self._interrupted = False

    def tick(self, now: float) -> Command:
        """The command for time `now` in seconds, checked a last time."""
        joints, velocity = self._motion.sample(now)
        elapsed = max(now - self.last_tick, 0.0)
        verdict = self._gate.check_command(joints, self.target.gripper, self.command.arm, elapsed)
        if not verdict.accepted:
            self.hold(Fault(verdict.reason, verdict.detail))
            joints, velocity = self.command.arm, np.zeros(6)
        self.command = Command(joints, velocity, self.target.gripper)
        self.last_tick = now
        return self.command

    def _stop(self, fault: Fault) -> None:
        self._motion.rest_at(self.command.arm)
        self.fault = fault

    def _safe_target(self, row: Row, previous: Target, measured: np.ndarray) -> Target | Fault:
        """The target of a row after `previous`, with the end effector measured at `measured` `[4, 4]`."""
        try:
            workspace = self._gate.config.workspace
            target = next_target(row.action, row.mode, previous, measured, self._kinematics, workspace)
        except (KinematicsError, ActionError) as error:
            return Fault("unreachable", str(error))
        verdict = self._gate.check_target(target, previous)
        return target if verdict.accepted else Fault(verdict.reason, verdict.detail)

    def _end_velocity(self, row: Row, following: Row | None, target: Target) -> np.ndarray:
        """Joint velocity `[6]` in rad/s with which to arrive: zero unless another row goes on from there."""
        if following is None:
            return np.zeros(6)
        beyond = self._safe_target(following, target, target.pose)
        if isinstance(beyond, Fault):
            return np.zeros(6)
        before = (target.joints - self.target.joints) / (row.end - row.due)
        return passing_velocity(before, (beyond.joints - target.joints) / (following.end - following.due))
