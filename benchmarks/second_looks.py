"""Second looks of a policy on its way, when rows of the chunk before are still to come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.policies.base import Policy, Prediction
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import tasks_of
from dvla_ros.simulation.teleop import BridgeArm

MOST_FROZEN = 6
"""Of rows, as many as are executed in 1.2 s at 5 Hz."""
MOST_EXECUTED = 3
"""Rows that are executed between the beginnings of two chunks, and are needed of a chunk beside the frozen ones."""
_WIDTH, _HEIGHT = 640, 480


@dataclass(frozen=True)
class Look:
    """A second look: the observation, what the chunk before has from there on, and the answer from scratch.

    Attributes:
        observation: What the policy sees.
        before: float32 `[n, D]`, rows of the chunk before that are still to come.
        confidence: float32 `[n, D]`, its confidence in them.
        scratch: The answer to this observation with nothing given.
        seed: That it was drawn with.
    """

    observation: Observation
    before: np.ndarray
    confidence: np.ndarray
    scratch: Prediction
    seed: int


def frozen_counts(policy: Policy) -> range:
    """0..6 frozen rows; fewer of a shorter chunk, of which one row is left to decide."""
    return range(min(MOST_FROZEN, policy.spec.horizon - 1) + 1)


def stride_of(policy: Policy) -> int:
    """Rows that are executed between two looks: as many frozen rows as are asked for must be left of the chunk."""
    return max(1, min(MOST_EXECUTED, policy.spec.horizon - frozen_counts(policy).stop + 1))


def looks(policy: Policy, scenes: Sequence[int], count: int) -> Iterator[Look]:
    """Second looks of the policy on its way, `count` in each scene; one ends where the policy has no answer."""
    names, simulation = tasks_of(("pick",)), Simulation()
    arm, rig = BridgeArm(simulation), CameraRig(simulation.model, _WIDTH, _HEIGHT)
    stride = stride_of(policy)
    for index, scene in enumerate(scenes):
        simulation.reset(names[index % len(names)], scene)
        arm.restart()
        before: Prediction | None = None
        for number in range(count + 1):
            seed = (count + 1) * index + number
            observation = observe(simulation, arm, rig)
            answer = policy.predict(observation, seed=seed)
            if not answer.usable:
                break
            if before is not None:
                yield Look(observation, before.actions[stride:], before.confidence[stride:], answer, seed)
            before = answer
            for row in answer.actions[:stride]:
                arm.apply(row.astype(np.float64))


def observe(simulation: Simulation, arm: BridgeArm, rig: CameraRig) -> Observation:
    """What the policy sees now."""
    qpos, mocap = simulation.qpos(), simulation.mocap()
    images = {name: rig.render(qpos, name, mocap) for name in CAMERAS}
    return Observation(simulation.time, images, arm.state, simulation.task.instruction)
