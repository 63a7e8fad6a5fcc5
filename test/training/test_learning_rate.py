"""Learning rates follow their schedules, as those of other libraries do."""

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.learning_rate import learning_rate_share


def rates(schedule, steps, **settings):
    return [learning_rate_share(schedule, step, steps, **settings) for step in range(steps)]


def those_of(make, steps):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


@pytest.mark.parametrize("steps", [40, 200, 1000])
def test_one_cycle_is_that_of_torch(steps):
    expected = those_of(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=steps, pct_start=0.05, div_factor=20, cycle_momentum=False
        ),
        steps,
    )
    assert rates("one_cycle", steps) == pytest.approx(expected, abs=1e-9)


def test_the_cosine_is_that_of_transformers():
    expected = those_of(lambda o: get_cosine_schedule_with_warmup(o, 0, 100), 100)
    assert rates("cosine", 100) == pytest.approx(expected, abs=1e-9)
    risen = rates("cosine", 100, warmup=10)
    assert risen[:10] == pytest.approx([0.1 * n for n in range(1, 11)]) and risen[10] == 1.0


def test_constant_rates_rise_and_stay_and_a_step_is_a_tenth():
    assert rates("constant", 6, warmup=2) == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates("steps", 6, drop_after=4) == [1.0, 1.0, 1.0, 1.0, 0.1, 0.1]


@pytest.mark.parametrize("steps", [1, 2, 6, 19, 20, 21])
def test_short_runs_have_a_rate_in_every_step(steps):
    assert all(0.0 < rate <= 1.0 for rate in rates("one_cycle", steps))


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ConfigurationError, match="schedule must be one of .*'linear'"):
        learning_rate_share("linear", 0, 10)
