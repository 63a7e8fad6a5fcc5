"""From which command on a chunk answers what was seen."""

import time
from dataclasses import replace

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import DenoisingTrace
from dvla_ros.nodes.chunk_monitor import ChunkMonitor
from dvla_ros.nodes.conversions import chunk_to_message

LATENCY_S, PERIOD_S = 0.25, 0.05
NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")


@pytest.fixture
def monitored(ros_world):
    """A monitor that has received three chunks and one second of commands."""
    probe = ros_world.probe
    monitor = ChunkMonitor(probe, "wx250s")
    chunks = probe.connect(ActionChunkMessage, "/policy_node/action_chunk")
    traces = probe.connect(DenoisingTrace, "/policy_node/denoising_trace")
    commands = probe.connect(JointTrajectory, "/wx250s/arm_controller/joint_trajectory")
    seen = time.time()
    chunk = ActionChunk(seen, 0.2, np.zeros((4, 7), np.float32), ControlMode.EE_DELTA, NAMES, observation_stamp=seen)
    for sequence, frozen in enumerate((0, 2, 1)):
        message = chunk_to_message(replace(chunk, sequence=sequence, frozen_steps=frozen), "base", 1, LATENCY_S)
        traces.publish(DenoisingTrace(sequence=sequence, epoch=message.epoch))
        chunks.publish(message)
    point = JointTrajectoryPoint(positions=[0.0] * 6)
    while time.time() < seen + 1.0:
        commands.publish(JointTrajectory(points=[point]))
        time.sleep(PERIOD_S)
    ros_world.wait_until(
        lambda: len(monitor.chunks()) == 3 and monitor.pose_before(seen + 0.9) is not None, "all messages"
    )
    return monitor


def test_a_chunk_answers_from_its_first_free_row_on_and_never_before_it_is_there(monitored):
    totals = [monitored.timing(chunk).total_ms for chunk in monitored.chunks()]
    for total, first in zip(totals, (LATENCY_S, 0.4, LATENCY_S), strict=True):
        assert 1e3 * first <= total < 1e3 * (first + 3.0 * PERIOD_S)
