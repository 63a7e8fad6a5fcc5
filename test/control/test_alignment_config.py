"""Settings of the alignment: what is refused, and what follows from them."""

import pytest

from dvla_ros.control.alignment_config import AlignmentConfig, AssemblerConfig, StreamTiming
from dvla_ros.errors import ConfigurationError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"expected_hz": 0.0}, "expected_hz must be positive, got 0.0"),
        ({"expected_hz": 10.0, "latency_s": -0.1}, "latency_s must be 0 or more, got -0.1"),
        ({"expected_hz": 10.0, "timeline": "arrival"}, "header or receive, got 'arrival'"),
    ],
)
def test_impossible_timing_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        StreamTiming(**settings)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_age_s": 0.0}, "max_age_s must be positive, got 0.0"),
        ({"max_skew_s": -1.0}, "max_skew_s must be positive, got -1.0"),
        ({"frozen_s": float("nan")}, "frozen_s must be 0"),
        ({"history_s": 0.55}, "history_s 0.55 must be at least .* 0.600 s"),
    ],
)
def test_impossible_limits_are_refused(limits: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AssemblerConfig(**limits)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"camera_latency_s": 0.6}, "below max_image_age_s 0.5 s, got 0.6"),
        ({"camera_latency_s": (0.1, -0.1)}, "got -0.1"),
        ({"joint_latency_s": float("nan")}, "got nan"),
        ({"stamp_source": "clock"}, "stamp_source must be header or receive, got 'clock'"),
        ({"camera_hz": 0.0}, "camera_hz must be positive"),
        ({"max_image_age_s": -1.0}, "max_image_age_s must be positive"),
        ({"warm_up_s": 0.0}, "warm_up_s must be positive"),
        ({"frozen_s": -0.5}, "frozen_s must be 0"),
    ],
)
def test_impossible_parameters_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AlignmentConfig(**settings)


def test_one_latency_is_for_all_cameras_and_several_are_in_their_order() -> None:
    cameras = ("front", "wrist")
    assert AlignmentConfig(camera_latency_s=0.15).latency_of_each(cameras) == (0.15, 0.15)
    assert AlignmentConfig(camera_latency_s=(0.1,)).latency_of_each(cameras) == (0.1, 0.1)
    assert AlignmentConfig(camera_latency_s=(0.1, 0.2)).latency_of_each(cameras) == (0.1, 0.2)
    with pytest.raises(ConfigurationError, match="one for each of front, wrist; got 3"):
        AlignmentConfig(camera_latency_s=(0.1, 0.1, 0.1)).latency_of_each(cameras)


def test_the_history_reaches_back_over_age_and_skew() -> None:
    limits = AlignmentConfig(max_image_age_s=3.0, max_skew_s=0.5, frozen_s=0.7, frozen_strict=True).limits
    assert (limits.history_s, limits.max_age_s, limits.frozen_s, limits.frozen_strict) == (3.5, 3.0, 0.7, True)
