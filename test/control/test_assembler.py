"""Observations from streams that arrive each in their own time."""

import numpy as np
import pytest

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
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


@pytest.mark.parametrize("limits", [{"max_age_s": 0.0}, {"max_skew_s": -1.0}, {"history_s": 0.55}])
def test_impossible_limits_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        AssemblerConfig(**limits)
