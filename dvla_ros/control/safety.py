"""What the arm may do: the limits that every chunk, every path and every command is checked against."""

import math
from dataclasses import dataclass

import numpy as np

from dvla_ros.control import widowx
from dvla_ros.control.motion import MotionLimits
from dvla_ros.control.workspace import TABLETOP_BOX, WorkspaceBox
from dvla_ros.errors import ConfigurationError

ROW_WIDTH = 7
"""Six numbers for the arm and the gripper."""


@dataclass(frozen=True)
class SafetyConfig:
    """Limits of the gate; the defaults are those of a WidowX 250s on a table.

    Range and speed of the joints are those of the arm's URDF, see `joint_limits.limits_from_urdf`. URDFs state no
    acceleration. At 5 Hz the driver of the Bridge data set lets each servo take 0.25 s for a step of up to about
    0.5 rad and spend 0.1 s of it gaining speed, which asks for about 20 rad/s²; 600 rad/s³ reach that in a thirtieth of
    a second.

    Attributes:
        joint_lower: Lower end of the joints' range, six numbers in rad.
        joint_upper: Upper end of the joints' range, six numbers in rad.
        joint_margin: Distance in rad that commands keep from both ends of the range.
        joint_velocity: Largest speed, six numbers in rad/s.
        joint_acceleration: Largest acceleration, six numbers in rad/s².
        joint_jerk: Largest change of acceleration, six numbers in rad/s³.
        overload: A chunk that asks for more than this many times a limit of acceleration or jerk is rejected; one that
            asks for less is executed within the limits, a little late.
        max_joint_step: Largest change of a joint within one row, in rad.
        max_translation_step: Largest translation within one row, in metres.
        max_rotation_step: Largest rotation within one row, in rad.
        max_start_jump: Largest distance of a joint between measured and commanded, and between what is being executed
            and the first row of a chunk of absolute targets, in rad.
        max_start_distance: The latter for the position of the end effector, in metres.
        workspace_lower: Smallest x, y, z of the end effector, in metres, base frame.
        workspace_upper: Largest x, y, z of the end effector, in metres, base frame.
        workspace_slack: Distance in metres by which a command may leave the box: smooth motion and the inverse
            kinematics are not exact to the last digit.
        gripper_slack: A gripper value outside 0..1 by less is clipped, by more rejected.
        gripper_s: Shortest time in seconds for a full stroke of the gripper.
        min_dt_s: Shortest time between rows, in seconds.
        max_dt_s: Longest time between rows, in seconds.
        max_rows: Largest number of rows of a chunk.

    Raises:
        ConfigurationError: A limit is not positive, or a range is empty.
    """

    joint_lower: tuple[float, ...] = tuple(widowx.LOWER.tolist())
    joint_upper: tuple[float, ...] = tuple(widowx.UPPER.tolist())
    joint_margin: float = 0.02
    joint_velocity: tuple[float, ...] = tuple(widowx.VELOCITY_LIMIT.tolist())
    joint_acceleration: tuple[float, ...] = (20.0,) * 6
    joint_jerk: tuple[float, ...] = (600.0,) * 6
    overload: float = 3.0
    max_joint_step: float = 0.6
    max_translation_step: float = 0.1
    max_rotation_step: float = 0.5
    max_start_jump: float = 0.5
    max_start_distance: float = 0.15
    workspace_lower: tuple[float, ...] = TABLETOP_BOX.lower
    workspace_upper: tuple[float, ...] = TABLETOP_BOX.upper
    workspace_slack: float = 0.002
    gripper_slack: float = 0.1
    gripper_s: float = 0.2
    min_dt_s: float = 0.005
    max_dt_s: float = 2.0
    max_rows: int = 200

    def __post_init__(self) -> None:
        for name in ("joint_lower", "joint_upper", "joint_velocity", "joint_acceleration", "joint_jerk"):
            if len(getattr(self, name)) != 6:
                raise ConfigurationError(f"{name} needs 6 numbers, one per arm joint, got {getattr(self, name)}.")
        for name in _POSITIVE:
            value = np.asarray(getattr(self, name))
            if not (np.all(value > 0.0) and np.all(np.isfinite(value))):
                raise ConfigurationError(f"{name} must be positive and finite, got {getattr(self, name)}.")
        if not 0.0 <= self.gripper_slack < 1.0:
            raise ConfigurationError(f"gripper_slack must lie in 0..1, got {self.gripper_slack}.")
        if not 1.0 <= self.overload < math.inf:
            raise ConfigurationError(f"overload must be 1 or more, got {self.overload}.")
        if not 0.0 <= self.joint_margin < 0.5:
            raise ConfigurationError(f"joint_margin must lie in 0..0.5 rad, got {self.joint_margin}.")
        if not np.all(np.asarray(self.joint_upper) - np.asarray(self.joint_lower) > 2.0 * self.joint_margin + 0.1):
            raise ConfigurationError(f"Joint limits {self.joint_lower} .. {self.joint_upper} leave no range.")
        if self.max_dt_s < self.min_dt_s:
            raise ConfigurationError(f"max_dt_s {self.max_dt_s} must not be below min_dt_s {self.min_dt_s}.")
        _ = self.workspace

    @property
    def workspace(self) -> WorkspaceBox:
        """The box of the end effector; increments of poses are clipped to it.

        Raises:
            ConfigurationError: The bounds do not make a box.
        """
        for name in ("workspace_lower", "workspace_upper"):
            if len(getattr(self, name)) != 3:
                raise ConfigurationError(f"{name} needs 3 numbers, x y z in metres, got {getattr(self, name)}.")
        lower, upper = self.workspace_lower, self.workspace_upper
        return WorkspaceBox((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))

    @property
    def motion_limits(self) -> MotionLimits:
        """The limits of the smooth motion between waypoints."""
        return MotionLimits(np.array(self.joint_velocity), np.array(self.joint_acceleration), np.array(self.joint_jerk))


_POSITIVE = (
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "max_joint_step",
    "max_translation_step",
    "max_rotation_step",
    "max_start_jump",
    "max_start_distance",
    "workspace_slack",
    "gripper_s",
    "min_dt_s",
    "max_dt_s",
    "max_rows",
)
