"""Observations from streams that arrive each in their own time."""

import numpy as np
import pytest

from dvla_ros.control.alignment_config import StreamTiming
from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError, ObservationError


def image(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


def assembler(**limits: float) -> ObservationAssembler:
    """Two cameras and joints; payloads are numbers that the decoders turn into arrays."""
    result = ObservationAssembler(AssemblerConfig(**limits), lambda value: np.full(7, value), lambda joints: joints * 2)
    result.add_camera("front", image, expected_hz=10.0)
    result.add_camera("wrist", image, expected_hz=10.0)
    result.set_instruction("pick up the red cube")
    return result


def feed(target: ObservationAssembler, front: list[float], wrist: list[float], joints: list[float]) -> None:
    """Store samples; images hold ten times their stamp, joints their stamp."""
    for stamp in front:
        target.store_image("front", stamp, round(stamp * 10))
    for stamp in wrist:
        target.store_image("wrist", stamp, round(stamp * 10))
    for stamp in joints:
        target.store_joints(stamp, stamp)


def test_anchor_is_the_newest_time_that_every_stream_covers() -> None:
    streams = assembler()
    feed(streams, [1.0, 1.1, 1.2], [0.96, 1.06, 1.16], [1.0, 1.08, 1.14, 1.18])
    observation = streams.assemble(1.25, 0.0)
    assert observation is not None
    assert observation.stamp == 1.16
    assert (observation.images["front"][0, 0, 0], observation.images["wrist"][0, 0, 0]) == (12, 12)
    assert observation.instruction == "pick up the red cube"


def test_joints_are_interpolated_at_the_anchor() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.0], [0.98, 1.03])
    observation = streams.assemble(1.05, 0.0)
    assert observation is not None
    np.testing.assert_allclose(observation.state, np.full(7, 2.0))


def test_nothing_is_given_until_the_anchor_reaches_not_before() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.0], [1.0])
    assert streams.assemble(1.05, 1.02) is None
    feed(streams, [1.1], [1.1], [1.1])
    observation = streams.assemble(1.15, 1.02)
    assert observation is not None and observation.stamp == 1.1


def test_warm_up_waits_for_every_stream_then_names_the_missing_ones() -> None:
    streams = assembler(warm_up_s=2.0)
    feed(streams, [1.0], [], [])
    assert streams.assemble(1.0, 0.0) is None
    assert streams.assemble(2.9, 0.0) is None
    with pytest.raises(ObservationError, match="'wrist', 'joint_states' in 2.0 s"):
        streams.assemble(3.1, 0.0)


@pytest.mark.parametrize(
    ("front", "wrist", "joints", "frozen"),
    [([1.0, 2.0], [1.0], [1.0, 2.0], "wrist"), ([1.0, 2.0], [1.0, 2.0], [1.0], "joint_states")],
)
def test_frozen_stream_is_named(front: list[float], wrist: list[float], joints: list[float], frozen: str) -> None:
    streams = assembler()
    feed(streams, front, wrist, joints)
    with pytest.raises(ObservationError, match=f"'{frozen}' stands still"):
        streams.assemble(2.0, 0.0)


def test_camera_that_repeats_its_last_frame_is_frozen_too() -> None:
    streams = assembler()
    feed(streams, [1.0, 2.0], [1.0] * 20, [1.0, 2.0])
    with pytest.raises(ObservationError, match="'wrist' stands still"):
        streams.assemble(2.0, 0.0)


def test_images_too_far_apart_are_refused() -> None:
    streams = assembler(max_skew_s=0.05)
    feed(streams, [1.0, 1.3], [1.15], [1.0, 1.1, 1.2])
    with pytest.raises(ObservationError, match="'front' nearest to the anchor is 0.150 s away"):
        streams.assemble(1.3, 0.0)


def test_joints_that_do_not_reach_back_to_the_images_are_refused() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.0], [1.2, 1.3])
    with pytest.raises(ObservationError, match="joint state nearest to the images is 0.200 s"):
        streams.assemble(1.3, 0.0)


def test_payloads_are_decoded_only_when_an_observation_is_assembled() -> None:
    decoded: list[int] = []

    def decode(payload: int) -> np.ndarray:
        decoded.append(payload)
        return image(payload)

    streams = ObservationAssembler(AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints)
    streams.add_camera("front", decode, expected_hz=10.0)
    streams.set_instruction("pick up the red cube")
    for index in range(5):
        streams.store_image("front", index / 10, index)
        streams.store_joints(index / 10, 0.0)
    assert decoded == []
    streams.assemble(0.4, 0.0)
    assert decoded == [4]


