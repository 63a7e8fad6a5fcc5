"""A token policy answers any usable observation with a complete chunk, and refuses the others."""

from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.errors import ActionError, ObservationError
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.policies.base import Guess
from dvla_ros.policies.checkpoint import read_statistics
from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.load import load_policy


@pytest.fixture
def policy(checkpoint):
    return load_policy(checkpoint)


def test_a_chunk_has_its_shape_and_stays_within_the_statistics(policy, checkpoint, observation):
    prediction, statistics = policy.predict(observation, seed=0), read_statistics(checkpoint, policy.spec).action
    assert prediction.actions.shape == (8, 7) and prediction.actions.dtype == np.float32
    assert (prediction.actions[:, :6] >= statistics.q01[:6] - 1e-6).all()
    assert (prediction.actions[:, :6] <= statistics.q99[:6] + 1e-6).all()
    assert prediction.tokens.min() >= 0 and prediction.tokens.max() < prediction.mask_token == 256
    assert prediction.confidence.shape == (8, 7)
    assert prediction.confidence.min() > 0.0 and prediction.confidence.max() <= 1.0


def test_the_trace_tells_how_the_chunk_came_about(policy, observation):
    prediction = policy.predict(observation, seed=0)
    assert len(prediction.trace) == prediction.nfe == 12
    assert prediction.trace[-1].tokens.tolist() == prediction.tokens.flatten().tolist()
    masked = [(step.tokens == prediction.mask_token).sum() for step in prediction.trace]
    assert masked == sorted(masked, reverse=True) and masked[0] > masked[-1] == 0


