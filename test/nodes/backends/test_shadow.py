"""A dry run makes the same messages, and none of them arrives where it could move anything."""

import time

import numpy as np
import pytest
from commanded_arm import wait_for_subscriber
from control_msgs.msg import GripperCommand, JointJog
from geometry_msgs.msg import PoseStamped, TwistStamped
from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.execution import Command
from dvla_ros.control.preview import JointPreview
from dvla_ros.nodes.backends.choice import BACKENDS, make_backend

ARM, GRIPPER = "/wx250s/arm_controller/joint_trajectory", "/wx250s/gripper_controller/joint_trajectory"
GOAL = "/wx250s/gripper_controller/gripper_cmd"
SENT = {
    "jtc": {ARM: JointTrajectory, GRIPPER: JointTrajectory},
    "joint_trajectory": {ARM: JointTrajectory, GRIPPER: JointTrajectory},
    "forward": {"/wx250s/forward_position_controller/commands": Float64MultiArray},
    "interbotix": {
        "/wx250s/commands/joint_group": JointGroupCommand,
        "/wx250s/commands/joint_single": JointSingleCommand,
    },
    "servo_pose": {"/servo_node/pose_target_cmds": PoseStamped, GRIPPER: JointTrajectory},
    "servo_joint": {"/servo_node/delta_joint_cmds": JointJog, GRIPPER: JointTrajectory},
    "servo_twist": {"/servo_node/delta_twist_cmds": TwistStamped, GRIPPER: JointTrajectory},
}
OF_EVERY_NODE = {"/rosout", "/parameter_events"}
COMMAND = Command(np.full(6, 0.1), np.zeros(6), 0.5)


def drive(backend):
    """One command, as the control thread sends it."""
    now = time.time()
    if backend.wants_preview:
        backend.send_preview(JointPreview(np.array([now]), np.full((1, 6), 0.1), np.zeros((1, 6)), np.ones(1), 1), now)
    if backend.wants_measured:
        backend.measured(np.zeros(6), now)
    backend.send(COMMAND, now)


def collect(ros_world, kinds):
    """Messages of shadow topics by topic."""
    return {topic: ros_world.probe.collect(kind, f"~/shadow{topic}") for topic, kind in kinds.items()}


@pytest.mark.parametrize("name", SENT)
def test_what_would_be_sent_appears_below_shadow(ros_world, name):
    collected = collect(ros_world, SENT[name])
    backend = make_backend(name, ros_world.probe, "wx250s", 50.0, dry_run=True)
    for topic in collected:
        wait_for_subscriber(ros_world, f"/probe/shadow{topic}")
    drive(backend)
    for messages in collected.values():
        messages.get(timeout=5)


@pytest.mark.parametrize(
    ("action_type", "kind"), [("ParallelGripperCommand", JointState), ("GripperCommand", GripperCommand)]
)
def test_the_grippers_goal_appears_below_shadow(ros_world, action_type, kind):
    goals = collect(ros_world, {GOAL: kind})[GOAL]
    backend = make_backend("jtc", ros_world.probe, "wx250s", 50.0, True, "gripper_action", action_type)
    wait_for_subscriber(ros_world, f"/probe/shadow{GOAL}")
    drive(backend)
    message = goals.get(timeout=5)
    assert np.ravel(message.position)[0] == pytest.approx(0.026)


@pytest.mark.parametrize("gripper", ["backend", "gripper_action"])
@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_is_published_or_called_outside_shadow(ros_world, name, gripper):
    node = ros_world.probe
    backend = make_backend(name, node, "wx250s", 50.0, dry_run=True, gripper=gripper)
    drive(backend)
    topics = {publisher.topic_name for publisher in node.publishers} - OF_EVERY_NODE
    assert "/probe/command_preview" in topics
    assert [topic for topic in topics if not topic.startswith("/probe/")] == []
    assert [client.srv_name for client in node.clients if not client.srv_name.startswith("~/shadow/")] == []
    assert [waitable for waitable in node.waitables if isinstance(waitable, ActionClient)] == []
    assert (backend.topics, backend.problem()) == ((), "")


def test_every_command_is_shown_with_its_velocity_and_stamp(ros_world):
    shown = ros_world.probe.collect(JointTrajectory, "~/command_preview")
    backend = make_backend("none", ros_world.probe, "wx250s", 50.0, dry_run=True)
    wait_for_subscriber(ros_world, "/probe/command_preview")
    drive(backend)
    message = shown.get(timeout=5)
    assert message.header.stamp.sec > 0
    assert list(message.points[0].positions) == pytest.approx([0.1] * 6 + [0.026])
    assert list(message.points[0].velocities) == [0.0] * 7
