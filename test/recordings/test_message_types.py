"""Types are known without ROS, and those that a bag brings along are learned from it."""

import numpy as np
import pytest
from bags import cdr, chunk, make, text, type_store
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.message_types import RecordedTypes
from dvla_ros.recordings.storage import Channel
from dvla_ros.share import share_path

OWN = sorted(path.stem for path in share_path("msg").glob("*.msg"))
IDL = """module lab_msgs { module msg { struct Force { double newton; string where; }; }; };"""
IDL_OF_ROS = "=" * 80 + "\nIDL: lab_msgs/msg/Force\n" + IDL


def lab_message():
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg("float64 newton\nstring where", "lab_msgs/msg/Force"))
    return bytes(store.serialize_cdr(store.types["lab_msgs/msg/Force"](newton=2.5, where="left"), "lab_msgs/msg/Force"))


@pytest.mark.parametrize("name", OWN)
def test_the_packages_own_messages_are_known(name):
    assert f"dvla_ros/msg/{name}" in type_store().types


def test_commands_of_the_interbotix_driver_are_known():
    command = make("interbotix_xs_msgs/msg/JointGroupCommand", name="arm", cmd=np.array([1.0, 2.0], np.float32))
    read = RecordedTypes([]).read(cdr(command), "interbotix_xs_msgs/msg/JointGroupCommand")
    assert read.name == "arm" and read.cmd.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("definition", "form"),
    [("float64 newton\nstring where", "ros2msg"), (IDL, "ros2idl"), (IDL_OF_ROS, "ros2idl")],
    ids=["msg", "idl", "idl of rosbag2"],
)
def test_a_type_that_only_the_bag_knows_is_read_by_its_definition(definition, form):
    types = RecordedTypes([Channel("/force", "lab_msgs/msg/Force", "cdr", definition, form)])
    message = types.read(lab_message(), "lab_msgs/msg/Force")
    assert types.problems == {} and (message.newton, message.where) == (2.5, "left")


def test_types_of_one_bag_are_not_known_in_the_next():
    RecordedTypes([Channel("/force", "lab_msgs/msg/Force", "cdr", "float64 newton\nstring where")])
    assert RecordedTypes([Channel("/force", "lab_msgs/msg/Force")]).problems.keys() == {"/force"}
    assert "lab_msgs/msg/Force" not in type_store().types


def test_a_definition_with_more_fields_than_today_is_read_by_what_was_recorded():
    store = get_typestore(Stores.ROS2_JAZZY)
    definition = "string data\nint32 more\n"
    store.fielddefs.pop("std_msgs/msg/String")
    store.register(get_types_from_msg(definition, "std_msgs/msg/String"))
    data = bytes(store.serialize_cdr(store.types["std_msgs/msg/String"](data="hello", more=3), "std_msgs/msg/String"))
    types = RecordedTypes([Channel("/words", "std_msgs/msg/String", "cdr", definition)])
    assert types.problems == {} and types.read(data, "std_msgs/msg/String").more == 3
    assert RecordedTypes([]).read(cdr(text("hello")), "std_msgs/msg/String").data == "hello"


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01\x00\x00", b"hello world", bytes(100)])
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(RecordingError, match="bytes are no dvla_ros/msg/ActionChunk"):
        RecordedTypes([]).read(data[:60], "dvla_ros/msg/ActionChunk")


def test_every_cut_of_a_message_is_noticed():
    whole, types = cdr(chunk(5.0, [[0.0] * 7])), RecordedTypes([])
    for length in range(len(whole)):
        with pytest.raises(RecordingError):
            types.read(whole[:length], "dvla_ros/msg/ActionChunk")
