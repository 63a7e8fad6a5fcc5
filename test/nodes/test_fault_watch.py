"""Emergency stop and deadman, without ROS."""

import math

import numpy as np

from dvla_ros.nodes.fault_watch import STEADY_S, Deadman, EmergencyStop


def test_a_button_stays_pressed_until_the_same_one_is_released():
    estop = EmergencyStop()
    estop.put("/estop", True)
    estop.put("chunker_node/estop", True)
    estop.put("/estop", False)
    assert "chunker_node/estop says stop" in estop.cause and "/estop and" not in estop.cause
    estop.put("chunker_node/estop", False)
    assert estop.cause == ""


def test_without_a_topic_no_heartbeat_is_needed():
    deadman = Deadman("", 0.2)
    assert deadman.awaited is None
    assert deadman.lost(1e9) == ""


def test_nothing_moves_before_the_first_heartbeat_and_that_is_no_fault():
    deadman = Deadman("/deadman/heartbeat", 0.2)
    assert "/deadman/heartbeat" in deadman.awaited.detail and deadman.awaited.quiet
    assert deadman.lost(100.0) == "" and math.isnan(deadman.age(100.0))


def beat(deadman, begin, end, every=0.05):
    for time in np.arange(begin, end, every):
        deadman.heartbeat(time)


def test_heartbeats_with_gaps_at_the_start_are_awaited_until_they_are_steady():
    deadman = Deadman("/deadman/heartbeat", 0.2)
    beat(deadman, 10.0, 11.0, every=0.25)
    assert deadman.awaited is not None
    beat(deadman, 11.0, 11.0 + STEADY_S - 0.04)
    assert deadman.awaited is not None
    beat(deadman, 11.0 + STEADY_S, 11.0 + STEADY_S + 0.06)
    assert deadman.awaited is None


def test_heartbeats_that_stop_are_lost_after_the_timeout():
    deadman = Deadman("/deadman/heartbeat", 0.2)
    beat(deadman, 9.0, 10.001)
    assert deadman.awaited is None
    assert deadman.lost(10.19) == ""
    assert "for 0.25 s, allowed are 0.2 s" in deadman.lost(10.25)
    deadman.heartbeat(10.3)
    assert deadman.lost(10.4) == "" and deadman.awaited is None
