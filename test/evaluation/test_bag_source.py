"""Recordings feed an assembler without ROS, and what is wrong with a bag is named."""

import subprocess
import sys

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.control.widowx_streams import widowx_assembler
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.evaluation.bag_source import BagSource

TYPES = get_typestore(Stores.ROS2_JAZZY)
JOINT_TOPIC = "/wx250s/joint_states"
FRONT = "/front_camera/image_raw"


def header(seconds):
    stamp = TYPES.types["builtin_interfaces/msg/Time"](sec=int(seconds), nanosec=round(seconds % 1.0 * 1e9))
    return TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id="")


def image(seconds, value):
    data = np.full(4 * 6 * 3, value, np.uint8)
    kind = TYPES.types["sensor_msgs/msg/Image"]
    return kind(header(seconds), height=4, width=6, encoding="bgr8", is_bigendian=0, step=18, data=data)


def joints(seconds, waist):
    position = np.array([*NEUTRAL, 0.0, FINGER_OPEN, -FINGER_OPEN])
    position[0] = waist
    none = np.empty(0)
    kind = TYPES.types["sensor_msgs/msg/JointState"]
    return kind(header(seconds), name=list(JOINT_STATE_ORDER), position=position, velocity=none, effort=none)


def write(folder, messages, storage=StoragePlugin.MCAP):
    """A bag of (topic, time of recording, message), written in this order."""
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, recorded, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            writer.write(connections[topic], round(recorded * 1e9), TYPES.serialize_cdr(message, kind))
    return folder


def episode():
    """A second: the camera at 10 Hz, joints at 50 Hz, all recorded 5 ms after their stamps."""
    for tick in range(50):
        stamp = 5.0 + tick * 0.02
        yield JOINT_TOPIC, stamp + 0.005, joints(stamp, waist=tick * 0.02)
        if tick % 5 == 0:
            yield FRONT, stamp + 0.005, image(stamp, tick)


def assembler():
    result = widowx_assembler(("front",), AlignmentConfig())
    result.set_instruction("pick up the red cube")
    return result


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_an_observation_can_be_had_after_every_picture(tmp_path, storage):
    bag = write(tmp_path / "bag", episode(), storage)
    target = assembler()
    stamps = []
    with BagSource(bag, target, ("front",), JOINT_TOPIC, False) as source:
        for now in source.play():
            observation = target.assemble(now, stamps[-1] + 1e-6 if stamps else 0.0)
            if observation is not None:
                stamps.append(observation.stamp)
                assert (observation.images["front"] == round((observation.stamp - 5.0) / 0.02)).all()
    assert stamps == pytest.approx([5.0 + 0.1 * index for index in range(10)])


def test_messages_come_in_the_order_of_their_recording(tmp_path):
    shuffled = [list(episode())[index] for index in np.random.default_rng(0).permutation(60)]
    bag = write(tmp_path / "bag", shuffled)
    with BagSource(bag, assembler(), ("front",), JOINT_TOPIC, False) as source:
        times = list(source.play())
    assert times == sorted(times) and len(times) == 60


def test_other_topics_are_passed_over(tmp_path):
    bag = write(tmp_path / "bag", [*episode(), ("/side_camera/image_raw", 5.5, image(5.5, 1))])
    with BagSource(bag, assembler(), ("front",), JOINT_TOPIC, False) as source:
        assert len(list(source.play())) == 60


def test_a_missing_topic_is_named_with_those_there_are(tmp_path):
    bag = write(tmp_path / "bag", episode())
    with pytest.raises(ConfigurationError, match=f"no topic /wrist_camera/image_raw; it has {FRONT}, {JOINT_TOPIC}"):
        BagSource(bag, widowx_assembler(("wrist",), AlignmentConfig()), ("wrist",), JOINT_TOPIC, False)


def test_a_topic_of_another_type_is_named(tmp_path):
    bag = write(tmp_path / "bag", [(FRONT, 5.0, image(5.0, 1)), (JOINT_TOPIC, 5.0, image(5.0, 1))])
    with pytest.raises(ConfigurationError, match="is sensor_msgs/msg/Image, needed is sensor_msgs/msg/JointState"):
        BagSource(bag, assembler(), ("front",), JOINT_TOPIC, False)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_bag_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=f"{name} is no bag that can be read"):
        BagSource(tmp_path / name, assembler(), ("front",), JOINT_TOPIC, False)


def test_a_message_cut_short_is_named(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in ((FRONT, image(5.0, 1)), (JOINT_TOPIC, joints(5.0, 0.0))):
            connection = writer.add_connection(topic, message.__msgtype__, typestore=TYPES)
            writer.write(connection, 1, bytes(TYPES.serialize_cdr(message, message.__msgtype__))[:30])
    with (
        BagSource(tmp_path / "bag", assembler(), ("front",), JOINT_TOPIC, False) as source,
        pytest.raises(ObservationError, match=f"recorded message of {FRONT} cannot be read"),
    ):
        list(source.play())


def test_bags_are_read_without_ros():
    code = "import dvla_ros.evaluation.bag_source, sys; sys.exit('rclpy' in sys.modules or 'cv_bridge' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("surplus", [bytes(8), b"never written", bytes(range(16))])
def test_bytes_after_a_message_are_passed_over(tmp_path, surplus):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for index, (topic, message) in enumerate(((FRONT, image(5.0, 0)), (JOINT_TOPIC, joints(5.0, 0.0)))):
            connection = writer.add_connection(topic, message.__msgtype__, typestore=TYPES)
            data = bytes(TYPES.serialize_cdr(message, message.__msgtype__))
            writer.write(connection, 5_000_000_000 + index, data + surplus)
    target = assembler()
    with BagSource(tmp_path / "bag", target, ("front",), JOINT_TOPIC, False) as source:
        assert len(list(source.play())) == 2
    observation = target.assemble(5.0, 0.0)
    assert observation is not None and (observation.images["front"] == 0).all()
