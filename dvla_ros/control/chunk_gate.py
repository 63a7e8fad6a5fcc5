"""The gate for chunks as they come, before anything is computed from them."""

from itertools import pairwise

import numpy as np

from dvla_ros.control.action_space import Target, pose_from_action
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.rotation import rotation_angle
from dvla_ros.control.safety import ROW_WIDTH, SafetyConfig
from dvla_ros.control.safety_checks import check_finite, check_magnitude, check_range, check_width
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected


def check_form(chunk: ActionChunk, config: SafetyConfig) -> Verdict:
    """Times, sizes and finite numbers: what can be said of a chunk without knowing where the arm is."""
    if not np.isfinite(chunk.stamp):
        return rejected("not_finite", f"The chunk starts at {chunk.stamp} s.")
    if not config.min_dt_s <= chunk.dt <= config.max_dt_s:
        return rejected("dt", f"dt is {chunk.dt} s, allowed are {config.min_dt_s:g}..{config.max_dt_s:g} s.")
    if chunk.horizon > config.max_rows:
        return rejected("horizon", f"The chunk has {chunk.horizon} rows, allowed are {config.max_rows}.")
    actions = np.asarray(chunk.actions, np.float64)
    for verdict in (check_width(actions, ROW_WIDTH), check_finite(actions)):
        if not verdict.accepted:
            return verdict
    low, high = np.array(-config.gripper_slack), np.array(1.0 + config.gripper_slack)
    return check_range(actions[:, 6:], low, high, "gripper_range", "(0 closed .. 1 open)")


def check_tracking(measured: np.ndarray, commanded: np.ndarray, config: SafetyConfig) -> Verdict:
    """The arm must be near its command: every chunk starts from there.

    Args:
        measured: `[6]` rad.
        commanded: `[6]` rad.
        config: Gives the largest distance.
    """
    jump = (commanded - measured)[None]
    return check_magnitude(jump, config.max_start_jump, "start_jump", "rad between command and arm")


def check_start(row: np.ndarray, mode: ControlMode, base: Target, config: SafetyConfig) -> Verdict:
    """Absolute targets must begin near what is executed until then; increments always do.

    Args:
        row: `[7]`, the first row that would be executed.
        mode: What it means.
        base: Where the arm will be by then.
        config: Gives the largest distances.
    """
    if mode in (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA):
        return ACCEPTED
    if mode is ControlMode.JOINT_POSITION:
        jump = (row[:6] - base.joints)[None]
        return check_magnitude(jump, config.max_start_jump, "start_jump", "rad from where the arm will be")
    distance, angle = _between(base.pose, pose_from_action(row))
    if distance > config.max_start_distance or angle > config.max_start_jump:
        return rejected("start_jump", f"The chunk starts {distance:.3f} m and {angle:.3f} rad from the arm.")
    return ACCEPTED


def check_steps(rows: np.ndarray, mode: ControlMode, dt: float, config: SafetyConfig) -> Verdict:
    """Step and speed within and between the rows `[n, 7]` that would be executed."""
    arm = rows[:, :6]
    if mode is ControlMode.EE_DELTA:
        limit = np.array([config.max_translation_step] * 3 + [config.max_rotation_step] * 3)
        return check_magnitude(arm, limit, "step", "m or rad in one row")
    if mode is ControlMode.EE_POSE:
        return _check_poses(arm, config)
    steps = arm if mode is ControlMode.JOINT_DELTA else np.diff(arm, axis=0)
    limit = np.minimum(config.max_joint_step, np.array(config.joint_velocity) * dt)
    return check_magnitude(steps, limit, "step", "rad in one row")


def _check_poses(arm: np.ndarray, config: SafetyConfig) -> Verdict:
    poses = [pose_from_action(row) for row in arm]
    for index, (a, b) in enumerate(pairwise(poses)):
        distance, angle = _between(a, b)
        if distance > config.max_translation_step or angle > config.max_rotation_step:
            return rejected("step", f"Rows {index} and {index + 1} are {distance:.3f} m, {angle:.3f} rad apart.")
    return ACCEPTED


def _between(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Distance in metres and angle in radians between two poses `[4, 4]`."""
    return float(np.linalg.norm(b[:3, 3] - a[:3, 3])), rotation_angle(a[:3, :3], b[:3, :3])
