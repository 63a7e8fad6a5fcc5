"""A policy without a network, and a simulator without a process."""

from dataclasses import replace

import numpy as np
import pytest
from libero_stand_in import StandIn

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.evaluation.libero.simulator import CAMERAS, Executed, Look, SuiteFacts
from dvla_ros.policies.base import PolicySpec, Prediction, Timings

SPEC = PolicySpec("dd_vla", ("front", "wrist"), 7, ACTION_NAMES, ControlMode.EE_DELTA, 4, 3, 0.05)


class ScriptedPolicy:
    """Moves a centimetre and closes the gripper; of the answers named in `broken` all numbers are NaN."""

    def __init__(self, broken=()):
        self.spec, self.broken = SPEC, broken
        self.observations, self.seeds, self.resets = [], [], 0

    def predict(self, observation, *, seed):
        actions = np.tile(np.array([0.01, 0, 0, 0, 0, 0, 0], np.float32), (self.spec.horizon, 1))
        if len(self.seeds) in self.broken:
            actions[:] = np.nan
        self.observations.append(observation)
        self.seeds.append(seed)
        nothing = np.zeros((0, 7))
        return Prediction(actions, nothing, actions, (), 0, nfe=2, timings=Timings(0.0, 0.0, 0.01, 0.0))

    def reset(self):
        self.resets += 1


class DirectSimulator:
    """`LiberoSimulator` without a process; keeps the rows that it was given."""

    def __init__(self):
        self.scene, self.rows, self.restarts = StandIn(), [], []

    def open(self, suite, size):
        values = self.scene.open(suite, size).values
        return SuiteFacts(tuple(values["sentences"]), tuple(values["initial_states"]))

    def restart(self, *values):
        self.restarts.append(values)
        self.scene.restart(*values)

    def look(self):
        arrays = self.scene.look().arrays
        return Look(*(arrays[name] for name in (*CAMERAS, "position", "quaternion", "fingers", "base")))

    def execute(self, rows):
        self.rows.append(rows)
        return Executed(**self.scene.execute(rows).values)


@pytest.fixture
def simulator():
    return DirectSimulator()


@pytest.fixture
def make_policy():
    def make(broken=(), **changes):
        policy = ScriptedPolicy(broken)
        policy.spec = replace(policy.spec, **changes)
        return policy

    return make
