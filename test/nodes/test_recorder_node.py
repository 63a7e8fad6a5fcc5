"""The recorder: what is published is in the bag, byte for byte, and what happened last is kept."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.recorder_node import RecorderNode
from dvla_ros.recordings.bag import Bag

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
IMAGE, JOINTS, INSTRUCTION = "/front_camera/image_raw", "/wx250s/joint_states", "/instruction"
STATUS = "/chunker_node/execution_status"
TIMEOUT_S = 30.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "bag"


@pytest.fixture
def record(ros_world, folder):
    """Starts the recorder; tests share a process with it, so it must not give way."""
    return lambda **parameters: ros_world.start(
        lambda: RecorderNode({"folder": str(folder), "nice": 0, "min_free_mb": 0.0, **parameters})
    )


def picture(i):
    header = Header(stamp=to_time(100.0 + i))
    return Image(header=header, height=48, width=64, encoding="rgb8", step=192, data=bytes([i]) * (48 * 192))


def diagnosed(ros_world, wanted):
    """The first diagnostics of the recorder that are as wanted: level, message and values."""
    messages = ros_world.probe.collect(DiagnosticArray, "/diagnostics")

    def read(message):
        status = message.status[0]
        return status.level, status.message, {value.key: value.value for value in status.values}

    return read(ros_world.next_that(messages, lambda m: m.status[0].name == "recorder_node" and wanted(*read(m))))


def holds(**counts):
    """Whether so many messages of some topics are written."""
    topics = {"images": IMAGE, "joints": JOINTS, "instructions": INSTRUCTION}
    wanted = {f"written_{topics[name]}": str(count) for name, count in counts.items()}
    return lambda level, message, values: wanted.items() <= values.items()


def data_of(bag, topic):
    return [message.data for message in bag.messages([topic])]


def test_every_message_is_in_the_bag_as_it_was_published(ros_world, record, folder):
    said = ros_world.probe.create_publisher(String, INSTRUCTION, LATCHED)
    said.publish(String(data="pick up the red cube"))  # before anybody records
    recorder = record()
    images = ros_world.probe.connect(Image, IMAGE, RELIABLE)
    joints = ros_world.probe.connect(JointState, JOINTS, BEST_EFFORT)
    pictures, state = [picture(i) for i in range(10)], JointState(name=["waist"], position=[0.5])
    before = time.time()
    for one in pictures:
        images.publish(one)
        joints.publish(state)
    _, message, values = diagnosed(ros_world, holds(images=10, joints=10, instructions=1))
    assert message == f"recording into {folder}" and values["dropped"] == values["lost"] == "0"
    recorder.stop()
    with Bag(folder) as bag:
        assert [deserialize_message(data, Image) for data in data_of(bag, IMAGE)] == pictures
        assert [m.message.data for m in bag.messages([INSTRUCTION])] == ["pick up the red cube"]
        times = [m.received for m in bag.messages([JOINTS])]
        assert len(times) == 10 and all(before - 0.01 < t < time.time() for t in times)
        assert bag.warnings == []


def test_a_topic_of_another_robot_and_the_other_transport_are_left_out(ros_world, record, folder):
    recorder = record()
    left = ros_world.probe.connect(JointState, JOINTS, RELIABLE)
    ros_world.probe.create_publisher(JointState, "/other/joint_states", RELIABLE).publish(JointState())
    ros_world.probe.create_publisher(Image, "/front_camera/image_raw/compressed", RELIABLE).publish(picture(1))
    left.publish(JointState(name=["waist"]))
    diagnosed(ros_world, holds(joints=1))
    recorder.stop()
    with Bag(folder) as bag:
        assert set(bag.topics) == {JOINTS, "/diagnostics"}


def test_what_does_not_fit_into_the_queue_is_named(ros_world, record):
    record(queue_mb=0.001)
    images = ros_world.probe.connect(Image, IMAGE, RELIABLE)
    images.publish(picture(1))
    level, message, values = diagnosed(ros_world, lambda level, message, values: values["dropped"] != "0")
    assert level == b"\x01" and message == f"1 of {IMAGE} dropped, the disk is too slow"
    assert values[f"dropped_{IMAGE}"] == "1"


def test_a_service_writes_the_last_seconds_with_what_was_said_long_before(ros_world, record, folder):
    said = ros_world.probe.create_publisher(String, INSTRUCTION, LATCHED)
    said.publish(String(data="pick up the red cube"))
    record(keep_s=0.5, after_s=0.2)
    joints = ros_world.probe.connect(JointState, JOINTS, RELIABLE)
    for i in range(15):
        joints.publish(JointState(name=["waist"], position=[float(i)]))
        time.sleep(0.05)  # what is kept is a matter of time
    bags = []
    for _ in range(2):
        answer = ros_world.probe.call(Trigger, "/recorder_node/save", Trigger.Request())
        assert answer.success and Path(answer.message).parent == folder
        bags.append(Path(answer.message))
    assert bags[0].name.startswith("wx250s_20") and bags[0] != bags[1]
    joints.publish(JointState(name=["waist"], position=[99.0]))
    ros_world.wait_until(lambda: all((bag / "metadata.yaml").exists() for bag in bags), "both bags")
    for path in bags:
        with Bag(path) as bag:
            assert [m.message.data for m in bag.messages([INSTRUCTION])] == ["pick up the red cube"]
            kept = [float(m.message.position[0]) for m in bag.messages([JOINTS])]
            assert kept[-2:] == [14.0, 99.0] and 0.0 not in kept


def test_a_fault_writes_the_last_seconds_once(ros_world, record, folder):
    record(keep_s=5.0, after_s=0.0)
    status = ros_world.probe.connect(ExecutionStatus, STATUS, RELIABLE)
    for state in ("following", "fault", "fault", "following"):
        status.publish(ExecutionStatus(state=state, reason="estop" if state == "fault" else ""))
    ros_world.wait_until(lambda: list(folder.glob("*/metadata.yaml")), "the bag")
    (bag,) = folder.iterdir()
    assert bag.name.endswith("_fault_estop")


def test_there_is_nothing_to_save_while_everything_is_recorded(ros_world, record, folder):
    record()
    answer = ros_world.probe.call(Trigger, "/recorder_node/save", Trigger.Request())
    assert not answer.success and answer.message == f"Everything is being recorded in {folder} already."


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"folder": " "}, "folder is empty"),
        ({"storage": "rosbag1"}, "storage must be one of mcap, sqlite3, got 'rosbag1'"),
        ({"queue_mb": 0.0}, "queue_mb must be positive"),
        ({"keep_s": -1.0}, "keep_s must be 0 or more"),
        ({"nice": 20}, r"nice must be 0\.\.19, got 20"),
    ],
)
def test_what_does_not_fit_is_named(record, parameters, words):
    with pytest.raises(ConfigurationError, match=words):
        record(**parameters)


def test_a_killed_recorder_leaves_a_bag_up_to_the_last_seconds(ros_world, folder):
    words = ["--ros-args", "-p", f"folder:={json.dumps(str(folder))}"]
    command = [sys.executable, "-m", "dvla_ros.nodes.recorder_node", *words, "-p", "min_free_mb:=0.0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        images = ros_world.probe.create_publisher(Image, IMAGE, RELIABLE)
        joints = ros_world.probe.create_publisher(JointState, JOINTS, RELIABLE)
        listening = lambda: images.get_subscription_count() and joints.get_subscription_count()  # noqa: E731
        wait_long(listening)
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            images.publish(picture(1))
            joints.publish(JointState(name=["waist"], position=[0.5]))
            time.sleep(0.02)
        killed = time.time()
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    with Bag(folder) as bag:
        for topic in (IMAGE, JOINTS):
            times = [message.received for message in bag.messages([topic])]
            assert killed - times[-1] < 2.0 and len(times) > 10
            assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 0.5


def wait_long(condition):
    """Poll a condition that needs a process to start."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
