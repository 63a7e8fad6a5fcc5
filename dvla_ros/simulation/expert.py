"""A scripted expert that solves every task, in more than one way.

The expert sees the true scene and answers with the next commanded pose. Within an episode it has no memory except
its style, so that it can be asked from any state, also after a disturbance, and never waits for something that
cannot happen.
"""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.bridge import DEFAULT_ROTATION
from dvla_ros.errors import SimulationError
from dvla_ros.simulation.scene import CUBE_HALF, PLATE_HEIGHT
from dvla_ros.simulation.tasks import Detour, Push, PutOnPlate, SceneState, Stack, Task
from dvla_ros.simulation.teleop import BridgeArm

MAX_STEP = 0.04
MAX_TURN = 0.24
"""Largest translation (m) and rotation (rad) per action; Bridge clips at 0.05 m and 0.25 rad."""

_HOVER = 0.085
_GRASP_Z = 0.020
_CARRY = 0.12
_LIFT = 0.20
"""Heights of the fingertip frame above the table (m): over a cube, at a grasp, carrying, lifted."""
_CLEAR = 0.040
"""Height (m) over a grasp at which the fingertips just clear the cube's top."""
_PUSH_Z = 0.028
_PUSH_START = 0.064
_ALIGNED_XY, _NEARLY_XY, _ALIGNED_YAW = 0.008, 0.015, 0.12
"""The open fingers have 8 mm to spare on either side of a cube; below its top they may still centre themselves."""
_BESIDE, _BEFORE, _BEHIND = 0.100, 0.060, 0.060
"""Way points of a detour (m from the post): beside it the hand, 6 cm to either side, passes; before and behind it
there is room to go sideways."""
_PASSED = 0.045
_ON_A_SIDE = 0.020
"""Further than this (m) to a side of the post, the way is round that side."""
_DETOUR_STEP = 0.026
"""Translation (m) per action of a detour."""
_FUNNEL = 0.5
_OPEN_FINGER, _EMPTY_FINGER = 0.033, 0.021
"""`left_finger` (m) above which the gripper counts as open, and below which it closed on nothing.

A cube between the fingers stops it at 0.029 m."""


@dataclass(frozen=True)
class Style:
    """How this episode is done; every combination is valid.

    Attributes:
        grasp_yaw: Yaw (rad) the gripper prefers, of the four at which its fingers fit the cube.
        swirl: Bend (rad) of the way round to the goal: 0 straight, + left, − right.
        order: `together`, `turn_first` or `move_first`.
        side: +1 round the left side of a post (+y), −1 round its right side.
    """

    grasp_yaw: float
    swirl: float
    order: str
    side: float = 1.0


@dataclass(frozen=True)
class Command:
    """Where the gripper should be next: pose `[4, 4]` in the base frame, opening 1 or 0."""

    pose: np.ndarray
    gripper: float


def plain_style(task: Task, scene: SceneState, yaw: float) -> Style:
    """The one style that follows from what can be seen: the grasp nearest to `yaw` (rad), straight, all at once.

    Of a detour it is the side of the post on which the fingertips are.
    """
    if isinstance(task, Detour) and scene.post is not None:
        return Style(0.0, 0.0, "together", side=1.0 if scene.tool[1] >= scene.post[1] else -1.0)
    return Style(_fitting_yaw(scene.yaws[task.target], yaw), 0.0, "together")


def draw_style(task: Task, scene: SceneState, yaw: float, rng: np.random.Generator, other_grasp: float = 0.25) -> Style:
    """Draw a style for a gripper at `yaw` (rad): the nearest grasp, or with probability `other_grasp` the next one.

    A detour has two: round the left or the right side of the post, by the toss of a coin.
    """
    if isinstance(task, Detour):
        return Style(0.0, 0.0, "together", side=float(rng.choice([-1.0, 1.0])))
    nearest = plain_style(task, scene, yaw).grasp_yaw
    other = nearest + (np.pi / 2 if yaw > nearest else -np.pi / 2)
    return Style(
        grasp_yaw=other if rng.random() < other_grasp else nearest,
        swirl=float(rng.choice([-0.6, 0.0, 0.0, 0.6])),
        order=str(rng.choice(["together", "together", "turn_first", "move_first"])),
    )


