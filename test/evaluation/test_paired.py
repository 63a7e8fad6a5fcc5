"""How much better a policy is than another is told from how hard the questions are."""

import numpy as np
import pytest

from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.paired import mae_difference


def samples(errors, noise=0.0, horizon=2):
    """One sample for each episode and error, all columns off by it, and by noise that depends on the episode."""
    hard = np.random.default_rng(0).random(100) * noise
    zeros = np.zeros((horizon, 3))
    return [
        Sample(episode, 10.0 * episode, zeros + error + hard[episode], zeros, zeros, 1, 0.01)
        for episode, error in enumerate(errors)
    ]


def test_a_difference_that_is_everywhere_the_same_is_certain_however_hard_the_episodes_are():
    difference, interval = mae_difference(samples([0.3] * 8, noise=5.0), samples([0.1] * 8, noise=5.0), 200, 0)
    assert difference == pytest.approx(0.2)
    assert interval.low == pytest.approx(0.2) and interval.high == pytest.approx(0.2)


def test_a_difference_by_chance_includes_zero():
    first, other = [0.1, 0.4] * 4, [0.4, 0.1] * 4
    difference, interval = mae_difference(samples(first), samples(other), 500, 0)
    assert difference == pytest.approx(0.0) and interval.low < 0.0 < interval.high


def test_only_questions_that_both_were_asked_count():
    difference, _ = mae_difference(samples([0.3, 0.3, 9.0]), samples([0.1, 0.1]), 100, 0)
    assert difference == pytest.approx(0.2)


def test_chunks_of_another_length_are_not_compared():
    difference, interval = mae_difference(samples([0.3] * 4), samples([0.1] * 4, horizon=5), 100, 0)
    assert np.isnan(difference) and np.isnan(interval.low)


def test_fewer_than_three_episodes_have_no_interval():
    difference, interval = mae_difference(samples([0.3] * 2), samples([0.1] * 2), 100, 0)
    assert difference == pytest.approx(0.2) and np.isnan(interval.high)
