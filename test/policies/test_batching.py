"""Several robots asked about at once get the answers that each would get alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ActionError, DeviceMemoryError, ObservationError
from dvla_ros.policies.base import Guess
from dvla_ros.policies.batching import BatchPolicy, Question, answers_to
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.small_token_network import SmallTokenNetwork

SENTENCES = ("pick up the red cube", "put the blue cube on the plate", "push the green cube")


def seen(number: int, size: tuple[int, int] = (48, 64)) -> Observation:
    """What one of several robots sees; all of them something else."""
    random = np.random.default_rng(number)
    images = {name: random.integers(0, 256, (*size, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(0.0, images, random.uniform(-0.1, 0.1, 7), SENTENCES[number % 3])


def asked(policy, seed, frozen=None, guess=None, needed=None) -> ChunkRequest:
    return ChunkRequest.checked(policy.spec, frozen, seed, None, guess, needed)


def alone(policy, observation, request):
    (answer,) = answers_to(policy, [Question(observation, request)])
    return answer


def require_the_same(policy, observations, requests):
    together = policy.predict_batch(observations, requests)
    for answer, observation, request in zip(together, observations, requests, strict=True):
        own = alone(policy, observation, request)
        assert (answer.tokens == own.tokens).all()
        np.testing.assert_array_equal(answer.actions, own.actions)  # NaN where an untrained network wrote no chunk
        np.testing.assert_allclose(answer.confidence, own.confidence, atol=1e-4)
        assert (answer.frozen_steps, answer.decided_steps) == (own.frozen_steps, own.decided_steps)
        for camera, points in own.keypoints.items():
            np.testing.assert_allclose(answer.keypoints[camera], points, atol=1e-4)
        for camera, image in own.imagined_images.items():
            assert (answer.imagined_images[camera] == image).all()
    return together


def test_robots_of_every_system_get_the_tokens_that_they_would_get_alone(any_checkpoint):
    policy = load_policy(any_checkpoint)
    assert isinstance(policy, BatchPolicy)
    observations = [seen(number, size) for number, size in enumerate([(48, 64), (96, 128), (48, 64)])]
    answers = require_the_same(policy, observations, [asked(policy, seed) for seed in (3, 3, 8)])
    assert (answers[0].tokens != answers[1].tokens).any()


@pytest.mark.parametrize("cache", ["prefix", "dllm:3,2,0.5"])
def test_so_they_do_with_an_approximate_cache(write, cache):
    policy = load_policy(write("dd_vla"), cache=cache)
    require_the_same(policy, [seen(0), seen(1)], [asked(policy, 1), asked(policy, 2)])


def test_each_has_its_own_frozen_rows(any_checkpoint):
    policy = load_policy(any_checkpoint)
    rows = np.random.default_rng(0).uniform(ACTION_LOWER, ACTION_UPPER, (8, 7)).astype(np.float32)
    frozen = [rows[:3], None, rows[:1], rows[2:5]]
    observations = [seen(number) for number in range(4)]
    requests = [asked(policy, number, frozen=rows) for number, rows in enumerate(frozen)]
    answers = require_the_same(policy, observations, requests)
    for answer, rows in zip(answers, frozen, strict=True):
        assert rows is None or not answer.usable or (answer.actions[: len(rows)] == rows).all()


def test_each_has_its_own_guess_and_its_own_need(write):
    policy = load_policy(write("dd_vla"))
    rows = policy.predict(seen(0), seed=0)
    guess = Guess(rows.actions, rows.confidence)
    observations = [seen(0), seen(1), seen(2), seen(0)]
    requests = [asked(policy, 1, guess=guess), asked(policy, 2), asked(policy, 3, needed=2), asked(policy, 4, needed=2)]
    answers = require_the_same(policy, observations, requests)
    assert answers[2].decided_steps < 8 and answers[1].decided_steps == 8


def test_those_that_are_alike_take_one_run_of_the_network(write, monkeypatch):
    policy, sizes = load_policy(write("dd_vla")), []
    inner = SmallTokenNetwork.logits
    monkeypatch.setattr(SmallTokenNetwork, "logits", lambda *given: sizes.append(len(given[2])) or inner(*given))
    answers = policy.predict_batch([seen(n) for n in range(3)], [asked(policy, n) for n in range(3)])
    assert sizes == [3] * 12
    assert [answer.nfe for answer in answers] == [12] * 3


def test_what_is_wrong_with_one_question_is_its_answer_alone(write):
    policy = load_policy(write("dd_vla"))
    blind = replace(seen(1), images={})
    first, wrong, last = policy.predict_batch([seen(0), blind, seen(2)], [asked(policy, n) for n in range(3)])
    assert isinstance(wrong, ObservationError) and "are missing" in str(wrong)
    assert (first.tokens == alone(policy, seen(0), asked(policy, 0)).tokens).all()
    assert (last.tokens == alone(policy, seen(2), asked(policy, 2)).tokens).all()


def test_where_there_is_no_memory_for_all_they_are_answered_one_by_one(write, monkeypatch):
    policy = load_policy(write("dd_vla"))
    inner = SmallTokenNetwork.prefill_batch

    def small(self, inputs, frozen):
        if len(inputs) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return inner(self, inputs, frozen)

    monkeypatch.setattr(SmallTokenNetwork, "prefill_batch", small)
    require_the_same(policy, [seen(0), seen(1)], [asked(policy, 1), asked(policy, 2)])


def test_where_there_is_no_memory_at_all_each_is_told_so(write, monkeypatch):
    policy = load_policy(write("dd_vla"))

    def full(*given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(SmallTokenNetwork, "prefill_batch", full)
    answers = policy.predict_batch([seen(0), seen(1)], [asked(policy, 1), asked(policy, 2)])
    assert all(isinstance(answer, DeviceMemoryError) for answer in answers)


def test_without_seeds_the_answers_differ(write):
    policy = load_policy(write("dd_vla"))
    first, second = policy.predict_batch([seen(0)] * 2, [asked(policy, None)] * 2)
    assert (first.tokens != second.tokens).any()


def test_a_policy_that_cannot_batch_is_asked_one_question_after_the_other(write):
    policy = load_policy(write("diffusion_vla"))
    assert not isinstance(policy, BatchPolicy)
    questions = [Question(seen(0), asked(policy, 1)), Question(replace(seen(1), instruction=" "), asked(policy, 2))]
    first, second = answers_to(policy, questions)
    assert (first.actions == policy.predict(seen(0), seed=1).actions).all()
    assert isinstance(second, ObservationError)


def test_a_request_that_does_not_fit_is_refused(write):
    policy = load_policy(write("dd_vla"))
    with pytest.raises(ActionError, match="At most 8 actions"):
        asked(policy, 0, frozen=np.zeros((9, 7), np.float32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_batch_on_the_gpu_gives_the_tokens_of_each_alone(write):
    policy = load_policy(write("dd_vla"), device="cuda")
    require_the_same(policy, [seen(0), seen(1)], [asked(policy, 1), asked(policy, 2)])