@pytest.mark.parametrize("wrong", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3)), np.zeros((4, 6, 4), np.uint8)])
def test_image_of_another_kind_is_refused_by_camera(wrong: np.ndarray) -> None:
    streams = ObservationAssembler(AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints)
    streams.add_camera("front", lambda payload: wrong, expected_hz=10.0)
    streams.set_instruction("pick up the red cube")
    streams.store_image("front", 1.0, None)
    streams.store_joints(1.0, 0.0)
    with pytest.raises(ObservationError, match=r"'front' must be uint8 \[H, W, 3\]"):
        streams.assemble(1.0, 0.0)


def test_observation_needs_an_instruction() -> None:
    streams = ObservationAssembler(AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints)
    streams.store_joints(1.0, 0.0)
    with pytest.raises(ObservationError, match="no instruction yet"):
        streams.assemble(1.0, 0.0)


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_blank_instruction_is_refused_and_the_old_one_stays(blank: str) -> None:
    streams = assembler()
    with pytest.raises(ObservationError, match="instruction is empty"):
        streams.set_instruction(blank)
    feed(streams, [1.0], [1.0], [1.0])
    observation = streams.assemble(1.0, 0.0)
    assert observation is not None and observation.instruction == "pick up the red cube"


def test_cleared_streams_follow_a_clock_that_was_set_back() -> None:
    streams = assembler()
    feed(streams, [100.0], [100.0], [100.0])
    streams.clear()
    assert streams.assemble(0.5, 0.0) is None
    feed(streams, [0.6], [0.6], [0.6])
    observation = streams.assemble(0.6, 0.0)
    assert observation is not None and observation.stamp == 0.6


def test_received_and_expected_frames_are_counted_by_stream() -> None:
    streams = assembler()
    feed(streams, [1.0, 1.1, 1.4], [1.0], [1.0, 1.01])
    counts = {name: (item.received, item.expected) for name, item in streams.statistics().items()}
    assert counts == {"front": (3, 5), "wrist": (1, 1), "joint_states": (2, 2)}


def test_camera_configured_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'front' is configured twice"):
        assembler().add_camera("front", image, 10.0)


def test_camera_named_like_the_joints_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'joint_states' is configured twice"):
        assembler().add_camera("joint_states", image, 10.0)


def test_latencies_bring_streams_to_the_times_they_show() -> None:
    streams = ObservationAssembler(
        AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints, StreamTiming(100.0, latency_s=0.01)
    )
    streams.add_camera("front", image, 10.0, latency_s=0.125)
    streams.set_instruction("pick up the red cube")
    streams.store_image("front", 2.0, 7)
    for stamp in (1.8, 1.875, 1.895, 2.0):
        streams.store_joints(stamp, stamp)
    observation = streams.assemble(2.0, 0.0)
    assert observation is not None
    assert observation.stamp == 1.875
    np.testing.assert_allclose(observation.state, 1.885)


def test_streams_without_stamps_are_named_with_the_cure() -> None:
    streams = assembler(warm_up_s=1.0)
    feed(streams, [1.0], [0.0, 0.0], [1.0])
    assert streams.assemble(1.0, 0.0) is None
    with pytest.raises(ObservationError, match="'wrist' sent 2 without a stamp .set stamp_source to receive"):
        streams.assemble(2.5, 0.0)


def test_streams_on_the_time_of_arrival_need_no_stamps() -> None:
    timing = StreamTiming(100.0, timeline="receive")
    streams = ObservationAssembler(AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints, timing)
    streams.add_camera("front", image, 10.0, timeline="receive", latency_s=0.1)
    streams.set_instruction("pick up the red cube")
    streams.store_image("front", 0.0, 7, received=5.0)
    streams.store_joints(0.0, 1.0, received=4.9)
    observation = streams.assemble(5.0, 0.0)
    assert observation is not None and observation.stamp == 4.9


def test_a_camera_that_jumps_back_a_little_is_named_when_it_does_not_catch_up() -> None:
    streams = assembler()
    feed(streams, [1.0, 1.6], [1.0, 0.7, 0.8, 0.9], [1.0, 1.6])
    with pytest.raises(ObservationError, match=r"'wrist' stands still.*'wrist' sent 3 with an older stamp"):
        streams.assemble(1.6, 0.0)


def test_several_streams_that_stand_still_are_named_together() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.1], [2.0])
    with pytest.raises(ObservationError, match="'front', 'wrist' stand still: the oldest newest sample is 1.00 s"):
        streams.assemble(2.0, 0.0)


