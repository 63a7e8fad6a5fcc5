"""What is wrong with a bag is said in words, and the rest of it is read."""

import sqlite3

import pytest
import yaml
from bags import TOPICS, cdr, chunk, joint_states, robot, text, type_store, write_bag
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from mcap_ros2.writer import Writer as McapRos2Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag import Bag

STORAGES = pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda value: value.name.lower())
TEXT = "std_msgs/msg/String"


def read(path, topics=None):
    """Times of recording in ns, and the warnings."""
    with Bag(path) as bag:
        times = [recorded.received_ns for recorded in bag.messages(topics or bag.topics)]
        return times, bag.warnings


def storage_file(bag):
    (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    return file


def words(path, compression=CompressionType.NONE, count=40, chunk_size=1000):
    """An mcap file of `count` messages of 100 bytes, about seven in a chunk; by `mcap-ros2-support`."""
    with path.open("wb") as file, McapRos2Writer(file, chunk_size=chunk_size, compression=compression) as writer:
        schema = writer.register_msgdef(TEXT, "string data")
        for index in range(count):
            # Not to be compressed to nothing.
            data = {"data": "".join(chr(33 + (index * 37 + place * place * 11) % 90) for place in range(90))}
            writer.write_message("/words", schema, data, log_time=index + 1)
    return path


@pytest.mark.parametrize("compression", list(CompressionType), ids=lambda value: value.name.lower())
def test_of_a_file_that_was_cut_off_everything_before_is_kept(tmp_path, compression):
    path = words(tmp_path / "a.mcap", compression)
    whole, end = path.read_bytes(), 0
    for length in range(len(whole) - 40, 300, -97):
        path.write_bytes(whole[:length])
        try:
            times, warnings = read(path)
        except RecordingError:
            times, warnings = [], []
        assert times == list(range(1, len(times) + 1))
        end = max(end, len(times))
        if warnings and "cut off" in warnings[0]:
            assert "a.mcap: it is cut off at byte" in warnings[0] and f"of {length}" in warnings[0]
    assert end == 40


def test_a_file_cut_in_the_middle_of_a_chunk_keeps_the_chunks_before_and_the_messages_before_the_cut(tmp_path):
    path = words(tmp_path / "a.mcap")
    whole = path.read_bytes()
    twentieth = whole.index(cdr(type_store().types[TEXT](data=text_of(19))))
    path.write_bytes(whole[: twentieth + 50])
    times, warnings = read(path)
    assert times == list(range(1, 20))
    assert len(warnings) == 1 and "it is cut off at byte" in warnings[0]


def text_of(index):
    return "".join(chr(33 + (index * 37 + place * place * 11) % 90) for place in range(90))


def test_a_bag_of_rosbags_that_lost_its_end_keeps_what_was_written(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(seconds=2.0), StoragePlugin.MCAP, CompressionMode.STORAGE)
    file = storage_file(bag)
    (bag / "metadata.yaml").unlink()
    plain = write_bag(tmp_path / "plain", robot(seconds=2.0))
    cut = storage_file(plain)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    times, warnings = read(plain)
    assert 40 < len(times) < 100 and "cut off" in warnings[0]
    file.write_bytes(file.read_bytes()[:-60])
    times, warnings = read(bag)
    assert len(times) == 140
    assert any("metadata.yaml is missing" in warning for warning in warnings)


def test_a_damaged_chunk_is_left_out_and_the_others_are_read(tmp_path):
    path = words(tmp_path / "a.mcap")
    data = bytearray(path.read_bytes())
    place = data.index(text_of(20).encode())
    data[place + 10] ^= 0xFF
    path.write_bytes(data)
    times, warnings = read(path)
    assert 21 not in times and 30 <= len(times) < 40 and times == sorted(times)
    assert len(warnings) == 1 and "is left out: its checksum is wrong" in warnings[0]


def test_a_damaged_chunk_of_a_file_without_index_is_left_out_too(tmp_path):
    path = words(tmp_path / "a.mcap")
    data = bytearray(path.read_bytes())
    data[data.index(text_of(20).encode()) + 10] ^= 0xFF
    path.write_bytes(data[:-60])
    times, warnings = read(path)
    assert 21 not in times and 30 <= len(times) < 40
    assert "1 damaged chunk left out" in warnings[0]


@STORAGES
def test_without_metadata_the_storage_files_are_read(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", robot(), storage)
    (bag / "metadata.yaml").unlink()
    times, warnings = read(bag)
    assert len(times) == 70
    assert warnings == ["metadata.yaml is missing, the recorder may have been killed; its 1 storage files are read."]


@pytest.mark.parametrize("content", ["", "{", "a: 1", "\x00"], ids=["empty", "torn", "other", "no text"])
def test_metadata_that_cannot_be_read_is_passed_over(tmp_path, content):
    bag = write_bag(tmp_path / "bag", robot())
    (bag / "metadata.yaml").write_text(content)
    times, warnings = read(bag)
    assert len(times) == 70 and warnings == ["metadata.yaml cannot be read; the 1 storage files beside it are."]


def test_a_file_that_metadata_names_and_is_not_there_is_named(tmp_path):
    bag = write_bag(tmp_path / "bag", robot())
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["relative_file_paths"].append("bag_1.mcap")
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    times, warnings = read(bag)
    assert len(times) == 70 and "bag_1.mcap is missing" in warnings[0]


def test_a_split_file_that_cannot_be_read_does_not_take_the_others_with_it(tmp_path):
    bag = write_bag(tmp_path / "bag", robot())
    (bag / "bag_1.mcap").touch()
    (bag / "bag_2.mcap").write_bytes(b"something else" * 10)
    times, warnings = read(bag)
    assert len(times) == 70
    assert warnings == [
        "bag_1.mcap cannot be read: it is empty.",
        "bag_2.mcap cannot be read: it is neither an mcap nor an sqlite3 file.",
    ]


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "empty file", "text", "sqlite without tables"])
def test_what_is_no_bag_is_named(tmp_path, kind):
    path = tmp_path / "bag.mcap"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "empty file":
        path.touch()
    elif kind == "text":
        path.write_text("not a bag at all")
    elif kind.startswith("sqlite"):
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE other (id INTEGER)")
    with pytest.raises(RecordingError, match="bag.mcap is no bag that can be read: "):
        Bag(path)


