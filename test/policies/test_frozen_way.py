"""Where frozen rows lead, in the units that a network reads."""

import numpy as np
import pytest

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.policies.frozen_way import FrozenWay
from dvla_ros.policies.load import load_policy

LOW, HIGH = np.array([0.1, -0.3, 0.0, -1.0]), np.array([0.5, 0.3, 0.2, 1.0])


@pytest.fixture
def state():
    return Normalizer(LOW, HIGH, np.ones(4, bool))


def test_the_normalised_state_moves_by_the_normalised_way(state):
    rows = np.array([[0.02, -0.05, 0.01, 9.0], [0.03, 0.01, 0.02, 9.0]], np.float32)
    here = np.array([0.2, 0.0, 0.05, 0.0])
    there = np.add(here, [0.05, -0.04, 0.03, 0.0])
    expected = (state.normalize(there) - state.normalize(here))[:3]
    np.testing.assert_allclose(FrozenWay(state).of(rows), expected, atol=1e-6)
    np.testing.assert_array_equal(FrozenWay(state).of(rows[:0]), np.zeros(3, np.float32))


def test_a_policy_tells_its_network_where_the_frozen_rows_lead(write, observation, monkeypatch):
    policy = load_policy(write("dd_vla"))
    told, prefill = [], policy.network.model.prefill
    monkeypatch.setattr(policy.network.model, "prefill", lambda *inputs: told.append(inputs[-1]) or prefill(*inputs))
    rows = np.full((2, 7), 0.01, np.float32)
    policy.predict(observation, frozen_actions=rows, seed=0)
    policy.predict(observation, seed=0)
    np.testing.assert_allclose(told[0][0], policy.network._way.of(rows))
    assert told[0].min() > 0.0 and not told[1].any()
