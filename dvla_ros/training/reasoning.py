"""What there is to say before acting: one short sentence a frame, worked out from the simulator's true state.

The first half says what is seen, the second what comes next: `the red cube is ahead to the left; the gripper is open.
next: move over it.` What is seen follows from positions, what comes next from the expert's own next actions, so that
neither half says what is not so. Directions are the robot's: ahead is +x, left is +y.
"""

from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.simulation.scene import CUBE_HALF, PLATE_HEIGHT
from dvla_ros.simulation.tasks import Push, PutOnPlate, Stack, Task, task_named
from dvla_ros.training.demonstrations import Demonstrations

NEXT_ROWS = 3
"""Actions that `next` speaks of: as many as are executed before the next look."""
BELOW_XY = 0.015
"""Nearer than this (m, along each axis) something is said to be below, not ahead or to a side."""
GRASP_Z = 0.015
"""A cube below is said to be between the fingers when its centre is this near (m) to the fingertips' height."""
OPEN_GRIPPER = 0.85
"""Opening from which the gripper counts as open; a cube between the fingers stops them at 0.63."""
CLOSED_GRIPPER = 0.40
"""Opening below which the gripper has closed on nothing."""
HELD_XY, HELD_Z = 0.030, 0.025
"""A cube this near (m) to the fingertips of a gripper that is neither open nor empty is held."""
ARRIVED_XY, ARRIVED_Z = 0.020, 0.010
"""A cube this near (m) to its goal has arrived."""
MOVE = 0.010
"""Travel (m) within `NEXT_ROWS` below which an arm is said not to move."""
TURN = 0.080
"""The same for a turn (rad)."""
DIAGONAL = 0.4
"""A way is said to be along one direction when the other is less than this share of it."""
BESIDE_X, BESIDE_Y, LOW_Z = 0.020, 0.085, 0.060
"""The gripper is ready to push when it is this near (m) beside the cube and its fingertips are below this height."""


@dataclass(frozen=True)
class Situation:
    """A frame of the demonstrations, and the task.

    Attributes:
        task: What was asked for.
        state: float `[7]` Bridge state.
        target: float `[3]` centre of the cube that the task is about, base frame, m.
        place: float `[3]` plate or lower cube; the target again when there is none.
        actions: float `[H, 7]` the expert's next actions.
    """

    task: Task
    state: np.ndarray
    target: np.ndarray
    place: np.ndarray
    actions: np.ndarray

    @property
    def held(self) -> bool:
        """Whether the target is between the fingers."""
        away = np.abs(self.target - self.state[:3])
        near = np.hypot(away[0], away[1]) < HELD_XY and away[2] < HELD_Z
        return bool(near and CLOSED_GRIPPER < self.state[6] < OPEN_GRIPPER)

    @property
    def open(self) -> bool:
        """Whether the gripper is open."""
        return bool(self.state[6] >= OPEN_GRIPPER)

    @property
    def arrived(self) -> bool:
        """Whether the target is where a put or a stack wants it."""
        if not isinstance(self.task, PutOnPlate | Stack):
            return False
        height = PLATE_HEIGHT + CUBE_HALF if isinstance(self.task, PutOnPlate) else self.place[2] + 2 * CUBE_HALF
        away = self.target[:2] - self.place[:2]
        return bool(np.hypot(*away) < ARRIVED_XY and abs(self.target[2] - height) < ARRIVED_Z)

    @property
    def commands(self) -> np.ndarray:
        """Whether each of the next actions wants the gripper open, bool `[NEXT_ROWS]`."""
        wanted: np.ndarray = self.actions[:NEXT_ROWS, 6] >= 0.5
        return wanted

    def travel(self, rows: int = NEXT_ROWS) -> np.ndarray:
        """The way of the next actions: dx, dy, dz (m), float `[3]`."""
        way: np.ndarray = self.actions[:rows, :3].sum(axis=0)
        return way