@STORAGES
def test_an_empty_bag_is_said_to_be_empty(tmp_path, storage):
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        writer.add_connection("/words", TEXT, typestore=type_store())
    with Bag(tmp_path / "bag") as bag:
        assert list(bag.messages(bag.topics)) == []
        assert (bag.start, bag.end) == (0.0, 0.0)
        assert bag.warnings == ["The bag is empty: no message was recorded."]


def test_an_empty_bag_without_any_topic_is_said_to_be_empty(tmp_path):
    path = tmp_path / "a.mcap"
    with path.open("wb") as file, McapRos2Writer(file):
        pass
    times, warnings = read(path)
    assert times == [] and warnings == ["The bag is empty: no message was recorded."]


def test_an_unknown_type_without_definition_is_left_out_and_named(tmp_path):
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros2", library="")
        for topic, kind, encoding, definition in (
            ("/words", TEXT, "ros2msg", "string data"),
            ("/secret", "lab_msgs/msg/Secret", "", ""),
            ("/torn", "lab_msgs/msg/Torn", "ros2msg", "this is = = no definition ]["),
            ("/json", "lab_msgs/msg/Json", "jsonschema", "{}"),
        ):
            schema = writer.register_schema(kind, encoding, definition.encode())
            cdr_or_json = "json" if topic == "/json" else "cdr"
            writer.add_message(writer.register_channel(topic, cdr_or_json, schema), 1, cdr(text("hello")), 1)
        writer.finish()
    with Bag(path) as bag:
        assert list(bag.topics) == ["/words"] and len(list(bag.messages(["/words", "/secret"]))) == 1
        warnings = sorted(bag.warnings)
    assert warnings[0] == "/json is left out: it is serialised as 'json', not as cdr."
    assert warnings[1] == "/secret is left out: its type is not known here, and the bag holds no definition of it."
    assert warnings[2].startswith("/torn is left out: its definition in the bag cannot be read")


