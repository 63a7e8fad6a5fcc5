"""MoveIt between the chunker and the arm: chunks through Servo, halts that hold, a planning scene that forbids."""

import numpy as np
import pytest
from commanded_arm import FEW_IMAGES
from ros_messages import use_test_messages
from sensor_msgs.msg import JointState

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.conversions import chunk_to_message, joints_by_name
from dvla_ros.nodes.sim_node import SimNode

DOWN = np.array([0.0, 0.0, -0.02, 0.0, 0.0, 0.0, 1.0], np.float32)
LEFT = np.array([0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 1.0], np.float32)
ROWS = 5


def chunker(*parameters):
    """The parameters of a chunker that may move the arm, and of a simulation that is light on the cores."""
    common = ("dry_run:=false", "discovery_s:=0.3", "lock_memory:=false")
    words = [word for parameter in (*common, *parameters) for word in ("-p", f"chunker_node:{parameter}")]
    return pytest.mark.parametrize("ros_world", [[*FEW_IMAGES, *words]], indirect=True)


class Bench:
    """The simulated arm, the chunker, and chunks for it."""

    def __init__(self, ros_world):
        probe = ros_world.probe
        self._world, self._sequence, self._clock = ros_world, 1, probe.get_clock()
        self._states = []
        probe.create_subscription(JointState, "/wx250s/joint_states", self._states.append, 10)
        self.statuses = probe.collect(ExecutionStatus, "/chunker_node/execution_status")
        ros_world.start(SimNode)
        ros_world.start(ChunkerNode)
        self._chunks = probe.connect(ActionChunkMessage, "/policy_node/action_chunk", 1)

    @property
    def place(self):
        """Of the end effector, in metres."""
        return forward(joints_by_name(self._states[-1], ARM_JOINTS))[:3, 3]

    def send(self, action):
        """Send a chunk of equal increments; returns where it ends."""
        now = self._clock.now().nanoseconds * 1e-9
        end = self.place + ROWS * action[:3]
        chunk = ActionChunk(
            stamp=now + 0.1,
            dt=0.2,
            actions=np.tile(action, (ROWS, 1)),
            mode=ControlMode.EE_DELTA,
            names=ACTION_NAMES,
            sequence=self._sequence,
            execute_steps=ROWS,
            observation_stamp=now,
        )
        self._sequence += 1
        self._chunks.publish(chunk_to_message(chunk, "wx250s/base_link", 12, 0.0))
        return end

    def await_place(self, place):
        """Wait until the end effector is within 1 cm."""
        self._world.wait_until(lambda: np.linalg.norm(self.place - place) < 0.01, "the end of the chunk")

    def await_status(self, state, reason=""):
        """The next status of this kind."""
        return self._world.next_that(self.statuses, lambda m: (m.state, m.reason) == (state, reason))


@pytest.fixture
def servo(ros_world):
    """A Servo that runs."""
    use_test_messages()
    from fake_servo import FakeServo

    return ros_world.start(FakeServo)


@pytest.fixture
def move_group():
    """A planning scene that answers."""
    use_test_messages()
    from fake_validity import FakeValidity

    node = FakeValidity()
    yield node
    node.stop()
    node.destroy_node()


def through(backend):
    """A chunker whose commands go through Servo."""
    return chunker(f"backend:={backend}").args[1][0]


@pytest.mark.parametrize(
    "ros_world", [through(name) for name in ("servo_pose", "servo_twist", "servo_joint")], indirect=True
)
def test_a_chunk_through_servo_moves_the_arm_to_its_end(ros_world, servo):
    bench = Bench(ros_world)
    bench.await_status(ExecutionStatus.FOLLOWING)
    bench.await_place(bench.send(DOWN))
    assert servo.refused == 0


@chunker("backend:=servo_pose")
def test_without_servo_the_arm_is_held_and_chunks_are_refused(ros_world):
    use_test_messages()
    bench = Bench(ros_world)
    status = bench.await_status(ExecutionStatus.HOLDING, "servo_silent")
    assert "no status from /servo_node" in status.message
    bench.send(DOWN)
    status = ros_world.next_that(bench.statuses, lambda m: m.sequence == 1)
    assert (status.state, status.accepted) == (ExecutionStatus.HOLDING, False)


@chunker("backend:=servo_pose")
def test_a_halt_of_servo_holds_until_it_is_over_and_then_chunks_are_followed_again(ros_world, servo):
    bench = Bench(ros_world)
    bench.await_status(ExecutionStatus.FOLLOWING)
    servo.hindrance = 5
    status = bench.await_status(ExecutionStatus.HOLDING, "servo_halted")
    assert status.message == "/servo_node says 5 HALT_FOR_COLLISION: Collision detected, emergency stop."
    servo.hindrance = 0
    bench.await_status(ExecutionStatus.FOLLOWING)
    bench.await_place(bench.send(DOWN))


@chunker("planning_scene:=true", "planning_scene_timeout_s:=2.0")
def test_a_chunk_into_an_obstacle_is_rejected_whole(ros_world, move_group):
    bench = Bench(ros_world)
    bench.await_status(ExecutionStatus.FOLLOWING)
    begin = bench.place
    move_group.wall = np.arctan2(begin[1], begin[0]) + 0.1
    bench.send(LEFT)
    status = ros_world.next_that(bench.statuses, lambda m: m.reason == "collision")
    assert "wx250s/gripper_link touches wall" in status.message
    assert not status.accepted
    bench.await_place(bench.send(DOWN))
    assert abs(bench.place[1] - begin[1]) < 0.01
