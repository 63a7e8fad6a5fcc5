"""What a caller says beside the observation is checked before anything is inferred."""

import numpy as np
import pytest

from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import ActionError
from dvla_ros.policies.base import Guess, PolicySpec
from dvla_ros.policies.request import ChunkRequest

SPEC = PolicySpec("dd_vla", ("front",), 7, ("x", "y"), ControlMode.EE_DELTA, horizon=4, execute_steps=2, dt=0.2)


def checked(frozen=None, guess=None, needed_steps=None):
    return ChunkRequest.checked(SPEC, frozen, 3, 0.5, guess, needed_steps)


def guess_of(values):
    rows = np.array([[np.nan, np.nan] if value is None else [value, -value] for value in values], np.float32)
    return Guess(rows, np.full(rows.shape, 0.25, np.float32))


def test_nothing_frozen_is_no_rows():
    request = checked()
    assert request.frozen.shape == (0, 2) and request.guessed_chunk() is None
    assert (request.seed, request.deadline_s) == (3, 0.5)


def test_a_guess_is_completed_by_the_row_before_a_gap_and_frozen_rows_win():
    request = checked(np.array([[9.0, 9.0]]), guess_of([1, None, 3, None]))
    assert request.guessed_chunk().tolist() == [[9, 9], [9, 9], [3, -3], [3, -3]]
    assert request.known.tolist() == [True, False, True, False]
    assert request.guess_confidence()[:, 0].tolist() == [1.0, 0.0, 0.25, 0.0]


def test_a_gap_at_the_start_takes_the_first_known_row():
    assert checked(guess=guess_of([None, None, 3, None])).guessed_chunk()[:, 0].tolist() == [3, 3, 3, 3]


def test_a_guess_of_frozen_rows_alone_is_no_guess():
    assert checked(np.zeros((2, 2)), guess_of([1, 2, None, None])).guessed_chunk() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": np.zeros((5, 2))}, "At most 4 actions can be frozen, got 5"),
        ({"frozen": np.zeros((2, 3))}, r"\[d, 2\], got \[2, 3\]"),
        ({"frozen": np.zeros(2)}, r"\[d, 2\], got \[2\]"),
        ({"frozen": np.array([[0.0, np.nan]])}, "NaN or infinity"),
        ({"guess": guess_of([1, 2])}, r"\[4, 2\], got \[2, 2\]"),
        ({"needed_steps": 5}, r"needed_steps must be in 0\.\.4, got 5"),
        ({"needed_steps": -1}, r"needed_steps must be in 0\.\.4, got -1"),
    ],
)
def test_what_does_not_fit_the_policy_is_refused(change, message):
    with pytest.raises(ActionError, match=message):
        checked(**change)
