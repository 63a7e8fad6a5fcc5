"""A recording made ready to be evaluated: its episodes, what was commanded, what was asked of which policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.errors import RecordingError
from dvla_ros.evaluation.anchors import Anchor, anchor_times
from dvla_ros.evaluation.recorded_answers import RecordedAnswers, recorded_answers
from dvla_ros.evaluation.recorded_policy import RecordedPolicy
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.episodes import RecordedEpisode, episodes_of
from dvla_ros.recordings.recorded_actions import SOURCES, ActionTrack, action_tracks, best_track
from dvla_ros.recordings.topics import RecordedTopics

AUTO = "auto"


@dataclass(frozen=True)
class ReadingPlan:
    """How recordings are read.

    Attributes:
        robot_name: Namespace of the robot's topics.
        instruction: What the robot was asked to do, where the recording does not say it.
        gap_s: Shortest pause that tells episodes apart.
        every_s: Ask at most once in so many seconds; 0: at every row.
        lag_s: How far the arm is behind its command; None: as recorded, else 0.
        actions: Which of `recordings.recorded_actions.SOURCES` is compared with; `auto`: the best there is.
        camera_latency_s: Exposure to stamp, one number or one for each camera; None: as recorded, else 0.
        stamp_source: `header` or `receive`; None: as recorded, else `header`.

    Raises:
        RecordingError: There is no such source of actions.
    """

    robot_name: str = "wx250s"
    instruction: str = ""
    gap_s: float = 2.0
    every_s: float = 0.0
    lag_s: float | None = None
    actions: str = AUTO
    camera_latency_s: tuple[float, ...] | None = None
    stamp_source: str | None = None

    def __post_init__(self) -> None:
        if self.actions != AUTO and self.actions not in SOURCES:
            raise RecordingError(f"actions must be {AUTO} or one of {', '.join(SOURCES)}, got '{self.actions}'.")

    def alignment(self, recorded: RecordedPolicy | None) -> AlignmentConfig:
        """How streams become observations: as asked for, else as it was when the bag was recorded.

        Raises:
            ConfigurationError: A value is out of range.
        """
        alignment = AlignmentConfig() if recorded is None else recorded.alignment()
        if self.camera_latency_s is not None:
            alignment = replace(alignment, camera_latency_s=self.camera_latency_s)
        return alignment if self.stamp_source is None else replace(alignment, stamp_source=self.stamp_source)


@dataclass(frozen=True)
class PreparedBag:
    """What is known of a bag before pictures are looked at.

    Attributes:
        path: The bag.
        topics: Names of its topics; of all cameras.
        source: Which of `SOURCES` the track is.
        track: What was commanded.
        answers: What was asked of which policy.
        alignment: How streams become observations.
        lag_s: How far the arm is behind its command.
        episodes: Those that have an instruction.
        simulated: Whether it was recorded in the simulated scene.
        warnings: What is wrong with it, in words.
    """

    path: Path
    topics: RecordedTopics
    source: str
    track: ActionTrack
    answers: RecordedAnswers
    alignment: AlignmentConfig
    lag_s: float
    episodes: tuple[RecordedEpisode, ...]
    simulated: bool
    warnings: tuple[str, ...]

    @property
    def policy(self) -> RecordedPolicy | None:
        """What drove the arm last."""
        return self.answers.policies[-1] if self.answers.policies else None

    def anchors(self, number: int, episode: RecordedEpisode, dt: float, every_s: float) -> list[Anchor]:
        """When a policy with `dt` seconds between its rows is asked in an episode, which has this number."""
        chunks = self.answers.chunks if self.source == "chunks" else ()
        dues = anchor_times(episode.start, episode.end, dt, every_s, chunks)
        return [Anchor(number, due, due + self.lag_s) for due in dues.tolist() if due + self.lag_s <= episode.end]


def prepare(bag: Bag, plan: ReadingPlan) -> PreparedBag:
    """Read everything of a bag but its pictures.

    Raises:
        RecordingError: It does not tell what the arm was commanded, or what the robot was asked to do.
        ConfigurationError: A recorded or given setting is out of range.
    """
    topics = RecordedTopics(plan.robot_name, cameras=())
    answers = recorded_answers(bag, topics)
    policy = answers.policies[-1] if answers.policies else None
    source, track = _track(bag, topics, plan)
    found = episodes_of(bag, topics, plan.gap_s, plan.instruction)
    episodes = tuple(episode for episode in found if episode.instruction.strip())
    if not episodes:
        raise RecordingError(
            f"{bag.path} does not say what the robot was asked to do (no /instruction, no requests): give it with "
            "--instruction."
        )
    warnings = [f"{len(found) - len(episodes)} episodes without an instruction are left out."] * (
        len(found) > len(episodes)
    )
    return PreparedBag(
        path=bag.path,
        topics=topics,
        source=source,
        track=track,
        answers=answers,
        alignment=plan.alignment(policy),
        lag_s=_lag(plan, policy, source),
        episodes=episodes,
        simulated=topics.task_status in bag.topics,
        warnings=tuple(warnings),
    )


def _track(bag: Bag, topics: RecordedTopics, plan: ReadingPlan) -> tuple[str, ActionTrack]:
    tracks = action_tracks(bag, topics)
    if plan.actions == AUTO:
        track = best_track(tracks)
        return next(name for name, one in tracks.items() if one is track), track
    if plan.actions not in tracks:
        raise RecordingError(f"{bag.path} has no actions '{plan.actions}'; it has {_words(list(tracks))}.")
    return plan.actions, tracks[plan.actions]


def _words(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _lag(plan: ReadingPlan, policy: RecordedPolicy | None, source: str) -> float:
    if plan.lag_s is not None:
        return plan.lag_s
    return 0.0 if policy is None or source == "measured" else policy.tracking_lag_s
