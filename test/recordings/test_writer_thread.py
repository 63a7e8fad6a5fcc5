"""Who receives never waits: the queue is bounded, and what does not fit is counted."""

import threading
from functools import partial

import pytest
from bags import cdr, text

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.kept_recording import KeptRecording
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.ring_buffer import RingBuffer
from dvla_ros.recordings.whole_recording import WholeRecording
from dvla_ros.recordings.writer_thread import WriterThread


def said(i, topic="/instruction", kind="std_msgs/msg/String"):
    return ReceivedMessage(topic, kind, i, cdr(text(f"{i:05}")))


SIZE = len(said(0).data)


class Slow(WholeRecording):
    """A disk that waits until it is let go."""

    def __init__(self, folder):
        super().__init__(folder)
        self.busy, self.go = threading.Event(), threading.Event()

    def take(self, message):
        self.busy.set()
        assert self.go.wait(10)
        super().take(message)


def keeping():
    return KeptRecording(RingBuffer(60.0, 1_000_000), after_s=0.0)


def sentences(folder):
    with Bag(folder) as bag:
        return [int(message.message.data) for message in bag.messages(["/instruction"])]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_everything_is_written_in_order(tmp_path, storage):
    writer = WriterThread(partial(WholeRecording, tmp_path / "bag", storage), 1_000_000, pytest.fail)
    writer.start()
    for i in range(200):
        writer.put(said(i))
    writer.stop()
    assert sentences(tmp_path / "bag") == list(range(200)) and writer.dropped == {}
    assert writer.queued_bytes == 0


def test_what_does_not_fit_is_dropped_and_counted(tmp_path):
    slow = Slow(tmp_path / "bag")
    writer = WriterThread(lambda: slow, 3 * SIZE, pytest.fail)
    writer.start()
    writer.put(said(0))
    assert slow.busy.wait(10)  # the first one is being written and still counts
    for i in range(1, 6):
        writer.put(said(i))
    assert writer.dropped == {"/instruction": 3} and writer.queued_bytes == 3 * SIZE
    slow.go.set()
    writer.stop()
    assert sentences(tmp_path / "bag") == [0, 1, 2]


def test_a_topic_of_an_unknown_type_does_not_spoil_the_others(tmp_path):
    writer = WriterThread(partial(WholeRecording, tmp_path / "bag"), 1_000_000, pytest.fail)
    writer.start()
    for i in range(3):
        writer.put(said(i, "/strange", "strange_msgs/msg/Odd"))
        writer.put(said(i))
    writer.stop()
    assert sentences(tmp_path / "bag") == [0, 1, 2]
    refused = writer.written.refused
    assert list(refused) == ["/strange"] and "strange_msgs/msg/Odd" in refused["/strange"]


def test_a_disk_that_fills_up_ends_the_recording_with_one_sentence(tmp_path):
    sayings = []
    writer = WriterThread(
        partial(WholeRecording, tmp_path / "bag", least_free_bytes=1 << 62), 1_000_000, sayings.append
    )
    writer.start()
    writer.put(said(0))
    writer.stop()
    writer.put(said(1))
    assert len(sayings) == 1 and "MB are free" in sayings[0] and writer.problem == sayings[0]
    assert writer.dropped == {"/instruction": 1}
    assert (tmp_path / "bag" / "metadata.yaml").exists()


def test_a_save_comes_after_what_was_put_before_it(tmp_path):
    sayings = []
    writer = WriterThread(keeping, 1_000_000, sayings.append)
    writer.start()
    for i in range(50):
        writer.put(said(i))
    writer.save(tmp_path / "bag")
    writer.stop()
    assert sentences(tmp_path / "bag") == list(range(50)) and sayings == []


def test_a_save_that_cannot_be_done_is_said(tmp_path):
    with pytest.raises(RecordingError, match="Everything is recorded"):
        WholeRecording(tmp_path / "bag").save(tmp_path / "other", 0)
    sayings = []
    (tmp_path / "taken").mkdir()
    writer = WriterThread(keeping, 1_000_000, sayings.append)
    writer.start()
    writer.save(tmp_path / "taken")
    writer.stop()
    assert len(sayings) == 1 and "exists already" in sayings[0] and writer.problem == ""


def test_what_cannot_be_opened_is_said_at_the_start(tmp_path):
    with pytest.raises(RecordingError, match="exists already"):
        WriterThread(partial(WholeRecording, tmp_path), 1_000_000, pytest.fail).start()
