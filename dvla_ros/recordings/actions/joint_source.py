"""Recorded joint commands: trajectories, forward commands, the Interbotix driver's, and measured joints."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dvla_ros.control.joint_positions import MEASURED_JOINTS, joint_positions
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.errors import ObservationError
from dvla_ros.recordings.actions.arm_path import JointPath
from dvla_ros.recordings.actions.command_topics import FINGER
from dvla_ros.recordings.actions.joint_knots import JointKnots
from dvla_ros.recordings.actions.path_track import PathTrack
from dvla_ros.recordings.actions.series import Series, openings

LINE_S = 0.3
"""Commands that follow each other this closely are points of one motion; after a longer pause the first one holds."""

HOLD_S = 1.0
"""An arm that got no command for longer is not being commanded."""


@dataclass
class ArmSource:
    """Collects the joint commands of one topic.

    Attributes:
        topic: Of the commands.
    """

    topic: str
    knots: JointKnots = field(default_factory=lambda: JointKnots(ARM_JOINTS))

    def __len__(self) -> int:
        return len(self.knots)

    def add(self, received: float, kind: str, message: Any) -> bool:
        """A message of kind `arm`, `forward` or `group`; False when it does not command six finite joints."""
        if kind == "arm":
            return self.knots.follow(received, message)
        values = np.asarray(message.cmd if kind == "group" else message.data, np.float64)[: len(ARM_JOINTS)]
        if len(values) < len(ARM_JOINTS) or not np.isfinite(values).all():
            return False
        self.knots.hold(received, values)
        return True

    def track(self, gripper: Series, gripper_words: str, measured: Series) -> PathTrack | None:
        """The path of the commands; None without any."""
        if not len(self):
            return None
        convention = f"joint targets of {self.topic}, {gripper_words}"
        return PathTrack(convention, JointPath(self.knots.series(LINE_S, HOLD_S)), gripper, measured)


@dataclass
class GripperSource:
    """Collects the gripper commands of one topic, as `left_finger` in metres.

    Attributes:
        topic: Of the commands.
    """

    topic: str
    knots: JointKnots = field(default_factory=lambda: JointKnots((FINGER,)))

    def __len__(self) -> int:
        return len(self.knots)

    def add(self, received: float, kind: str, message: Any) -> bool:
        """A message of kind `gripper`, `forward` or `single`; False when it commands no finger."""
        if kind == "gripper":
            return self._hold_last(received, message)
        # The driver's linear_position mode takes the distance between the fingers.
        values = [0.5 * message.cmd] if kind == "single" else list(message.data[len(ARM_JOINTS) :])
        if len(values) != 1 or not np.isfinite(values).all():
            return False
        self.knots.hold(received, values)
        return True

    def series(self) -> Series:
        """Openings `[n, 1]`, held until the next command."""
        series = self.knots.series(0.0, np.inf)
        return Series(series.times, openings(series.values))

    def _hold_last(self, received: float, message: Any) -> bool:
        """A finger obeys at once: what counts is where it is to go, not the short way there."""
        if FINGER not in list(message.joint_names) or not len(message.points):
            return False
        last = message.points[-1].positions
        column = list(message.joint_names).index(FINGER)
        if len(last) <= column or not np.isfinite(last[column]):
            return False
        self.knots.hold(received, [last[column]])
        return True


@dataclass
class MeasuredSource:
    """Collects joint states.

    Attributes:
        topic: Of the joint states.
    """

    topic: str
    _samples: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, received: float, message: Any) -> bool:
        """A `JointState` message; False when it lacks a joint."""
        try:
            positions = joint_positions(message, MEASURED_JOINTS)
        except ObservationError:
            return False
        self._samples.append((stamp_seconds(message.header.stamp) or received, positions))
        return True

    def arm(self) -> Series:
        """Joints `[n, 6]` in rad."""
        return Series.of([(time, values[:6]) for time, values in self._samples], 6, LINE_S, 0.0)

    def gripper(self) -> Series:
        """Openings `[n, 1]`."""
        series = Series.of([(time, values[6:]) for time, values in self._samples], 1, LINE_S, 0.0)
        return Series(series.times, openings(series.values), LINE_S, 0.0)

    def track(self) -> PathTrack | None:
        """Where the arm was, as if it had been commanded there; None without joint states."""
        if not len(self):
            return None
        convention = (
            f"measured joints of {self.topic}: what the arm did, which comes after what it was told; fingers around an "
            "object do not close"
        )
        return PathTrack(convention, JointPath(self.arm()), self.gripper(), self.arm(), gripper_at=1.0)
