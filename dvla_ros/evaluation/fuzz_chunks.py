"""Chunks that no policy should ever make, and some that it might."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.safety import SafetyConfig

_SPECIAL = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 5e-324, -5e-324, 1e-300, -0.0])
_DTS = (0.02, 0.05, 0.1, 0.2, 0.2, 0.2)
_ODD_DTS = (0.0, -0.2, math.nan, math.inf, 1e-12, 1e-3, 0.004999, 0.005, 1.999, 2.0, 2.001, 1e9, -math.inf)


@dataclass(frozen=True)
class Situation:
    """What a malicious policy could know.

    Attributes:
        now: Seconds.
        joints: `[6]` rad, commanded.
        epoch: Of the chunks accepted now.
        sequence: Of the newest chunk.
        stamp: Due time of the newest chunk's first row, in seconds.
        dt: Seconds between rows of the newest chunk.
        safety: The limits.
    """

    now: float
    joints: np.ndarray
    epoch: int
    sequence: int
    stamp: float
    dt: float
    safety: SafetyConfig


@dataclass(frozen=True)
class Draft:
    """The arguments of a chunk, which may be none."""

    stamp: float
    dt: float
    actions: np.ndarray
    mode: ControlMode
    sequence: int
    epoch: int
    execute_steps: int = 0
    execute_reserve: bool = False
    frozen_steps: int = 0
    observation_stamp: float = 0.0

    def chunk(self) -> ActionChunk:
        """The chunk.

        Raises:
            ActionError: There is no such chunk.
        """
        names = tuple(f"c{index}" for index in range(self.actions.shape[-1] if self.actions.ndim else 0))
        return ActionChunk(
            stamp=self.stamp,
            dt=self.dt,
            actions=self.actions,
            mode=self.mode,
            names=names,
            sequence=self.sequence,
            epoch=self.epoch,
            execute_steps=self.execute_steps,
            execute_reserve=self.execute_reserve,
            frozen_steps=self.frozen_steps,
            observation_stamp=self.observation_stamp,
        )


def draw_draft(situation: Situation, rng: np.random.Generator) -> Draft:
    """A sound chunk, in about two of three cases spoilt in one way, in one of ten in two."""
    draft = _sound(situation, rng)
    ways = rng.integers(len(_SPOILS), size=int(rng.choice(3, p=(0.35, 0.55, 0.1))))
    with np.errstate(over="ignore", invalid="ignore"):
        for way in np.sort(ways):
            draft = _SPOILS[way](draft, situation, rng)
    return draft


def _sound(situation: Situation, rng: np.random.Generator) -> Draft:
    """A chunk that a policy might make: on the grid or from now on, with steps of any size up to the limits."""
    mode = ControlMode(int(rng.integers(4)))
    goes_on = rng.random() < 0.5
    dt = situation.dt if goes_on and 0.005 <= situation.dt <= 2.0 else float(rng.choice(_DTS))
    stamp = situation.now + float(rng.choice([0.0, 0.02, rng.uniform(-dt, dt)]))
    if goes_on and math.isfinite(situation.stamp):
        stamp = situation.stamp + dt * round((situation.now - situation.stamp) / dt + rng.integers(-1, 3))
    horizon = int(rng.choice([1, 2, 4, 8, 16]))
    arm = _arm(mode, situation, horizon, dt, rng)
    gripper = rng.choice([rng.random(horizon), rng.integers(0, 2, horizon).astype(float)])
    return Draft(
        stamp=stamp,
        dt=dt,
        actions=np.column_stack([arm, gripper]).astype(np.float32),
        mode=mode,
        sequence=situation.sequence + 1,
        epoch=situation.epoch,
        execute_steps=int(rng.choice([0, 2, horizon])),
        execute_reserve=bool(rng.random() < 0.5),
        frozen_steps=int(rng.choice([0, 0, 1, horizon])),
        observation_stamp=float(rng.choice([0.0, situation.now - 0.1])),
    )


def _arm(mode: ControlMode, situation: Situation, horizon: int, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Six columns `[horizon, 6]`: a walk from where the arm is, whose steps have one way, or many."""
    size = float(rng.choice([0.1, 0.4, 1.0])) * min(dt / 0.2, 1.0)
    steps = rng.uniform(-1.0, 1.0, (horizon, 6))
    if rng.random() < 0.5:
        steps = np.tile(steps[:1], (horizon, 1)) * rng.uniform(0.8, 1.0, (horizon, 1))
    if mode is ControlMode.JOINT_DELTA:
        return np.asarray(steps * 0.3 * size)
    if mode is ControlMode.JOINT_POSITION:
        return np.asarray(situation.joints + np.cumsum(steps * 0.3 * size, axis=0))
    increments = steps * ([0.05] * 3 + [0.25] * 3) * size
    if mode is ControlMode.EE_DELTA:
        return np.asarray(increments)
    pose = forward(situation.joints)
    return np.asarray(np.concatenate([pose[:3, 3], euler_from_matrix(pose[:3, :3])]) + np.cumsum(increments, axis=0))


