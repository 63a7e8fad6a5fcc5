"""The last seconds become a bag when somebody asks, together with the seconds that follow."""

import pytest
from bags import cdr, text

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.kept_recording import MOST_SAVES, KeptRecording
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.ring_buffer import RingBuffer

S = 1_000_000_000


def said(second, topic="/instruction", latched=False):
    return ReceivedMessage(topic, "std_msgs/msg/String", int(second * S), cdr(text(str(second))), latched)


@pytest.fixture
def recording():
    return KeptRecording(RingBuffer(keep_s=3.0, most_bytes=10_000), after_s=2.0)


def sentences(folder, topic="/instruction"):
    with Bag(folder) as bag:
        return [message.message.data for message in bag.messages([topic])]


def test_a_bag_holds_the_seconds_before_and_after_the_trigger(recording, tmp_path):
    for i in range(10):
        recording.take(said(i))
    recording.save(tmp_path / "one", now_ns=9 * S)
    assert not recording.work(9 * S) and recording.written.messages == 4
    for i in range(10, 14):
        recording.take(said(i))
    assert not recording.work(14 * S)
    assert sentences(tmp_path / "one") == ["6", "7", "8", "9", "10", "11"]
    assert recording.written.bags == (tmp_path / "one",)
    assert recording.written.kept_s == 3.0


def test_what_was_said_long_ago_is_in_every_bag(recording, tmp_path):
    recording.take(said(0, "/policy_node/policy_info", latched=True))
    for i in range(1, 10):
        recording.take(said(i))
    for name in ("one", "two"):
        recording.save(tmp_path / name, now_ns=9 * S)
    recording.close()
    for name in ("one", "two"):
        assert sentences(tmp_path / name, "/policy_node/policy_info") == ["0"]
        with Bag(tmp_path / name) as bag:
            assert (bag.start, bag.end) == (6.0, 9.0)


def test_there_is_an_end_to_the_bags_at_once(recording, tmp_path):
    recording.take(said(1))
    for i in range(MOST_SAVES):
        recording.save(tmp_path / str(i), now_ns=S)
    with pytest.raises(RecordingError, match=f"{MOST_SAVES} bags are being written already"):
        recording.save(tmp_path / "more", now_ns=S)
    recording.work(4 * S)
    recording.save(tmp_path / "more", now_ns=4 * S)
    recording.close()
    assert len(recording.written.bags) == MOST_SAVES + 1


def test_a_full_disk_ends_the_bag_with_what_it_has(tmp_path):
    recording = KeptRecording(RingBuffer(3.0, 10_000), after_s=2.0, least_free_bytes=1 << 62)
    recording.take(said(1))
    recording.save(tmp_path / "one", now_ns=S)
    with pytest.raises(RecordingError, match=r"Recording ends: \d+ MB are free"):
        recording.work(S)
    assert recording.written.bags == (tmp_path / "one",) and (tmp_path / "one" / "metadata.yaml").exists()
