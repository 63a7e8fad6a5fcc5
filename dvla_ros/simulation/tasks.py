"""What the simulated robot can be asked to do: a sentence and a judgement each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from dvla_ros.errors import SimulationError
from dvla_ros.simulation.scene import COLOURS, CUBE_HALF, PLATE_HEIGHT, PLATE_RADIUS

LIFTED = 0.05
"""A cube counts as lifted this far (m) above where it lay."""
PUSHED = 0.05
"""A cube counts as pushed this far (m) along y."""
REACHED_XY, REACHED_Z = 0.025, 0.12
"""A cube counts as reached when the fingertips are this near (m) to being over it, below this height (m)."""
_NOUNS = ("cube", "block")
_STILL = 0.03
_LEVEL = 0.012

FIRST_TRAINING_SEED = 1_000_000
"""Demonstrations are made in scenes from this seed on; evaluation takes those below, so that none was trained on."""


@dataclass(frozen=True)
class SceneState:
    """True state of the scene in the base frame; positions `[3]` in m, yaws in rad, speed in m/s.

    Attributes:
        cubes: Centres by colour.
        yaws: By colour.
        plate: Centre.
        held: Colours of the cubes that both fingers touch.
        touched: Colours of the cubes that a finger touches.
        speed: Of the fastest cube.
        tool: Fingertips.
        post: Centre of the post, None in a scene without one.
        bumped: Whether hand or fingers touch the post.
    """

    cubes: Mapping[str, np.ndarray]
    yaws: Mapping[str, float]
    plate: np.ndarray
    held: frozenset[str]
    touched: frozenset[str]
    speed: float
    tool: np.ndarray = field(default_factory=lambda: np.zeros(3))
    post: np.ndarray | None = None
    bumped: bool = False


@dataclass(frozen=True)
class Judgement:
    """Outcome (`running`, `success`, `wrong_object`, `collision`) and, for a wrong object, its colour."""

    outcome: str
    detail: str


@dataclass(frozen=True)
class Task(ABC):
    """One instruction with its success predicate."""

    target: str

    family = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """Identifier such as `pick_red`."""

    @property
    @abstractmethod
    def phrasings(self) -> tuple[str, ...]:
        """Every sentence that asks for it, `instruction` first."""

    @property
    def instruction(self) -> str:
        """The sentence that asks for it."""
        return self.phrasings[0]

    @abstractmethod
    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """Whether the scene is as asked."""

    @abstractmethod
    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Whether another cube, `colour`, was moved in the way that was asked for the target."""

    def judge(self, initial: SceneState, now: SceneState) -> Judgement:
        """Success, a wrong object, or still running."""
        if self.succeeded(initial, now):
            return Judgement("success", "")
        for colour in COLOURS:
            if colour != self.target and self.misdone(colour, initial, now):
                return Judgement("wrong_object", colour)
        return Judgement("running", "")


def _lifted(colour: str, initial: SceneState, now: SceneState) -> bool:
    return bool(now.cubes[colour][2] - initial.cubes[colour][2] > LIFTED)


def _resting_on(now: SceneState, colour: str, centre: np.ndarray, height: float, radius: float) -> bool:
    """The cube lies still and free with its centre `height` above the table within `radius` of `centre`."""
    offset = now.cubes[colour][:2] - centre[:2]
    level = abs(now.cubes[colour][2] - height) < _LEVEL
    return bool(level and np.hypot(*offset) < radius and colour not in now.touched and now.speed < _STILL)


@dataclass(frozen=True)
class Pick(Task):
    """Lift a cube off the table."""

    family = "pick"

    @property
    def name(self) -> str:
        """Identifier."""
        return f"pick_{self.target}"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Sentences."""
        verbs = ("pick up", "grab", "lift", "take")
        return tuple(f"{verb} the {self.target} {noun}" for noun in _NOUNS for verb in verbs)

    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """The target is 5 cm above where it lay."""
        return _lifted(self.target, initial, now)

    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Another cube is."""
        return _lifted(colour, initial, now)


@dataclass(frozen=True)
class PutOnPlate(Task):
    """Put a cube on the plate and let go of it."""

    family = "put"

    @property
    def name(self) -> str:
        """Identifier."""
        return f"put_{self.target}_on_plate"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Sentences."""
        verbs = ("put", "place", "set")
        return tuple(f"{verb} the {self.target} {noun} on the plate" for noun in _NOUNS for verb in verbs)

    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """The target rests on the plate, not touched by the fingers."""
        return _resting_on(now, self.target, now.plate, PLATE_HEIGHT + CUBE_HALF, PLATE_RADIUS)

    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Another cube was lifted."""
        return _lifted(colour, initial, now)


