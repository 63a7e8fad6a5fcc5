"""Through MoveIt Servo the arm goes where it is commanded, and what Servo says against it becomes a reason."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commanded_arm import CONTROL_HZ, FEW_IMAGES, MOVE_S, CommandedArm
from geometry_msgs.msg import PoseStamped, TwistStamped
from ros_messages import test_messages_environment
from std_srvs.srv import SetBool

from dvla_ros.control.widowx import ARM_JOINTS, UPPER
from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.backends.servo_joint import JOINT_CORRECTION, ServoJointBackend
from dvla_ros.nodes.backends.servo_link import HALT_SHOWN_S
from dvla_ros.nodes.backends.servo_pose import ServoPoseBackend
from dvla_ros.nodes.backends.servo_tracking import RECENT_S
from dvla_ros.nodes.backends.servo_twist import LINEAR_CORRECTION, ServoTwistBackend
from dvla_ros.nodes.conversions import seconds
from dvla_ros.nodes.sim_node import SimNode

ROBOT = "wx250s"
BACKENDS = [ServoPoseBackend, ServoTwistBackend, ServoJointBackend]
GRIPPER = "/wx250s/gripper_controller/joint_trajectory"
AWAY = np.array([0.5, 0.15, -0.1, 0.0, 0.15, 0.3])
"""A way of more than 10 cm from the simulation's first pose."""

LIGHT = [*FEW_IMAGES, "-p", "sim_node:joint_state_hz:=50.0"]
simulated = pytest.mark.parametrize("ros_world", [LIGHT], indirect=True)
each_backend = pytest.mark.parametrize("make", BACKENDS, ids=["servo_pose", "servo_twist", "servo_joint"])


@pytest.fixture
def servo(ros_world):
    """A Servo that runs; the simulated arm with it."""
    from fake_servo import FakeServo

    ros_world.start(SimNode)
    return ros_world.start(FakeServo)


@pytest.fixture
def connect(ros_world):
    """Makes an arm that is commanded through a backend."""
    arms = []

    def make(kind):
        arms.append(CommandedArm(ros_world, kind(ros_world.probe, ROBOT, CONTROL_HZ)))
        return arms[-1]

    yield make
    for arm in arms:
        arm.stop()


def ready(ros_world, arm):
    """The arm, once Servo takes its commands."""
    ros_world.wait_until(lambda: arm.backend.problem() == "", "Servo to take commands")
    return arm


def jump(arm, joints):
    """Command rest somewhere else than where the arm is."""
    arm._path = (joints, np.zeros(6), arm.now)


@simulated
@each_backend
def test_the_arm_reaches_the_end_of_the_way(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    goal = arm.go_by(AWAY)
    assert arm.distance(goal) > 0.1
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the end of the way")
    assert np.abs(arm.joints - goal).max() < 0.05
    assert arm.backend.problem() == ""
    assert servo.refused == 0


@simulated
@each_backend
def test_nothing_is_sent_before_servo_was_switched(ros_world, servo, connect, make):
    servo.agrees = False
    arm = connect(make)
    ros_world.wait_until(lambda: "it refused" in arm.backend.problem(), "the refusal")
    assert arm.backend.problem().startswith("servo_not_switched: /servo_node does not take ")
    servo.agrees = True
    ready(ros_world, arm)
    ros_world.wait_until(lambda: servo.followed > 10, "commands to Servo")
    assert servo.refused == 0


@each_backend
def test_without_servo_the_arm_cannot_be_commanded(ros_world, make):
    backend = make(ros_world.probe, ROBOT, CONTROL_HZ)
    assert backend.problem().startswith("servo_silent: no status from /servo_node for 1 s.")
    backend.close()


@simulated
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "2 HALT_FOR_SINGULARITY: Very close to a singularity, emergency stop."),
        (5, "5 HALT_FOR_COLLISION: Collision detected, emergency stop."),
        (6, "6 JOINT_BOUND: Close to a joint bound (position or velocity), halting."),
        (-1, "-1 INVALID: Invalid."),
    ],
)
def test_a_halt_is_a_problem_until_it_is_over(ros_world, servo, connect, code, words):
    arm = ready(ros_world, connect(ServoPoseBackend))
    servo.hindrance = code
    goal = arm.go_by(AWAY)
    ros_world.wait_until(lambda: arm.backend.problem() != "", "the halt")
    assert arm.backend.problem() == f"servo_halted: /servo_node says {words}"
    servo.hindrance = 0
    ros_world.wait_until(lambda: arm.backend.problem() == "", "the end of the halt")
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the end of the way")


