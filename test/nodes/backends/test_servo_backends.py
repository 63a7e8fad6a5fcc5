"""Through MoveIt Servo the arm goes where it is commanded, and what Servo says against it becomes a reason."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from ros_messages import test_messages_environment, use_test_messages
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from dvla_ros.control.controller import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS, UPPER, gripper_from_finger
from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.backends.servo_joint import JOINT_CORRECTION, ServoJointBackend
from dvla_ros.nodes.backends.servo_link import HALT_SHOWN_S
from dvla_ros.nodes.backends.servo_pose import ServoPoseBackend
from dvla_ros.nodes.backends.servo_twist import LINEAR_CORRECTION, ServoTwistBackend
from dvla_ros.nodes.conversions import joints_by_name, seconds
from dvla_ros.nodes.sim_node import SimNode

ROBOT, CONTROL_HZ = "wx250s", 100.0
BACKENDS = [ServoPoseBackend, ServoTwistBackend, ServoJointBackend]
GRIPPER = "/wx250s/gripper_controller/joint_trajectory"
MOVE_S = 1.5
AWAY = np.array([0.5, 0.15, -0.1, 0.0, 0.15, 0.3])
"""A way of more than 10 cm from the simulation's first pose."""

FEW_IMAGES = ["-p", "sim_node:cameras:=[front]", "-p", "sim_node:camera_hz:=0.5", "-p", "sim_node:image_width:=64",
              "-p", "sim_node:image_height:=48"]  # fmt: skip
simulated = pytest.mark.parametrize("ros_world", [FEW_IMAGES], indirect=True)
each_backend = pytest.mark.parametrize("make", BACKENDS, ids=["servo_pose", "servo_twist", "servo_joint"])


class Arm:
    """The simulated arm, and a thread that commands it through a backend as the control thread of chunker_node does."""

    def __init__(self, ros_world, backend):
        self.backend, self.gripper, self.measures = backend, 1.0, True
        self._clock = ros_world.probe.get_clock()
        self._states = []
        ros_world.probe.create_subscription(JointState, "/wx250s/joint_states", self._on_joints, 10)
        ros_world.wait_until(lambda: self._states, "joint states")
        self._start = self._goal = self.joints
        self._begin, self._closing = self.now, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def now(self):
        return self._clock.now().nanoseconds * 1e-9

    @property
    def joints(self):
        return joints_by_name(self._states[-1], ARM_JOINTS)

    @property
    def opening(self):
        return gripper_from_finger(joints_by_name(self._states[-1], ["left_finger"])[0])

    def go(self, goal):
        """Command a smooth way from the present command to the goal."""
        self._start, self._goal, self._begin = self._commanded(self.now)[0], np.asarray(goal), self.now

    def stop(self):
        self._closing.set()
        self._thread.join()

    def distance(self, goal):
        """Metres from the end effector's pose for joints `goal`."""
        return np.linalg.norm(forward(self.joints)[:3, 3] - forward(np.asarray(goal))[:3, 3])

    def _on_joints(self, message):
        self._states.append(message)

    def _commanded(self, now):
        s = min(max((now - self._begin) / MOVE_S, 0.0), 1.0)
        way = self._goal - self._start
        return self._start + way * s**3 * (10 - 15 * s + 6 * s * s), way * 30 * s * s * (1 - s) ** 2 / MOVE_S

    def _run(self):
        due = time.monotonic()
        while not self._closing.is_set():
            now = self.now
            if self.measures and getattr(self.backend, "wants_measured", False):
                self.backend.measured(self.joints, now)
            self.backend.send(Command(*self._commanded(now), self.gripper), now)
            due = max(due + 1.0 / CONTROL_HZ, time.monotonic())
            self._closing.wait(due - time.monotonic())


@pytest.fixture
def servo(ros_world):
    """A Servo that runs; the simulated arm with it."""
    use_test_messages()
    from fake_servo import FakeServo

    ros_world.start(SimNode)
    return ros_world.start(FakeServo)


@pytest.fixture
def connect(ros_world):
    """Makes an arm that is commanded through a backend."""
    arms = []

    def make(kind):
        use_test_messages()
        arms.append(Arm(ros_world, kind(ros_world.probe, ROBOT, CONTROL_HZ)))
        return arms[-1]

    yield make
    for arm in arms:
        arm.stop()
        arm.backend.close()


def ready(ros_world, arm):
    """The arm, once Servo takes its commands."""
    ros_world.wait_until(lambda: arm.backend.problem() == "", "Servo to take commands")
    return arm