def _special_numbers(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """A few entries that are not numbers, or hardly."""
    actions = draft.actions.astype(rng.choice(["float32", "float64"]))
    for _ in range(int(rng.integers(1, 4))):
        actions[rng.integers(len(actions)), rng.integers(actions.shape[1])] = rng.choice(_SPECIAL)
    return replace(draft, actions=actions)


def _at_the_limits(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Joint targets at the ends of the ranges, a hair inside or outside; steps of just what is allowed."""
    safety, actions = situation.safety, draft.actions.astype(np.float64)
    hair = float(rng.choice([0.0, 1e-7, -1e-7, 1e-3, -1e-3]))
    joint = int(rng.integers(6))
    if draft.mode is ControlMode.JOINT_POSITION:
        ends = (safety.joint_lower[joint] + safety.joint_margin, safety.joint_upper[joint] - safety.joint_margin)
        steps = np.linspace(1.0 / len(actions), 1.0, len(actions))
        goal = ends[int(rng.integers(2))] + hair
        actions[:, joint] = situation.joints[joint] + (goal - situation.joints[joint]) * steps
    elif draft.mode is ControlMode.JOINT_DELTA:
        largest = min(safety.max_joint_step, safety.joint_velocity[joint] * draft.dt)
        actions[:, joint] = rng.choice([-1.0, 1.0]) * (largest + hair)
    else:
        bounds = np.array([safety.workspace_lower, safety.workspace_upper])
        wall = bounds[int(rng.integers(2)), joint % 3]
        largest = safety.max_translation_step if draft.mode is ControlMode.EE_DELTA else wall
        actions[:, joint % 3] = rng.choice([-1.0, 1.0]) * largest + hair if rng.random() < 0.5 else largest + hair
    return replace(draft, actions=actions.astype(np.float32))


def _bang_bang(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """There and back with every row."""
    signs = np.where(np.arange(len(draft.actions)) % 2, -1.0, 1.0)[:, None]
    actions = draft.actions.copy()
    if draft.mode in (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA):
        actions[:, :6] = np.abs(actions[:, :6]) * signs
    else:
        actions[:, :6] = actions[0, :6] + signs * rng.uniform(0.0, 0.1)
    return replace(draft, actions=actions)


def _reversed(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """The way back."""
    increments = draft.mode in (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA)
    actions = draft.actions[::-1].copy()
    actions[:, :6] *= -1.0 if increments else 1.0
    return replace(draft, actions=actions)


def _scaled(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Far too much, or hardly anything."""
    actions = draft.actions.copy()
    actions[:, :6] *= rng.choice([1e-30, 1e-6, 3.0, 10.0, 1e3, 1e20])
    return replace(draft, actions=actions)


def _gripper(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Openings beyond their range."""
    actions = draft.actions.copy()
    actions[:, -1] = rng.choice([-0.1, -0.11, 1.1, 1.11, 7.0, -1e9])
    return replace(draft, actions=actions)


def _shape(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """No rows, too many rows, too few or too many columns, one dimension too few or too many."""
    rows, columns = (int(rng.choice(sizes)) for sizes in ((0, 1, 5, 200, 201, 2000), (0, 1, 6, 7, 7, 7, 8, 14)))
    shape = ((rows, columns), (rows,), (1, rows, columns))[int(rng.choice(3, p=(0.8, 0.1, 0.1)))]
    return replace(draft, actions=rng.normal(0.0, 0.001, shape).astype(np.float32))


def _odd_dt(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    return replace(draft, dt=float(rng.choice(_ODD_DTS)))


def _odd_stamp(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Past, future, another clock, or no time at all; sometimes off the grid by a hair."""
    odd = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e30]
    near = situation.now + rng.choice([-1e6, -10.0, -1.0, -1e-3, 1e-7, 1e-3, 1.99, 2.01, 10.0, 1e6])
    return replace(draft, stamp=float(near if rng.random() < 0.7 else rng.choice(odd)))


def _odd_order(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Duplicates, stragglers, other epochs."""
    sequence = situation.sequence + int(rng.choice([-5, -1, 0, 2, 2**40]))
    return replace(draft, sequence=sequence, epoch=situation.epoch + int(rng.choice([-2, -1, 0, 0, 1])))


def _odd_counts(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Numbers of rows that are not in the chunk."""
    odd = (-(2**31), -1, len(draft.actions) + 1, 2**31 - 1)
    steps, frozen = int(rng.choice(odd)), int(rng.choice(odd))
    return replace(draft, execute_steps=steps, frozen_steps=frozen, observation_stamp=float(rng.choice(_SPECIAL)))


def _elsewhere(draft: Draft, situation: Situation, rng: np.random.Generator) -> Draft:
    """Targets anywhere in the range of the joints or the box; huge angles."""
    safety, horizon = situation.safety, len(draft.actions)
    actions = draft.actions.astype(np.float64)
    if draft.mode is ControlMode.JOINT_POSITION:
        actions[:, :6] = rng.uniform(safety.joint_lower, safety.joint_upper, (horizon, 6))
    else:
        actions[:, :3] = rng.uniform(safety.workspace_lower, safety.workspace_upper, (horizon, 3))
        actions[:, 3:6] = rng.uniform(-10.0, 10.0, (horizon, 3))
    return replace(draft, actions=actions)


_Spoil = Callable[[Draft, Situation, np.random.Generator], Draft]
_SPOILS: tuple[_Spoil, ...] = (
    _special_numbers,
    _at_the_limits,
    _bang_bang,
    _reversed,
    _scaled,
    _gripper,
    _odd_dt,
    _odd_stamp,
    _odd_order,
    _odd_counts,
    _elsewhere,
    _shape,
)
"""Those that spoil rows come before the one after which there may be none."""