@simulated
def test_a_halted_arm_stands_still(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoTwistBackend))
    servo.hindrance = 5
    ros_world.wait_until(lambda: arm.backend.problem() != "", "the halt")
    before, begin = arm.joints, arm.now
    arm.go_by(AWAY)
    ros_world.wait_until(lambda: arm.now - begin > MOVE_S, "the time of the way")
    assert np.abs(arm.joints - before).max() < 0.01


@simulated
def test_a_short_halt_is_not_overlooked(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoPoseBackend))
    servo.hindrance = 5
    ros_world.wait_until(lambda: arm.backend.problem() != "", "the halt")
    servo.hindrance = 0
    over = time.monotonic()
    ros_world.wait_until(lambda: arm.backend.problem() == "", "the end of the halt")
    assert HALT_SHOWN_S - 0.1 < time.monotonic() - over < HALT_SHOWN_S + 0.5


@simulated
def test_a_deceleration_is_counted_and_no_problem(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoPoseBackend))
    servo.hindrance = 4
    ros_world.wait_until(lambda: arm.backend.numbers()["servo_status"] == 4, "the deceleration")
    assert arm.backend.problem() == ""
    assert arm.backend.numbers()["servo_decelerate_for_collision"] == 1


@simulated
def test_a_joint_at_its_bound_is_a_problem(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoJointBackend))
    arm.go_by((UPPER - arm.joints) * (np.arange(6) == 4))
    ros_world.wait_until(lambda: "6 JOINT_BOUND" in arm.backend.problem(), "the bound")


@simulated
def test_a_paused_servo_is_silent_and_goes_on(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoPoseBackend))
    assert ros_world.probe.call(SetBool, "/servo_node/pause_servo", SetBool.Request(data=True)).success
    ros_world.wait_until(lambda: arm.backend.problem().startswith("servo_silent"), "the silence")
    ros_world.probe.call(SetBool, "/servo_node/pause_servo", SetBool.Request(data=False))
    ready(ros_world, arm)


@simulated
def test_a_servo_that_was_killed_and_started_again_is_switched_again(ros_world, connect):
    ros_world.start(SimNode)
    arm = connect(ServoPoseBackend)
    process = _servo_process()
    ready(ros_world, arm)
    process.kill()
    process.wait()
    ros_world.wait_until(lambda: arm.backend.problem().startswith("servo_silent"), "the loss of Servo")
    process = _servo_process()
    ready(ros_world, arm)
    goal = arm.go_by(AWAY)
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the end of the way")
    process.kill()
    process.wait()


@simulated
def test_a_servo_that_was_restarted_in_a_moment_is_switched_again(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoTwistBackend))
    servo.restart()
    ros_world.wait_until(lambda: arm.backend.numbers()["servo_switches"] == 2, "the second switch")
    goal = arm.go_by(AWAY)
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the end of the way")


def _servo_process():
    program = Path(__file__).parents[2] / "support" / "fake_servo.py"
    process = subprocess.Popen(
        [sys.executable, str(program)], env=test_messages_environment(), stdout=subprocess.PIPE, text=True
    )
    with process.stdout:
        assert process.stdout.readline().strip() == "ready"
    return process


@simulated
def test_when_commands_end_servo_stops(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoTwistBackend))
    goal = arm.go_by(AWAY)
    ros_world.wait_until(lambda: arm.distance(goal) < 0.08, "the arm under way")
    arm.stop()
    stale = servo.stale
    ros_world.wait_until(lambda: servo.stale > stale, "Servo's time-out")
    assert arm.distance(goal) > 0.01