def test_all_streams_that_stand_still_raise_the_question_of_the_clock() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.0], [1.0])
    with pytest.raises(ObservationError, match="All streams stand still.*Was the clock set ahead"):
        streams.assemble(11.0, 0.0)


def test_stamps_ahead_of_the_clock_are_refused() -> None:
    streams = assembler(max_skew_s=0.1)
    feed(streams, [1.0], [1.3], [1.0])
    with pytest.raises(ObservationError, match="'wrist' are 0.30 s ahead of the clock, allowed are 0.1 s"):
        streams.assemble(1.0, 0.0)


def test_joints_that_are_not_finite_are_refused() -> None:
    streams = assembler()
    feed(streams, [1.0], [1.0], [])
    streams.store_joints(1.0, float("nan"))
    with pytest.raises(ObservationError, match="'joint_states' has a value that is not a finite number"):
        streams.assemble(1.0, 0.0)


def test_numbers_tell_rate_age_and_skew_of_each_stream() -> None:
    streams = assembler()
    assert np.isnan(streams.numbers(1.0)["front_age_s"]) and np.isnan(streams.numbers(1.0)["skew_s"])
    feed(streams, [1.0, 1.125, 1.25, 1.25], [1.0, 1.1875], [1.125, 1.25, 1.2])
    assert streams.assemble(1.3, 0.0) is not None
    numbers = streams.numbers(1.5)
    assert numbers["front_rate_hz"] == 8.0
    assert numbers["front_age_s"] == 0.25
    assert (numbers["front_received"], numbers["front_expected"], numbers["front_repeated"]) == (3, 3, 1)
    assert (numbers["joint_states_dropped"], numbers["joint_states_out_of_order"]) == (1, 1)
    assert (numbers["front_skew_s"], numbers["wrist_skew_s"], numbers["joint_states_skew_s"]) == (0.0625, 0.0, 0.0625)
    assert numbers["skew_s"] == 0.0625


def test_a_watch_learns_of_problems_without_consuming_them() -> None:
    streams = assembler(warm_up_s=1.0)
    assert streams.problem(100.0) == ""
    feed(streams, [1.0], [1.0], [1.0])
    assert streams.problem(1.1) == ""
    assert "All streams stand still" in streams.problem(3.0)
    feed(streams, [200.0, 100.0], [], [])
    for _ in range(2):
        assert "The stamps of 'front' jumped back by 100.00 s" in streams.problem(100.0)


def test_an_anchor_gives_the_same_observation_whatever_came_later() -> None:
    streams = assembler()
    feed(streams, [1.0, 1.1], [1.04, 1.14], [1.0, 1.05, 1.12])
    assert streams.covered == 1.1
    at_once = streams.observe(1.1)
    feed(streams, [1.2, 1.3], [1.24], [1.2, 1.3])
    later = streams.observe(1.1)
    assert at_once.crc == later.crc
    assert later.image_stamps == {"front": 1.1, "wrist": 1.14}
    np.testing.assert_array_equal(at_once.state, later.state)


def test_images_are_taken_by_their_stamps_where_these_are_given() -> None:
    streams = assembler()
    feed(streams, [1.0, 1.1], [1.04, 1.14], [1.0, 1.05, 1.12])
    stamps = {"front": 1.0, "wrist": 1.14}
    assert streams.observe(1.1, stamps).image_stamps == stamps
    assert streams.observe(1.1, {"front": 1.1, "wrist": 1.14}).crc == streams.observe(1.1).crc
    with pytest.raises(ObservationError, match="'wrist' holds no sample of 1.1"):
        streams.observe(1.1, {"front": 1.0, "wrist": 1.1})


def test_nothing_is_covered_before_every_stream_has_delivered() -> None:
    streams = assembler()
    feed(streams, [1.0], [], [1.0])
    assert streams.covered is None


@pytest.mark.parametrize("change", ["image", "state", "instruction", "camera"])
def test_the_crc_tells_observations_apart(change: str) -> None:
    images, state = {"front": image(1), "wrist": image(2)}, np.arange(7.0)
    same = Observation(1.0, images, state, "go")
    other = {
        "image": Observation(1.0, {"front": image(1), "wrist": image(3)}, state, "go"),
        "state": Observation(1.0, images, np.nextafter(state, 9.0), "go"),
        "instruction": Observation(1.0, images, state, "stop"),
        "camera": Observation(1.0, {"front": image(2), "wrist": image(1)}, state, "go"),
    }[change]
    assert same.crc == Observation(2.0, dict(reversed(images.items())), state.copy(), "go").crc
    assert same.crc != other.crc
