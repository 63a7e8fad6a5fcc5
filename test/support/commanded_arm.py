"""A stand-in for the chunker: commands the simulated arm through a backend, and watches where it goes."""

import threading
import time

import numpy as np
from sensor_msgs.msg import JointState

from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.control.preview import JointPreview
from dvla_ros.control.realtime import request_realtime
from dvla_ros.control.widowx import ARM_JOINTS, gripper_from_finger
from dvla_ros.nodes.conversions import joints_by_name

CONTROL_HZ = 50.0
PRIORITY = 5
MOVE_S = 1.0
PREVIEW_S, PREVIEW_STEP_S = 3.0, 0.02

FEW_IMAGES = ["-p", "sim_node:cameras:=[front]", "-p", "sim_node:camera_hz:=0.5", "-p", "sim_node:image_width:=64",
              "-p", "sim_node:image_height:=48"]  # fmt: skip
"""ROS arguments that keep the simulation's cameras from using the cores."""


def wait_for_subscriber(ros_world, topic):
    """Wait until the probe's publisher on a topic has a subscriber."""
    publisher = next(one for one in ros_world.probe.publishers if one.topic_name == topic)
    ros_world.wait_until(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")


def close_backend(ros_world, backend):
    """Close a backend in the thread that spins its node: nothing else may take an action's client out of its wait."""
    closed = threading.Event()

    def close():
        backend.close()
        closed.set()

    ros_world.probe.executor.create_task(close)
    assert closed.wait(10.0), "the executor does not spin"


class CommandedArm:
    """Moves on minimum-jerk paths between rests; commands from a thread, as the control thread does.

    Attributes:
        gripper: Opening that is commanded.
    """

    def __init__(self, ros_world, backend):
        self.backend, self.gripper, self._world = backend, 1.0, ros_world
        self._clock = ros_world.probe.get_clock()
        self._states = []
        ros_world.probe.create_subscription(JointState, "/wx250s/joint_states", self._states.append, 10)
        ros_world.wait_until(lambda: self._states, "joint states")
        self._path = (self.joints, np.zeros(6), self.now)
        self._version, self._sent_version = 1, 0
        self._closing = threading.Event()
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

    def go_by(self, way):
        """Command a smooth way from the present command; returns where it ends."""
        start = self.planned(self.now)[0]
        self._path = (start, np.asarray(way), self.now)
        self._version += 1
        return start + way

    def brake(self):
        """Command rest where the arm is commanded now."""
        self.go_by(np.zeros(6))

    def distance(self, goal):
        """Metres from the end effector's place for joints `goal`."""
        return np.linalg.norm(forward(self.joints)[:3, 3] - forward(goal)[:3, 3])

    def planned(self, times):
        """Positions and velocities of the path."""
        start, way, begin = self._path
        s = np.clip((np.asarray(times)[..., None] - begin) / MOVE_S, 0.0, 1.0)
        return start + way * s**3 * (10 - 15 * s + 6 * s * s), way * 30 * s * s * (1 - s) ** 2 / MOVE_S

    def preview(self, now):
        times = now + np.arange(0.0, PREVIEW_S, PREVIEW_STEP_S)
        return JointPreview(times, *self.planned(times), np.full(len(times), self.gripper), self._version)

    def stop(self):
        self._closing.set()
        self._thread.join()
        close_backend(self._world, self.backend)

    def _run(self):
        request_realtime(PRIORITY)
        due = time.monotonic()
        while not self._closing.is_set():
            self._tick(self.now)
            due = max(due + 1.0 / CONTROL_HZ, time.monotonic())
            self._closing.wait(due - time.monotonic())

    def _tick(self, now):
        if self.backend.wants_preview and self._sent_version != self._version:
            self._sent_version = self._version
            self.backend.send_preview(self.preview(now), now)
        if self.backend.wants_measured:
            self.backend.measured(self.joints, now)
        self.backend.send(Command(*self.planned(now), self.gripper), now)
