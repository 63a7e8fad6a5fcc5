"""The safety gate: the last look at chunks, targets and commands before drivers that check nothing."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dvla_ros.control import widowx
from dvla_ros.control.action_space import Target, pose_from_action
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import rotation_angle
from dvla_ros.control.safety_checks import (
    check_finite,
    check_magnitude,
    check_not_further_out,
    check_range,
    check_width,
)
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected
from dvla_ros.control.workspace import TABLETOP_BOX, WorkspaceBox
from dvla_ros.errors import ConfigurationError

ROW_WIDTH = 7
"""Six numbers for the arm and the gripper."""

_GRIPPER_SLACK = 0.1
"""A gripper value outside 0..1 by less is clipped, by more rejected."""

_WORKSPACE_SLACK = 2e-3
"""Metres: a solution of the inverse kinematics for a point on the wall of the box may lie outside by this."""


@dataclass(frozen=True)
class SafetyConfig:
    """Limits of the gate; the defaults are those of a WidowX 250s on a table.

    Attributes:
        joint_lower: `[6]` rad.
        joint_upper: `[6]` rad.
        joint_margin: Distance in rad that commands keep from the joint limits.
        joint_velocity: `[6]` rad/s, largest commanded speed.
        max_joint_step: Largest change of a joint within one row, in rad.
        max_translation_step: Largest translation within one row, in metres.
        max_rotation_step: Largest rotation within one row, in rad.
        max_start_jump: Largest distance of a joint between measured and commanded when a chunk starts, in rad.
        max_start_distance: The same for the position of the end effector, in metres.
        workspace: Where the end effector may be.

    Raises:
        ConfigurationError: A limit is not positive or the joint range is empty.
    """

    joint_lower: tuple[float, ...] = tuple(widowx.LOWER.tolist())
    joint_upper: tuple[float, ...] = tuple(widowx.UPPER.tolist())
    joint_margin: float = 0.01
    joint_velocity: tuple[float, ...] = tuple(widowx.VELOCITY_LIMIT.tolist())
    max_joint_step: float = 0.6
    max_translation_step: float = 0.1
    max_rotation_step: float = 0.5
    max_start_jump: float = 0.5
    max_start_distance: float = 0.15
    workspace: WorkspaceBox = TABLETOP_BOX

    def __post_init__(self) -> None:
        for name in ("joint_lower", "joint_upper", "joint_velocity"):
            if len(getattr(self, name)) != 6:
                raise ConfigurationError(f"{name} needs 6 numbers, one per arm joint, got {getattr(self, name)}.")
        for name in (*_POSITIVE, "joint_velocity"):
            value = getattr(self, name)
            if not np.all(np.asarray(value) > 0.0) or not np.all(np.isfinite(value)):
                raise ConfigurationError(f"{name} must be positive and finite, got {value}.")
        if not 0.0 <= self.joint_margin < 0.5:
            raise ConfigurationError(f"joint_margin must lie in 0..0.5 rad, got {self.joint_margin}.")
        if np.any(np.asarray(self.joint_upper) - np.asarray(self.joint_lower) <= 2.0 * self.joint_margin):
            raise ConfigurationError(f"Joint limits {self.joint_lower} .. {self.joint_upper} leave no range.")


_POSITIVE = ("max_joint_step", "max_translation_step", "max_rotation_step", "max_start_jump", "max_start_distance")


class SafetyGate:
    """Checks against one set of limits; holds no state, so any thread may ask it."""

    def __init__(self, config: SafetyConfig) -> None:
        self.config = config
        self.velocity = np.array(config.joint_velocity)
        self._lower = np.array(config.joint_lower) + config.joint_margin
        self._upper = np.array(config.joint_upper) - config.joint_margin

    def check_chunk(
        self, chunk: ActionChunk, first: int, measured: np.ndarray | None, commanded: np.ndarray | None
    ) -> Verdict:
        """Accept or reject a chunk as a whole.

        Args:
            chunk: What a policy asks for.
            first: Index of the first row that is still to be executed.
            measured: `[6]` measured joints in rad; None before the first joint state.
            commanded: `[6]` joints commanded now; None before the first command.
        """
        actions = np.asarray(chunk.actions, np.float64)
        for verdict in (check_width(actions, ROW_WIDTH), check_finite(actions)):
            if not verdict.accepted:
                return verdict
        low, high = np.array(-_GRIPPER_SLACK), np.array(1.0 + _GRIPPER_SLACK)
        gripper = check_range(actions[:, 6:], low, high, "gripper_range", "(0 closed .. 1 open)")
        if not gripper.accepted:
            return gripper
        arm = actions[first:, :6]
        if chunk.mode in (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA):
            start = self._check_tracking(measured, commanded)
        elif measured is None:
            return rejected("no_measurement", "A chunk of absolute targets arrived before the first joint state.")
        else:
            start = self._check_start(arm[0], chunk.mode, measured)
        return self._check_steps(arm, chunk.mode, chunk.dt) if start.accepted else start

    def check_target(self, target: Target, previous: Target) -> Verdict:
        """The target of one row against the one before: joint step, joint limits, workspace."""
        step = target.joints - previous.joints
        verdict = check_magnitude(step[None], self.config.max_joint_step, "joint_step", "rad")
        if not verdict.accepted:
            return verdict
        verdict = check_not_further_out(target.joints, previous.joints, self._lower, self._upper)
        if not verdict.accepted:
            return verdict
        box = self.config.workspace
        distance = box.distance(target.pose[:3, 3])
        if distance > max(box.distance(previous.pose[:3, 3]), _WORKSPACE_SLACK):
            return rejected("workspace", f"{target.pose[:3, 3].round(4).tolist()} m is {distance:.3f} m outside.")
        return ACCEPTED

    def check_command(self, joints: np.ndarray, gripper: float, previous: np.ndarray, elapsed: float) -> Verdict:
        """The last check of each tick.

        Args:
            joints: `[6]` rad about to be commanded.
            gripper: Opening about to be commanded.
            previous: `[6]` rad commanded before.
            elapsed: Seconds since then.
        """
        for verdict in (check_finite(joints), check_finite(np.array([gripper]))):
            if not verdict.accepted:
                return verdict
        verdict = check_magnitude(joints[None] - previous, self.velocity * elapsed, "joint_velocity", "rad per tick")
        if not verdict.accepted:
            return verdict
        if not 0.0 <= gripper <= 1.0:
            return rejected("gripper_range", f"Gripper command {gripper} is outside 0..1.")
        return check_not_further_out(joints, previous, self._lower, self._upper)

    def _check_tracking(self, measured: np.ndarray | None, commanded: np.ndarray | None) -> Verdict:
        """Increments start from the command: it must not have left the arm behind."""
        if measured is None or commanded is None:
            return ACCEPTED
        jump = (commanded - measured)[None]
        return check_magnitude(jump, self.config.max_start_jump, "start_jump", "rad between command and arm")

    def _check_start(self, row: np.ndarray, mode: ControlMode, measured: np.ndarray) -> Verdict:
        """Absolute targets must begin where the arm is."""
        if mode is ControlMode.JOINT_POSITION:
            jump = (row - measured)[None]
            return check_magnitude(jump, self.config.max_start_jump, "start_jump", "rad from the measured joint")
        wanted, pose = pose_from_action(row), forward(measured)
        distance = float(np.linalg.norm(wanted[:3, 3] - pose[:3, 3]))
        angle = rotation_angle(wanted[:3, :3], pose[:3, :3])
        if distance > self.config.max_start_distance or angle > self.config.max_start_jump:
            return rejected("start_jump", f"The chunk starts {distance:.3f} m and {angle:.3f} rad from the arm.")
        return ACCEPTED

    def _check_steps(self, arm: np.ndarray, mode: ControlMode, dt: float) -> Verdict:
        """Step, speed and range of the rows `[H, 6]`."""
        config = self.config
        if mode is ControlMode.EE_DELTA:
            limit = np.array([config.max_translation_step] * 3 + [config.max_rotation_step] * 3)
            return check_magnitude(arm, limit, "step", "m or rad in one row")
        if mode is ControlMode.EE_POSE:
            return self._check_poses(arm)
        steps = arm if mode is ControlMode.JOINT_DELTA else np.diff(arm, axis=0)
        limit = np.minimum(config.max_joint_step, self.velocity * dt)
        verdict = check_magnitude(steps, limit, "step", "rad in one row")
        if mode is ControlMode.JOINT_DELTA or not verdict.accepted:
            return verdict
        return check_range(arm, self._lower, self._upper, "joint_limit", "rad")

    def _check_poses(self, arm: np.ndarray) -> Verdict:
        """Rows `[H, 6]` of poses: inside the workspace, neighbours close to each other."""
        for index, row in enumerate(arm):
            if self.config.workspace.distance(row[:3]) > _WORKSPACE_SLACK:
                return rejected("workspace", f"Row {index} asks for {row[:3].round(4).tolist()} m, outside the box.")
        poses = [pose_from_action(row) for row in arm]
        for index, (a, b) in enumerate(pairwise(poses)):
            distance, angle = float(np.linalg.norm(b[:3, 3] - a[:3, 3])), rotation_angle(a[:3, :3], b[:3, :3])
            if distance > self.config.max_translation_step or angle > self.config.max_rotation_step:
                return rejected("step", f"Rows {index} and {index + 1} are {distance:.3f} m, {angle:.3f} rad apart.")
        return ACCEPTED
