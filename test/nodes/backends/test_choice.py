"""Backends are chosen by name."""

import pytest
from commanded_arm import close_backend

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.backends.choice import BACKENDS, check_backend, make_backend

TOPICS = {
    "interbotix": ("/wx250s/commands/joint_group", "/wx250s/commands/joint_single"),
    "jtc": ("/wx250s/arm_controller/joint_trajectory", "/wx250s/gripper_controller/joint_trajectory"),
    "joint_trajectory": ("/wx250s/arm_controller/joint_trajectory", "/wx250s/gripper_controller/joint_trajectory"),
    "forward": ("/wx250s/forward_position_controller/commands",),
    "none": (),
}


@pytest.mark.parametrize("name", TOPICS)
def test_a_backend_says_which_topics_it_commands(ros_world, name):
    backend = make_backend(name, ros_world.probe, "wx250s", 50.0, dry_run=False)
    assert backend.topics == TOPICS[name]
    assert backend.problem() == ""
    close_backend(ros_world, backend)


@pytest.mark.parametrize("name", [name for name in TOPICS if name != "none"])
def test_beside_a_gripper_action_a_backend_commands_the_arm_only(ros_world, name):
    backend = make_backend(name, ros_world.probe, "wx250s", 50.0, dry_run=False, gripper="gripper_action")
    assert backend.topics == TOPICS[name][:1]
    assert backend.problem().startswith("gripper_unavailable: ")
    close_backend(ros_world, backend)


@pytest.mark.parametrize("name", ["servo_pose", "servo_twist", "servo_joint"])
def test_servo_backends_are_found(ros_world, name):
    backend = make_backend(name, ros_world.probe, "wx250s", 50.0, dry_run=False)
    assert any(topic.startswith("/servo_node/") for topic in backend.topics)
    close_backend(ros_world, backend)


def test_an_unknown_backend_is_refused_with_those_there_are():
    with pytest.raises(ConfigurationError, match=f"backend must be one of {', '.join(BACKENDS)}, got 'moveit'"):
        check_backend("moveit")


def test_an_unknown_gripper_is_refused(ros_world):
    with pytest.raises(ConfigurationError, match="gripper must be one of backend, gripper_action, got 'suction'"):
        make_backend("jtc", ros_world.probe, "wx250s", 50.0, dry_run=False, gripper="suction")
