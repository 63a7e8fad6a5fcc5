"""What the arm was commanded in a recording, whatever it was recorded as, as actions of a policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import RecordingError
from dvla_ros.recordings.actions.chunk_source import ChunkSource
from dvla_ros.recordings.actions.command_topics import CommandTopic
from dvla_ros.recordings.actions.ee_source import DeltaSource, PoseSource, TwistSource
from dvla_ros.recordings.actions.joint_source import ArmSource, GripperSource, MeasuredSource
from dvla_ros.recordings.actions.series import Series
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.topics import RecordedTopics

MEASURED = "measured"
"""The source that is no command."""
SOURCES = ("chunks", "joint_targets", "ee_pose", "ee_delta", MEASURED)
"""Names of the kinds of track; the nearer to what a policy says, the earlier."""


class ActionTrack(Protocol):
    """What was commanded, over time, whatever it was recorded as."""

    @property
    def convention(self) -> str:
        """What was recorded and how it is read, in words."""

    @property
    def times(self) -> tuple[float, float]:
        """First and last time in seconds."""

    def rows(self, stamp: float, dt: float, horizon: int, mode: ControlMode) -> np.ndarray:
        """The actions that were commanded from a time on.

        Args:
            stamp: Due time of the first row in seconds.
            dt: Seconds between rows.
            horizon: H.
            mode: What a row shall mean; `EE_DELTA` is Bridge's.

        Returns:
            float64 `[H, 7]` in metres and radians, gripper 0 closed .. 1 open; NaN where nothing was recorded.

        Raises:
            RecordingError: What was recorded cannot be converted to this mode.
        """


def action_tracks(bag: Bag, topics: RecordedTopics) -> dict[str, ActionTrack]:
    """Every way in which the bag tells what was commanded, by the names of `SOURCES`; in one pass.

    Messages that cannot be used are counted in the bag's warnings.

    Args:
        bag: Open.
        topics: Names the robot.

    Raises:
        RecordingError: The bag cannot be read.
    """
    rule = CommandTopic(topics.robot_name)
    kinds = {topic: rule.kind(topic, kind) for topic, kind in bag.topics.items()}
    collected = _Collected()
    for message in bag.messages([topic for topic, kind in kinds.items() if kind]):
        collected.add(kinds[message.topic], message)
    bag.warnings.extend(collected.problems())
    return collected.tracks()


def best_track(tracks: Mapping[str, ActionTrack]) -> ActionTrack:
    """The track that is nearest to what a policy says, in the order of `SOURCES`.

    Raises:
        RecordingError: There is none.
    """
    for source in SOURCES:
        if source in tracks:
            return tracks[source]
    raise RecordingError(
        "The recording does not tell what the arm was commanded: it has no action chunks, no joint targets, no "
        "end-effector commands and no joint states. Record the topics of docs/reference/interfaces.md."
    )


@dataclass
class _Collected:
    """What one pass over a bag has brought, by topic."""

    chunks: dict[str, ChunkSource] = field(default_factory=dict)
    arms: dict[str, ArmSource] = field(default_factory=dict)
    grippers: dict[str, GripperSource] = field(default_factory=dict)
    poses: dict[str, PoseSource] = field(default_factory=dict)
    twists: dict[str, TwistSource] = field(default_factory=dict)
    deltas: dict[str, DeltaSource] = field(default_factory=dict)
    measured: dict[str, MeasuredSource] = field(default_factory=dict)
    statuses: list[tuple[float, Any]] = field(default_factory=list)
    unusable: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, recorded: RecordedMessage) -> None:
        """A message of a kind of `CommandTopic`."""
        topic, received, message = recorded.topic, recorded.received, recorded.message
        if kind == "chunk":
            self.chunks.setdefault(topic, ChunkSource(topic)).add(received, message)
        elif kind == "status":
            self.statuses.append((received, message))
        elif not self._add_command(kind, topic, received, message):
            self.unusable[topic] = self.unusable.get(topic, 0) + 1

    def _add_command(self, kind: str, topic: str, received: float, message: Any) -> bool:
        if kind == "forward":
            self.grippers.setdefault(topic, GripperSource(topic)).add(received, kind, message)
        if kind in ("arm", "forward", "group"):
            return self.arms.setdefault(topic, ArmSource(topic)).add(received, kind, message)
        if kind in ("gripper", "single"):
            return self.grippers.setdefault(topic, GripperSource(topic)).add(received, kind, message)
        if kind == "pose":
            return self.poses.setdefault(topic, PoseSource(topic)).add(received, message)
        if kind == "twist":
            return self.twists.setdefault(topic, TwistSource(topic)).add(received, message)
        if kind == "delta":
            return self.deltas.setdefault(topic, DeltaSource(topic)).add(received, message)
        return self.measured.setdefault(topic, MeasuredSource(topic)).add(received, message)

    def problems(self) -> list[str]:
        """What could not be used, in words."""
        unusable = [
            f"{topic}: {count} unusable messages: they do not command this arm in finite numbers"
            for topic, count in self.unusable.items()
        ]
        chunks = [
            f"{topic}: left out, {count} times: {reason}"
            for topic, source in self.chunks.items()
            for reason, count in source.problems.items()
        ]
        return unusable + chunks

    def tracks(self) -> dict[str, ActionTrack]:
        """The tracks that there are, by source."""
        states = max(self.measured.values(), key=len, default=MeasuredSource(""))
        measured = states.arm()
        gripper, words = self._gripper(states)
        found: dict[str, ActionTrack | None] = {
            "chunks": self._chunk_track(measured),
            "joint_targets": max(self.arms.values(), key=len, default=ArmSource("")).track(gripper, words, measured),
            "ee_pose": max(self.poses.values(), key=len, default=PoseSource("")).track(gripper, words, measured),
            "ee_delta": self._delta_track(gripper, words, measured),
            MEASURED: states.track(),
        }
        return {name: track for name, track in found.items() if track is not None}

    def _chunk_track(self, measured: Series) -> ActionTrack | None:
        source = max(self.chunks.values(), key=len, default=ChunkSource(""))
        for received, message in self.statuses:
            source.add_status(received, message)
        return source.track(measured)

    def _delta_track(self, gripper: Series, words: str, measured: Series) -> ActionTrack | None:
        deltas = max(self.deltas.values(), key=len, default=DeltaSource(""))
        twists = max(self.twists.values(), key=len, default=TwistSource(""))
        return deltas.track(measured) or twists.track(gripper, words, measured)

    def _gripper(self, states: MeasuredSource) -> tuple[Series, str]:
        """The gripper, and where it is from in words: commands, or what was measured."""
        commands = max(self.grippers.values(), key=len, default=GripperSource(""))
        if len(commands):
            return commands.series(), f"gripper of {commands.topic}"
        return states.gripper(), "gripper as measured, which comes after what it was told"
