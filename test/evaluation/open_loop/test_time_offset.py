"""The offset between a camera and the joints is found to a fraction of a frame, and weak evidence is not reported."""

from functools import cache

import numpy as np
import pytest

from dvla_ros.evaluation.open_loop.diagnosis import offset_words
from dvla_ros.evaluation.open_loop.picture_change import PictureChange
from dvla_ros.evaluation.open_loop.time_offset import time_offset

START, SECONDS = 100.0, 60.0
Y, X = np.mgrid[0:48, 0:64].astype(np.float32)


@cache
def _moves():
    """Moves and rests of six joints: what a robot does."""
    rng = np.random.default_rng(3)
    knots = np.arange(START - 2.0, START + SECONDS + 2.0, 0.6)
    ways = 0.25 * rng.standard_normal((len(knots), 6)) * (rng.random((len(knots), 1)) < 0.6)
    targets = np.cumsum(ways, axis=0)
    return knots, targets


def joints_at(times):
    knots, targets = _moves()
    return np.stack([np.interp(times, knots, column) for column in targets.T], axis=1)


def picture(joints, noise, rng):
    """A scene that moves in the picture as the joints do: stripes, with noise."""
    a, b, c, d, e = joints.astype(np.float32)[:5]
    grey = 128.0 + 40.0 * np.sin(0.22 * X + 3.0 * a + d) + 40.0 * np.sin(0.3 * Y + 4.0 * b + e)
    grey += 20.0 * np.sin(0.2 * (X + Y) + 4.0 * c) + noise * rng.standard_normal(X.shape, np.float32)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@cache
def found(late, noise=3.0, hz=15.0, jitter=0.004, seconds=SECONDS, still=False):
    rng = np.random.default_rng(0)
    change = PictureChange("front")
    stamps = START + np.arange(0.0, seconds, 1.0 / hz) + jitter * rng.standard_normal(round(seconds * hz))
    shown = joints_at(stamps - late) * (0.0 if still else 1.0)
    for stamp, joints in zip(stamps, shown, strict=True):
        change.add(stamp, picture(joints, noise, rng))
    times = np.arange(START - 1.0, START + seconds + 1.0, 0.01)
    return time_offset("front", change.intervals, times, joints_at(times))


@pytest.mark.parametrize("late", [0.2, 0.0, -0.13, 0.033])
def test_an_offset_is_found_to_a_hundredth_of_a_second(late):
    offset = found(late)
    assert offset.offset_s == pytest.approx(late, abs=0.01)
    assert offset.reliable and offset.correlation > 0.6
    assert offset.spread_s < 0.01


def test_200_ms_are_told_in_words_and_none_is_not():
    words = offset_words(found(0.2))
    assert "Camera front shows motion 0.20 s later" in words and "Raise the camera's latency by 0.20 s" in words
    assert " s earlier" in offset_words(found(-0.2))
    assert offset_words(found(0.0)) == ""


def test_pictures_of_something_else_are_no_evidence():
    offset = found(0.2, noise=20.0, still=True)
    assert not offset.reliable and offset_words(offset) == ""


def test_a_short_recording_is_no_evidence():
    offset = found(0.2, seconds=2.0)
    assert not offset.reliable and offset.pictures < 40


def test_an_offset_beyond_the_range_is_no_evidence():
    assert not found(0.8).reliable


def test_no_pictures_or_no_joints_are_no_evidence():
    none = np.empty(0), np.empty((0, 6))
    assert not time_offset("front", np.empty((0, 3)), *none).reliable
    assert not time_offset("front", np.array([[0.0, 0.1, 5.0]]), *none).reliable


def test_pictures_in_wrong_order_and_after_gaps_are_not_compared():
    change = PictureChange("front")
    for stamp in (1.0, 1.1, 1.05, 1.1, 1.2, 5.0, 5.1):
        change.add(stamp, np.zeros((48, 64), np.uint8))
    np.testing.assert_allclose(change.intervals[:, :2], [[1.0, 1.1], [1.1, 1.2], [5.0, 5.1]])
