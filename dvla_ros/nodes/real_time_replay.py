"""Plays a recording in real time against a policy and a chunker that commands nothing, and measures them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.errors import NodeError, RecordingError
from dvla_ros.evaluation.real_time import RealTimeFigures, StreamFigures
from dvla_ros.nodes.bag_player import INSTRUCTION, BagPlayer, Playback, Sentence
from dvla_ros.nodes.chunk_observer import ChunkObserver
from dvla_ros.nodes.launch_arguments import resolve_arguments
from dvla_ros.nodes.node_table import LaunchPlan, widowx_plan
from dvla_ros.nodes.session import running_nodes
from dvla_ros.provenance import machine_line
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.episodes import episodes_of
from dvla_ros.recordings.topics import RecordedTopics

READY_S = 180.0
_SETTLE_S = 5.0
JOINTS = "joint_states"
_FIXED = {
    "use_sim": "false",
    "dry_run": "true",
    "deadman": "false",
    "record": "false",
    "operator": "false",
    "view": "false",
    "instruction": "",
}
"""A real robot's nodes, of which none commands an arm."""


def real_time_replay(
    bag: Path,
    arguments: Mapping[str, str],
    *,
    instruction: str = "",
    duration_s: float = 0.0,
    logs: Path = Path("real_time_log"),
    say: Callable[[str], None] = lambda text: None,
) -> RealTimeFigures:
    """Play the cameras, joint states and instructions of a bag to `policy_node` and `chunker_node`, in real time.

    The nodes run as processes in a ROS domain of their own, the chunker in a dry run. Messages are stamped anew, so
    that they seem to happen now.

    Args:
        bag: The recording.
        arguments: Launch arguments, see `launch_arguments.WIDOWX_ARGUMENTS`: checkpoint, system, cameras, replanning …
        instruction: What the policy is to do from the beginning; empty: what was recorded.
        duration_s: Seconds to play; 0: all.
        logs: Folder for what the nodes print.
        say: Called with a sentence now and then.

    Raises:
        RecordingError: The bag cannot be read, or lacks a camera, the joint states or an instruction.
        ConfigurationError: An argument is wrong.
        CheckpointError: There is no checkpoint.
        NodeError: A node ended, or never became ready.
    """
    with Bag(bag) as recording:
        values, streams = _values(recording, arguments)
        topics = RecordedTopics(values["robot_name"], tuple(_cameras(values)))
        sentences = _sentences(recording, topics, instruction)
        plan = widowx_plan(values)
        figures: RealTimeFigures | None = None
        try:
            with running_nodes("bag_player", plan, logs) as (nodes, node):
                observer = ChunkObserver(node)
                player = BagPlayer(node, recording, list(streams.values()), sentences)
                say(f"Starting policy and chunker; what they print is in {nodes.logs}.")
                player.wait_for_listeners(READY_S, nodes.check)
                observer.wait_for_status(READY_S, nodes.check)
                say(f"Playing {duration_s or recording.end - recording.start:.1f} s of {bag}.")
                playback = player.play(duration_s, nodes.check)
                observer.settle(_SETTLE_S)
                figures = _figures(bag, plan, playback, observer, streams, sentences, recording.warnings)
        except NodeError as error:
            if figures is None:
                raise
            # What was measured is measured, however the nodes ended.
            figures = replace(figures, warnings=(*figures.warnings, str(error)))
        return figures


def _values(bag: Bag, arguments: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """All launch arguments, and the topic of each stream by its name, all of them in the bag.

    Raises:
        RecordingError: A stream is missing.
    """
    values = resolve_arguments({**arguments, **_FIXED})
    cameras = _cameras(values)
    compressed = not all(camera_topic(camera, False) in bag.topics for camera in cameras)
    values["compressed"] = "true" if compressed else "false"
    streams = {camera: camera_topic(camera, compressed) for camera in cameras}
    streams[JOINTS] = f"/{values['robot_name']}/joint_states"
    missing = [topic for topic in streams.values() if topic not in bag.topics]
    if missing:
        raise RecordingError(
            f"{bag.path} has no {', '.join(missing)}; it has {', '.join(sorted(bag.topics)) or 'no topic at all'}. "
            "Are robot_name and cameras right?"
        )
    return values, streams


def _cameras(values: Mapping[str, str]) -> list[str]:
    return [camera.strip() for camera in values["cameras"].split(",") if camera.strip()]


def _sentences(bag: Bag, topics: RecordedTopics, instruction: str) -> list[Sentence]:
    """What is to be said, and when: as given, as it was said, or as the episodes of the bag were about."""
    if instruction:
        return [Sentence(int(bag.start * 1e9), instruction)]
    if INSTRUCTION in bag.topics:
        said = [Sentence(m.received_ns, str(m.message.data)) for m in bag.messages([INSTRUCTION])]
    else:
        said = [Sentence(int(e.start * 1e9), e.instruction) for e in episodes_of(bag, topics) if e.instruction]
    if not any(sentence.text.strip() for sentence in said):
        raise RecordingError(f"{bag.path} does not say what the policy is to do; give an instruction.")
    return said


def _figures(
    bag: Path,
    plan: LaunchPlan,
    playback: Playback,
    observer: ChunkObserver,
    streams: Mapping[str, str],
    sentences: Sequence[Sentence],
    warnings: Sequence[str],
) -> RealTimeFigures:
    checkpoint = next(str(entry.parameters["checkpoint"]) for entry in plan.nodes if entry.name == "policy_node")
    seen = observer.figures()
    return RealTimeFigures(
        bag=str(bag),
        checkpoint=checkpoint,
        machine=machine_line(),
        instruction=[sentence.text for sentence in sentences if sentence.text.strip()][-1],
        played_s=playback.seconds,
        chunks=seen.chunks,
        accepted=seen.accepted,
        rejected=seen.rejected,
        latency=seen.latency,
        age=seen.age,
        inference=seen.inference,
        streams=tuple(
            StreamFigures(name, playback.played[topic], observer.received(name)) for name, topic in streams.items()
        ),
        overruns=playback.overruns,
        lateness=playback.late,
        warnings=tuple(warnings),
    )
