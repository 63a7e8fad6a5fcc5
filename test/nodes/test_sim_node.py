"""The simulated robot on ROS topics behaves like the real arm's driver and controllers."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.widowx import ARM_JOINTS, JOINT_STATE_ORDER
from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes.conversions import joints_by_name, seconds, to_duration
from dvla_ros.nodes.images import decode_image
from dvla_ros.nodes.sim_node import STATUS_QOS, SimNode
from dvla_ros.srv import ResetEpisode

JOINTS = "/wx250s/joint_states"
ARM = "/wx250s/arm_controller/joint_trajectory"
GRIPPER = "/wx250s/gripper_controller/joint_trajectory"
FORWARD = "/wx250s/forward_position_controller/commands"


def arm(message):
    return joints_by_name(message, ARM_JOINTS)


def trajectory(names, positions, duration_s):
    point = JointTrajectoryPoint(positions=list(positions), time_from_start=to_duration(duration_s))
    return JointTrajectory(joint_names=list(names), points=[point])


def test_joint_states_come_at_100_hz_in_the_drivers_order(ros_world):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    messages = [states.get(timeout=5) for _ in range(60)]
    assert tuple(messages[0].name) == JOINT_STATE_ORDER
    stamps = [seconds(message.header.stamp) for message in messages[10:]]
    assert np.mean(np.diff(stamps)) == pytest.approx(0.01, rel=0.1)
    assert (np.diff(stamps) > 0).all()


def test_cameras_send_images_and_calibration(ros_world):
    ros_world.start(SimNode)
    images = ros_world.probe.collect(Image, "/front_camera/image_raw")
    jpegs = ros_world.probe.collect(CompressedImage, "/wrist_camera/image_raw/compressed")
    info = ros_world.probe.collect(CameraInfo, "/front_camera/camera_info")
    message = images.get(timeout=10)
    assert (message.width, message.height, message.encoding) == (640, 480, "rgb8")
    assert decode_image(message, "front").std() > 10.0
    assert decode_image(jpegs.get(timeout=10), "wrist").shape == (480, 640, 3)
    calibration = info.get(timeout=10)
    assert (calibration.width, calibration.k[2], calibration.k[5]) == (640, 320.0, 240.0)


def test_an_arm_trajectory_is_executed_in_its_time(ros_world):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(JointTrajectory, ARM)
    begin = states.get(timeout=5)
    goal = arm(begin) + np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.2])
    publisher.publish(trajectory(ARM_JOINTS, goal, 0.5))
    there = ros_world.next_that(states, lambda message: np.abs(arm(message) - goal).max() < 0.02)
    assert 0.4 < seconds(there.header.stamp) - seconds(begin.header.stamp) < 2.0


def test_the_gripper_obeys_its_own_controller(ros_world):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(JointTrajectory, GRIPPER)
    publisher.publish(trajectory(["left_finger"], [0.02], 0.1))
    ros_world.next_that(states, lambda message: abs(joints_by_name(message, ["left_finger"])[0] - 0.02) < 0.002)


def test_forward_commands_move_arm_and_finger(ros_world):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(Float64MultiArray, FORWARD)
    goal = arm(states.get(timeout=5)) + 0.1
    publisher.publish(Float64MultiArray(data=[*goal.tolist(), 0.025]))
    ros_world.next_that(states, lambda message: np.abs(arm(message) - goal).max() < 0.03)
    ros_world.next_that(states, lambda message: abs(joints_by_name(message, ["left_finger"])[0] - 0.025) < 0.002)


def test_a_jump_command_moves_no_faster_than_the_arm_can(ros_world):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(Float64MultiArray, FORWARD)
    begin = states.get(timeout=5)
    goal = arm(begin) + np.array([1.5, 0, 0, 0, 0, 0])
    publisher.publish(Float64MultiArray(data=[*goal.tolist(), 0.03]))
    there = ros_world.next_that(states, lambda message: abs(arm(message)[0] - goal[0]) < 0.05)
    assert seconds(there.header.stamp) - seconds(begin.header.stamp) > 1.4 / np.pi


@pytest.mark.parametrize(
    ("kind", "topic", "bad"),
    [
        (JointTrajectory, ARM, trajectory([*ARM_JOINTS[:5], "elbow_twist"], [0.5] * 6, 0.1)),
        (JointTrajectory, ARM, trajectory(ARM_JOINTS, [float("nan")] * 6, 0.1)),
        (JointTrajectory, ARM, trajectory(ARM_JOINTS, [0.5] * 4, 0.1)),
        (Float64MultiArray, FORWARD, Float64MultiArray(data=[0.5] * 3)),
    ],
    ids=["unknown joint", "nan", "too few positions", "too few numbers"],
)
def test_a_bad_command_is_rejected_and_nothing_moves(ros_world, kind, topic, bad):
    ros_world.start(SimNode)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(kind, topic)
    before = arm(states.get(timeout=5))
    publisher.publish(bad)
    for _ in range(50):
        last = states.get(timeout=5)
    assert np.abs(arm(last) - before).max() < 0.005


def test_reset_starts_a_reproducible_episode_and_reports_it(ros_world):
    ros_world.start(SimNode)
    statuses = ros_world.probe.collect(TaskStatus, "/sim_node/task_status", STATUS_QOS)
    assert statuses.get(timeout=5).episode == 1
    request = ResetEpisode.Request(task="put_blue_on_plate", seed=7)
    response = ros_world.probe.call(ResetEpisode, "/sim_node/reset", request)
    assert response.success
    assert (response.instruction, response.seed) == ("put the blue cube on the plate", 7)
    status = ros_world.next_that(statuses, lambda message: message.episode == 2)
    assert (status.task, status.seed, status.outcome) == ("put_blue_on_plate", 7, TaskStatus.RUNNING)
    again = ros_world.probe.call(ResetEpisode, "/sim_node/reset", ResetEpisode.Request(seed=-1))
    assert (again.seed, again.instruction) == (8, "put the blue cube on the plate")


def test_reset_to_an_unknown_task_keeps_the_episode(ros_world):
    ros_world.start(SimNode)
    response = ros_world.probe.call(ResetEpisode, "/sim_node/reset", ResetEpisode.Request(task="fly", seed=0))
    assert not response.success
    assert "'fly'" in response.message
    assert "pick_red" in response.message


def test_commands_on_their_way_at_a_reset_do_not_move_the_arm(ros_world):
    ros_world.start(SimNode)
    publisher = ros_world.probe.connect(Float64MultiArray, FORWARD)
    ros_world.probe.call(ResetEpisode, "/sim_node/reset", ResetEpisode.Request(seed=3))
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher.publish(Float64MultiArray(data=[1.0] * 6 + [0.03]))
    before = arm(states.get(timeout=5))
    for _ in range(30):
        last = states.get(timeout=5)
    assert np.abs(arm(last) - before).max() < 0.01


@pytest.mark.parametrize(
    ("ros_world", "words"),
    [
        (["-p", "sim_node:cameras:=[side]"], "no camera 'side'"),
        (["-p", "sim_node:camera_hz:=0.0"], "camera_hz must be positive"),
        (["-p", "sim_node:seed:=-1"], "seed must be 0 or more"),
        (["-p", "sim_node:image_widht:=3"], "Did you mean 'image_width'"),
    ],
    indirect=["ros_world"],
)
def test_a_wrong_parameter_is_named(ros_world, words):
    with pytest.raises(ConfigurationError, match=words):
        ros_world.start(SimNode)
