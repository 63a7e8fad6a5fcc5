"""The deadman's view of the chunker."""

import pytest

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_guard import ChunkerGuard


def guard(state, reason=""):
    made = ChunkerGuard(0.5)
    made.hear(ExecutionStatus(state=state, reason=reason), 10.0)
    return made


def test_a_chunker_that_was_never_heard_of_is_not_lost():
    assert ChunkerGuard(0.5).lost(1e6) == ""


def test_a_chunker_that_falls_silent_while_it_follows_is_lost():
    assert guard(ExecutionStatus.FOLLOWING).lost(10.4) == ""
    assert "silent for 0.6 s" in guard(ExecutionStatus.FOLLOWING).lost(10.6)


@pytest.mark.parametrize(
    "state", [ExecutionStatus.STARVED, ExecutionStatus.HOLDING, ExecutionStatus.FAULT, ExecutionStatus.INACTIVE]
)
def test_one_that_falls_silent_while_the_arm_rests_is_not(state):
    assert guard(state, "estop").lost(1e6) == ""


def test_one_without_its_control_thread_is_lost_though_it_speaks():
    assert "control thread" in guard(ExecutionStatus.FAULT, "control_thread").lost(10.1)
