import pytest

from dvla_ros.control.delay import DelayEstimate, steps_during
from dvla_ros.errors import ConfigurationError


def test_the_first_guess_counts_until_something_is_measured():
    delay = DelayEstimate(first_s=0.3)

    assert delay.seconds == 0.3
    delay.record(0.1)
    assert delay.seconds == 0.1


def test_a_percentile_is_one_of_the_durations():
    delay = DelayEstimate(percentile=95.0)

    for duration in range(1, 21):
        delay.record(0.01 * duration)

    assert delay.seconds == pytest.approx(0.2)


def test_one_hiccup_is_forgotten():
    delay = DelayEstimate(percentile=100.0, memory=3)

    for duration in (5.0, 0.1, 0.1, 0.1):
        delay.record(duration)

    assert delay.seconds == 0.1


def test_a_clock_that_was_set_back_leaves_the_estimate_alone():
    delay = DelayEstimate(first_s=0.2)

    delay.record(-3.0)

    assert delay.seconds == 0.2


@pytest.mark.parametrize("wrong", [{"percentile": 101.0}, {"memory": 0}, {"first_s": -1.0}, {"first_s": float("nan")}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="percentile in 0"):
        DelayEstimate(**wrong)


@pytest.mark.parametrize(
    ("duration", "steps"), [(-0.1, 0), (0.0, 0), (0.05, 1), (0.2, 1), (0.2000000001, 1), (0.21, 2), (0.8, 4)]
)
def test_rows_that_begin_during_an_inference(duration, steps):
    assert steps_during(duration, 0.2) == steps
