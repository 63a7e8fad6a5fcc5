"""A stand-in for the Interbotix driver `xs_sdk`: its modes, its time profiles, and what it refuses."""

import threading

import numpy as np
from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand
from interbotix_xs_msgs.srv import OperatingModes, RobotInfo
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dvla_ros.control.widowx import ARM_JOINTS, JOINT_STATE_ORDER

PUBLISH_HZ = 100.0
DEFAULTS = {"arm": ("position", "time", 2000, 300), "gripper": ("pwm", "velocity", 0, 0)}
"""Of `modes.yaml` as it is shipped: mode, profile type, profile velocity, profile acceleration."""


class FakeInterbotix(Node):
    """Does with commands what the driver and the motors' firmware do, as far as positions are concerned.

    - Each motion takes `profile_velocity` ms (time profile) from wherever the motors are; a new command begins anew.
    - Every change of a mode takes the torque away for a moment.
    - `set_operating_modes` answers nothing, whether it did something or not.

    Attributes:
        refused: What commands and requests were not executed, and why.
        torque_losses: How often motors were without torque.
        distance: Metres between the fingers that were commanded last, None while the gripper takes something else.
        effort: Last command to a gripper in mode `pwm`.
    """

    def __init__(self, robot_name="wx250s"):
        super().__init__("xs_sdk", namespace=robot_name)
        self.refused, self.torque_losses = [], 0
        self.distance = self.effort = None
        self.modes = dict(DEFAULTS)
        self._lock = threading.Lock()
        self._motion = (np.zeros(6), np.zeros(6), 0.0, 0.0)
        self.create_subscription(JointGroupCommand, "commands/joint_group", self._on_group, 10)
        self.create_subscription(JointSingleCommand, "commands/joint_single", self._on_single, 10)
        self.create_service(OperatingModes, "set_operating_modes", self._on_modes)
        self.create_service(RobotInfo, "get_robot_info", self._on_info)
        self._states = self.create_publisher(JointState, "joint_states", 10)
        self.create_timer(1.0 / PUBLISH_HZ, self._publish)

    def stop(self):
        """Nothing runs beside the executor."""

    @property
    def joints(self):
        """Where the six joints are now, in rad."""
        start, goal, begin, duration = self._motion
        return start + (goal - start) * min(1.0, (self._now() - begin) / max(duration, 1e-3))

    def _now(self):
        return self.get_clock().now().nanoseconds * 1e-9

    def _on_group(self, message):
        if message.name != "arm" or len(message.cmd) != len(ARM_JOINTS):
            self.refused.append(f"{len(message.cmd)} commands for group '{message.name}'")
            return
        _, profile, velocity, _ = self.modes["arm"]
        self._motion = (
            self.joints,
            np.array(message.cmd),
            self._now(),
            velocity / 1000.0 if profile == "time" else 0.0,
        )

    def _on_single(self, message):
        if message.name != "gripper":
            self.refused.append(f"joint '{message.name}'")
        elif self.modes["gripper"][0] == "linear_position":
            self.distance, self.effort = message.cmd, None
        else:
            self.distance, self.effort = None, message.cmd

    def _on_modes(self, request, response):
        if (request.cmd_type, request.name) not in {("group", "arm"), ("single", "gripper")}:
            self.refused.append(f"{request.cmd_type} '{request.name}' does not exist")
            return response
        self.torque_losses += 1
        self.modes[request.name] = (
            request.mode,
            request.profile_type,
            request.profile_velocity,
            request.profile_acceleration,
        )
        return response

    def _on_info(self, request, response):
        if request.name in self.modes:
            response.mode, response.profile_type = self.modes[request.name][:2]
        return response

    def _publish(self):
        message = JointState(name=list(JOINT_STATE_ORDER))
        message.header.stamp = self.get_clock().now().to_msg()
        message.position = [*self.joints.tolist(), 0.0, 0.02, -0.02]
        self._states.publish(message)