@dataclass(frozen=True)
class Stack(Task):
    """Stack one cube on another and let go of it."""

    base: str

    family = "stack"

    @property
    def name(self) -> str:
        """Identifier."""
        return f"stack_{self.target}_on_{self.base}"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Sentences."""
        verbs = (("stack", "on"), ("put", "on top of"), ("place", "on"))
        return tuple(f"{v} the {self.target} {noun} {on} the {self.base} {noun}" for noun in _NOUNS for v, on in verbs)

    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """The target rests on the base cube, not touched by the fingers."""
        return _resting_on(now, self.target, now.cubes[self.base], 3 * CUBE_HALF, CUBE_HALF)

    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Another cube was lifted."""
        return _lifted(colour, initial, now)


@dataclass(frozen=True)
class Push(Task):
    """Push a cube sideways; left is +y, as the robot sees it."""

    direction: str

    family = "push"

    @property
    def sign(self) -> float:
        """+1 for left (+y), −1 for right."""
        return 1.0 if self.direction == "left" else -1.0

    @property
    def name(self) -> str:
        """Identifier."""
        return f"push_{self.target}_{self.direction}"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Sentences."""
        ways = (f"to the {self.direction}", self.direction)
        return tuple(
            f"{verb} the {self.target} {noun} {way}" for noun in _NOUNS for verb in ("push", "slide") for way in ways
        )

    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """The target lies 5 cm further to that side, still on the table."""
        return self._moved(self.target, initial, now) > PUSHED and not _lifted(self.target, initial, now)

    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Another cube was pushed that far to that side."""
        return self._moved(colour, initial, now) > PUSHED

    def _moved(self, colour: str, initial: SceneState, now: SceneState) -> float:
        return float(self.sign * (now.cubes[colour][1] - initial.cubes[colour][1]))


@dataclass(frozen=True)
class Detour(Task):
    """Reach a cube behind a post; left and right of it are equally good, straight on is a collision."""

    family = "detour"

    @property
    def name(self) -> str:
        """Identifier."""
        return f"detour_{self.target}"

    @property
    def phrasings(self) -> tuple[str, ...]:
        """Sentences."""
        verbs = ("go", "move")
        return tuple(f"{verb} around the post to the {self.target} {noun}" for noun in _NOUNS for verb in verbs)

    def succeeded(self, initial: SceneState, now: SceneState) -> bool:
        """The fingertips are over the target."""
        away = np.hypot(*(now.tool[:2] - now.cubes[self.target][:2]))
        return bool(away < REACHED_XY and now.tool[2] < REACHED_Z)

    def misdone(self, colour: str, initial: SceneState, now: SceneState) -> bool:
        """Never: the way may lead over another cube."""
        return False

    def judge(self, initial: SceneState, now: SceneState) -> Judgement:
        """A collision when the post is touched; else as every task."""
        return Judgement("collision", "") if now.bumped else super().judge(initial, now)


def _all_tasks() -> dict[str, Task]:
    tasks: list[Task] = [Pick(c) for c in COLOURS]
    tasks += [PutOnPlate(c) for c in COLOURS]
    tasks += [Stack(a, b) for a, b in permutations(COLOURS, 2)]
    tasks += [Push(c, d) for c in COLOURS for d in ("left", "right")]
    return {task.name: task for task in tasks}


TASKS = _all_tasks()
FAMILIES = ("pick", "put", "stack", "push")
"""What the shipped policies know."""
EXTRA_TASKS: dict[str, Task] = {task.name: task for task in map(Detour, COLOURS)}
"""Tasks that only who asks for them by name gets."""
ALL_TASKS = {**TASKS, **EXTRA_TASKS}
ALL_FAMILIES = (*FAMILIES, "detour")


def task_named(name: str) -> Task:
    """The task called `name`.

    Raises:
        SimulationError: There is none.
    """
    if name not in ALL_TASKS:
        raise SimulationError(f"There is no task {name!r}; the simulated scene has {', '.join(ALL_TASKS)}.")
    return ALL_TASKS[name]


def task_for_instruction(instruction: str) -> Task:
    """The task whose sentence this is, ignoring case, articles' spacing and a final full stop.

    Raises:
        SimulationError: No task has this sentence.
    """
    wanted = " ".join(instruction.lower().strip().rstrip(".").split())
    for task in ALL_TASKS.values():
        if wanted in task.phrasings:
            return task
    examples = "; ".join(task.instruction for task in ALL_TASKS.values())
    raise SimulationError(f"The simulated scene cannot judge {instruction!r}; it knows: {examples}.")


def tasks_of(names: Sequence[str]) -> tuple[str, ...]:
    """Task names for a mixture of task names and families; the tasks of `FAMILIES` for nothing.

    Raises:
        SimulationError: A name is neither.
    """
    chosen: list[str] = []
    for name in names:
        members = [task.name for task in ALL_TASKS.values() if task.family == name] or [task_named(name).name]
        chosen += [member for member in members if member not in chosen]
    return tuple(chosen or TASKS)
