"""A stand-in for MoveIt's Servo node: the same topics, services, time-outs and refusals, moving the simulated arm.

As a program it is a process that can be killed.
"""

import threading
import time

import mujoco
import numpy as np
import rclpy
from control_msgs.msg import JointJog
from geometry_msgs.msg import PoseStamped, TwistStamped
from moveit_msgs.msg import ServoStatus
from moveit_msgs.srv import ServoCommandType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.description import EE_SITE
from dvla_ros.control.kinematics import arm_model, forward
from dvla_ros.control.realtime import request_realtime
from dvla_ros.control.widowx import ARM_JOINTS, LOWER, UPPER, VELOCITY_LIMIT
from dvla_ros.nodes.backends.servo_tracking import pose_difference
from dvla_ros.nodes.conversions import joints_by_name, seconds, to_duration

READY = "ready"
PERIOD_S = 0.02
"""As slow as the commands, so that tests of several nodes in one process leave the cores some rest."""

PRIORITY = 5
"""Servo asks for real-time priority, too."""

COMMAND_TIMEOUT_S = 0.1
LINEAR_SCALE, ROTATIONAL_SCALE = 0.6, 3.0
JOINT_MARGIN = 0.01
TEXTS = {
    ServoStatus.INVALID: "Invalid",
    ServoStatus.NO_WARNING: "No warnings",
    ServoStatus.DECELERATE_FOR_COLLISION: "Close to a collision, decelerating",
    ServoStatus.HALT_FOR_SINGULARITY: "Very close to a singularity, emergency stop",
    ServoStatus.HALT_FOR_COLLISION: "Collision detected, emergency stop",
    ServoStatus.JOINT_BOUND: "Close to a joint bound (position or velocity), halting",
}
HALTS = (
    ServoStatus.INVALID,
    ServoStatus.HALT_FOR_SINGULARITY,
    ServoStatus.HALT_FOR_COLLISION,
    ServoStatus.JOINT_BOUND,
)


