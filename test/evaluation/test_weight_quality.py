"""Differences between answers are counted in tokens, millimetres, degrees and grippers."""

from dataclasses import replace

import numpy as np
import pytest
from untrained import write_untrained

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ActionError
from dvla_ros.evaluation.weight_quality import difference
from dvla_ros.policies.load import load_policy


@pytest.fixture
def policy(tmp_path):
    return load_policy(write_untrained(tmp_path / "it"))


@pytest.fixture
def observation():
    random = np.random.default_rng(1)
    images = {name: random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(0.0, images, np.full(7, 0.1), "pick up the red cube")


def test_a_policy_does_not_differ_from_itself(policy, observation):
    same = difference([[policy.predict(observation, seed=seed) for _ in range(2)] for seed in range(2)])
    assert (same.chunks, same.unusable, same.tokens, same.gripper) == (2, 0, 1.0, 1.0)
    assert same.translation_mm == same.rotation_deg == 0.0


def test_differences_have_their_units(policy, observation):
    one = policy.predict(observation, seed=0)
    actions = one.actions.copy()
    actions[:, :3] += [0.003, 0.0, 0.004]
    actions[:, 5] += np.radians(2.0)
    actions[0, 6] = 1.0 - (actions[0, 6] > 0.5)
    tokens = one.tokens.copy()
    tokens[:2] += 1
    found = difference([(one, replace(one, actions=actions, tokens=tokens))])
    assert found.translation_mm == pytest.approx(5.0, rel=1e-3)
    assert found.rotation_deg == pytest.approx(2.0, rel=1e-3)
    assert found.gripper == found.tokens + 0.125 == 0.875


def test_chunks_that_cannot_be_executed_are_counted_and_left_out(policy, observation):
    one = policy.predict(observation, seed=0)
    broken = replace(one, malformed="it ends too early", actions=np.full_like(one.actions, np.nan))
    found = difference([(one, one), (one, broken)])
    assert (found.chunks, found.unusable, found.translation_mm) == (1, 1, 0.0)
    with pytest.raises(ActionError, match="None of 1 pairs"):
        difference([(one, broken)])
