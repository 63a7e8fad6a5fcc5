"""Validation episodes are drawn by a seed; idle frames are those in which nothing is commanded."""

from dataclasses import replace

import numpy as np
import pytest
from demonstrated import trajectory
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.datasets.chunks import chunks_of
from dvla_ros.datasets.idle import idle_frames, without_idle_frames
from dvla_ros.datasets.split import validation_episodes
from dvla_ros.errors import ConfigurationError


@given(st.integers(2, 500), st.floats(0.01, 0.99), st.integers(0, 5))
def test_the_share_is_kept_and_neither_part_is_empty(episodes, share, seed):
    drawn = validation_episodes(episodes, share, seed)
    assert drawn <= set(range(episodes)) and 0 < len(drawn) < episodes
    assert abs(len(drawn) - share * episodes) <= 1.0
    assert drawn == validation_episodes(episodes, share, seed)


def test_another_seed_draws_others():
    assert validation_episodes(100, 0.2, 0) != validation_episodes(100, 0.2, 1)
    assert validation_episodes(100, 0.0, 0) == frozenset()


@pytest.mark.parametrize(("episodes", "share"), [(10, 1.0), (10, -0.1), (1, 0.5)])
def test_what_cannot_be_divided_is_refused(episodes, share):
    with pytest.raises(ConfigurationError):
        validation_episodes(episodes, share, 0)


def resting():
    """Five frames of rest at the beginning, three in the middle, four at the end."""
    one = trajectory()
    actions = one.actions.copy()
    for rest in (slice(0, 5), slice(20, 23), slice(36, 40)):
        actions[rest, :6] = 0.0
    return replace(one, actions=actions)


def test_frames_of_rest_are_idle_unless_the_gripper_is_told_to_move():
    actions = np.zeros((6, 7))
    actions[:, 6] = [1, 1, 0, 0, 0, 1]
    actions[4, 0] = 0.01
    assert idle_frames(actions).tolist() == [True, True, False, True, False, False]


def test_idle_frames_are_kept_trimmed_or_dropped():
    one = resting()
    assert len(without_idle_frames(one, "keep")) == 40
    trimmed, dropped = without_idle_frames(one, "trim"), without_idle_frames(one, "drop")
    assert np.array_equal(trimmed.actions, one.actions[5:36])
    assert np.array_equal(dropped.actions, np.concatenate([one.actions[5:20], one.actions[23:36]]))
    assert np.array_equal(dropped.pictures[15], one.pictures[23])


def test_the_way_of_all_actions_is_the_same_without_idle_frames():
    one = resting()
    dropped = without_idle_frames(one, "drop")
    assert dropped.actions[:, :6].sum(axis=0) == pytest.approx(one.actions[:, :6].sum(axis=0), abs=1e-5)


@given(st.integers(1, 12), st.integers(1, 10))
def test_chunks_are_windows_of_what_was_done(frames, horizon):
    actions = np.random.default_rng(0).normal(size=(frames, 7))
    chunks = chunks_of(actions, horizon)
    assert chunks.shape == (frames, horizon, 7) and np.array_equal(chunks[:, 0], actions)
    for i in range(frames):
        there = actions[i : i + horizon]
        assert np.array_equal(chunks[i, : len(there)], there)
        assert (chunks[i, len(there) :, :6] == 0).all() and (chunks[i, len(there) :, 6] == actions[-1, 6]).all()
