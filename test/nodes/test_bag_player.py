"""A bag is played as if it happened now: in real time, in order, with stamps of now."""

import struct
import time

import pytest
from bags import TOPICS, cdr, image, joint_states, write_bag
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from dvla_ros.errors import NodeError
from dvla_ros.nodes.bag_player import INSTRUCTION, BagPlayer, Sentence, restamped
from dvla_ros.nodes.conversions import seconds
from dvla_ros.recordings.bag import Bag

IMAGE = "/front_camera/image_raw"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATE_S, PERIOD_S, COUNT = 0.02, 0.05, 20


@pytest.fixture
def bag(tmp_path):
    """Twenty joint states and images; an image is recorded 20 ms after its stamp."""
    messages = [(TOPICS.joint_states, 50.0 + PERIOD_S * i, joint_states(50.0 + PERIOD_S * i)) for i in range(COUNT)]
    messages += [(IMAGE, 50.0 + PERIOD_S * i + LATE_S, image(50.0 + PERIOD_S * i, i)) for i in range(COUNT)]
    with Bag(write_bag(tmp_path / "bag", sorted(messages, key=lambda message: message[1]))) as bag:
        yield bag


@pytest.fixture
def heard(ros_world):
    topics = {IMAGE: (Image, 100), TOPICS.joint_states: (JointState, 100), INSTRUCTION: (String, LATCHED)}
    return {topic: ros_world.probe.collect(kind, topic, qos) for topic, (kind, qos) in topics.items()}


@pytest.fixture
def player(ros_world, bag):
    return BagPlayer(ros_world.probe, bag, [IMAGE, TOPICS.joint_states], [Sentence(int(50e9), "pick it up")])


def fine():
    return None


def everything(messages, count):
    return [messages.get(timeout=10) for _ in range(count)]


def test_streams_are_played_in_real_time_with_stamps_of_now(player, heard):
    player.wait_for_listeners(10.0, fine)
    began = time.time()
    playback = player.play(0.0, fine)
    assert playback.played == {IMAGE: COUNT, TOPICS.joint_states: COUNT, INSTRUCTION: 1}
    assert playback.seconds == pytest.approx(PERIOD_S * (COUNT - 1) + LATE_S)
    assert time.time() - began > playback.seconds
    images, joints = everything(heard[IMAGE], COUNT), everything(heard[TOPICS.joint_states], COUNT)
    assert [bytes(message.data)[0] for message in images] == list(range(COUNT))
    stamps = [seconds(message.header.stamp) for message in joints]
    assert stamps == pytest.approx([seconds(message.header.stamp) for message in images], abs=1e-6)
    assert [stamp - stamps[0] for stamp in stamps] == pytest.approx([PERIOD_S * i for i in range(COUNT)], abs=1e-6)
    assert began < stamps[0] < began + 1.0
    assert heard[INSTRUCTION].get(timeout=10).data == "pick it up"


def test_a_part_can_be_played(player, heard):
    assert player.play(0.3, fine).played[TOPICS.joint_states] == 7


def test_nobody_who_listens_is_an_error_that_names_the_topic(player):
    with pytest.raises(NodeError, match=f"Nobody listens to {IMAGE}, {TOPICS.joint_states}, {INSTRUCTION}"):
        player.wait_for_listeners(0.1, fine)


def test_a_check_that_fails_stops_the_player_while_its_reader_waits(player):
    def check():
        raise NodeError("policy_node ended")

    player._sentences = tuple(Sentence(int((50.0 + 0.01 * i) * 1e9), str(i)) for i in range(300))
    with pytest.raises(NodeError, match="policy_node ended"):
        player.play(0.0, check)


@pytest.mark.parametrize("order", "<>")
def test_only_the_stamp_changes_whatever_the_order_of_bytes(order):
    encapsulation = b"\0\1\0\0" if order == "<" else b"\0\0\0\0"
    data = encapsulation + struct.pack(f"{order}iI", 7, 900_000_000) + b"the rest"
    moved = restamped(data, 2_200_000_000)
    assert moved == encapsulation + struct.pack(f"{order}iI", 10, 100_000_000) + b"the rest"
    assert restamped(moved, -2_200_000_000) == data


def test_a_stamp_that_was_never_set_stays_so():
    unset = cdr(joint_states(0.0))
    assert restamped(unset, 5) == unset
