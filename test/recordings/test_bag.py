"""A bag is read whatever its storage, split or compressed, in order of recording."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from bags import TOPICS, cdr, chunk, image, joint_states, request, robot, service_event, text, type_store, write_bag
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from mcap_ros2.writer import Writer as McapRos2Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer

from dvla_ros.recordings.bag import Bag

FRONT = "/front_camera/image_raw"
STORED = [
    (StoragePlugin.MCAP, CompressionMode.NONE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.NONE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
]


def contents(path, topics=None, **between):
    with Bag(path) as bag:
        found = [(m.topic, m.received_ns, m.data) for m in bag.messages(topics or bag.topics, **between)]
        assert bag.warnings == []
    return found


def written(messages):
    return [(topic, round(recorded * 1e9), cdr(message)) for topic, recorded, message in messages]


def mcap_file(path, messages, compression=CompressionType.ZSTD, **options):
    """An mcap file made by the `mcap` package."""
    with path.open("wb") as file:
        writer = McapWriter(file, compression=compression, **options)
        writer.start(profile="ros2", library="test")
        channels = {}
        for topic, recorded, message in messages:
            kind = message.__msgtype__
            if topic not in channels:
                definition, _ = type_store().generate_msgdef(kind, ros_version=2)
                schema = writer.register_schema(kind, "ros2msg", definition.encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            now = round(recorded * 1e9)
            writer.add_message(channels[topic], now, cdr(message), now)
        writer.finish()
    return path


@pytest.mark.parametrize(("storage", "compression"), STORED, ids=lambda value: value.name.lower())
def test_every_message_comes_out_as_it_went_in(tmp_path, storage, compression):
    messages = list(robot(compressed=("wrist",)))
    bag = write_bag(tmp_path / "bag", messages, storage, compression)
    assert contents(bag) == written(messages)


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda value: value.name.lower())
def test_a_storage_file_alone_is_a_bag_too(tmp_path, storage):
    messages = list(robot())
    bag = write_bag(tmp_path / "bag", messages, storage)
    (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    alone = tmp_path / f"alone{file.suffix}"
    shutil.copy(file, alone)
    assert contents(alone) == written(messages) == contents(bag / "metadata.yaml")


@pytest.mark.parametrize("compression", list(CompressionType), ids=lambda value: value.name.lower())
@pytest.mark.parametrize("chunking", [True, False], ids=["chunks", "no chunks"])
def test_files_of_the_mcap_package_are_read(tmp_path, compression, chunking):
    messages = list(robot())
    path = mcap_file(tmp_path / "a.mcap", messages, compression, use_chunking=chunking, chunk_size=1000)
    assert contents(path) == written(messages)


def test_files_of_mcap_ros2_support_are_read(tmp_path):
    path = tmp_path / "a.mcap"
    with path.open("wb") as file, McapRos2Writer(file) as writer:
        schema = writer.register_msgdef("std_msgs/msg/String", "string data")
        for index in range(3):
            writer.write_message("/instruction", schema, {"data": f"take {index}"}, log_time=10**9 + index)
    with Bag(path) as bag:
        assert [m.message.data for m in bag.messages(["/instruction"])] == ["take 0", "take 1", "take 2"]
        assert dict(bag.topics) == {"/instruction": "std_msgs/msg/String"} and bag.start == 1.0


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda value: value.name.lower())
def test_a_split_bag_is_read_in_order_of_time_whatever_the_files_are_called(tmp_path, storage):
    messages = list(robot(seconds=3.0))
    parts = [messages[120:], messages[:60], messages[50:120][10:]]
    bag = tmp_path / "bag"
    bag.mkdir()
    names = []
    for index, part in enumerate(parts):
        folder = write_bag(tmp_path / f"part{index}", part, storage)
        (file,) = (path for path in folder.iterdir() if path.suffix != ".yaml")
        names.append(file.name)
        shutil.copy(file, bag / file.name)
    metadata = yaml.safe_load((tmp_path / "part0" / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["relative_file_paths"] = names
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    assert contents(bag) == written(messages)


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda value: value.name.lower())
def test_messages_come_in_order_of_recording_however_they_were_written(tmp_path, storage):
    messages = list(robot())
    shuffled = [messages[index] for index in np.random.default_rng(0).permutation(len(messages))]
    found = contents(write_bag(tmp_path / "bag", shuffled, storage, CompressionMode.NONE))
    assert [time for _, time, _ in found] == sorted(time for _, time, _ in written(messages))
    assert sorted(found) == sorted(written(messages))


def test_chunks_that_overlap_in_time_are_merged(tmp_path):
    messages = sorted(robot(seconds=2.0), key=lambda message: message[0])
    path = mcap_file(tmp_path / "a.mcap", messages, chunk_size=500)
    found = contents(path)
    assert [time for _, time, _ in found] == sorted(time for _, time, _ in written(messages))
    assert sorted(found) == sorted(written(messages))


def test_only_the_topics_and_times_that_are_asked_for_are_read(tmp_path):
    messages = list(robot(seconds=2.0))
    path = mcap_file(tmp_path / "a.mcap", messages, chunk_size=500)
    found = contents(path, [TOPICS.joint_states, "/not/there"], start=5.5, end=5.7)
    wanted = [m for m in written(messages) if m[0] == TOPICS.joint_states and 5.5e9 <= m[1] <= 5.7e9]
    assert found == wanted and len(wanted) == 10


def test_fields_are_those_of_the_message(tmp_path):
    rows = np.arange(14).reshape(2, 7)
    said = [
        (TOPICS.action_chunk, 5.0, chunk(5.0, rows, sequence=3)),
        (TOPICS.inference_request, 5.1, request(5.1, "take it")),
        (TOPICS.joint_states, 5.2, joint_states(5.2)),
        (FRONT, 5.3, image(5.3, 7)),
    ]
    with Bag(write_bag(tmp_path / "bag", said)) as bag:
        sent, asked, joints, picture = (recorded.message for recorded in bag.messages(bag.topics))
        assert bag.start == 5.0 and bag.end == pytest.approx(5.3)
    assert sent.sequence == 3 and sent.data.tolist() == list(range(14)) and sent.header.stamp.sec == 5
    assert asked.instruction == "take it"
    assert joints.name[0] == "waist" and joints.position.shape == (9,)
    assert (picture.data == 7).all() and not picture.data.flags.writeable


def test_a_message_outlives_the_bag(tmp_path):
    with Bag(write_bag(tmp_path / "bag", robot())) as bag:
        kept = [recorded.message for recorded in bag.messages([FRONT])]
    assert len({message.data.tobytes() for message in kept}) == 10


def test_of_a_service_event_who_and_when_is_read(tmp_path):
    event = cdr(service_event(5.0, sequence=4, event=2)) + bytes(range(20))
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        definition = {"msgdef": "int8 nothing\n", "rihs01": "RIHS01_00"}
        connection = writer.add_connection(
            "/sim_node/reset/_service_event", "dvla_ros/srv/ResetEpisode_Event", **definition
        )
        writer.write(connection, 5 * 10**9, event)
    with Bag(tmp_path / "bag") as bag:
        (found,) = bag.messages(bag.topics)
        assert (found.message.event_type, found.message.sequence_number, found.message.stamp.sec) == (2, 4, 5)
        assert bag.warnings == []


def test_arrivals_are_the_times_alone(tmp_path):
    with Bag(write_bag(tmp_path / "bag", [("/a", 1.5, text("x")), ("/b", 2.5, text("y"))])) as bag:
        assert list(bag.arrivals(bag.topics)) == [("/a", 1.5), ("/b", 2.5)]


def test_two_readers_of_one_bag_do_not_disturb_each_other(tmp_path):
    path = mcap_file(tmp_path / "a.mcap", robot(), chunk_size=500)
    with Bag(path) as bag:
        pairs = list(zip(bag.messages(bag.topics), bag.messages(bag.topics), strict=True))
    assert len(pairs) == 70 and all(one.data == other.data for one, other in pairs)


def test_bags_are_read_without_ros_and_without_torch():
    modules = "bag", "episodes", "observations", "topics", "message_types"
    names = ", ".join(f"dvla_ros.recordings.{name}" for name in modules)
    code = f"import {names}, sys; sys.exit(any(name in sys.modules for name in ('rclpy', 'torch', 'cv_bridge')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
