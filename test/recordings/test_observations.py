"""Recordings give the observations that live topics gave, in one pass, and what is missing is named."""

import gc
import weakref

import numpy as np
import pytest
from bags import TOPICS, image, joint_states, jpeg, noise, robot, text, write_bag
from rosbags.rosbag2 import StoragePlugin

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.widowx_streams import store_camera, store_joints, widowx_assembler
from dvla_ros.errors import ObservationError, RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.observations import observations
from dvla_ros.recordings.topics import RecordedTopics

FRONT, WRIST = "/front_camera/image_raw", "/wrist_camera/image_raw"
SENTENCE = "pick up the red cube"


def observe(path, anchors, topics=TOPICS, instruction=SENTENCE, **alignment):
    """The answers for some anchors, and the bag's warnings."""
    with Bag(path) as bag:
        found = [answer for _, answer in observations(bag, topics, AlignmentConfig(**alignment), anchors, instruction)]
        return found, bag.warnings


def live(messages, topics=TOPICS, **alignment):
    """What the node would have seen: observations taken as soon as they could be, message by message."""
    assembler = widowx_assembler(topics.cameras, AlignmentConfig(**alignment))
    assembler.set_instruction(SENTENCE)
    newest, found = 0.0, []
    for topic, recorded, message in messages:
        received = round(recorded * 1e9) * 1e-9
        if topic == topics.joint_states:
            store_joints(assembler, message, received)
        else:
            store_camera(assembler, topic.split("_")[0].strip("/"), message, received)
        observation = assembler.assemble(received, newest + 1e-6)
        if observation is not None:
            newest = observation.stamp
            found.append(observation)
    return found


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda value: value.name.lower())
@pytest.mark.parametrize("compressed", [(), ("wrist",), ("front", "wrist")], ids=["raw", "mixed", "jpeg"])
@pytest.mark.parametrize(
    "alignment",
    [{}, {"camera_latency_s": (0.05, 0.03), "joint_latency_s": 0.01}, {"stamp_source": "receive"}],
    ids=["plain", "latencies", "receive"],
)
def test_live_and_recorded_observations_are_the_same_bytes(tmp_path, storage, compressed, alignment):
    messages = list(robot(start=1_700_000_000.123, seconds=2.0, compressed=compressed))
    expected = live(messages, **alignment)
    assert len(expected) > 15
    found, warnings = observe(
        write_bag(tmp_path / "bag", messages, storage), [one.stamp for one in expected], **alignment
    )
    assert [one.crc for one in found] == [one.crc for one in expected]
    assert [one.image_stamps for one in found] == [one.image_stamps for one in expected]
    assert warnings == []


def test_images_are_the_nearest_and_joints_are_interpolated(tmp_path):
    (found,), _ = observe(write_bag(tmp_path / "bag", robot()), [5.33])
    np.testing.assert_array_equal(found.images["front"], noise(0, 3))
    np.testing.assert_array_equal(found.images["wrist"], noise(1, 3))
    assert found.instruction == SENTENCE and found.stamp == 5.33
    (before,), _ = observe(tmp_path / "bag", [5.32])
    (after,), _ = observe(tmp_path / "bag", [5.34])
    assert before.state[1] < found.state[1] < after.state[1]


def test_a_latency_moves_what_is_seen(tmp_path):
    write_bag(tmp_path / "bag", robot())
    (found,), _ = observe(tmp_path / "bag", [5.4], camera_latency_s=(0.2, 0.0))
    np.testing.assert_array_equal(found.images["front"], noise(0, 6))
    np.testing.assert_array_equal(found.images["wrist"], noise(1, 4))


def test_raw_images_are_preferred_to_compressed_ones(tmp_path):
    both = [*robot(), *((f"{FRONT}/compressed", 5.0 + i / 10, jpeg(5.0 + i / 10, 9)) for i in range(10))]
    (found,), _ = observe(write_bag(tmp_path / "bag", both), [5.5])
    np.testing.assert_array_equal(found.images["front"], noise(0, 5))


def test_a_run_gives_the_same_again(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(compressed=("wrist",)))
    anchors = np.arange(5.1, 5.9, 0.07).tolist()
    first, second = (observe(bag, anchors)[0] for _ in range(2))
    assert [one.crc for one in first] == [one.crc for one in second] and len(first) == len(anchors)


