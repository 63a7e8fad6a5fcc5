"""A recording is told apart into episodes by what it holds of runs, instructions, resets and pauses."""

import numpy as np
import pytest
from bags import (
    TOPICS,
    cdr,
    chunk,
    joint_states,
    request,
    robot,
    service_event,
    task_status,
    text,
    type_store,
    write_bag,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.episodes import RecordedEpisode, episodes_of, instruction_at
from dvla_ros.recordings.topics import RecordedTopics

ROWS = np.zeros((3, 7))


def found(path, **options):
    with Bag(path) as bag:
        return episodes_of(bag, TOPICS, **options)


def spans(episodes):
    return [(round(one.start, 3), round(one.end, 3), one.instruction) for one in episodes]


def split_by(episodes):
    (way,) = {one.split_by for one in episodes}
    return way


def requests(first, count, words, epoch):
    """Requests every 0.5 s with their chunks of 0.6 s, recorded 50 ms after the anchor."""
    for index in range(count):
        at = first + 0.5 * index
        yield TOPICS.inference_request, at + 0.05, request(at, words, index, epoch)
        yield TOPICS.action_chunk, at + 0.05, chunk(at, ROWS, index, epoch)


def test_runs_are_told_apart_by_epoch_and_instruction(tmp_path):
    runs = [
        *requests(6.0, 3, "take the cube", 7),
        *requests(9.0, 2, "take the cube", 8),
        *requests(9.8, 1, "put it", 8),
    ]
    episodes = found(write_bag(tmp_path / "bag", [*robot(seconds=8.0), *runs]))
    assert split_by(episodes) == "run" and [one.index for one in episodes] == [0, 1, 2]
    assert spans(episodes) == [(6.0, 7.65, "take the cube"), (9.0, 9.8, "take the cube"), (9.8, 10.45, "put it")]


def test_chunks_alone_are_runs_with_the_words_that_were_said_before(tmp_path):
    said = [(TOPICS.instruction, 5.5, text("take it")), (TOPICS.instruction, 8.0, text(" put it "))]
    chunks = [message for run in (requests(6.0, 2, "", 1), requests(8.5, 1, "", 2)) for message in run]
    only = [message for message in chunks if message[0] == TOPICS.action_chunk]
    episodes = found(write_bag(tmp_path / "bag", [*robot(seconds=8.0), *said, *only]))
    assert split_by(episodes) == "run" and spans(episodes) == [(6.0, 7.15, "take it"), (8.5, 9.15, "put it")]


def test_a_run_ends_with_the_recording_at_the_latest(tmp_path):
    episodes = found(write_bag(tmp_path / "bag", [*robot(seconds=2.0), *requests(6.5, 1, "take it", 1)]))
    assert spans(episodes) == [(6.5, 6.985, "take it")]


def test_anchors_of_another_clock_do_not_move_a_run(tmp_path):
    runs = [(topic, at + 3600.0, message) for topic, at, message in requests(6.0, 2, "take it", 1)]
    (episode,) = found(write_bag(tmp_path / "bag", runs))
    assert episode.start == pytest.approx(3606.05)


def test_instructions_begin_episodes_and_an_empty_one_ends_one(tmp_path):
    said = [(5.5, "take it"), (5.7, "take it"), (7.0, ""), (8.0, "put it"), (9.0, "take it"), (12.0, "take it")]
    messages = [*robot(seconds=9.0), *((TOPICS.instruction, at, text(words)) for at, words in said)]
    episodes = found(write_bag(tmp_path / "bag", messages))
    assert split_by(episodes) == "instruction"
    assert spans(episodes) == [
        (5.5, 7.0, "take it"),
        (8.0, 9.0, "put it"),
        (9.0, 12.0, "take it"),
        (12.0, 13.985, "take it"),
    ]


@pytest.mark.parametrize("service", ["/sim_node/reset", "/lab/reset_world"])
def test_calls_of_a_reset_service_begin_episodes_once_each(tmp_path, service):
    events = [
        (at, call, event) for call, at in enumerate((8.0, 11.0)) for event, at in ((0, at), (1, at), (2, at + 0.2))
    ]
    episodes = found(with_events(tmp_path / "bag", f"{service}/_service_event", events), instruction="take it")
    assert split_by(episodes) == "service"
    assert spans(episodes) == [(5.0, 8.2, "take it"), (8.2, 11.2, "take it"), (11.2, 12.98, "take it")]


def test_the_reset_of_a_fault_is_no_new_episode(tmp_path):
    topic = "/chunker_node/reset_fault/_service_event"
    assert split_by(found(with_events(tmp_path / "bag", topic, [(8.0, 0, 1)]))) == "whole"


def with_events(folder, topic, events):
    """A bag of joint states for 8 s, and of service events (time, call, kind)."""
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        joints = writer.add_connection(TOPICS.joint_states, "sensor_msgs/msg/JointState", typestore=type_store())
        for tick in range(400):
            writer.write(joints, round((5.0 + tick * 0.02) * 1e9), cdr(joint_states(5.0 + tick * 0.02)))
        kind = {"msgdef": "int8 nothing\n", "rihs01": "RIHS01_00"}
        calls = writer.add_connection(topic, "lab_msgs/srv/Reset_Event", **kind)
        for at, call, event in events:
            writer.write(calls, round(at * 1e9), cdr(service_event(at, call, event)) + bytes(12))
    return folder


def test_the_count_of_the_simulated_scene_tells_episodes_apart_with_their_words(tmp_path):
    status = [(TOPICS.task_status, 5.0 + 0.2 * i, task_status(5.0, i // 10, f"take {i // 10}")) for i in range(25)]
    episodes = found(write_bag(tmp_path / "bag", [*robot(seconds=5.0), *status]))
    assert split_by(episodes) == "service"
    assert spans(episodes) == [(5.0, 7.0, "take 0"), (7.0, 9.0, "take 1"), (9.0, 9.985, "take 2")]


def test_pauses_of_the_streams_tell_episodes_apart(tmp_path):
    bag = write_bag(tmp_path / "bag", [*robot(5.0, 2.0), *robot(10.0, 2.0), *robot(12.5, 1.0)])
    assert split_by(found(bag)) == "gap"
    assert [(round(one.start, 1), round(one.end, 1)) for one in found(bag)] == [(5.0, 6.9), (10.0, 13.5)]
    assert len(found(bag, gap_s=0.4)) == 3 and len(found(bag, gap_s=4.0)) == 1


def test_a_pause_of_one_camera_counts(tmp_path):
    messages = [m for m in robot(seconds=8.0) if not ("wrist" in m[0] and 7.0 < m[1] < 10.0)]
    episodes = found(write_bag(tmp_path / "bag", messages))
    assert [(round(one.start, 1), round(one.end, 1)) for one in episodes] == [(5.0, 6.9), (10.0, 13.0)]


def test_a_bag_without_marks_is_one_episode(tmp_path):
    bag = write_bag(tmp_path / "bag", robot())
    assert found(bag, instruction="take it") == [RecordedEpisode(bag, 0, 5.005, 5.985, "take it", "whole")]


def test_an_empty_bag_has_no_episodes(tmp_path):
    assert found(write_bag(tmp_path / "bag", [])) == []


def test_topics_of_another_type_are_no_marks(tmp_path):
    messages = [*robot(), (TOPICS.instruction, 5.2, joint_states(5.2)), (TOPICS.action_chunk, 5.3, text("x"))]
    assert split_by(found(write_bag(tmp_path / "bag", messages))) == "whole"


def test_what_was_asked_at_a_time(tmp_path):
    messages = [*robot(seconds=4.0), *((TOPICS.instruction, at, text(words)) for at, words in ((6.0, "a"), (7.0, "b")))]
    words = instruction_at(found(write_bag(tmp_path / "bag", messages)))
    assert [words(at) for at in (5.0, 6.0, 6.9, 7.0, 99.0)] == ["", "a", "a", "b", "b"]


def test_topics_are_named_after_robot_and_nodes():
    topics = RecordedTopics("arm", ("top",), policy="my_policy")
    assert topics.arm_trajectory == "/arm/arm_controller/joint_trajectory"
    assert topics.inference_request == "/my_policy/inference_request"
    assert topics.imagined_image("top") == "/my_policy/imagined_image/top"