@STORAGES
def test_a_message_cut_short_is_left_out_and_counted(tmp_path, storage):
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        words = writer.add_connection("/words", TEXT, typestore=type_store())
        joints = writer.add_connection(TOPICS.joint_states, "sensor_msgs/msg/JointState", typestore=type_store())
        for index, cut in enumerate((0, 1, 3, 8)):
            data = cdr(text("pick up the cube"))
            writer.write(words, 10**9 + index, data[: len(data) - cut])
            data = cdr(joint_states(5.0))
            writer.write(joints, 10**9 + index, data[: len(data) - 40 * cut])
    with Bag(tmp_path / "bag") as bag:
        found = list(bag.messages(bag.topics))
        warnings = bag.warnings
    assert sorted(recorded.topic for recorded in found) == ["/words", "/wx250s/joint_states"]
    assert len(warnings) == 2 and all("3 messages are left out, the last one 0.000 s after" in w for w in warnings)


def test_warnings_of_broken_messages_are_counted_anew_when_a_bag_is_read_again(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        words = writer.add_connection("/words", TEXT, typestore=type_store())
        writer.write(words, 1, b"\x00\x01\x00\x00\xff")
    with Bag(tmp_path / "bag") as bag:
        assert [list(bag.messages(bag.topics)) for _ in range(3)] == [[], [], []]
        assert len(bag.warnings) == 1 and "1 message is left out" in bag.warnings[0]


@pytest.mark.parametrize("surplus", [bytes(8), b"never written", bytes(range(16))])
def test_bytes_after_a_message_are_passed_over(tmp_path, surplus):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        joints = writer.add_connection(TOPICS.joint_states, "sensor_msgs/msg/JointState", typestore=type_store())
        writer.write(joints, 1, cdr(joint_states(5.0)) + surplus)
    with Bag(tmp_path / "bag") as bag:
        (found,) = bag.messages(bag.topics)
        assert len(found.message.position) == 9 and bag.warnings == []


def test_a_topic_with_two_types_is_read_as_the_first(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for index, message in enumerate((text("hello"), joint_states(5.0))):
            connection = writer.add_connection("/mixed", message.__msgtype__, typestore=type_store())
            writer.write(connection, index + 1, cdr(message))
    with Bag(tmp_path / "bag") as bag:
        assert [recorded.message.data for recorded in bag.messages(bag.topics)] == ["hello"]
        assert "two types" in bag.warnings[0]


def test_a_type_that_was_recorded_without_a_field_is_left_out_and_the_field_named(tmp_path):
    definition, _ = type_store().generate_msgdef("dvla_ros/msg/ActionChunk", ros_version=2)
    old = definition.replace("uint16 nfe\n", "", 1)
    assert old != definition
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "dvla_ros/msg/ActionChunk"
        connection = writer.add_connection(TOPICS.action_chunk, kind, msgdef=old, rihs01="RIHS01_00")
        writer.write(connection, 1, cdr(chunk(5.0, [[0] * 7])))
    with Bag(tmp_path / "bag") as bag:
        assert dict(bag.topics) == {}
        assert bag.warnings == [
            "/policy_node/action_chunk is left out: it was recorded with another definition, without nfe."
        ]


def test_a_database_that_breaks_off_keeps_what_can_be_read(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(seconds=20.0), StoragePlugin.SQLITE3)
    file = storage_file(bag)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8 * 4096] = b"\xff" * (8 * 4096)
    file.write_bytes(data)
    times, warnings = read(bag)
    assert 0 < len(times) < 1400 and times == sorted(times)
    assert any("it is damaged" in warning for warning in warnings)


def test_a_recorder_that_was_killed_leaves_a_readable_database(tmp_path):
    bag = tmp_path / "bag.db3"
    source = storage_file(write_bag(tmp_path / "bag", robot(), StoragePlugin.SQLITE3))
    # What SQLite's write-ahead log leaves behind: the rows are in a second file.
    bag.write_bytes(source.read_bytes())
    with sqlite3.connect(bag) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(
            "INSERT INTO messages (topic_id, timestamp, data) SELECT topic_id, 1, data FROM messages LIMIT 1"
        )
        database.commit()
        killed = tmp_path / "killed.db3"
        killed.write_bytes(bag.read_bytes())
        (tmp_path / "killed.db3-wal").write_bytes((tmp_path / "bag.db3-wal").read_bytes())
    times, warnings = read(killed)
    assert len(times) == 71 and times[0] == 1 and warnings == []
