"""The policy says what it is about to do, then answers with numbers drawn from noise."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError, ObservationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import SmallDivla, UnetSizes
from dvla_ros.policies.base import Guess
from dvla_ros.policies.checkpoint import CheckpointConfig, read_part, write_checkpoint
from dvla_ros.policies.ddim_decoding import override_ddim
from dvla_ros.policies.diffusion_vla import DIFFUSION_VLA, DiffusionPolicy
from dvla_ros.policies.reasoning_text import ReasoningTokenizer

WORDS = ReasoningTokenizer.fit(["the red cube is below. next: go down.", "holding the red cube. next: lift it."])
LENGTH = 12
PERCEPTION = PerceptionConfig(image_width=32, image_height=24, width=24, keypoints=2)


def statistics():
    random = np.random.default_rng(0)
    rows = random.uniform(ACTION_LOWER, ACTION_UPPER, size=(200, 7))
    rows[:, 3] = 0.0  # a column that never changes, as roll in the simulated data
    return DatasetStatistics(
        FeatureStatistics.fit(rows, np.arange(7) < 6), FeatureStatistics.fit(random.uniform(-1, 1, (200, 7))), 200, 3
    )


def write(folder, words=WORDS, **sizes):
    torch.manual_seed(0)
    small = {"heads": 3, "layers": 1, "reasoning_length": LENGTH, "unet1d": UnetSizes((8, 16), step_width=8)}
    network = DIFFUSION_VLA.network(7, PERCEPTION, words, **small, **sizes)
    model = SmallDivla(network)
    config = CheckpointConfig("diffusion_vla", network, DIFFUSION_VLA.coding, DIFFUSION_VLA.decoding)
    write_checkpoint(folder, config, model.state_dict(), statistics())
    if words is not None:
        words.save(folder)
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    return write(tmp_path / "checkpoint")


@pytest.fixture
def policy(checkpoint):
    return DiffusionPolicy.from_checkpoint(checkpoint)


def test_a_chunk_comes_with_its_reasoning_and_stays_within_the_statistics(policy, observation):
    prediction, seen = policy.predict(observation, seed=0), statistics().action
    assert prediction.actions.shape == (8, 7) and prediction.actions.dtype == np.float32
    assert (prediction.actions >= seen.min - 1.01e-4).all() and (prediction.actions <= seen.max + 1.01e-4).all()
    assert prediction.reasoning and set(prediction.reasoning.split()) <= set(
        "the red cube is below. next: go down. holding cube. lift it. <pad> <unknown>".split()
    )
    assert prediction.malformed == "" and prediction.trace == () and prediction.canvas == ()
    assert prediction.tokens.shape == (0, 0) and prediction.tokens.dtype == np.int32
    assert (prediction.confidence == np.ones((8, 7))).all()


def test_evaluations_are_words_and_denoising_steps(checkpoint, observation):
    counts = {
        settings: DiffusionPolicy.from_checkpoint(checkpoint, overrides=dict(settings)).predict(observation, seed=0).nfe
        for settings in (
            (("reason", False),),
            (("reason", False), ("num_steps", 3)),
            (("max_reasoning_tokens", 1),),
            (("max_reasoning_tokens", 2),),
        )
    }
    assert list(counts.values()) == [10, 3, 10, 11]


def test_resampling_repeats_each_step_around_frozen_actions(checkpoint, observation):
    policy = DiffusionPolicy.from_checkpoint(checkpoint, overrides={"resamplings": 2, "reason": False})
    assert policy.predict(observation, seed=0).nfe == 10
    assert policy.predict(observation, frozen_actions=np.zeros((2, 7), np.float32), seed=0).nfe == 2 * 7


def test_without_reasoning_nothing_is_said(checkpoint, observation):
    silent = DiffusionPolicy.from_checkpoint(checkpoint, overrides={"reason": False})
    assert silent.predict(observation, seed=0).reasoning == ""


def test_the_same_seed_gives_the_same_chunk_and_another_seed_another(policy, observation):
    first, again, other = (policy.predict(observation, seed=seed) for seed in (3, 3, 4))
    assert (first.actions == again.actions).all() and (first.actions != other.actions).any()
    assert first.reasoning == again.reasoning == other.reasoning


def test_without_a_seed_answers_vary(policy, observation):
    assert (policy.predict(observation).actions != policy.predict(observation).actions).any()


def test_frozen_actions_are_kept_to_the_bit_and_the_rest_is_drawn_around_them(policy, observation):
    wanted = np.random.default_rng(0).uniform(ACTION_LOWER, ACTION_UPPER, (3, 7)).astype(np.float32)
    wanted[0, 0] = 1.0  # beyond what the statistics can express
    free, kept = policy.predict(observation, seed=0), policy.predict(observation, frozen_actions=wanted, seed=0)
    assert (kept.actions[:3] == wanted).all()
    assert (kept.actions[3:] != free.actions[3:]).any()


def test_a_guess_takes_half_the_steps_and_the_chunk_resembles_it(checkpoint, observation):
    policy = DiffusionPolicy.from_checkpoint(checkpoint, overrides={"reason": False})
    rows = policy.predict(observation, seed=0).actions
    guess = Guess(rows, np.ones_like(rows))

    warm, other = (policy.predict(observation, seed=1, warm_start=each) for each in (guess, None))

    assert (warm.nfe, other.nfe) == (5, 10)
    assert np.abs(warm.actions - rows).mean() < np.abs(other.actions - rows).mean()


def test_a_guess_of_rows_that_are_frozen_anyway_changes_nothing(policy, observation):
    rows = policy.predict(observation, seed=0).actions
    guess = Guess.of_leading(rows[:2], np.ones((2, 7)), 8)
    first, second = (
        policy.predict(observation, seed=1, frozen_actions=rows[:3], warm_start=each).actions for each in (guess, None)
    )
    assert (first == second).all()


def test_all_rows_are_decided_together(policy, observation):
    frozen = np.zeros((2, 7), np.float32)
    prediction = policy.predict(observation, seed=0, frozen_actions=frozen, needed_steps=3)
    assert (prediction.frozen_steps, prediction.decided_steps) == (2, 8)
    assert prediction.nfe == policy.predict(observation, seed=0, frozen_actions=frozen).nfe


def test_a_chunk_that_is_cut_short_has_no_decided_row_but_the_frozen_ones(policy, observation):
    frozen = np.zeros((2, 7), np.float32)
    prediction = policy.predict(observation, seed=0, frozen_actions=frozen, deadline_s=0.0)
    assert (prediction.nfe, prediction.decided_steps) == (1, 2)
    assert (prediction.actions[:2] == frozen).all()


def test_too_many_frozen_actions_are_refused(policy, observation):
    with pytest.raises(ActionError, match="At most 8 actions can be frozen, got 9"):
        policy.predict(observation, frozen_actions=np.zeros((9, 7), np.float32))


def test_a_deadline_gives_a_complete_chunk_sooner(policy, observation):
    prediction = policy.predict(observation, seed=0, deadline_s=0.0)
    assert prediction.nfe == 1
    assert np.isfinite(prediction.actions).all() and prediction.actions.shape == (8, 7)


def test_what_the_network_sees_matters(policy, observation):
    before = policy.predict(observation, seed=0).actions
    sentence = replace(observation, instruction="pick up the blue cube")
    dark = replace(observation, images={name: image // 4 for name, image in observation.images.items()})
    lower = replace(observation, state=observation.state - 0.05)
    for other in (sentence, dark, lower):
        assert not np.allclose(policy.predict(other, seed=0).actions, before, atol=1e-7)


def test_a_head_that_answers_nan_makes_no_chunk(policy, observation):
    with torch.no_grad():
        policy.network.model.policy_head.final_conv[1].bias.fill_(torch.nan)
    prediction = policy.predict(observation, frozen_actions=np.zeros((2, 7), np.float32), seed=0)
    assert "NaN" in prediction.malformed and np.isnan(prediction.actions).all()


def test_timings_and_keypoints_come_along(policy, observation):
    prediction = policy.predict(observation, seed=0)
    timings = prediction.timings
    assert min(timings.preprocess_s, timings.prefill_s, timings.denoise_s, timings.decode_s) > 0.0
    assert {name: points.shape for name, points in prediction.keypoints.items()} == {"front": (2, 2), "wrist": (2, 2)}


def test_an_unusable_observation_is_refused(policy, observation):
    with pytest.raises(ObservationError, match="instruction is empty"):
        policy.predict(replace(observation, instruction=" "))


def test_a_network_without_words_needs_no_tokenizer(tmp_path, observation):
    folder = write(tmp_path / "tinyvla", words=None)
    prediction = DiffusionPolicy.from_checkpoint(folder).predict(observation, seed=0)
    assert prediction.reasoning == "" and prediction.nfe == 10
    assert not (folder / "reasoning").exists()


def test_either_head_is_stored_and_found_again(tmp_path, observation):
    folder = write(tmp_path / "dexvla", head="scale_dp")
    assert json.loads((folder / "config.json").read_text())["model"]["head"] == "scale_dp"
    assert DiffusionPolicy.from_checkpoint(folder).predict(observation, seed=0).actions.shape == (8, 7)


def test_a_checkpoint_without_its_words_is_refused(checkpoint):
    (checkpoint / "reasoning" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no reasoning/tokenizer\.json"):
        DiffusionPolicy.from_checkpoint(checkpoint)


def test_the_words_of_another_checkpoint_are_refused(checkpoint):
    ReasoningTokenizer.fit(["turn."]).save(checkpoint)
    with pytest.raises(CheckpointError, match="5 tokens, the network 16"):
        DiffusionPolicy.from_checkpoint(checkpoint)


def test_broken_words_are_refused(checkpoint):
    (checkpoint / "reasoning" / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        DiffusionPolicy.from_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            {"steps": 3},
            r"no settings \['steps'\]; it has adaptive_steps, clip_sample, max_reasoning_tokens, num_steps, reason",
        ),
        ({"decoder": "masked"}, "Unknown decoder 'masked'"),
        ({"num_steps": 0}, "num_steps and resamplings must be 1 or more"),
        ({"num_steps": 101}, r"1\.\.train_steps=100, got 101"),
        ({"num_steps": "ten"}, "num_steps='ten' \\(int is needed\\)"),
        ({"reason": 0}, r"reason=0 \(bool is needed\)"),
        ({"max_reasoning_tokens": 13}, r"0\.\.12 for this network, got 13"),
    ],
)
def test_decoder_settings_that_do_not_exist_or_fit_are_refused(checkpoint, overrides, words):
    with pytest.raises(ConfigurationError, match=words):
        DiffusionPolicy.from_checkpoint(checkpoint, overrides=overrides)


def test_overriding_writes_every_default_out():
    assert override_ddim(DIFFUSION_VLA.decoding, {"num_steps": 5}) == {
        "decoder": "ddim",
        "num_steps": 5,
        "clip_sample": True,
        "resamplings": 1,
        "adaptive_steps": True,
        "warm_start_time": 0.5,
        "reason": True,
        "max_reasoning_tokens": 0,
    }


def test_actions_are_normalised_by_whole_rows_between_widened_extremes():
    normalizer, seen = DIFFUSION_VLA.coding.normalizer(statistics()), statistics().action
    row = np.array([0.01, -0.02, 0.03, 0.0, 0.1, -0.1, 0.5])
    expected = 2 * (row - (seen.min - 1e-4)) / (seen.max - seen.min + 2e-4) - 1
    assert normalizer.normalize(row) == pytest.approx(expected, abs=1e-12)
    assert normalizer.normalize(row)[3] == pytest.approx(0.0)  # stands still, and does not divide by zero
    assert normalizer.unnormalize(normalizer.normalize(row)) == pytest.approx(row, abs=1e-12)


def test_perception_and_trunk_can_be_taken_over(checkpoint):
    other = SmallDivla(DIFFUSION_VLA.network(7, PERCEPTION, None, heads=3, layers=1))
    for part in ("perception", "trunk"):
        read_part(checkpoint, other, part)
    original = DiffusionPolicy.from_checkpoint(checkpoint).network.model
    assert all(torch.equal(a, b) for a, b in zip(other.trunk.parameters(), original.trunk.parameters(), strict=True))
