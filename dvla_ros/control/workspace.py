"""The box in which the end effector may be, in the base frame."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class WorkspaceBox:
    """An axis-aligned box for the position of the end effector.

    Attributes:
        lower: Smallest x, y, z in metres, base frame.
        upper: Largest x, y, z in metres, base frame.

    Raises:
        ConfigurationError: A bound is not finite, or a lower one is not below its upper one.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.lower, self.upper, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise ConfigurationError(f"Workspace box: {axis} needs lower < upper, got {low} and {high} m.")

    def clip(self, xyz: np.ndarray) -> np.ndarray:
        """Nearest point of the box to `xyz`, float64 `[3]` in metres."""
        return np.clip(xyz, self.lower, self.upper)

    def contains(self, x: float, y: float, z: float) -> bool:
        """Whether a point, in metres, lies in the box; quick, for every command."""
        (x0, y0, z0), (x1, y1, z1) = self.lower, self.upper
        return x0 <= x <= x1 and y0 <= y <= y1 and z0 <= z <= z1

    def distance(self, xyz: np.ndarray) -> float:
        """Distance in metres from `xyz` `[3]` to the box; zero inside."""
        return float(np.linalg.norm(xyz - self.clip(xyz)))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Distances `[n]` in metres from points `[n, 3]` to the box; zero inside."""
        return np.asarray(np.linalg.norm(points - np.clip(points, self.lower, self.upper), axis=1))


BRIDGE_BOX = WorkspaceBox((0.10, -0.15, -0.10), (0.45, 0.25, 0.18))
"""Default of the driver with which Bridge was recorded."""

OPENVLA_BOX = WorkspaceBox((0.10, -0.20, -0.01), (0.45, 0.25, 0.30))
"""What OpenVLA's WidowX evaluation uses instead."""

TABLETOP_BOX = WorkspaceBox((0.10, -0.30, -0.01), (0.50, 0.30, 0.40))
"""Covers the whole table of the simulated scene; the default here."""