def sentences(demonstrations: Demonstrations) -> list[str]:
    """One sentence per frame.

    Raises:
        ConfigurationError: Some frames were recorded on an arm: nobody knows where things were.
        SimulationError: A task is none of the simulated ones.
    """
    unknown = int((~np.isfinite(demonstrations.points)).any(axis=(1, 2)).sum())
    if unknown:
        raise ConfigurationError(
            f"{unknown} of {len(demonstrations)} frames come from recordings, which do not say where things are: there "
            "is nothing to reason about. Train with --objective reason=false, or on collected demonstrations."
        )
    tasks = [task_named(name) for name in demonstrations.manifest.task_names]
    columns = zip(
        demonstrations.instructions,
        demonstrations.states,
        demonstrations.points,
        demonstrations.actions,
        strict=True,
    )
    return [
        sentence(Situation(tasks[task], state, target=points[0], place=points[1], actions=actions))
        for task, state, points, actions in columns
    ]


def sentence(situation: Situation) -> str:
    """What to say in this situation."""
    return f"{_seen(situation)} next: {_next(situation)}."


def _seen(situation: Situation) -> str:
    cube = f"the {situation.task.target} cube"
    if situation.held:
        return f"holding {cube}{_goal_seen(situation)}."
    if situation.arrived:
        return f"{cube} is on {_goal(situation.task)}; {_gripper(situation)}."
    return f"{cube} is {direction(situation.target - situation.state[:3])}; {_gripper(situation)}."


def _goal_seen(situation: Situation) -> str:
    if not isinstance(situation.task, PutOnPlate | Stack):
        return ""
    return f"; {_goal(situation.task)} is {direction(situation.place - situation.state[:3])}"


def _goal(task: Task) -> str:
    return f"the {task.base} cube" if isinstance(task, Stack) else "the plate"


def _gripper(situation: Situation) -> str:
    return "the gripper is open" if situation.open else "the gripper is closed"


def direction(away: np.ndarray) -> str:
    """Where a thing is, seen from the gripper: `ahead to the left`, `below`; `away` `[3]` is the way to it in m."""
    words = []
    if abs(away[0]) >= BELOW_XY:
        words.append("ahead" if away[0] > 0 else "behind")
    if abs(away[1]) >= BELOW_XY:
        words.append("to the left" if away[1] > 0 else "to the right")
    return " ".join(words) or ("below" if away[2] < -GRASP_Z else "between the fingers")


def _next(situation: Situation) -> str:
    if situation.held:
        return _with_cube(situation)
    if isinstance(situation.task, Push):
        return _pushing(situation, situation.task)
    if situation.arrived:
        return "go up" if situation.travel()[2] > MOVE else "stay"
    return _towards_cube(situation)


def _with_cube(situation: Situation) -> str:
    wants_open = situation.commands
    if wants_open.any():
        lowering = situation.travel(int(wants_open.argmax()) + 1)[2] < -MOVE
        return "lower it and let go" if lowering else "let go"
    travel = situation.travel()
    sideways = float(np.hypot(*travel[:2]))
    if max(sideways, abs(travel[2])) < MOVE:
        return "hold it"
    if sideways >= abs(travel[2]):
        return "carry it there"
    return "lift it" if travel[2] > 0 else "lower it"


def _towards_cube(situation: Situation) -> str:
    wants_open = situation.commands
    if situation.open and not wants_open.all():
        descending = situation.travel(int((~wants_open).argmax()) + 1)[2] < -MOVE
        return "go down and close" if descending else "close"
    if not situation.open:
        rising = situation.travel()[2] > MOVE
        return ("open and go up" if rising else "open") if wants_open.any() else _motion(situation, "move over it")
    return _motion(situation, "move over it")


def _pushing(situation: Situation, task: Push) -> str:
    away = situation.target - situation.state[:3]
    beside = abs(away[0]) < BESIDE_X and 0.0 < task.sign * away[1] < BESIDE_Y and situation.state[2] < LOW_Z
    if beside and task.sign * situation.travel()[1] > MOVE:
        return f"push it {task.direction}"
    return _motion(situation, "move beside it")


def _motion(situation: Situation, sideways: str) -> str:
    """Up, down, sideways, two of them or none; sideways goes by the name of its purpose."""
    travel = situation.travel()
    across, height = float(np.hypot(*travel[:2])), float(abs(travel[2]))
    if max(across, height) < MOVE:
        return "turn" if abs(situation.actions[:NEXT_ROWS, 5].sum()) > TURN else "stay"
    vertically = "up" if travel[2] > 0 else "down"
    if across < DIAGONAL * height:
        return f"go {vertically}"
    return sideways if height < DIAGONAL * across else f"{sideways} and {vertically}"
