"""Chunks asked in several ways, in turns."""

from types import SimpleNamespace

import numpy as np
import pytest

from dvla_ros.evaluation.decode.measured_chunks import WARM_UP, Way, measure_ways, token_agreement
from dvla_ros.policies.base import Prediction, Timings


class Policy:
    """Answers with the seed and the way it is in."""

    device = "cpu"

    def __init__(self):
        self.way, self.asked = "", []

    def predict(self, observation, seed):
        self.asked.append((self.way, seed))
        tokens = np.array([[seed, 0 if self.way == "a" or seed else 1]], dtype=np.int32)
        rows = np.zeros((1, 2), np.float32)
        return Prediction(rows, tokens, rows, (), 9, 12, Timings(0.1, 0.2, 1.2, 0.0))

    def enter(self, way):
        def enter():
            self.way = way

        return enter


def ways(policy, every):
    return [Way("a", policy.enter("a")), Way("b", policy.enter("b"), every=every)]


def test_ways_take_turns_and_the_slow_one_is_asked_less_often():
    policy = Policy()
    a, b = measure_ways(policy, ways(policy, every=2), SimpleNamespace(), repeats=4)
    assert policy.asked[WARM_UP + 1 :] == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 2), ("a", 3)]
    assert len(a.seconds) == 4 and len(b.seconds) == 2


def test_the_time_of_a_step_is_the_loops_over_its_steps():
    policy = Policy()
    (a,) = measure_ways(policy, ways(policy, 1)[:1], SimpleNamespace(), repeats=2, words=4)
    assert (a.nfe, a.step_s) == (12, pytest.approx(1.2 / 8))
    assert a.part_s("prefill_s") == pytest.approx(0.2)


def test_chunks_of_the_same_seed_are_compared():
    policy = Policy()
    a, b = measure_ways(policy, ways(policy, every=2), SimpleNamespace(), repeats=4)
    assert token_agreement(a, b, every=2) == pytest.approx(3 / 4)