@simulated
@each_backend
def test_the_gripper_goes_to_its_own_controller(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    arm.gripper = 0.3
    ros_world.wait_until(lambda: abs(arm.opening - 0.3) < 0.05, "the gripper")
    assert GRIPPER in arm.backend.topics


@each_backend
def test_a_gripper_that_has_an_action_is_left_alone(ros_world, make):
    backend = make(ros_world.probe, ROBOT, CONTROL_HZ, with_gripper=False)
    assert GRIPPER not in backend.topics
    backend.close()


@simulated
def test_a_rehearsal_asks_servo_for_nothing(ros_world, servo):
    from moveit_msgs.msg import ServoStatus

    backend = ServoPoseBackend(ros_world.probe, ROBOT, CONTROL_HZ)
    backend.rehearse()
    statuses = ros_world.probe.collect(ServoStatus, "/servo_node/status")
    assert [statuses.get(timeout=5.0).code for _ in range(30)] == [0] * 30
    assert "servo_switches" not in backend.numbers()
    backend.close()


@each_backend
def test_nobody_else_may_send_any_kind_of_command_to_servo(ros_world, make):
    backend = make(ros_world.probe, ROBOT, CONTROL_HZ)
    names = {"delta_joint_cmds", "delta_twist_cmds", "pose_target_cmds"}
    assert set(backend.topics) == {f"/servo_node/{name}" for name in names} | {GRIPPER}
    backend.close()


@simulated
@pytest.mark.parametrize(
    ("make", "kind", "topic"),
    [(ServoPoseBackend, PoseStamped, "pose_target_cmds"), (ServoTwistBackend, TwistStamped, "delta_twist_cmds")],
)
def test_every_command_has_a_fresh_stamp_and_its_frame(ros_world, servo, connect, make, kind, topic):
    messages = ros_world.probe.collect(kind, f"/servo_node/{topic}")
    arm = ready(ros_world, connect(make))
    begin = arm.now
    while not messages.empty():
        messages.get()
    received = [messages.get(timeout=5.0) for _ in range(40)]
    stamps = np.array([seconds(message.header.stamp) for message in received])
    assert {message.header.frame_id for message in received} == {"wx250s/base_link"}
    assert (np.diff(stamps) > 0.0).all()
    assert begin - 0.1 < stamps[0]


@simulated
@pytest.mark.parametrize("make", [ServoTwistBackend, ServoJointBackend])
def test_an_error_is_taken_back_although_nothing_moves_on_command(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    goal = arm.joints + 0.1 * AWAY
    jump(arm, goal)
    ros_world.wait_until(lambda: arm.distance(goal) < 0.002, "the error to vanish")


@simulated
@pytest.mark.parametrize("make", [ServoTwistBackend, ServoJointBackend])
def test_without_measured_joints_nothing_is_added_to_the_commanded_velocity(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    arm.backend.wants_measured, last = False, arm.now
    ros_world.wait_until(lambda: arm.now - last > 2 * RECENT_S, "the measurement to become old")
    before, followed = arm.joints, servo.followed
    jump(arm, before + AWAY)
    ros_world.wait_until(lambda: servo.followed > followed + 50, "commands to Servo")
    assert np.abs(arm.joints - before).max() < 0.01


@simulated
def test_a_great_error_is_taken_back_slowly(ros_world, servo, connect):
    from control_msgs.msg import JointJog

    jogs = ros_world.probe.collect(JointJog, "/servo_node/delta_joint_cmds")
    arm = ready(ros_world, connect(ServoJointBackend))
    jump(arm, arm.joints + 3.0 * AWAY)
    message = ros_world.next_that(jogs, lambda m: max(map(abs, m.velocities)) > 0.05)
    assert np.linalg.norm(message.velocities) == pytest.approx(JOINT_CORRECTION)
    assert list(message.joint_names) == list(ARM_JOINTS)
    assert len(message.displacements) == 0


@simulated
def test_while_servo_halts_no_error_is_taken_back(ros_world, servo, connect):
    from control_msgs.msg import JointJog

    arm = ready(ros_world, connect(ServoJointBackend))
    servo.hindrance = 6
    ros_world.wait_until(lambda: arm.backend.problem() != "", "the halt")
    jump(arm, arm.joints + AWAY)
    jogs = ros_world.probe.collect(JointJog, "/servo_node/delta_joint_cmds")
    assert not any(any(jogs.get(timeout=5.0).velocities) for _ in range(20))


@simulated
def test_a_great_error_of_the_pose_is_taken_back_slowly(ros_world, servo, connect):
    twists = ros_world.probe.collect(TwistStamped, "/servo_node/delta_twist_cmds")
    arm = ready(ros_world, connect(ServoTwistBackend))
    jump(arm, arm.joints + 3.0 * AWAY)

    def speed(message):
        linear = message.twist.linear
        return np.linalg.norm([linear.x, linear.y, linear.z])

    message = ros_world.next_that(twists, lambda m: speed(m) > 0.02)
    assert speed(message) == pytest.approx(LINEAR_CORRECTION)


@each_backend
def test_a_rate_at_which_servo_would_halt_is_refused(ros_world, make):
    with pytest.raises(ConfigurationError, match="control_hz must be 50 or more .* got 20"):
        make(ros_world.probe, ROBOT, 20.0)


def test_a_relative_name_of_servo_is_refused(ros_world):
    with pytest.raises(ConfigurationError, match="fully qualified, like /servo_node, got 'servo_node'"):
        ServoPoseBackend(ros_world.probe, ROBOT, CONTROL_HZ, servo="servo_node")


@pytest.mark.parametrize(
    ("make", "missing", "package"),
    [
        (ServoPoseBackend, "moveit_msgs.srv", "moveit-servo"),
        (ServoJointBackend, "control_msgs.msg", "control-msgs"),
    ],
)
def test_without_the_messages_the_package_is_named(ros_world, monkeypatch, make, missing, package):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DependencyError, match=rf"ros-\$ROS_DISTRO-{package}"):
        make(ros_world.probe, ROBOT, CONTROL_HZ)
