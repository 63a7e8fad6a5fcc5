"""Emergency stop and deadman, without ROS."""

import math

from dvla_ros.nodes.fault_watch import Deadman, EmergencyStop


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


def test_heartbeats_that_stop_are_lost_after_the_timeout():
    deadman = Deadman("/deadman/heartbeat", 0.2)
    deadman.heartbeat(10.0)
    assert deadman.awaited is None
    assert deadman.lost(10.19) == ""
    assert "for 0.25 s, allowed are 0.2 s" in deadman.lost(10.25)
    deadman.heartbeat(10.3)
    assert deadman.lost(10.4) == ""
