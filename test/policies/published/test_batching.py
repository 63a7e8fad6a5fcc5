"""Published networks answer several observations at once: those with as many words in one run, others in their own."""

import numpy as np
import pytest

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.policies.batching import Question, answers_to
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.request import ChunkRequest

SENTENCES = ("pick up the red cube", "pick up the blue cube", "push the cube to the left")


def seen(policy, number):
    random = np.random.default_rng(number)
    images = {name: random.integers(0, 256, (60, 80, 3), dtype=np.uint8) for name in policy.spec.cameras}
    return Observation(0.0, images, bridge_state(NEUTRAL, FINGER_OPEN), SENTENCES[number])


@pytest.mark.parametrize(
    ("system", "attention"),
    [
        ("dd_vla", "full"),
        ("dd_vla", "block_causal"),
        ("dfm_vla", "block_causal"),
        ("llada_vla", "full"),
        ("llada_vla", "block_causal"),
        ("ud_vla", "block_causal"),
    ],
)
def test_robots_get_the_tokens_that_they_would_get_alone(system, attention, fresh, deployment_of):
    policy = load_policy(fresh(system), deployment=deployment_of(system, attention=attention))
    observations = [seen(policy, number) for number in range(3)]
    requests = [ChunkRequest.checked(policy.spec, None, seed, None, None, None) for seed in (1, 2, 3)]
    prefills = []
    inner = policy.network.prefill_batch
    policy.network.prefill_batch = lambda inputs, frozen: prefills.append(len(inputs)) or inner(inputs, frozen)
    together = policy.predict_batch(observations, requests)
    assert 2 in prefills
    for answer, observation, request in zip(together, observations, requests, strict=True):
        (own,) = answers_to(policy, [Question(observation, request)])
        assert (answer.tokens == own.tokens).all()
        np.testing.assert_allclose(answer.confidence, own.confidence, atol=1e-3)
