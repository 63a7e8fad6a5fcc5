"""Joint motion that is replaced only by one that was looked at to its end."""

import copy
from collections.abc import Sequence

import numpy as np

from dvla_ros.control.motion import JointMotion, MotionState, Waypoint
from dvla_ros.control.region import motion_region
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.verdict import Verdict

_LOOK_S, _CLOSE_LOOK_S = 0.02, 0.002
"""Seconds. Between two looks at 20 rad/s² no joint is further out than both by more than a h² / 8 = 1 mrad, which is
the room kept. An arm that begins outside has no such room: it is looked at more closely."""


class SafeMotion:
    """The joint command as a function of time, always on its way to a rest that is known to be inside the limits.

    A smooth motion may leave the straight way between its waypoints, and one that came too late for them even more so.
    Each new one is looked at before it begins; if it would lead outside, the present one goes on, which was looked at
    before and ends at rest. Belongs to one thread; others may sample.

    Attributes:
        version: Changes whenever the motion is replaced.
    """

    def __init__(self, joints: np.ndarray, config: SafetyConfig) -> None:
        """Rest at `joints` `[6]` in rad."""
        self._motion = JointMotion(joints, config.motion_limits)
        self._region = motion_region(config)
        self.version = 0

    @property
    def end(self) -> float:
        """Time in seconds from which the joints rest."""
        return self._motion.end

    @property
    def target(self) -> np.ndarray:
        """Where the joints will rest, `[6]` in rad."""
        return self._motion.target

    @property
    def is_limited(self) -> bool:
        """True when the arm is late because the waypoints ask for more than the limits."""
        return self._motion.is_limited

    def sample(self, now: float) -> MotionState:
        """What the joints do at time `now` in seconds."""
        return self._motion.sample(now)

    def samples(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions `[n, 6]` in rad and velocities `[n, 6]` in rad/s at `times` `[n]` in seconds."""
        return self._motion.samples(times)

    def scale_speed(self, scale: float) -> None:
        """Plan with this part (above 0, up to 1) of the speed limits from now on."""
        self._motion.scale_limits(scale)

    def follow(self, waypoints: Sequence[Waypoint], start: float, *, stop_at_end: bool = True) -> Verdict:
        """Go through the waypoints, see `JointMotion.follow`, unless that leads outside."""
        motion = copy.copy(self._motion)
        motion.follow(waypoints, start, stop_at_end=stop_at_end)
        return self._adopt(motion, start)

    def brake(self, start: float) -> Verdict:
        """Come to rest as fast as the limits allow; if that leads outside, at the end of the present motion."""
        motion = copy.copy(self._motion)
        motion.brake(start)
        return self._adopt(motion, start)

    def rest_at(self, joints: np.ndarray) -> None:
        """Command `joints` `[6]` in rad from now on, wherever the joints were."""
        self._motion.rest_at(joints)
        self.version += 1

    def _adopt(self, motion: JointMotion, start: float) -> Verdict:
        allowed = self._region.outside(motion.sample(start).position)
        is_inside = not allowed.joints.any() and allowed.box == 0.0
        length = max(motion.end - start, 0.0)
        count = int(np.ceil(length / (_LOOK_S if is_inside else _CLOSE_LOOK_S))) + 1
        positions, _ = motion.samples(start + np.linspace(0.0, length, count))
        verdict = self._region.check(positions, allowed)
        if verdict.accepted:
            self._motion = motion
            self.version += 1
        return verdict
