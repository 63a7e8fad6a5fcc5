"""Random but fair scene layouts: everything reachable, nothing in the way of the task."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dvla_ros.simulation.scene import COLOURS, CUBE_HALF, PLATE_HEIGHT, PLATE_RADIUS, POST_HEIGHT
from dvla_ros.simulation.tasks import Detour, Push, Task

_RADIUS = (0.20, 0.36)
_BEARING = 0.60
_CUBE_GAP = 0.09
"""Between cube centres: an open finger fits between any two cubes."""
_PLATE_GAP = PLATE_RADIUS + 0.05
_LANE_HALF_WIDTH = 0.065
_LANE = (-0.10, 0.14)
"""Free stretch before and behind a cube that is to be pushed, along the push (m)."""
_REACH_Y = 0.24
_POST_AHEAD, _CUBE_BEHIND = (0.073, 0.077), (0.085, 0.105)
"""The post stands this far (m) before the fingertips along x, and the cube this far behind the post."""
_POST_GAP = 0.07
"""Between the post and the centres of the other cubes; the plate's rim is as far (m)."""

# Geometry of the arm from its description (m): shoulder height, upper arm (forward, up), forearm, wrist to fingertips.
_SHOULDER_Z = 0.11065
_UPPER = (0.04975, 0.25)
_FOREARM = 0.25
_HAND = 0.158575


@dataclass(frozen=True)
class Layout:
    """Cube poses `[7]` (position m, quaternion wxyz) by colour, and the positions `[3]` of plate and post.

    Attributes:
        cubes: By colour.
        plate: Its centre.
        post: Its centre; None without one.
        start: Arm joints `[6]` (rad) where they belong to the layout; None where any start will do.
    """

    cubes: Mapping[str, np.ndarray]
    plate: np.ndarray
    post: np.ndarray | None = None
    start: np.ndarray | None = None


def place_objects(task: Task, rng: np.random.Generator) -> Layout:
    """Draw a layout by rejection: uniform over the reachable sector, with the gaps this module names."""
    if isinstance(task, Detour):
        return _place_detour(task, rng)
    while True:
        plate = _draw(rng)
        cubes = {colour: _draw(rng) for colour in rng.permutation(COLOURS)}
        if _fair(task, cubes, plate):
            return Layout(
                cubes={c: _cube_pose(cubes[c], rng.uniform(-np.pi / 4, np.pi / 4)) for c in COLOURS},
                plate=np.array([*plate, PLATE_HEIGHT / 2]),
            )


def _place_detour(task: Detour, rng: np.random.Generator) -> Layout:
    """Fingertips, post and target in a row along x, as low as the hand travels; all else out of their way."""
    x, y, height = rng.uniform(0.19, 0.21), rng.uniform(-0.06, 0.06), rng.uniform(0.08, 0.09)
    post = np.array([x + rng.uniform(*_POST_AHEAD), y + rng.uniform(-0.005, 0.005)])
    target = np.array([post[0] + rng.uniform(*_CUBE_BEHIND), y + rng.uniform(-0.01, 0.01)])
    start = pointing_down(float(np.hypot(x, y)), height, float(np.arctan2(y, x)))
    start[5] = start[0] + rng.uniform(-0.1, 0.1)  # the fingers open along y, as when a cube is pushed
    while True:
        plate = _draw(rng)
        cubes = {colour: _draw(rng) for colour in COLOURS} | {task.target: target}
        beside = [cube for colour, cube in cubes.items() if colour != task.target]
        free = min(np.hypot(*(cube - post)) for cube in beside) > _POST_GAP
        if free and np.hypot(*(plate - post)) > _POST_GAP + PLATE_RADIUS and _fair(task, cubes, plate):
            return Layout(
                cubes={c: _cube_pose(cubes[c], rng.uniform(-np.pi / 4, np.pi / 4)) for c in COLOURS},
                plate=np.array([*plate, PLATE_HEIGHT / 2]),
                post=np.array([*post, POST_HEIGHT / 2]),
                start=start,
            )


def _draw(rng: np.random.Generator) -> np.ndarray:
    radius = np.sqrt(rng.uniform(_RADIUS[0] ** 2, _RADIUS[1] ** 2))
    bearing = rng.uniform(-_BEARING, _BEARING)
    return np.array([radius * np.cos(bearing), radius * np.sin(bearing)])


def _fair(task: Task, cubes: Mapping[str, np.ndarray], plate: np.ndarray) -> bool:
    points = list(cubes.values())
    gaps = [np.hypot(*(a - b)) for i, a in enumerate(points) for b in points[:i]]
    if min(gaps) < _CUBE_GAP or min(np.hypot(*(p - plate)) for p in points) < _PLATE_GAP:
        return False
    return not isinstance(task, Push) or _lane_is_free(task, cubes, plate)


def _lane_is_free(task: Push, cubes: Mapping[str, np.ndarray], plate: np.ndarray) -> bool:
    target = cubes[task.target]
    if abs(target[1] + task.sign * _LANE[1]) > _REACH_Y or abs(target[1] + task.sign * _LANE[0]) > _REACH_Y:
        return False
    others = [(p, CUBE_HALF) for c, p in cubes.items() if c != task.target] + [(plate, PLATE_RADIUS)]
    for point, size in others:
        along = task.sign * (point[1] - target[1])
        if (
            abs(point[0] - target[0]) < _LANE_HALF_WIDTH + size - CUBE_HALF
            and _LANE[0] - size < along < _LANE[1] + size
        ):
            return False
    return True


def _cube_pose(xy: np.ndarray, yaw: float) -> np.ndarray:
    return np.array([*xy, CUBE_HALF, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def start_configuration(rng: np.random.Generator) -> np.ndarray:
    """Arm joints `[6]` (rad) of a start pose: gripper above the table, pointing down up to a few degrees."""
    radius, height = rng.uniform(0.20, 0.28), rng.uniform(0.16, 0.22)
    joints = pointing_down(radius, height, bearing=rng.uniform(-0.35, 0.35))
    return joints + np.array([0.0, 0.0, 0.0, 0.0, 0.0, rng.uniform(-0.3, 0.3)])


def pointing_down(radius: float, height: float, bearing: float = 0.0) -> np.ndarray:
    """Joints `[6]` (rad) with the gripper straight down at (radius m, bearing rad, height m), by two-link geometry."""
    length = np.hypot(*_UPPER)
    x, z = radius, height + _HAND - _SHOULDER_Z
    reach = np.hypot(x, z)
    at_shoulder = np.arccos((length**2 + reach**2 - _FOREARM**2) / (2 * length * reach))
    at_elbow = np.arccos((length**2 + _FOREARM**2 - reach**2) / (2 * length * _FOREARM))
    # Angles from the vertical, positive forward; the upper arm's own bend is atan2(forward, up).
    upper = np.arctan2(x, z) - at_shoulder
    bend = np.arctan2(*_UPPER)
    shoulder = upper - bend
    # Pitch of the forearm below the horizontal: the interior elbow angle seen from the upper arm's direction.
    forearm = upper + np.pi - at_elbow - np.pi / 2
    return np.array([bearing, shoulder, forearm - shoulder, 0.0, np.pi / 2 - forearm, 0.0])