class Expert:
    """Answers the next command for one task in one style."""

    def __init__(self, task: Task, style: Style) -> None:
        self._task, self._style = task, style

    def action(self, arm: BridgeArm) -> np.ndarray:
        """The next Bridge action `[7]` of an arm, from where it is now."""
        command = self.act(arm.simulation.scene_state(), arm.pose, arm.gripper, arm.simulation.finger)
        return arm.action_towards(command.pose, command.gripper)

    def act(self, scene: SceneState, pose: np.ndarray, gripper: float, finger: float) -> Command:
        """The next command.

        Args:
            scene: True state of the scene.
            pose: Commanded pose `[4, 4]` so far, base frame.
            gripper: Commanded opening so far, 0 or 1.
            finger: Measured `left_finger` position in m.
        """
        if isinstance(self._task, Push):
            return self._push(self._task, scene, pose)
        if isinstance(self._task, Detour):
            return self._detour(scene, pose)
        if self._done(scene):
            return self._retreat(pose, finger)
        if self._task.target in scene.held and gripper < 0.5:
            return self._carry(scene, pose)
        return self._grasp(scene, pose, gripper, finger)

    def _done(self, scene: SceneState) -> bool:
        goal = self._goal(scene)
        if goal is None:
            return False
        offset = scene.cubes[self._task.target] - goal
        return bool(np.hypot(*offset[:2]) < 0.018 and abs(offset[2]) < 0.008)

    def _goal(self, scene: SceneState) -> np.ndarray | None:
        """Where the target's centre should come to rest, None for a plain pick."""
        if isinstance(self._task, PutOnPlate):
            return np.array([*scene.plate[:2], PLATE_HEIGHT + CUBE_HALF])
        if isinstance(self._task, Stack):
            return scene.cubes[self._task.base] + np.array([0.0, 0.0, 2 * CUBE_HALF])
        return None

    def _retreat(self, pose: np.ndarray, finger: float) -> Command:
        height = pose[2, 3] + MAX_STEP if finger > _OPEN_FINGER else pose[2, 3]
        goal = np.array([*pose[:2, 3], max(min(height, 0.17), pose[2, 3])])
        return Command(_step(pose, goal, yaw_of(pose)), 1.0)

    def _grasp(self, scene: SceneState, pose: np.ndarray, gripper: float, finger: float) -> Command:
        cube = scene.cubes[self._task.target]
        yaw = _fitting_yaw(scene.yaws[self._task.target], self._style.grasp_yaw)
        away = np.hypot(*(cube[:2] - pose[:2, 3]))
        low = cube[2] + _GRASP_Z - CUBE_HALF
        above = pose[2, 3] - low
        turned = abs(_wrap(yaw - yaw_of(pose))) < _ALIGNED_YAW
        if gripper < 0.5 and turned and away < _NEARLY_XY and above < 0.012 and finger > _EMPTY_FINGER:
            return Command(_step(pose, np.array([*cube[:2], pose[2, 3]]), yaw), 0.0)  # still closing on it
        if not turned or away > (_ALIGNED_XY + _FUNNEL * (above - _CLEAR) if above > _CLEAR else _NEARLY_XY):
            return Command(self._approach(pose, cube, yaw, away), 1.0)
        if finger < _OPEN_FINGER:
            return Command(_step(pose, np.array([*cube[:2], max(pose[2, 3], low + _CLEAR)]), yaw), 1.0)
        if away > _ALIGNED_XY and above < _CLEAR:
            return Command(_step(pose, np.array([*cube[:2], pose[2, 3]]), yaw), 1.0)  # between the fingers, off centre
        return Command(_step(pose, np.array([*cube[:2], low]), yaw), 0.0 if above < 0.006 else 1.0)

    def _approach(self, pose: np.ndarray, cube: np.ndarray, yaw: float, away: float) -> np.ndarray:
        """Over the cube at hover height, never dragging the fingers through it."""
        hover = cube[2] - CUBE_HALF + _HOVER
        if pose[2, 3] < cube[2] + _CLEAR - 0.005 and away < 0.09:
            return _step(pose, np.array([*pose[:2, 3], hover]), yaw_of(pose))
        turned = abs(_wrap(yaw - yaw_of(pose))) < _ALIGNED_YAW
        if self._style.order == "turn_first" and not turned:
            return _step(pose, np.array([*pose[:2, 3], max(hover, pose[2, 3])]), yaw)
        if self._style.order == "move_first" and away > 0.03:
            yaw = yaw_of(pose)
        height = max(hover, min(pose[2, 3], hover + away))
        return _step(pose, self._around(pose, np.array([*cube[:2], height])), yaw)

    def _carry(self, scene: SceneState, pose: np.ndarray) -> Command:
        goal = self._goal(scene)
        if goal is None:
            return Command(_step(pose, np.array([*pose[:2, 3], _LIFT]), yaw_of(pose)), 0.0)
        # The cube may sit a little off in the grip: steer the cube, not the gripper.
        grip = pose[:3, 3] - scene.cubes[self._task.target]
        place = goal + np.clip(grip, -0.02, 0.02)
        away = np.hypot(*(place[:2] - pose[:2, 3]))
        carry = max(_CARRY, goal[2] + 0.055)
        if away > 0.006:
            height = carry if away > 0.03 else max(pose[2, 3], place[2] + 0.02)
            if pose[2, 3] < carry - 0.02 and away > 0.03:
                return Command(_step(pose, np.array([*pose[:2, 3], carry]), yaw_of(pose)), 0.0)
            return Command(_step(pose, self._around(pose, np.array([*place[:2], height])), yaw_of(pose)), 0.0)
        lowered = pose[2, 3] < place[2] + 0.006
        return Command(_step(pose, place + np.array([0.0, 0.0, 0.002]), yaw_of(pose)), 1.0 if lowered else 0.0)

    def _push(self, task: Push, scene: SceneState, pose: np.ndarray) -> Command:
        cube, tool = scene.cubes[task.target], pose[:3, 3]
        ahead = task.sign * (cube[1] - tool[1])
        aside = abs(cube[0] - tool[0])
        if tool[2] < _PUSH_Z + 0.032:
            if ahead > 0.025 and (aside < 0.02 or ahead > _PUSH_START - 0.01):
                forward = MAX_STEP * 0.8 if aside < 0.012 else 0.0
                goal = np.array([cube[0], tool[1] + task.sign * forward, _PUSH_Z])
                return Command(_step(pose, goal, 0.0), 0.0)
            return Command(_step(pose, np.array([*tool[:2], _HOVER + 0.015]), 0.0), 0.0)
        start = np.array([cube[0], cube[1] - task.sign * _PUSH_START, _HOVER])
        if np.hypot(*(start[:2] - tool[:2])) < 0.012 and abs(_wrap(yaw_of(pose))) < _ALIGNED_YAW:
            return Command(_step(pose, np.array([*start[:2], _PUSH_Z]), 0.0), 0.0)
        return Command(_step(pose, self._around(pose, start), 0.0), 0.0)

    def _detour(self, scene: SceneState, pose: np.ndarray) -> Command:
        """Sideways before the post, past it, then over the cube; round the side on which the hand is already."""
        if scene.post is None:
            raise SimulationError(f"{self._task.name} needs a scene with a post: reset the simulation to this task.")
        cube, (x, y) = scene.cubes[self._task.target], pose[:2, 3] - scene.post[:2]
        side = np.sign(y) if abs(y) > _ON_A_SIDE else self._style.side
        beside = scene.post[1] + side * _BESIDE
        if x > _PASSED:
            goal = cube[:2]
        elif abs(y) < _BESIDE - 0.012:
            goal = np.array([min(scene.post[0] - _BEFORE, max(pose[0, 3], 0.18)), beside])
        else:
            goal = np.array([scene.post[0] + _BEHIND, beside])
        return Command(_step(pose, np.array([*goal, _HOVER]), 0.0, _DETOUR_STEP), 1.0)

    def _around(self, pose: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Bend the way to `goal` by the style's swirl, less and less as it comes near."""
        offset = goal - pose[:3, 3]
        distance = np.hypot(*offset[:2])
        angle = self._style.swirl * np.clip((distance - 0.05) / 0.10, 0.0, 1.0)
        cos, sin = np.cos(angle), np.sin(angle)
        bent = np.array([cos * offset[0] - sin * offset[1], sin * offset[0] + cos * offset[1], offset[2]])
        return pose[:3, 3] + bent


def yaw_of(pose: np.ndarray) -> float:
    """Yaw (rad) of a gripper pose about the base's z axis, 0 when the fingers open along y."""
    return float(np.arctan2(-pose[0, 1], pose[1, 1]))


def _fitting_yaw(cube_yaw: float, near: float) -> float:
    """Of the four gripper yaws that fit a cube, the one nearest to `near` (rad)."""
    return cube_yaw + np.pi / 2 * round((near - cube_yaw) / (np.pi / 2))


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _step(pose: np.ndarray, goal: np.ndarray, yaw: float, reach: float = MAX_STEP) -> np.ndarray:
    """One step of at most `reach` (m) towards the position `goal` with the gripper straight down at `yaw`."""
    result = np.eye(4)
    offset = goal - pose[:3, 3]
    distance = float(np.linalg.norm(offset))
    result[:3, 3] = pose[:3, 3] + offset * min(1.0, reach / max(distance, 1e-9))
    turn = np.clip(_wrap(yaw - yaw_of(pose)), -MAX_TURN, MAX_TURN)
    angle = yaw_of(pose) + turn
    cos, sin = np.cos(angle), np.sin(angle)
    result[:3, :3] = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ DEFAULT_ROTATION
    return result
