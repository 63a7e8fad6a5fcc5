"""Messages and data classes carry the same facts."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import Ask
from dvla_ros.errors import ActionError, ObservationError
from dvla_ros.nodes.conversions import (
    chunk_to_message,
    joints_by_name,
    request_to_message,
    seconds,
    to_duration,
    to_time,
    trace_to_message,
)
from dvla_ros.nodes.run import Inference
from dvla_ros.policies.base import CanvasPart, DenoisingStep, Prediction, Timings

NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")


def chunk(horizon=3):
    rng = np.random.default_rng(0)
    return ActionChunk(
        stamp=100.25,
        dt=0.2,
        actions=rng.normal(size=(horizon, 7)).astype(np.float32),
        mode=ControlMode.EE_DELTA,
        names=NAMES,
        sequence=4,
        epoch=9,
        execute_steps=2,
        frozen_steps=1,
        observation_stamp=99.5,
        confidence=rng.random((horizon, 7)).astype(np.float32),
    )


def test_a_chunk_survives_the_message():
    sent = chunk()
    received = chunk_from_message(chunk_to_message(sent, "wx250s/base_link", nfe=12, latency_s=0.7))
    np.testing.assert_array_equal(received.actions, sent.actions)
    np.testing.assert_array_equal(received.confidence, sent.confidence)
    for field in ("stamp", "dt", "mode", "names", "sequence", "epoch", "execute_steps", "frozen_steps"):
        assert getattr(received, field) == getattr(sent, field)
    assert received.observation_stamp == 99.5


def test_a_chunk_message_says_what_it_took():
    message = chunk_to_message(chunk(), "wx250s/base_link", nfe=12, latency_s=0.75)
    assert (message.nfe, message.latency, message.header.frame_id) == (12, 0.75, "wx250s/base_link")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("horizon", 4, "needs 28 numbers"),
        ("horizon", 0, "at least one row"),
        ("control_mode", 9, "control_mode 9; known are 0"),
        ("confidence", [0.5], "0 or 21 numbers"),
        ("dt", to_duration(0.0), "dt must be positive"),
    ],
)
def test_a_malformed_chunk_is_refused(field, value, words):
    message = chunk_to_message(chunk(), "wx250s/base_link", 1, 0.0)
    setattr(message, field, value)
    with pytest.raises(ActionError, match=words):
        chunk_from_message(message)


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_times_are_kept_to_a_microsecond(sec, nanosec):
    time_s = sec + nanosec * 1e-9
    assert seconds(to_time(time_s)) == pytest.approx(time_s, abs=1e-6)


def test_a_whole_second_never_overflows_the_nanoseconds():
    assert to_time(1.9999999999).sec == 2


def test_joints_are_found_by_name_whatever_the_order():
    message = JointState(name=["b", "gripper", "a"], position=[2.0, 9.0, 1.0])
    assert joints_by_name(message, ("a", "b")).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("names", "positions", "words"),
    [
        (["a"], [1.0], "lacks a position for joint 'b'; it names a"),
        (["a", "b"], [1.0], "lacks a position for joint 'b'"),
        ([], [], "it names no joint"),
        (["a", "b"], [1.0, float("nan")], "not a finite number for b"),
    ],
)
def test_a_missing_joint_is_named(names, positions, words):
    with pytest.raises(ObservationError, match=words):
        joints_by_name(JointState(name=names, position=positions), ("a", "b"))


def test_a_trace_is_stacked_by_steps():
    steps = tuple(
        DenoisingStep(
            tokens=np.arange(4, dtype=np.int32) + 10 * index,
            confidence=np.full(4, 0.25 * index, np.float32),
            committed=np.array([True, False, True, False]),
            remasked=np.zeros(4, bool),
            frozen=np.array([True, False, False, False]),
        )
        for index in range(2)
    )
    prediction = Prediction(
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2)),
        np.ones((2, 2)),
        steps,
        256,
        2,
        Timings(0.1, 0.2, 0.3, 0.0),
        canvas=(CanvasPart("image_front", 1, 2), CanvasPart("action", 2, 1)),
    )
    sent = ActionChunk(1.0, 0.2, np.zeros((2, 2), np.float32), ControlMode.EE_DELTA, ("x", "y"), sequence=5, epoch=6)
    message = trace_to_message(prediction, chunk_to_message(sent, "base", 2, 0.0))
    assert (message.num_steps, message.horizon, message.action_dim, message.mask_token) == (2, 2, 2, 256)
    assert list(message.segments) == ["image_front", "action"]
    assert (list(message.segment_rows), list(message.segment_columns)) == ([1, 2], [2, 1])
    assert list(message.tokens) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert list(message.committed) == [True, False, True, False] * 2
    assert list(message.frozen) == [True, False, False, False] * 2
    assert (message.sequence, message.epoch, message.denoise_s) == (5, 6, pytest.approx(0.3))


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1))
def test_the_seconds_of_a_stamp_become_a_stamp_of_the_same_seconds(sec, nanosec):
    """Bit for bit: an observation is asked for again by its stamp, and joints are interpolated at it."""
    time_s = seconds(Time(sec=sec, nanosec=nanosec))
    assert seconds(to_time(time_s)) == time_s


def test_a_request_says_all_that_was_asked():
    observation = Observation(99.5, {"front": np.zeros((4, 6, 3), np.uint8)}, np.arange(7.0) / 3, "go", {"front": 99.4})
    rows = np.full((3, 7), np.nan, np.float32)
    rows[:2] = 0.25
    ask = Ask(99.6, None, 2, rows[:1], rows, np.full((3, 7), 0.5, np.float32), needed_steps=2, deadline_s=0.75)
    prediction = Prediction(rows, rows, rows, (), 0, 1, Timings(0.0, 0.0, 0.0, 0.0))
    message = request_to_message(Inference(chunk(), prediction, 0.0, 0.1, observation, ask, 77), "base")
    assert (message.epoch, message.sequence, message.seed, message.instruction) == (9, 4, 77, "go")
    assert (message.frozen_steps, message.needed_steps, message.deadline) == (1, 2, 0.75)
    assert list(message.state) == observation.state.tolist() and message.observation_crc == observation.crc
    assert [seconds(stamp) for stamp in message.image_stamps] == [99.4] and list(message.cameras) == ["front"]
    np.testing.assert_array_equal(np.array(message.guess, np.float32).reshape(3, 7), rows)
    assert set(message.guess_confidence) == {0.5}


def test_a_request_without_limits_says_so():
    observation = Observation(99.5, {}, np.zeros(7), "go")
    ask = Ask(99.6, None, 2, np.zeros((0, 7), np.float32))
    prediction = Prediction(*[np.zeros((3, 7), np.float32)] * 3, (), 0, 1, Timings(0.0, 0.0, 0.0, 0.0))
    message = request_to_message(Inference(chunk(), prediction, 0.0, 0.1, observation, ask, 0), "base")
    assert (message.frozen_steps, message.needed_steps, message.deadline, len(message.guess)) == (0, -1, 0.0, 0)
