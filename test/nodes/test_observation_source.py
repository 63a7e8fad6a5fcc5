"""Live topics over DDS become observations, the same ones as from a recording of them."""

import queue

import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image, JointState

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.control.widowx_streams import camera_topic, widowx_assembler
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.images import compress_image, encode_image
from dvla_ros.nodes.observation_source import ObservationSource
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.observations import observations
from dvla_ros.recordings.topics import RecordedTopics

CAMERAS = ("front", "wrist")
JOINT_TOPIC = "/wx250s/joint_states"
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)


class Robot:
    """Publishes a moving robot at times it is told."""

    def __init__(self, node, compressed=False, qos=RELIABLE):
        self._encode = compress_image if compressed else encode_image
        kind = CompressedImage if compressed else Image
        self.cameras = {name: node.create_publisher(kind, camera_topic(name, compressed), qos) for name in CAMERAS}
        self.joints = node.create_publisher(JointState, JOINT_TOPIC, qos)

    @property
    def publishers(self):
        return (*self.cameras.values(), self.joints)

    def show(self, camera, stamp, number):
        message = self._encode(picture(number))
        message.header.stamp = to_time(stamp)
        self.cameras[camera].publish(message)

    def move(self, stamp, waist):
        joints = np.array([*NEUTRAL, 0.0, FINGER_OPEN, -FINGER_OPEN])
        joints[0] = waist
        message = JointState(name=list(JOINT_STATE_ORDER), position=joints.tolist())
        message.header.stamp = to_time(stamp)
        self.joints.publish(message)

    def run(self, began, heard):
        """Half a second, as fast as `heard` says that a message was: cameras at 10 Hz, the wrist 17 ms behind."""
        for tick in range(26):
            stamp = began + tick * 0.02
            self.move(stamp, waist=tick * 0.01)
            heard()
            if tick % 5 == 0:
                self.show("front", stamp + 0.003, tick)
                heard()
                self.show("wrist", stamp - 0.017, 100 + tick)
                heard()


@pytest.fixture
def listen(ros_world):
    """Makes a source with its assembler on the probe; `arrivals` gets an entry per message."""

    def listen(robot, compressed=False, **alignment):
        assembler = widowx_assembler(CAMERAS, AlignmentConfig(**alignment))
        assembler.set_instruction("pick up the red cube")
        arrivals = queue.Queue()
        source = ObservationSource(
            ros_world.probe, assembler, CAMERAS, JOINT_TOPIC, compressed, lambda: arrivals.put(None)
        )
        ros_world.wait_until(lambda: all(p.get_subscription_count() for p in robot.publishers), "the subscriptions")
        return source, assembler, arrivals

    return listen


def seconds_now(ros_world):
    return ros_world.probe.get_clock().now().nanoseconds * 1e-9


def wait_for(arrivals, count):
    for _ in range(count):
        arrivals.get(timeout=10)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
@pytest.mark.parametrize("alignment", [{}, {"camera_latency_s": (0.05, 0.03), "joint_latency_s": 0.01}])
def test_a_bag_gives_what_the_live_topics_gave(ros_world, listen, tmp_path, storage, compressed, alignment):
    robot = Robot(ros_world.probe, compressed)
    recorded = record(ros_world, compressed)
    ros_world.wait_until(lambda: all(p.get_subscription_count() for p in robot.publishers), "the recorder")
    source, live, arrivals = listen(robot, compressed, **alignment)
    ros_world.wait_until(lambda: all(p.get_subscription_count() == 2 for p in robot.publishers), "both")
    began = seconds_now(ros_world) - 0.5
    messages = []
    robot.run(began, lambda: (arrivals.get(timeout=10), messages.append(recorded.get(timeout=10))))
    assert len(messages) == 26 + 6 + 6
    write_bag(tmp_path / "bag", storage, messages, began)

    assert live.covered is not None
    expected = live.observe(live.covered)
    with Bag(tmp_path / "bag") as bag:
        how = AlignmentConfig(**alignment)
        ((_, found),) = observations(bag, RecordedTopics(), how, [expected.stamp], "pick up the red cube")
    assert found.crc == expected.crc
    assert found.images.keys() == expected.images.keys() == set(CAMERAS)
    for camera in CAMERAS:
        np.testing.assert_array_equal(found.images[camera], expected.images[camera])
    np.testing.assert_array_equal(found.state, expected.state)
    source.destroy()


