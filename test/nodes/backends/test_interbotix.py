"""Commands to the Interbotix driver, and the operating modes without which it makes something else of them."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from commanded_arm import CONTROL_HZ, CommandedArm, wait_for_subscriber
from fake_interbotix import DEFAULTS, FakeInterbotix
from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand

from dvla_ros.control.execution import Command
from dvla_ros.errors import ConfigurationError, DependencyError, NodeError
from dvla_ros.nodes.backends.choice import make_backend
from dvla_ros.nodes.backends.interbotix_modes import (
    MODES_FILE,
    OperatingMode,
    fitted,
    load_operating_modes,
    set_operating_modes,
)
from dvla_ros.share import share_path

GROUP, SINGLE = "/wx250s/commands/joint_group", "/wx250s/commands/joint_single"


@pytest.fixture
def driver(ros_world):
    return ros_world.start(FakeInterbotix)


@pytest.fixture
def shipped():
    return load_operating_modes(share_path(MODES_FILE))


@pytest.fixture
def arm(ros_world, driver):
    commanded = CommandedArm(ros_world, make_backend("interbotix", ros_world.probe, "wx250s", CONTROL_HZ, False))
    yield commanded
    commanded.stop()


def lag(ros_world, arm):
    """Seconds that the arm is behind its command in the middle of a motion of one second."""
    arm.go_by(np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0]))
    middle = arm.planned(arm.now)[0][0] + 0.25
    times = {}
    ros_world.wait_until(lambda: arm.planned(arm.now)[0][0] >= middle, "the command in the middle")
    times["command"] = arm.now
    ros_world.wait_until(lambda: arm.joints[0] >= middle, "the arm in the middle")
    return arm.now - times["command"]


def test_messages_name_the_arm_and_the_gripper_in_the_drivers_units(ros_world):
    groups, singles = (
        ros_world.probe.collect(JointGroupCommand, GROUP),
        ros_world.probe.collect(JointSingleCommand, SINGLE),
    )
    backend = make_backend("interbotix", ros_world.probe, "wx250s", CONTROL_HZ, False)
    wait_for_subscriber(ros_world, SINGLE)
    joints = np.array([0.1, -0.2, 0.3, 0.0, 0.5, -0.6])
    wait_for_subscriber(ros_world, GROUP)
    backend.send(Command(joints, np.zeros(6), 1.0), 10.0)
    group, single = groups.get(timeout=5), singles.get(timeout=5)
    assert group.name == "arm"
    assert list(group.cmd) == pytest.approx(joints.tolist())
    assert (single.name, single.cmd) == ("gripper", pytest.approx(0.074))


def test_with_the_shipped_modes_the_arm_follows_a_stream(ros_world, driver, arm, shipped):
    set_operating_modes(ros_world.probe.context, "wx250s", shipped)
    assert lag(ros_world, arm) < 0.15
    arm.gripper = 0.0
    ros_world.wait_until(lambda: driver.distance == pytest.approx(0.030), "the fingers closed, in metres")
    assert driver.refused == []


def test_with_the_drivers_own_modes_the_arm_lags_and_the_gripper_gets_a_nonsense_effort(ros_world, driver, arm):
    assert lag(ros_world, arm) > 0.3
    assert driver.distance is None
    assert driver.effort == pytest.approx(0.074)


def test_every_shipped_mode_reaches_the_driver(ros_world, driver, shipped):
    set_operating_modes(ros_world.probe.context, "wx250s", shipped)
    assert driver.modes["arm"] == ("position", "time", 25, 10)
    assert driver.modes["gripper"][0] == "linear_position"
    assert driver.torque_losses == len(shipped)


def test_a_name_that_the_driver_does_not_know_is_noticed_though_it_answers(ros_world, driver):
    with pytest.raises(NodeError, match="Does its motor configuration name group 'arms'"):
        set_operating_modes(ros_world.probe.context, "wx250s", [OperatingMode("group", "arms")])
    assert driver.modes == DEFAULTS


def test_without_a_driver_the_error_names_the_service(ros_world):
    with pytest.raises(NodeError, match="no service /wx250s/set_operating_modes"):
        set_operating_modes(ros_world.probe.context, "wx250s", [OperatingMode("group", "arm")], timeout_s=0.2)


@pytest.mark.parametrize("control_hz", [5.0, 20.0, 50.0, 200.0, 1000.0])
def test_a_time_profile_is_fitted_to_the_rate_of_commands(control_hz):
    mode = fitted(OperatingMode("group", "arm", "position", "time", 25, 10), control_hz)
    assert mode.profile_velocity == max(2, round(1250 / control_hz))
    assert mode.profile_acceleration == pytest.approx(500 / control_hz, abs=0.5)


@pytest.mark.parametrize(
    "mode", [OperatingMode("group", "arm", "position", "time", 0, 0), OperatingMode("single", "gripper", "pwm")]
)
def test_what_has_no_time_profile_stays_as_it_is(mode):
    assert fitted(mode, 20.0) == mode


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("arms: {}", "groups and singles only"),
        ("groups: {arm: {operating_mode: fast}}", "mode of 'arm' must be one of position"),
        ("groups: {arm: {profile_type: jerk}}", "profile_type of 'arm' must be one of time, velocity"),
        ("groups: {arm: {profile_velocity: -1}}", "profile_velocity of 'arm' must be 0 .. 32767, got -1"),
        ("groups: {arm: {profile_velocity: 2.5}}", "profile_velocity of 'arm' must be 0 .. 32767, got 2.5"),
        (
            "groups: {arm: {profile_type: time, profile_velocity: 25, profile_acceleration: 20}}",
            "must not exceed half of profile_velocity",
        ),
        ("groups: {arm: {speed: 3}}", "may have operating_mode"),
        ("singles: {gripper: {torque_enable: false}}", "torque_enable of 'gripper' must be true"),
    ],
)
def test_a_wrong_file_of_modes_is_refused(tmp_path: Path, content, words):
    path = tmp_path / "modes.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        load_operating_modes(path)


def test_without_the_messages_the_error_names_the_apt_package(ros_world, monkeypatch):
    monkeypatch.setitem(sys.modules, "interbotix_xs_msgs.msg", None)
    with pytest.raises(DependencyError, match="ros-\\$ROS_DISTRO-interbotix-xs-msgs"):
        make_backend("interbotix", ros_world.probe, "wx250s", CONTROL_HZ, False)


def test_the_gripper_is_sent_again_now_and_then(ros_world):
    backend = make_backend("interbotix", ros_world.probe, "wx250s", CONTROL_HZ, False)
    singles = ros_world.probe.collect(JointSingleCommand, SINGLE)
    wait_for_subscriber(ros_world, SINGLE)
    for time in (0.0, 0.02, 0.04, 0.25, 0.27, math.nextafter(0.5, 1.0)):
        backend.send(Command(np.zeros(6), np.zeros(6), 0.5), 100.0 + time)
    backend.send(Command(np.zeros(6), np.zeros(6), 0.0), 101.0)
    received = [singles.get(timeout=5).cmd for _ in range(4)]
    assert received == pytest.approx([0.052, 0.052, 0.052, 0.030])
