"""A clock that is set is noticed, named and survived."""

import numpy as np
import pytest

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.errors import ObservationError


def running(until: float) -> ObservationAssembler:
    """A camera and joints at 10 Hz over the second before `until`, and an observation taken."""
    result = ObservationAssembler(AssemblerConfig(), lambda value: np.full(7, value), lambda joints: joints)
    result.add_camera("front", lambda value: np.full((4, 6, 3), value, np.uint8), 10.0)
    result.set_instruction("pick up the red cube")
    send(result, until)
    assert result.assemble(until + 0.02, 0.0) is not None
    return result


def send(target: ObservationAssembler, until: float, behind: float = 0.0) -> None:
    """Samples whose stamps are `behind` seconds older than their arrivals say."""
    for received in np.arange(until - 1.0, until + 0.01, 0.1).tolist():
        target.store_image("front", received - behind, 7, received)
        target.store_joints(received - behind, 1.0, received)


@pytest.mark.parametrize("jump", [-10.0, -1.5])
def test_stamps_that_jump_back_are_named_once_then_the_streams_warm_up(jump: float) -> None:
    streams = running(until=100.0)
    streams.store_image("front", 100.1 + jump, 7, 100.1 + jump)
    with pytest.raises(ObservationError, match="'front' jumped back by .*forgotten, the streams warm up again"):
        streams.assemble(100.1 + jump, 0.0)
    assert streams.assemble(100.2 + jump, 0.0) is None
    send(streams, 101.5 + jump)
    observation = streams.assemble(101.52 + jump, 0.0)
    assert observation is not None and observation.stamp == pytest.approx(101.5 + jump)


def test_a_clock_set_back_is_noticed_before_new_samples_arrive() -> None:
    streams = running(until=100.0)
    with pytest.raises(ObservationError, match="clock jumped back by 9.90 s behind the arrival of 'front'"):
        streams.assemble(90.1, 0.0)
    assert streams.assemble(90.2, 0.0) is None


def test_a_clock_set_back_is_noticed_without_times_of_arrival() -> None:
    streams = running(until=100.0)
    streams.clear()
    assert streams.assemble(100.0, 0.0) is None
    with pytest.raises(ObservationError, match="clock jumped back by 10.00 s"):
        streams.assemble(90.0, 0.0)


def test_a_clock_set_ahead_of_the_stamps_is_named() -> None:
    streams = running(until=100.0)
    streams.store_image("front", 100.1, 7, received=110.1)
    with pytest.raises(ObservationError, match="clock jumped ahead of the stamps of 'front' by 10.00 s"):
        streams.assemble(110.1, 0.0)
    send(streams, 111.5, behind=10.0)
    with pytest.raises(ObservationError, match="All streams stand still.*Was the clock set ahead"):
        streams.assemble(111.5, 0.0)


def test_a_clock_set_ahead_together_with_the_stamps_goes_on() -> None:
    streams = running(until=100.0)
    with pytest.raises(ObservationError, match="All streams stand still"):
        streams.assemble(110.0, 0.0)
    send(streams, 111.5)
    observation = streams.assemble(111.52, 0.0)
    assert observation is not None and observation.stamp == pytest.approx(111.5)


def test_a_small_correction_of_the_clock_is_no_jump() -> None:
    streams = running(until=100.0)
    send(streams, 100.5)
    observation = streams.assemble(100.4, 0.0)
    assert observation is not None


def test_a_stall_of_the_machine_ends_without_a_second_complaint() -> None:
    streams = running(until=100.0)
    streams.store_image("front", 100.1, 7, received=101.6)
    with pytest.raises(ObservationError, match="jumped ahead"):
        streams.assemble(101.6, 0.0)
    streams.store_image("front", 100.2, 7, received=101.6)
    send(streams, 102.6)
    assert streams.assemble(102.62, 0.0) is not None
