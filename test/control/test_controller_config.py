"""Settings of the controller."""

from typing import Any

import pytest

from dvla_ros.control.controller_config import ControllerConfig
from dvla_ros.errors import ConfigurationError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_lead_s", 0.0, "max_lead_s must be positive"),
        ("max_tick_gap_s", float("inf"), "max_tick_gap_s must be positive and finite"),
        ("max_lag", -1.0, "max_lag must be positive"),
        ("align_fade_s", -0.1, "align_fade_s must be 0 or more"),
        ("slow_start_scale", 0.0, "slow_start_scale must lie above 0"),
        ("slow_start_scale", 1.1, "slow_start_scale must lie above 0"),
        ("starvation", "panic", "starvation must be one of hold, decelerate, stop, got 'panic'"),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ControllerConfig(**{field: value})


def test_speed_grows_evenly_in_the_first_seconds() -> None:
    config = ControllerConfig(slow_start_s=2.0, slow_start_scale=0.4)
    assert [config.speed_scale(since) for since in (0.0, 1.0, 2.0, 9.0)] == pytest.approx([0.4, 0.7, 1.0, 1.0])
    assert ControllerConfig(slow_start_s=0.0).speed_scale(0.0) == 1.0


def test_frozen_rows_are_compared_with_the_configured_tolerance() -> None:
    same = ControllerConfig(frozen_translation=0.001, frozen_rotation=0.1).same_action
    assert (same.translation, same.rotation) == (0.001, 0.1)
