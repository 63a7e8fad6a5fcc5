"""Numbers are written as people read them."""

import math

import pytest

from dvla_ros.evaluation.open_loop.bootstrap import Interval
from dvla_ros.evaluation.report.words import number, percent, with_interval

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (0.05088, "0.0509"),
        (1.257, "1.26"),
        (62.44, "62.4"),
        (1234.5, "1234"),
        (-0.2, "-0.200"),
        (1.5e-11, "1.50e-11"),
        (NAN, "–"),
        (math.inf, "–"),
    ],
)
def test_three_digits_count(value, words):
    assert number(value) == words


def test_intervals_stand_in_brackets_where_they_are_known():
    assert with_interval(0.05, Interval(0.02, 0.08)) == "0.0500 (0.0200 … 0.0800)"
    assert with_interval(0.5, Interval(0.25, 0.75), as_percent=True) == "50.0 % (25.0 % … 75.0 %)"
    assert with_interval(0.05, Interval(NAN, NAN)) == "0.0500"
    assert with_interval(NAN, Interval(NAN, NAN)) == "–" and percent(NAN) == "–"
