"""What each of the five systems saves: frozen rows, rows that are not needed, a guess, a deadline."""

import numpy as np
import pytest

from dvla_ros.policies.base import Guess
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.systems import SYSTEMS

NO_WORDS = {"diffusion_vla": {"reason": False}}
"""Words of the reasoning count as evaluations too, and are the same whatever is frozen."""
STEPS = {
    "dd_vla": (12, 10, 9, 7, 6, 4, 3, 1, 0),
    "ud_vla": (24, 21, 18, 16, 13, 10, 8, 5, 3),
    "llada_vla": (10, 8, 6, 4, 2, 0),
    "dfm_vla": (16, 14, 12, 10, 8, 6, 4, 2, 1),
    "diffusion_vla": (10, 8, 7, 6, 5, 3, 2, 1, 1),
}
"""Denoising steps with 0..H frozen rows. ud_vla has 8 image tokens besides: floor(24 (64 - 7 d) / 64)."""

GUESSED = {system: {} for system in SYSTEMS} | {"llada_vla": {"warm_keep_above": 0.02}}
"""llada_vla keeps a guessed action only where the network is sure of it as a whole, and this one never is."""


def rows(number):
    return np.zeros((number, 7), np.float32)


@pytest.fixture(params=SYSTEMS)
def system(request):
    return request.param


@pytest.fixture
def policy(system, write):
    """Untrained: never so sure of anything that it would end before the last planned step."""
    return load_policy(write(system), decoding=NO_WORDS.get(system))


def test_denoising_steps_fall_in_proportion_to_the_frozen_rows(system, policy, observation):
    found = [policy.predict(observation, frozen_actions=rows(d), seed=0).nfe for d in range(policy.spec.horizon + 1)]
    assert tuple(found) == STEPS[system]


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "dfm_vla", "diffusion_vla"])
def test_the_proportion_can_be_switched_off(system, write, observation):
    policy = load_policy(write(system), decoding={"adaptive_steps": False, **NO_WORDS.get(system, {})})
    found = [policy.predict(observation, frozen_actions=rows(d), seed=0).nfe for d in (0, 3)]
    assert found == [STEPS[system][0]] * 2


@pytest.mark.parametrize(
    ("system", "nfe", "decided"),
    [("dd_vla", 5, 4), ("llada_vla", 4, 4), ("ud_vla", 18, 8), ("dfm_vla", 12, 8), ("diffusion_vla", 7, 8)],
)
def test_denoising_ends_with_the_rows_that_are_needed_where_rows_are_decided_one_by_one(
    system, nfe, decided, policy, observation
):
    """FAST tokens and noise belong to the whole chunk."""
    answer = policy.predict(observation, frozen_actions=rows(2), needed_steps=4, seed=0)
    assert (answer.nfe, answer.decided_steps) == (nfe, decided)
    assert answer.actions.shape == (policy.spec.horizon, 7)


def test_nothing_needed_is_answered_after_one_step(system, policy, observation):
    """For a chunk that only the arm's hold follows; what cannot be stopped in between goes on to the end."""
    answer = policy.predict(observation, needed_steps=0, seed=0)
    assert answer.nfe == (STEPS[system][0] if system == "diffusion_vla" else 1)


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_deadline_ends_denoising_after_the_step_that_runs(frozen, policy, observation):
    answer = policy.predict(observation, frozen_actions=rows(frozen), deadline_s=0.0, seed=0)
    assert answer.nfe == 1
    assert answer.frozen_steps == frozen <= answer.decided_steps < policy.spec.horizon
    if answer.usable:
        assert (answer.actions[:frozen] == 0.0).all()


@pytest.mark.parametrize(("system", "settings"), [*GUESSED.items()])
def test_a_guess_saves_steps_and_is_not_frozen(system, settings, write, observation):
    policy = load_policy(write(system), decoding={**NO_WORDS.get(system, {}), **settings})
    horizon = policy.spec.horizon
    cold = policy.predict(observation, seed=0)
    guess = Guess(rows(horizon) if not cold.usable else cold.actions, np.full((horizon, 7), 0.95))

    warm = policy.predict(observation, seed=1, warm_start=guess)

    assert warm.frozen_steps == 0 and warm.decided_steps == horizon
    assert warm.nfe < cold.nfe