@simulated
@each_backend
def test_the_arm_reaches_the_end_of_the_way(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    goal = arm.joints + AWAY
    assert arm.distance(goal) > 0.1
    arm.go(goal)
    ros_world.wait_until(lambda: arm.now - arm._begin > MOVE_S and arm.distance(goal) < 0.01, "the end of the way")
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
    use_test_messages()
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
    goal = arm.joints + AWAY
    arm.go(goal)
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
    before = arm.joints
    arm.go(before + AWAY)
    ros_world.wait_until(lambda: arm.now - arm._begin > MOVE_S, "the time of the way")
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
    goal = arm.joints
    goal[4] = UPPER[4] - 0.02
    arm.go(goal)
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
    goal = arm.joints + AWAY
    arm.go(goal)
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the end of the way")
    process.kill()
    process.wait()


@simulated
def test_a_servo_that_was_restarted_in_a_moment_is_switched_again(ros_world, servo, connect):
    arm = ready(ros_world, connect(ServoTwistBackend))
    servo.restart()
    ros_world.wait_until(lambda: arm.backend.numbers()["servo_switches"] == 2, "the second switch")
    goal = arm.joints + AWAY
    arm.go(goal)
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
    arm.go(arm.joints + AWAY)
    ros_world.wait_until(lambda: arm.now - arm._begin > 0.5 * MOVE_S, "half of the way")
    arm.stop()
    ros_world.wait_until(lambda: servo.stale == 1, "Servo's time-out")
    assert arm.distance(arm._goal) > 0.01


@simulated
@each_backend
def test_the_gripper_goes_to_its_own_controller(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    arm.gripper = 0.3
    ros_world.wait_until(lambda: abs(arm.opening - 0.3) < 0.05, "the gripper")
    assert GRIPPER in arm.backend.topics


@each_backend
def test_nobody_else_may_send_any_kind_of_command_to_servo(ros_world, make):
    use_test_messages()
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
    ready(ros_world, connect(make))
    received = [messages.get(timeout=5.0) for _ in range(40)]
    stamps = np.array([seconds(message.header.stamp) for message in received])
    assert {message.header.frame_id for message in received} == {"wx250s/base_link"}
    assert (np.diff(stamps) > 0.0).all()
    assert np.median(np.diff(stamps)) <= 0.02


@simulated
@pytest.mark.parametrize("make", [ServoTwistBackend, ServoJointBackend])
def test_an_error_is_taken_back_although_nothing_moves_on_command(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    goal = arm.joints + 0.1 * AWAY
    arm._start = arm._goal = goal
    ros_world.wait_until(lambda: np.abs(arm.joints - goal).max() < 0.01, "the error to vanish")


@simulated
@pytest.mark.parametrize("make", [ServoTwistBackend, ServoJointBackend])
def test_without_measured_joints_nothing_is_added_to_the_commanded_velocity(ros_world, servo, connect, make):
    arm = ready(ros_world, connect(make))
    arm.measures = False
    ros_world.wait_until(lambda: arm.now - arm.backend._measured_time > 0.2, "the measurement to become old")
    before, followed = arm.joints, servo.followed
    arm._start = arm._goal = before + AWAY
    ros_world.wait_until(lambda: servo.followed > followed + 50, "commands to Servo")
    assert np.abs(arm.joints - before).max() < 0.01


@simulated
def test_a_great_error_is_taken_back_slowly(ros_world, servo, connect):
    from control_msgs.msg import JointJog

    jogs = ros_world.probe.collect(JointJog, "/servo_node/delta_joint_cmds")
    arm = ready(ros_world, connect(ServoJointBackend))
    arm._start = arm._goal = arm.joints + 3.0 * AWAY
    message = ros_world.next_that(jogs, lambda m: max(map(abs, m.velocities)) > 0.05)
    assert np.linalg.norm(message.velocities) == pytest.approx(JOINT_CORRECTION)
    assert list(message.joint_names) == list(ARM_JOINTS)
    assert len(message.displacements) == 0


@simulated
def test_a_great_error_of_the_pose_is_taken_back_slowly(ros_world, servo, connect):
    twists = ros_world.probe.collect(TwistStamped, "/servo_node/delta_twist_cmds")
    arm = ready(ros_world, connect(ServoTwistBackend))
    arm._start = arm._goal = arm.joints + 3.0 * AWAY

    def speed(message):
        linear = message.twist.linear
        return np.linalg.norm([linear.x, linear.y, linear.z])

    message = ros_world.next_that(twists, lambda m: speed(m) > 0.02)
    assert speed(message) == pytest.approx(LINEAR_CORRECTION)


@each_backend
def test_a_rate_at_which_servo_would_halt_is_refused(ros_world, make):
    use_test_messages()
    with pytest.raises(ConfigurationError, match="control_hz must be 50 or more .* got 20"):
        make(ros_world.probe, ROBOT, 20.0)


def test_a_relative_name_of_servo_is_refused(ros_world):
    use_test_messages()
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
