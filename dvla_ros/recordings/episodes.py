"""The episodes of a recording: where the robot was asked something, where the scene was reset, where nothing came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.episode_marks import Mark, gaps, instructions, resets, runs
from dvla_ros.recordings.topics import RecordedTopics


@dataclass(frozen=True)
class RecordedEpisode:
    """A stretch of a bag in which the robot follows one instruction.

    Attributes:
        bag: Path of the bag.
        index: Number within the bag, from 0.
        start: Seconds, time of recording.
        end: Seconds, time of recording.
        instruction: What was asked; empty where the recording does not say it.
        split_by: What told the episodes apart: `run` (the policy's own runs), `instruction` (messages of the topic),
            `service` (resets of the scene), `gap` (pauses of the streams) or `whole`.
    """

    bag: Path
    index: int
    start: float
    end: float
    instruction: str
    split_by: str


def episodes_of(bag: Bag, topics: RecordedTopics, gap_s: float = 2.0, instruction: str = "") -> list[RecordedEpisode]:
    """The episodes of a bag in order of time, told apart by the first of these that the bag has.

    1. Runs: inference requests or chunks of the policy, one run for each epoch and instruction.
    2. Messages of the instruction topic; an empty one ends the episode, the same words within `gap_s` count once.
    3. Resets of the scene: service events of any `…/reset`, or the simulated scene's own count of episodes.
    4. Pauses of more than `gap_s` in which the joint states or all cameras are silent.

    Args:
        bag: The recording.
        topics: Names of its topics.
        gap_s: Shortest pause.
        instruction: What was asked, where the recording does not say it.
    """
    if bag.end <= bag.start:
        return []
    split_by, marks = _marks(bag, topics, gap_s)
    return [
        RecordedEpisode(bag.path, index, mark.start, mark.end, mark.instruction or instruction, split_by)
        for index, mark in enumerate(mark for mark in marks if mark.end > mark.start)
    ]


def instruction_at(episodes: Sequence[RecordedEpisode]) -> Callable[[float], str]:
    """What was asked at a time in seconds: that of the last episode that had begun; empty before the first."""

    def words(time: float) -> str:
        begun = [episode.instruction for episode in episodes if episode.start <= time]
        return begun[-1] if begun else ""

    return words


def _marks(bag: Bag, topics: RecordedTopics, gap_s: float) -> tuple[str, list[Mark]]:
    for split_by, find in _WAYS:
        marks = find(bag, topics, gap_s)
        if marks:
            return split_by, marks
    return "whole", [Mark(bag.start, bag.end)]


_WAYS: tuple[tuple[str, Callable[[Bag, RecordedTopics, float], list[Mark]]], ...] = (
    ("run", runs),
    ("instruction", instructions),
    ("service", resets),
    ("gap", gaps),
)
