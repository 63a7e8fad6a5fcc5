"""A real recording is shown, whatever is wrong with parts of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from viewed import (
    BEGIN,
    TYPES,
    chunk_message,
    image_message,
    joints_message,
    message,
    published,
    trace,
    trace_message,
)

pytest.importorskip("rerun", reason="the extra `view` is not installed")

from rosbags.rosbag2 import StoragePlugin, Writer
from rrd import read_rrd

from dvla_ros.cli import main
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.topics import RecordedTopics
from dvla_ros.view.recorded import RecordedFacts, is_simulated, recorded_cameras, recorded_robot

CHUNK, TRACE = "/policy_node/action_chunk", "/policy_node/denoising_trace"


def told():
    """Topic, seconds after the beginning, message: in order of recording."""
    yield "/instruction", 0.0, message("std_msgs/msg/String", data="pick up the red cube")
    for index in range(10):
        stamp = BEGIN + 0.1 * index
        yield "/left/joint_states", 0.1 * index, joints_message(stamp)
        yield "/front_camera/image_raw", 0.1 * index + 0.02, image_message(stamp)
    yield CHUNK, 1.0, chunk_message(published(1, BEGIN + 1.0))
    yield TRACE, 1.01, trace_message(trace())
    yield CHUNK, 1.5, replace(chunk_message(published(2, BEGIN + 1.6)), horizon=9)
    yield TRACE, 1.51, replace(trace_message(trace(2)), tokens=np.zeros(4, np.int32))
    yield CHUNK, 2.0, chunk_message(published(3, BEGIN + 2.2))


@pytest.fixture(scope="module", params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def bag(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings") / "run"
    with Writer(folder, version=9, storage_plugin=request.param) as writer:
        connections = {}
        for topic, after, content in told():
            kind = content.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            cdr = bytes(TYPES.serialize_cdr(content, kind))
            writer.write(connections[topic], round((BEGIN + after) * 1e9), cdr)
    return folder


def test_what_a_recording_is_of_is_seen_from_its_topics(bag):
    with Bag(bag) as opened:
        assert recorded_cameras(opened.topics) == ("front",)
        assert recorded_robot(opened.topics, "wx250s") == "left"
        assert not is_simulated(opened.topics)
    assert is_simulated(["/sim_node/task_status"])
    assert recorded_robot(["/left/joint_states", "/right/joint_states"], "wx250s") == "wx250s"


def test_broken_chunks_and_traces_are_left_out_with_a_word(bag):
    with Bag(bag) as opened:
        facts = RecordedFacts(opened, RecordedTopics("left", ("front",)))
        moments = list(facts.moments())
        assert facts.counts == {"Instruction": 1, "Measured": 10, "Picture": 10, "Published": 2, "Traced": 1}
        assert facts.left_out == {CHUNK: 1, TRACE: 1}
        assert [moment.problem for moment in moments if moment.fact is None] == [
            f"{CHUNK}: a message is not shown: A chunk of horizon 9 with 7 names needs 63 numbers (and at least one "
            "row); it holds 56 numbers.",
            f"{TRACE}: a message is not shown: The trace of chunk 2 has 4 values of tokens; 3 steps of 6 positions "
            "need 18.",
        ]
        assert any(warning.startswith(f"{TRACE}: 1 message is not shown") for warning in opened.warnings)


def test_pictures_are_thinned_and_a_part_is_cut_out(bag):
    with Bag(bag) as opened:
        facts = RecordedFacts(opened, RecordedTopics("left", ("front",)), picture_hz=5.0)
        list(facts.moments(BEGIN + 0.0, BEGIN + 0.99))
        assert facts.counts == {"Instruction": 1, "Measured": 10, "Picture": 5}


def test_a_topic_of_another_type_is_left_out_with_a_word(tmp_path):
    with Writer(tmp_path / "run", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        content = message("std_msgs/msg/String", data="no chunk")
        connection = writer.add_connection(CHUNK, content.__msgtype__, typestore=TYPES)
        writer.write(connection, round(BEGIN * 1e9), bytes(TYPES.serialize_cdr(content, content.__msgtype__)))
    with Bag(tmp_path / "run") as opened:
        assert list(RecordedFacts(opened, RecordedTopics()).moments()) == []
        assert opened.warnings == [
            f"{CHUNK} is not shown: it is std_msgs/msg/String, needed is dvla_ros/msg/ActionChunk."
        ]


def test_inspect_writes_a_file_with_everything_and_says_what_is_missing(bag, tmp_path, capsys):
    out, result = tmp_path / "seen.rrd", tmp_path / "result.json"
    assert main(["inspect", str(bag), "--out", str(out), "--json", str(result)]) == 0
    found = read_rrd(out)
    assert len(found["/cameras/front/image"]["blob"]) == 10
    assert [logged.chunk for logged in found["/world/path/rows"]["positions"]] == [1, 3]
    assert found["/log/instruction"]["text"][0].value == ["pick up the red cube"]
    assert len(found["/log/view"]["text"]) == 2
    report = json.loads(result.read_text())
    assert report["shown"]["Published"] == 2 and report["left_out"] == {CHUNK: 1, TRACE: 1}
    assert len(report["warnings"]) == 2
    assert "1 message is not shown" in " ".join(capsys.readouterr().out.split())


def test_inspect_of_nothing_says_so(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err


def test_inspect_without_rerun_says_what_to_install(bag, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    assert main(["inspect", str(bag), "--out", str(tmp_path / "seen.rrd")]) == 2
    assert "needs the package rerun-sdk" in capsys.readouterr().err
