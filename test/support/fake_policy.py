"""A stand-in for the policy node: sends chunks to a real chunker, and watches where the simulated arm goes."""

import numpy as np
from commanded_arm import FEW_IMAGES
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS, gripper_from_finger
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.conversions import chunk_to_message, joints_by_name
from dvla_ros.nodes.sim_node import SimNode

DOWN = np.array([0.0, 0.0, -0.02, 0.0, 0.0, 0.0, 1.0], np.float32)
LEFT = np.array([0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 1.0], np.float32)
DOWN_CLOSING = np.array([0.0, 0.0, -0.02, 0.0, 0.0, 0.0, 0.0], np.float32)
"""Increments of the end effector in metres, and the gripper: 1 open."""

ROWS, DT = 5, 0.2
_PATIENT = ("dry_run:=false", "discovery_s:=0.3", "lock_memory:=false", "max_tick_gap_s:=0.5",
            "joint_state_timeout_s:=1.0", "planning_scene_timeout_s:=2.0")  # fmt: skip


def chunker(*parameters):
    """ROS arguments: a chunker that may move the arm and bears a busy machine, a simulation that spares the cores."""
    return [*FEW_IMAGES, *(word for one in (*_PATIENT, *parameters) for word in ("-p", f"chunker_node:{one}"))]


class FakePolicy:
    """Starts the simulated arm and the chunker, and sends chunks.

    Attributes:
        statuses: What the chunker says of itself, in a queue.
        chunker: The node.
    """

    def __init__(self, ros_world):
        probe = ros_world.probe
        self._world, self._sequence, self._clock = ros_world, 1, probe.get_clock()
        self._states = []
        probe.create_subscription(JointState, "/wx250s/joint_states", self._states.append, 10)
        self.statuses = probe.collect(ExecutionStatus, "/chunker_node/execution_status")
        ros_world.start(SimNode)
        self.chunker = ros_world.start(ChunkerNode)
        self._chunks = probe.connect(ActionChunkMessage, "/policy_node/action_chunk", 1)

    @property
    def now(self):
        """ROS time in seconds."""
        return self._clock.now().nanoseconds * 1e-9

    @property
    def place(self):
        """Of the end effector, in metres."""
        return forward(joints_by_name(self._states[-1], ARM_JOINTS))[:3, 3]

    @property
    def opening(self):
        """Of the gripper, 0 closed .. 1 open."""
        return gripper_from_finger(joints_by_name(self._states[-1], ["left_finger"])[0])

    def send(self, action, rows=ROWS):
        """Send a chunk of equal increments; returns where it ends."""
        end = self.place + rows * action[:3]
        chunk = ActionChunk(
            stamp=self.now + 0.1,
            dt=DT,
            actions=np.tile(action, (rows, 1)),
            mode=ControlMode.EE_DELTA,
            names=ACTION_NAMES,
            sequence=self._sequence,
            execute_steps=rows,
            observation_stamp=self.now,
        )
        self._sequence += 1
        self._chunks.publish(chunk_to_message(chunk, "wx250s/base_link", 12, 0.0))
        return end

    def hold(self, data):
        """Hold the arm, or let it go on."""
        self._world.probe.call(SetBool, "/chunker_node/hold", SetBool.Request(data=data))

    def await_place(self, place):
        """Wait until the end effector is within 1 cm."""
        self._world.wait_until(lambda: np.linalg.norm(self.place - place) < 0.01, "the end of the chunk")

    def await_motion(self, begin):
        """Wait until the end effector is 2 cm away."""
        self._world.wait_until(lambda: np.linalg.norm(self.place - begin) > 0.02, "the arm under way")

    def await_rest(self):
        """Wait until the arm has not moved by a millimetre for half a second; the place."""
        rest = {"place": self.place, "since": self.now}

        def is_at_rest():
            if np.linalg.norm(self.place - rest["place"]) > 0.001:
                rest.update(place=self.place, since=self.now)
            return self.now - rest["since"] > 0.5

        self._world.wait_until(is_at_rest, "the arm at rest")
        return self.place

    def await_status(self, state, reason=""):
        """The next status of this kind."""
        return self._world.next_that(self.statuses, lambda m: (m.state, m.reason) == (state, reason))

    def await_decision(self, sequence):
        """The first status that is about a chunk."""
        return self._world.next_that(self.statuses, lambda m: m.sequence == sequence)