def record(ros_world, compressed):
    """Collects the very messages that cross DDS, with their topics."""
    messages = queue.Queue()
    kinds = {camera_topic(name, compressed): CompressedImage if compressed else Image for name in CAMERAS}
    for topic, kind in {**kinds, JOINT_TOPIC: JointState}.items():
        ros_world.probe.create_subscription(
            kind, topic, lambda message, topic=topic: messages.put((topic, message)), RELIABLE
        )
    return messages


def write_bag(folder, storage, messages, began):
    types = get_typestore(Stores.ROS2_JAZZY)
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connections = {}
        for index, (topic, message) in enumerate(messages):
            if topic not in connections:
                kind = f"sensor_msgs/msg/{type(message).__name__}"
                connections[topic] = writer.add_connection(topic, kind, typestore=types)
            time = round((began + 0.5) * 1e9) + index
            writer.write(connections[topic], time, serialize_message(message))


def test_best_effort_publishers_that_come_later_are_heard_after_adapting(ros_world):
    assembler = widowx_assembler(CAMERAS, AlignmentConfig())
    arrivals = queue.Queue()
    source = ObservationSource(ros_world.probe, assembler, CAMERAS, JOINT_TOPIC, False, lambda: arrivals.put(None))
    robot = Robot(ros_world.probe, qos=BEST_EFFORT)
    ros_world.wait_until(lambda: source.problem.count("another RELIABILITY") == 3, "three incompatible offers")
    assert sorted(source.adapt()) == sorted(
        f"{topic}: best effort now" for topic in ("/front_camera/image_raw", "/wrist_camera/image_raw", JOINT_TOPIC)
    )
    assert source.problem == "" and source.adapt() == []
    ros_world.wait_until(lambda: all(p.get_subscription_count() for p in robot.publishers), "the new subscriptions")
    robot.move(seconds_now(ros_world), waist=0.0)
    wait_for(arrivals, 1)
    assert source.numbers()["joint_states_received"] == 1


def test_messages_without_stamps_are_aligned_by_their_arrival(ros_world, listen):
    robot = Robot(ros_world.probe)
    _, assembler, arrivals = listen(robot, stamp_source="receive")
    for camera in CAMERAS:
        robot.show(camera, 0.0, 1)
    robot.move(0.0, waist=0.1)
    wait_for(arrivals, 3)
    observation = assembler.assemble(seconds_now(ros_world), 0.0)
    assert observation is not None
    assert 0.0 <= seconds_now(ros_world) - observation.stamp < 5.0


def test_numbers_name_every_stream(ros_world, listen):
    robot = Robot(ros_world.probe)
    source, assembler, arrivals = listen(robot)
    began = seconds_now(ros_world) - 0.5
    robot.run(began, lambda: arrivals.get(timeout=10))
    assert assembler.assemble(seconds_now(ros_world), 0.0) is not None
    numbers = source.numbers()
    assert numbers["front_received"] == numbers["wrist_received"] == 6
    assert numbers["front_rate_hz"] == pytest.approx(10.0, rel=1e-3)
    assert numbers["joint_states_rate_hz"] == pytest.approx(50.0, rel=1e-3)
    assert numbers["wrist_age_s"] > numbers["front_age_s"] > 0.0
    assert numbers["skew_s"] == pytest.approx(0.02, abs=1e-3)


def test_a_destroyed_source_hears_nothing(ros_world, listen):
    robot = Robot(ros_world.probe)
    source, assembler, _ = listen(robot)
    source.destroy()
    ros_world.wait_until(lambda: not any(p.get_subscription_count() for p in robot.publishers), "the end of it")
    assert assembler.statistics()["front"].received == 0
