"""Bags that are written stay readable: by us when the process is killed, by everybody when they are closed."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from bags import cdr, image, joint_states, text
from rosbags.rosbag2 import Reader

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.bag_writer import BagWriter

S = 1_000_000_000
STORAGES = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from bags import cdr, image, text
from dvla_ros.recordings import bag_writer
bag_writer.FLUSH_S = 0.05
from dvla_ros.recordings.bag_writer import BagWriter
writer = BagWriter(Path(sys.argv[1]), sys.argv[2])
picture, count = cdr(image(1.0, 7)), 0
while True:
    writer.write("/front_camera/image_raw", "sensor_msgs/msg/Image", time.time_ns(), picture)
    writer.write("/instruction", "std_msgs/msg/String", time.time_ns(), cdr(text(str(count))))
    count += 1
    if count == 100:
        print(time.time_ns(), flush=True)
    time.sleep(0.005)
"""


@STORAGES
def test_a_closed_bag_is_read_by_everybody(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage) as writer:
        for i in range(40):
            writer.write("/instruction", "std_msgs/msg/String", i * S, cdr(text(f"sentence {i}")), latched=True)
            writer.write("/wx250s/joint_states", "sensor_msgs/msg/JointState", i * S + 5, cdr(joint_states(i)))
            writer.flush()
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 80 and (reader.start_time, reader.end_time) == (0, 39 * S + 6)
        assert [time for _, time, _ in reader.messages()][:4] == [0, 5, S, S + 5]
        offered = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert offered == {"/instruction": "TRANSIENT_LOCAL", "/wx250s/joint_states": "VOLATILE"}
    with Bag(tmp_path / "bag") as bag:
        said = [message.message.data for message in bag.messages(["/instruction"])]
    assert said == [f"sentence {i}" for i in range(40)] and bag.warnings == []


@STORAGES
def test_a_killed_writer_leaves_all_but_the_last_moments(tmp_path, storage):
    support = os.path.dirname(sys.modules["bags"].__file__)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "bag"), storage, support]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    early_enough = int(writer.stdout.readline()) - S // 2
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with Bag(tmp_path / "bag") as bag:
        said = [message for message in bag.messages(["/instruction"])]
        assert [message.message.data for message in said] == [str(i) for i in range(len(said))]
        assert said[-1].received_ns > early_enough and len(said) > 10
        assert sum(1 for _ in bag.messages(["/front_camera/image_raw"])) >= len(said) - 1
        assert any("metadata.yaml" in warning for warning in bag.warnings)


def test_an_unknown_type_is_named_and_the_rest_is_written(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        with pytest.raises(RecordingError, match=r"/strange cannot be recorded: its type strange_msgs/msg/Odd is not"):
            writer.write("/strange", "strange_msgs/msg/Odd", S, b"\0\1\0\0")
        writer.write("/instruction", "std_msgs/msg/String", S, cdr(text("go on")))
    assert (writer.messages, writer.bytes) == ({"/instruction": 1}, len(cdr(text("go on"))))
    with Bag(tmp_path / "bag") as bag:
        assert bag.topics == {"/instruction": "std_msgs/msg/String"}


def test_nothing_is_overwritten_and_a_closed_bag_stays_closed(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        pass
    with pytest.raises(RecordingError, match="exists already"):
        BagWriter(tmp_path / "bag")
    with pytest.raises(RecordingError, match="is closed"):
        writer.write("/instruction", "std_msgs/msg/String", S, cdr(text("late")))
    with pytest.raises(RecordingError, match="storage must be one of mcap, sqlite3, got 'rosbag1'"):
        BagWriter(tmp_path / "other", "rosbag1")


def test_large_images_and_flushes_mix_and_smooth_images_take_little_room(tmp_path):
    """A chunk that is full just before it is flushed leaves none that is empty."""
    big = cdr(image(1.0, np.zeros((480, 640, 3), np.uint8)))
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(6):
            writer.write("/front_camera/image_raw", "sensor_msgs/msg/Image", i * S, big)
            writer.flush()
            writer.flush()
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size < len(big)
    with Reader(tmp_path / "bag") as reader:
        assert [time // S for _, time, data in reader.messages() if data == big] == list(range(6))
