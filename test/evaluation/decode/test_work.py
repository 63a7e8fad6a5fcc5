"""The floor of passes."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.decode.work import Rates, Work


def test_a_pass_takes_as_long_as_the_slower_of_reading_and_multiplying():
    rates = Rates(bytes_per_s=100.0, flop_per_s=1000.0)
    assert rates.seconds(Work(nbytes=200.0, flop=1000.0)) == 2.0
    assert rates.seconds(Work(nbytes=200.0, flop=5000.0)) == 5.0


def test_passes_wait_for_each_other():
    rates = Rates(100.0, 1000.0)
    assert rates.total_seconds([Work(200.0, 0.0), Work(0.0, 3000.0)]) == 5.0
    assert rates.seconds(Work(200.0, 0.0) + Work(0.0, 3000.0)) == 3.0


@pytest.mark.parametrize("rates", [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_a_rate_that_is_not_positive_is_refused(rates):
    with pytest.raises(ConfigurationError, match="positive"):
        Rates(*rates)