def test_the_same_seed_gives_the_same_chunk_and_another_seed_another(policy, observation):
    first, again, other = (policy.predict(observation, seed=seed).tokens for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()


def test_without_a_seed_answers_vary(policy, observation):
    assert (policy.predict(observation).tokens != policy.predict(observation).tokens).any()


def test_the_instruction_and_the_images_matter(policy, observation):
    before = policy.predict(observation, seed=0).confidence
    sentence = replace(observation, instruction="pick up the blue cube")
    dark = replace(observation, images={name: image // 4 for name, image in observation.images.items()})
    assert not np.allclose(policy.predict(sentence, seed=0).confidence, before, atol=1e-6)
    assert not np.allclose(policy.predict(dark, seed=0).confidence, before, atol=1e-6)


def test_frozen_actions_are_tokens_that_no_step_changes(policy, observation):
    first = policy.predict(observation, seed=0)
    again = policy.predict(observation, frozen_actions=first.actions[:3], seed=1)
    assert (again.tokens[:3] == first.tokens[:3]).all()
    assert (again.actions[:3] == first.actions[:3]).all()
    assert (again.tokens[3:] != first.tokens[3:]).any()
    assert all(step.frozen[:21].all() and not step.frozen[21:].any() for step in again.trace)
    assert (again.confidence[:3] == 1.0).all()
    assert again.frozen_steps == 3 and again.decided_steps == 8


def test_the_network_sees_the_tokens_that_the_frozen_actions_encode_to(policy, observation):
    wanted = np.random.default_rng(0).uniform(ACTION_LOWER, ACTION_UPPER, (3, 7)).astype(np.float32)
    prediction = policy.predict(observation, frozen_actions=wanted, seed=0)
    codec = policy._codec
    expected = codec.decode(codec.encode(np.concatenate([wanted, np.zeros((5, 7))]))).actions
    assert (codec.decode(prediction.tokens.flatten()).actions[:3] == expected[:3]).all()
    assert (prediction.actions[:3] == wanted).all()


@pytest.mark.parametrize(("given", "nfe"), [(0, 12), (1, 10), (2, 9), (4, 6), (7, 1), (8, 0)])
def test_steps_fall_in_proportion_to_the_frozen_rows(policy, observation, given, nfe):
    assert policy.predict(observation, frozen_actions=np.zeros((given, 7), np.float32), seed=0).nfe == nfe


def test_decoding_may_end_with_the_rows_that_are_needed(policy, observation):
    rows = policy.predict(observation, seed=0).actions
    whole = policy.predict(observation, frozen_actions=rows[:2], seed=1)
    early = policy.predict(observation, frozen_actions=rows[:2], seed=1, needed_steps=5)
    assert early.nfe < whole.nfe == 9
    assert 5 <= early.decided_steps < whole.decided_steps == 8
    assert early.tokens.max() < early.mask_token and early.usable
    assert not (early.trace[-1].tokens[:35] == early.mask_token).any()


def test_a_guess_is_a_start_that_the_answer_may_leave(policy, observation):
    rows = policy.predict(observation, seed=0)
    guess = Guess(rows.actions, rows.confidence)
    warm, cold = (policy.predict(observation, seed=0, warm_start=each) for each in (guess, None))
    assert warm.nfe < cold.nfe
    assert (warm.actions == rows.actions).sum() > (policy.predict(observation, seed=9).actions == rows.actions).sum()
    assert not warm.trace[0].frozen.any()


def test_a_whole_frozen_chunk_needs_no_evaluation(policy, observation):
    chunk = policy.predict(observation, seed=0).actions
    kept = policy.predict(observation, frozen_actions=chunk, seed=1)
    assert (kept.actions == chunk).all() and kept.nfe == 0


def test_too_many_frozen_actions_are_refused(policy, observation):
    with pytest.raises(ActionError, match="At most 8 actions can be frozen, got 9"):
        policy.predict(observation, frozen_actions=np.zeros((9, 7), np.float32))


def test_a_deadline_gives_a_complete_chunk_sooner(policy, observation):
    prediction = policy.predict(observation, seed=0, deadline_s=0.0)
    assert prediction.nfe == 1
    assert prediction.tokens.max() < prediction.mask_token
    assert np.isfinite(prediction.actions).all()
    assert prediction.decided_steps == 0


def test_images_of_any_size_are_taken(policy, observation):
    large = {name: np.full((480, 640, 3), 90, np.uint8) for name in observation.images}
    assert policy.predict(replace(observation, images=large), seed=0).actions.shape == (8, 7)


def test_timings_and_keypoints_come_along(policy, observation):
    prediction = policy.predict(observation, seed=0)
    timings = prediction.timings
    assert min(timings.preprocess_s, timings.prefill_s, timings.denoise_s, timings.decode_s) > 0.0
    assert set(prediction.keypoints) == {"front", "wrist"}
    for points in prediction.keypoints.values():
        assert points.shape == (2, 2) and (points > 0.0).all() and (points < 1.0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {"front": np.zeros((8, 8, 3), np.uint8)}}, r"\['wrist'\] are missing"),
        ({"instruction": "  "}, "instruction is empty"),
        ({"state": np.zeros(6)}, "7 finite numbers"),
        ({"state": np.full(7, np.nan)}, "7 finite numbers"),
        (
            {"images": dict.fromkeys(("front", "wrist"), np.zeros((8, 8), np.uint8))},
            r"front must give uint8 .*\[8, 8\]",
        ),
        ({"images": dict.fromkeys(("front", "wrist"), np.zeros((8, 8, 3), np.float32))}, "got float32"),
    ],
)
def test_what_is_no_observation_is_refused_with_the_reason(policy, observation, change, words):
    with pytest.raises(ObservationError, match=words):
        policy.predict(replace(observation, **change))


def test_every_token_system_gives_a_complete_chunk(any_checkpoint, observation):
    policy = load_policy(any_checkpoint)
    prediction = policy.predict(observation, seed=0)
    shape = (policy.spec.horizon, 7)
    assert prediction.actions.shape == prediction.confidence.shape == shape
    assert prediction.tokens.max() < prediction.mask_token
    # A network that knows nothing may write coefficients that no chunk has.
    assert prediction.usable or prediction.malformed
    length = sum(part.rows * part.columns for part in prediction.canvas)
    assert len(prediction.trace) == prediction.nfe and prediction.trace[-1].tokens.shape == (length,)
    part = prediction.canvas[-1]
    assert part.name == "action" and prediction.tokens.shape == (part.rows, part.columns)
    assert np.array_equal(policy.predict(observation, seed=0).actions, prediction.actions, equal_nan=True)


