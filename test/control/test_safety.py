"""Impossible limits are refused; the defaults are those of the arm."""

from typing import Any

import pytest

from dvla_ros.control.description import widowx_urdf
from dvla_ros.control.joint_limits import limits_from_urdf
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.workspace import TABLETOP_BOX
from dvla_ros.errors import ConfigurationError


def test_defaults_are_the_limits_of_the_urdf() -> None:
    config, limits = SafetyConfig(), limits_from_urdf(widowx_urdf())
    assert config.joint_lower == pytest.approx(limits.lower, abs=1e-5)
    assert config.joint_upper == pytest.approx(limits.upper, abs=1e-5)
    assert config.joint_velocity == pytest.approx(limits.velocity)


def test_workspace_is_the_box_of_its_bounds() -> None:
    assert SafetyConfig().workspace == TABLETOP_BOX
    box = SafetyConfig(workspace_lower=(0.1, -0.2, 0.0), workspace_upper=(0.4, 0.2, 0.3)).workspace
    assert (box.lower, box.upper) == ((0.1, -0.2, 0.0), (0.4, 0.2, 0.3))


def test_motion_gets_the_same_limits() -> None:
    limits = SafetyConfig(joint_acceleration=(5.0,) * 6).motion_limits
    assert limits.acceleration.tolist() == [5.0] * 6
    assert limits.jerk.tolist() == [600.0] * 6


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("joint_velocity", (0.0,) * 6, "joint_velocity must be positive"),
        ("joint_acceleration", (1.0,) * 7, "joint_acceleration needs 6 numbers"),
        ("joint_jerk", (float("inf"),) * 6, "joint_jerk must be positive and finite"),
        ("joint_lower", (0.0,) * 5, "joint_lower needs 6 numbers"),
        ("joint_lower", (3.0,) * 6, "leave no range"),
        ("joint_margin", -0.1, "joint_margin must lie in"),
        ("max_joint_step", float("nan"), "max_joint_step must be positive"),
        ("max_start_jump", 0.0, "max_start_jump must be positive"),
        ("overload", 0.5, "overload must be 1 or more"),
        ("gripper_slack", 1.0, "gripper_slack must lie in"),
        ("max_dt_s", 0.001, "must not be below min_dt_s"),
        ("workspace_lower", (0.1, 0.2), "workspace_lower needs 3 numbers"),
        ("workspace_upper", (0.0, 0.0, 0.0), "needs lower < upper"),
    ],
)
def test_impossible_limits_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SafetyConfig(**{field: value})
