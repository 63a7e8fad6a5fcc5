"""A guess says which rows it is about, and is refused when it says nothing sensible."""

import numpy as np
import pytest

from dvla_ros.errors import ActionError
from dvla_ros.policies.base import Guess


def test_leading_rows_are_guessed_and_the_others_are_not():
    guess = Guess.of_leading(np.ones((2, 3)), np.full((2, 3), 0.5), horizon=4)
    assert guess.guessed.tolist() == [True, True, False, False]
    assert guess.actions.shape == guess.confidence.shape == (4, 3)
    assert guess.actions.dtype == guess.confidence.dtype == np.float32


def test_rows_beyond_the_horizon_are_left_out():
    guess = Guess.of_leading(np.arange(12.0).reshape(6, 2), np.ones((6, 2)), horizon=4)
    assert guess.actions[:, 0].tolist() == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("actions", "confidence", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), r"one shape \[H, D\], got \[2, 3\] and \[3, 3\]"),
        (np.zeros(3), np.zeros(3), r"one shape \[H, D\]"),
        (np.array([[0.0, np.nan], [1.0, 1.0]]), np.ones((2, 2)), r"rows \[0\] of a guess"),
        (np.array([[0.0, 1.0], [np.inf, 1.0]]), np.ones((2, 2)), r"rows \[1\] of a guess"),
        (np.zeros((1, 2)), np.full((1, 2), 1.5), r"in 0\.\.1"),
        (np.zeros((1, 2)), np.full((1, 2), np.nan), "NaN"),
    ],
)
def test_malformed_guesses_are_refused(actions, confidence, message):
    with pytest.raises(ActionError, match=message):
        Guess(actions, confidence)


def test_the_confidence_of_what_is_not_guessed_is_not_looked_at():
    Guess(np.full((1, 2), np.nan), np.full((1, 2), np.nan))