def test_every_token_system_keeps_frozen_actions(any_checkpoint, observation):
    policy = load_policy(any_checkpoint)
    wanted = np.random.default_rng(0).uniform(ACTION_LOWER, ACTION_UPPER, (2, 7)).astype(np.float32)
    wanted[:, 6] = [0.0, 1.0]

    answer = policy.predict(observation, frozen_actions=wanted, seed=1)

    assert answer.frozen_steps == 2
    # A network that knows nothing may write coefficients that no chunk has.
    assert (answer.actions[:2] == wanted).all() if answer.usable else "a normalised action of" in answer.malformed


@pytest.mark.parametrize("system", ["ud_vla", "dfm_vla"])
def test_a_trained_network_of_frequencies_goes_on_from_the_frozen_actions(system, observation):
    """Unguided, the answer knows nothing of the frozen rows, and the join to them is a jump."""
    policy = load_policy(shipped_checkpoint(system))
    wanted = np.array([[0.02, 0.01, -0.02, 0.0, 0.0, 0.0, 1.0]] * 3, np.float32)

    def jump(frozen):
        answers = [policy.predict(observation, frozen_actions=frozen, seed=seed).actions for seed in range(6)]
        return np.nanmean([np.abs(actions[3, :3] - wanted[2, :3]).mean() for actions in answers])

    answers = [policy.predict(observation, frozen_actions=wanted, seed=seed) for seed in range(6)]
    usable = [answer for answer in answers if answer.usable]  # some tokens are no chunk, and are said not to be
    assert len(usable) >= 3
    assert all((kept.actions[:3] == wanted).all() and (kept.confidence[:3] == 1.0).all() for kept in usable)
    assert jump(wanted) < jump(None)


def test_every_token_system_takes_a_guess_and_a_need(any_checkpoint, observation):
    policy = load_policy(any_checkpoint)
    horizon = policy.spec.horizon
    guess = Guess.of_leading(np.zeros((horizon - 1, 7)), np.full((horizon - 1, 7), 0.9), horizon)
    prediction = policy.predict(observation, seed=0, warm_start=guess, needed_steps=2, deadline_s=10.0)
    assert prediction.tokens.max() < prediction.mask_token
    assert 2 <= prediction.decided_steps <= horizon


def test_every_token_system_keeps_to_a_deadline(any_checkpoint, observation):
    prediction = load_policy(any_checkpoint).predict(observation, seed=0, deadline_s=0.0)
    assert prediction.nfe == 1 and prediction.tokens.max() < prediction.mask_token
    assert prediction.decided_steps < prediction.actions.shape[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frozen_actions": np.full((1, 7), np.nan, np.float32)}, "NaN or infinity"),
        ({"needed_steps": 9}, r"in 0\.\.8, got 9"),
        ({"warm_start": Guess(np.zeros((4, 7)), np.zeros((4, 7)))}, r"\[8, 7\], got \[4, 7\]"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_inferred(policy, observation, wrong, message):
    with pytest.raises(ActionError, match=message):
        policy.predict(observation, **wrong)


def test_ud_vla_imagines_an_image_of_each_camera(write, observation):
    policy = load_policy(write("ud_vla"))
    prediction = policy.predict(observation, seed=0)
    assert policy.spec.imagines and set(prediction.imagined_images) == {"front", "wrist"}
    assert all(image.shape == (16, 16, 3) and image.dtype == np.uint8 for image in prediction.imagined_images.values())


def test_tokens_that_are_no_chunk_give_no_actions(write, observation):
    """With byte-pair merges an untrained network writes sequences that no encoder writes."""
    policy = load_policy(write("dfm_vla", coding=ActionCoding("fast", whole_row=True, scale=50.0, merges=200)))
    answers = [policy.predict(observation, seed=seed) for seed in range(20)]
    assert any(answer.malformed for answer in answers)
    for answer in answers:
        assert answer.usable or (answer.malformed and np.isnan(answer.actions).all())


def test_a_decoder_of_another_kind_can_be_chosen_by_name(write, observation):
    policy = load_policy(write("llada_vla"), decoding={"decoder": "autoregressive"})
    assert policy.predict(observation, seed=0).nfe == 35
    assert load_policy(write("dd_vla"), decoding={"decoder": "one_shot"}).predict(observation, seed=0).nfe == 1