class FakeServo(Node):
    """Does what moveit_servo's node does with `command_in_type: speed_units`.

    - No command is taken before the command type was set, or of another type than that.
    - A command is followed until it is 0.1 s old by its stamp; then the arm stops.
    - The status is about the newest command and is sent in every cycle; without commands it stays what it was.
    - While it is paused, no status is sent.

    Attributes:
        hindrance: Status with which every command is answered: `NO_WARNING`, a halt, or a deceleration (half speed).
        refused: Commands of a type that was not expected.
        stale: How often the commands ran out.
        followed: Commands that moved the arm or let it rest.
        agrees: Whether a switch of the command type succeeds.
    """

    def __init__(self, robot_name="wx250s", name="servo_node", **options):
        super().__init__(name, **options)
        self.hindrance = ServoStatus.NO_WARNING
        self.refused = self.stale = self.followed = 0
        self.agrees = True
        self._frame = f"{robot_name}/base_link"
        self._type, self._paused, self._restarting = None, False, False
        self._status = ServoStatus.NO_WARNING
        self._commands = {}
        self._measured = self._commanded = None
        self._jacobian = Jacobian()
        for number, (kind, topic) in enumerate(
            [(JointJog, "delta_joint_cmds"), (TwistStamped, "delta_twist_cmds"), (PoseStamped, "pose_target_cmds")]
        ):
            self.create_subscription(kind, f"~/{topic}", self._storing(number), 10)
        self.create_subscription(JointState, f"/{robot_name}/joint_states", self._on_joints, 10)
        self.create_service(ServoCommandType, "~/switch_command_type", self._on_switch)
        self.create_service(SetBool, "~/pause_servo", self._on_pause)
        self._status_publisher = self.create_publisher(ServoStatus, "~/status", 10)
        self._output = self.create_publisher(JointTrajectory, f"/{robot_name}/arm_controller/joint_trajectory", 10)
        self._closing, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def restart(self):
        """What others see of a quick restart: another publisher, and no command type."""
        self._restarting = True  # done in the thread that spins the node, as destroying must be

    def stop(self):
        """End the loop; afterwards the node may be destroyed."""
        self._closing.set()
        self._thread.join()

    def _storing(self, number):
        return lambda message: self._commands.__setitem__(number, message)

    def _on_joints(self, message):
        self._measured = joints_by_name(message, ARM_JOINTS)
        if self._restarting:
            with self._lock:
                self.destroy_publisher(self._status_publisher)
                self._type, self._restarting = None, False
                self._status_publisher = self.create_publisher(ServoStatus, "~/status", 10)

    def _on_switch(self, request, response):
        if self.agrees and request.command_type in (0, 1, 2):
            self._type = request.command_type
        response.success = self._type == request.command_type
        return response

    def _on_pause(self, request, response):
        self._paused, response.success = request.data, True
        return response

    def _loop(self):
        request_realtime(PRIORITY)
        due = time.monotonic()
        while not self._closing.is_set():
            if self._measured is not None and not self._paused:
                with self._lock:
                    self._cycle()
            due = max(due + PERIOD_S, time.monotonic())
            self._closing.wait(due - time.monotonic())

    def _cycle(self):
        command = self._expected_command()
        target = None if command is None else self._follow(command)
        if target is None:
            self._commanded = None
        else:
            self._commanded = target
            point = JointTrajectoryPoint(positions=target.tolist(), time_from_start=to_duration(PERIOD_S))
            self._output.publish(JointTrajectory(joint_names=list(ARM_JOINTS), points=[point]))
        self._status_publisher.publish(ServoStatus(code=self._status, message=TEXTS[self._status]))

    def _expected_command(self):
        """The newest command of the expected type, unless it is too old."""
        for number in [number for number in list(self._commands) if number != self._type]:
            del self._commands[number]
            self.refused += 1
        command = self._commands.get(self._type)
        if command is None:
            return None
        age = self.get_clock().now().nanoseconds * 1e-9 - seconds(command.header.stamp)
        if age < COMMAND_TIMEOUT_S:
            return command
        del self._commands[self._type]
        self.stale += 1
        return None

    def _follow(self, command):
        """Joints for the next cycle; None while it stands still for a halt or an invalid command."""
        start = self._measured if self._commanded is None else self._commanded
        step = self._step(command, start)
        if step is None:
            self._status = ServoStatus.INVALID
            del self._commands[self._type]
            return None
        self._status = self.hindrance
        if self.hindrance in HALTS:
            return None
        step = step * (0.5 if self.hindrance == ServoStatus.DECELERATE_FOR_COLLISION else 1.0)
        step /= max(1.0, float((np.abs(step) / (VELOCITY_LIMIT * PERIOD_S)).max()))
        self.followed += 1
        target = start + step
        outward = ((step < 0) & (target < LOWER + JOINT_MARGIN)) | ((step > 0) & (target > UPPER - JOINT_MARGIN))
        if outward.any():
            self._status = ServoStatus.JOINT_BOUND
            return start
        return target

    def _step(self, command, start):
        """Change of the joints in one cycle; None when the command is invalid."""
        if isinstance(command, JointJog):
            return self._jog_step(command)
        if command.header.frame_id != self._frame:
            return None
        here = forward(start)
        difference = _limited(
            pose_difference(here, _matrix(command.pose))
            if isinstance(command, PoseStamped)
            else _vector(command.twist) * PERIOD_S
        )
        if not np.isfinite(difference).all():
            return None
        return self._jacobian.joint_step(start, difference)

    def _jog_step(self, command):
        velocities = np.zeros(6)
        if len(command.velocities) != len(command.joint_names) or not set(command.joint_names) <= set(ARM_JOINTS):
            return None
        for name, velocity in zip(command.joint_names, command.velocities, strict=True):
            velocities[ARM_JOINTS.index(name)] = velocity
        return velocities * PERIOD_S if np.isfinite(velocities).all() else None


def _limited(difference):
    """At most the greatest linear and angular step of one cycle."""
    excess = [
        np.linalg.norm(difference[:3]) / (LINEAR_SCALE * PERIOD_S),
        np.linalg.norm(difference[3:]) / (ROTATIONAL_SCALE * PERIOD_S),
    ]
    return difference / np.repeat(np.maximum(excess, 1.0), 3)


def _vector(twist):
    linear, angular = twist.linear, twist.angular
    return np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])


def _matrix(pose):
    q, p = pose.orientation, pose.position
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(np.array([q.w, q.x, q.y, q.z]))
    matrix[:3, 3] = (p.x, p.y, p.z)
    return matrix


def _rotation(quaternion):
    """Rotation matrix of a quaternion w, x, y, z."""
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, quaternion)
    return rotation.reshape(3, 3)


class Jacobian:
    """The joint step for a small step of the end effector, as Servo takes it from the inverse of the Jacobian."""

    DAMPING = 1e-3

    def __init__(self):
        self._model = arm_model()
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site(EE_SITE).id
        self._matrix = np.zeros((6, self._model.nv))

    def joint_step(self, joints, difference):
        """`[6]` rad for a translation in metres and a rotation vector in rad along the base's axes."""
        self._data.qpos[:] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._matrix[:3], self._matrix[3:], self._site)
        damped = self._matrix @ self._matrix.T + self.DAMPING**2 * np.eye(6)
        return self._matrix.T @ np.linalg.solve(damped, difference)


def main():
    """Serve until killed; says READY first."""
    rclpy.init()
    node = FakeServo()
    print(READY, flush=True)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