def test_the_instruction_may_change_with_the_anchor(tmp_path):
    bag = write_bag(tmp_path / "bag", robot())
    found, _ = observe(bag, [5.2, 5.6, 5.8], instruction=lambda anchor: "" if anchor > 5.7 else f"at {anchor:.1f}")
    assert [one.instruction for one in found[:2]] == ["at 5.2", "at 5.6"]
    assert isinstance(found[2], ObservationError) and "instruction is empty" in str(found[2])


def test_reading_stops_with_the_last_anchor(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(seconds=10.0))
    with Bag(bag) as opened:
        taken = 0
        messages = opened.messages

        def counted(*arguments):
            nonlocal taken
            for recorded in messages(*arguments):
                taken += 1
                yield recorded

        opened.messages = counted
        assert len(list(observations(opened, TOPICS, AlignmentConfig(), [5.5], SENTENCE))) == 1
    assert taken < 60


def test_anchors_outside_of_the_recording_say_what_is_missing(tmp_path):
    found, _ = observe(write_bag(tmp_path / "bag", robot()), [4.0, 5.5, 7.0])
    assert "nearest to the anchor is 1.0" in str(found[0])
    assert not isinstance(found[1], ObservationError)
    assert "'front' has nothing after 5.900 s, 1.100 s before" in str(found[2])


def test_a_camera_that_dies_is_named_and_the_rest_of_the_recording_is_read(tmp_path):
    def alive(message):
        return message[0] != WRIST or not 7.0 < message[1] < 20.0

    bag = write_bag(tmp_path / "bag", filter(alive, robot(seconds=20.0)))
    found, _ = observe(bag, np.arange(6.0, 24.0, 0.5).tolist())
    bad = [5.0 + 0.5 * (index + 2) for index, one in enumerate(found) if isinstance(one, ObservationError)]
    assert bad == np.arange(7.0, 20.0, 0.5).tolist()
    assert all("wrist" in str(one) for one in found if isinstance(one, ObservationError))


def test_streams_that_were_written_later_than_one_another_come_together(tmp_path):
    late = [(topic, at + 2.0 if topic == FRONT else at, message) for topic, at, message in robot(seconds=5.0)]
    anchors = np.arange(5.1, 9.8, 0.3).tolist()
    expected, _ = observe(write_bag(tmp_path / "a", robot(seconds=5.0)), anchors)
    found, _ = observe(write_bag(tmp_path / "b", sorted(late, key=lambda message: message[1])), anchors)
    assert [one.crc for one in found] == [one.crc for one in expected]


def test_a_missing_topic_is_named_with_those_there_are(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(cameras=("front",)))
    with pytest.raises(RecordingError, match=f"no images of camera 'wrist', no {WRIST} or {WRIST}/compressed; it has "):
        observe(bag, [5.5])
    bag = write_bag(tmp_path / "other", robot())
    with pytest.raises(
        RecordingError, match=f"no topic /arm/joint_states; it has {FRONT}, {WRIST}, /wx250s/joint_states"
    ):
        observe(bag, [5.5], RecordedTopics("arm"))


def test_a_topic_of_another_type_is_named(tmp_path):
    messages = [(FRONT, 5.0, joint_states(5.0)), (WRIST, 5.0, image(5.0, 1)), (TOPICS.joint_states, 5.0, text("x"))]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(
        RecordingError, match=f"{FRONT} in .*bag is sensor_msgs/msg/JointState, needed is sensor_msgs/msg/Image"
    ):
        observe(bag, [5.0])
    with pytest.raises(
        RecordingError, match="joint_states in .*bag is std_msgs/msg/String, needed is sensor_msgs/msg/JointState"
    ):
        observe(bag, [5.0], RecordedTopics(cameras=("wrist",)))


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "nonsense", ""])
def test_an_encoding_that_is_no_picture_is_named_with_the_camera(tmp_path, encoding):
    def wrong(message):
        topic, at, picture = message
        return (topic, at, image(picture.header.stamp.sec + 1e-9 * picture.header.stamp.nanosec, 3, encoding))

    messages = [wrong(message) if message[0] == WRIST else message for message in robot()]
    found, _ = observe(write_bag(tmp_path / "bag", messages), [5.5])
    assert f"Camera 'wrist' sends encoding '{encoding}'" in str(found[0])


