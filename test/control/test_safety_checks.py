"""Each check accepts what is right and names what is wrong."""

import numpy as np
import pytest

from dvla_ros.control.safety_checks import check_finite, check_magnitude, check_range, check_width


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_values_are_found(bad: float) -> None:
    values = np.zeros((3, 7))
    assert check_finite(values).accepted
    values[2, 4] = bad
    verdict = check_finite(values)
    assert verdict.reason == "not_finite" and "[2, 4]" in verdict.detail


def test_width_is_compared() -> None:
    assert check_width(np.zeros((2, 7)), 7).accepted
    assert check_width(np.zeros((2, 6)), 7).reason == "width"


def test_value_on_the_limit_passes_and_beyond_it_is_named() -> None:
    values = np.array([[0.0, 1.0], [-1.0, 0.5]])
    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    assert check_range(values, low, high, "reach", "rad").accepted
    values[1, 0] = -1.25
    verdict = check_range(values, low, high, "reach", "rad")
    assert verdict.reason == "reach"
    assert verdict.detail == "-1.2500 rad in row 1, column 0 is outside -1.0000..1.0000."


def test_magnitude_is_two_sided() -> None:
    assert check_magnitude(np.array([[0.5, -0.5]]), 0.5, "step", "m").accepted
    assert check_magnitude(np.array([[0.1, -0.6]]), 0.5, "step", "m").reason == "step"


def test_what_is_not_a_number_is_in_no_range() -> None:
    assert check_range(np.array([[0.0, np.nan]]), np.array(-1.0), np.array(1.0), "reach", "rad").reason == "reach"
