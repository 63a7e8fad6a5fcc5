"""What a recording holds: every topic that reading it needs, and one transport of each camera."""

import re
import subprocess
import sys

import pytest

from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.recordings.recorder_topics import recorder_topics
from dvla_ros.recordings.topics import RecordedTopics

WANTED = [
    "/policy_node/action_chunk",
    "/policy_node/inference_request",
    "/policy_node/policy_info",
    "/policy_node/imagined_image/front",
    "/chunker_node/execution_status",
    "/chunker_node/shadow/left/arm_controller/joint_trajectory",
    "/left/joint_states",
    "/left/gripper_controller/joint_trajectory",
    "/left/commands/joint_group",
    "/top_camera/camera_info",
    "/instruction",
    "/diagnostics",
    "/more",
]
OTHERS = ["/right/joint_states", "/rosout", "/front_camera/image_raw", "/instruction/else", "/policy_node/imagined"]


@pytest.mark.parametrize("compressed", [False, True])
def test_each_camera_is_recorded_in_the_transport_of_the_policy(compressed):
    topics = recorder_topics("left", ["top"], compressed)
    assert camera_topic("top", compressed) in topics
    assert camera_topic("top", not compressed) not in topics


def test_the_pattern_means_the_same_topics():
    topics = recorder_topics("left", ["top"], False, ["/more"])
    pattern = re.compile(topics.pattern)
    for topic in [*WANTED, camera_topic("top", False), *topics.names]:
        assert topic in topics and pattern.search(topic), topic
    for topic in [*OTHERS, camera_topic("top", True)]:
        assert topic not in topics and not pattern.search(topic), topic


def test_the_pattern_is_one_for_rosbag2_which_is_written_in_another_language():
    pattern = recorder_topics("left", ["top"], False).pattern
    lines = "\n".join(WANTED + OTHERS)
    found = subprocess.run(["grep", "-E", pattern], check=True, input=lines, capture_output=True, text=True).stdout
    assert found.split() == [topic for topic in WANTED if topic != "/more"]


def test_launch_files_can_read_it_without_the_packages_of_the_nodes():
    program = "import sys, dvla_ros.nodes.node_table; print({'numpy', 'cv2', 'rclpy', 'rosbags'} & set(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert imported.strip() == "set()"


def test_everything_that_is_read_is_recorded():
    recorded, read = recorder_topics("left", ["top", "wrist"], False), RecordedTopics("left", ("top", "wrist"))
    names = [getattr(read, name) for name in dir(read) if not name.startswith("_")]
    assert [name for name in names if isinstance(name, str) and name.startswith("/") and name not in recorded] == []