def test_stamps_that_go_back_are_left_out_and_told(tmp_path):
    def shaken(message):
        topic, at, _ = message
        return (topic, at, image(at - 0.305, 0)) if topic == FRONT and round(at * 10) % 7 == 0 else message

    messages = [shaken(message) for message in robot(seconds=10.0)]
    anchors = np.arange(6.0, 14.0, 0.5).tolist()
    found, warnings = observe(write_bag(tmp_path / "bag", messages), anchors)
    assert not any(isinstance(one, ObservationError) for one in found)
    assert not any((one.images["front"] == 0).all() for one in found)
    told = [warning for warning in warnings if warning.startswith(FRONT)]
    assert len(told) == 1 and "stamps go back, by up to 0.2" in told[0]


def test_anchors_go_back_where_the_clock_was_set_back(tmp_path):
    first, second = robot(start=100.0, seconds=4.0), robot(start=50.0, seconds=4.0)
    messages = [*first, *((topic, at + 54.0, message) for topic, at, message in second)]
    bag = write_bag(tmp_path / "bag", messages)
    found, warnings = observe(bag, [101.0, 102.0, 104.5, 51.0, 52.0, 53.0])
    assert [isinstance(one, ObservationError) for one in found] == [False, False, True, False, False, False]
    np.testing.assert_array_equal(found[3].images["front"], noise(0, 10))
    assert any("go back, by up to 5" in warning for warning in warnings)


def test_messages_without_stamps_are_told_and_aligned_by_their_arrival(tmp_path):
    messages = []
    for topic, at, message in robot():
        message.header.stamp.sec = message.header.stamp.nanosec = 0
        messages.append((topic, at, message))
    bag = write_bag(tmp_path / "bag", messages)
    found, warnings = observe(bag, [5.5])
    assert isinstance(found[0], ObservationError)
    assert len(warnings) == 3 and all("have no stamp and are left out" in warning for warning in warnings)
    found, warnings = observe(bag, [5.5], stamp_source="receive")
    assert not isinstance(found[0], ObservationError) and warnings == []


def test_stamps_of_another_clock_are_told(tmp_path):
    messages = [(topic, at + 3600.0, message) for topic, at, message in robot()]
    found, warnings = observe(write_bag(tmp_path / "bag", messages), [5.5, 9.0])
    assert not isinstance(found[0], ObservationError)
    assert len(warnings) == 3 and all("-" not in w and "3600.0 s away" in w for w in warnings)


def test_a_frozen_picture_is_told(tmp_path):
    messages = [m if m[0] != FRONT else (FRONT, m[1], image(m[1] - 0.005, 7)) for m in robot(seconds=4.0)]
    _, warnings = observe(write_bag(tmp_path / "bag", messages), [8.5, 9.5])
    told = f"{FRONT}: its picture stays the same, byte for byte, for up to 3.9 s after the arm moved"
    assert len(warnings) == 1 and told in warnings[0]


def test_a_simulated_picture_of_an_arm_at_rest_may_stay_the_same(tmp_path):
    def at_rest(message):
        topic, at, _ = message
        return (topic, at, image(at - 0.005, 7) if topic == FRONT else joint_states(at))

    still = [at_rest(m) if m[0] in (FRONT, TOPICS.joint_states) else m for m in robot(seconds=4.0)]
    _, warnings = observe(write_bag(tmp_path / "bag", still), [8.5, 9.5])
    assert warnings == []


def test_repeated_stamps_are_told_as_such(tmp_path):
    twice = [again for message in robot(seconds=2.0) for again in ([message] * (1 + (message[0] == WRIST)))]
    _, warnings = observe(write_bag(tmp_path / "bag", twice), [6.0, 6.8])
    assert len(warnings) == 1 and "stamps are the same as before; these are left out" in warnings[0]
    assert "go back" not in warnings[0]


def test_memory_is_bounded_by_the_history_not_by_the_bag(tmp_path):
    bag = write_bag(tmp_path / "bag", robot(seconds=14.0))
    alive, most = weakref.WeakValueDictionary(), 0
    with Bag(bag) as opened:
        messages = opened.messages

        def watched(*arguments):
            for recorded in messages(*arguments):
                if recorded.topic == FRONT:
                    alive[recorded.received_ns] = recorded.message
                yield recorded

        opened.messages = watched
        for _ in observations(
            opened, TOPICS, AlignmentConfig(camera_hz=10.0), np.arange(6, 18, 2.0).tolist(), SENTENCE
        ):
            gc.collect()
            most = max(most, len(alive))
    assert 0 < most <= 3.5 * 10 + 3


def test_anchors_may_be_none(tmp_path):
    assert observe(write_bag(tmp_path / "bag", robot()), []) == ([], [])
