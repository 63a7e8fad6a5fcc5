"""The arm in space: its links, the trail of the end effector, and where the present chunk leads."""

from collections import deque

import mujoco
import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.kinematics import arm_model, forward
from dvla_ros.view.chunk_path import closing_rows
from dvla_ros.view.colours import ARM, CLOSES, TRAIL, row_colours
from dvla_ros.view.facts import Measured
from dvla_ros.view.rerun_stream import RerunStream

PERIOD_S = 0.1
"""Joints are drawn ten times a second, however often they come."""
TRAIL_POINTS = 300
_LINE_M, _ROW_M = 0.002, 0.004


class SpacePanel:
    """Draws in the base frame: x forward, y left, z up; metres.

    Args:
        stream: Where to log.
    """

    def __init__(self, stream: RerunStream) -> None:
        self._stream = stream
        self._model = arm_model()
        self._data = mujoco.MjData(self._model)
        self._trail: deque[np.ndarray] = deque(maxlen=TRAIL_POINTS)
        self._drawn = float("-inf")
        stream.log_always("/", stream.rr.ViewCoordinates.RIGHT_HAND_Z_UP)

    def see_measured(self, fact: Measured) -> None:
        """Draw the arm, at most ten times a second."""
        if 0.0 <= fact.stamp - self._drawn < PERIOD_S:
            return
        self._drawn = fact.stamp
        rr, end = self._stream.rr, forward(fact.joints)[:3, 3]
        self._trail.append(end)
        self._stream.at(fact.stamp)
        self._stream.log("world/arm", rr.LineStrips3D([self.links(fact.joints)], colors=ARM, radii=3 * _LINE_M))
        self._stream.log("world/end_effector", rr.Points3D([end], colors=TRAIL, radii=2 * _ROW_M))
        self._stream.log("world/trail", rr.LineStrips3D([np.array(self._trail)], colors=TRAIL, radii=_LINE_M))

    def see_path(self, stamp: float, chunk: ActionChunk, path: np.ndarray) -> None:
        """Draw the path `[H + 1, 3]` of a chunk published at `stamp` seconds."""
        rr = self._stream.rr
        finite = np.isfinite(path).all(axis=1)
        rows = np.flatnonzero(finite[:-1] & finite[1:])
        colours = row_colours(chunk.horizon, chunk.frozen_steps)[rows]
        self._stream.at(stamp, chunk.sequence)
        strips = np.stack([path[:-1], path[1:]], axis=1)[rows]
        self._stream.log("world/path/line", rr.LineStrips3D(strips, colors=colours, radii=_LINE_M))
        self._stream.log("world/path/rows", rr.Points3D(path[1:][rows], colors=colours, radii=_ROW_M))
        closing = [row for row in closing_rows(chunk) if finite[row + 1]]
        self._stream.log("world/path/closes", rr.Points3D(path[1:][closing], colors=CLOSES, radii=2 * _ROW_M))

    def links(self, joints: np.ndarray) -> np.ndarray:
        """Points float64 `[8, 3]` along the arm: base, the six joints, end effector."""
        self._data.qpos[:6] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return np.vstack([np.zeros(3), self._data.xanchor[:6], forward(joints)[:3, 3]])
