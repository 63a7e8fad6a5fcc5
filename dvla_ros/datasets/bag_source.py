"""Recordings (rosbag2) as trajectories: observations at a fixed rate, and what was commanded from each to the next."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.datasets.checks.streams import StreamTimes
from dvla_ros.datasets.lag import tracking_lag
from dvla_ros.datasets.pictures import PictureSpool, no_pictures, resized
from dvla_ros.datasets.read_options import BRIDGE_FPS, ReadOptions
from dvla_ros.datasets.stream_times import stream_times
from dvla_ros.datasets.trajectory import Trajectory
from dvla_ros.errors import ObservationError, RecordingError
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.episode_marks import successes
from dvla_ros.recordings.episodes import RecordedEpisode, episodes_of
from dvla_ros.recordings.observations import observations
from dvla_ros.recordings.recorded_actions import MEASURED, ActionTrack, action_tracks, best_track
from dvla_ros.recordings.topics import RecordedTopics

_CAMERA_TOPIC = re.compile(r"/(\w+)_camera/image_raw(/compressed)?")
_USUAL_ORDER = ("front", "wrist")
_UNSAID = "(nothing was asked)"
"""Stands in for a missing sentence while observations are made: they are refused without one."""
_NO_ACTION = "no action"
"""A frame's problem that nearly every episode has: before the first command and after the last one there is none."""
_FEWEST = 2
"""Fewer frames than this in a row are no trajectory."""


@dataclass
class _Frames:
    """Usable frames in a row, while they are collected."""

    states: list[np.ndarray]
    actions: list[np.ndarray]
    spool: PictureSpool


class BagSource:
    """The episodes of some bags, one bag after the other.

    Args:
        bags: Folders or files.
        options: How to read them.

    Raises:
        RecordingError: A bag cannot be read, has no camera, or no such source of actions.
    """

    def __init__(self, bags: Sequence[Path], options: ReadOptions) -> None:
        self._bags, self._options = tuple(bags), options
        self._alignment = AlignmentConfig(stamp_source=options.stamp_source)
        self.name = bags[0].resolve().name
        self.fps = options.fps or BRIDGE_FPS
        self.warnings: list[str] = []
        self.cameras = options.cameras
        self.convention = ""
        self._episodes: list[list[RecordedEpisode]] = []
        self._lags: list[float] = []
        self._without_action: dict[int, int] = {}
        for path in self._bags:
            with Bag(path) as bag:
                self._look_into(bag)
        if options.lag_s == "auto":
            told = ", ".join(f"{lag:.2f}" for lag in self._lags)
            self.convention += f"; the arm is {told} s behind its command"
        if not self.episodes:
            raise RecordingError(f"{', '.join(map(str, bags))}: there is no episode in it.")

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return sum(len(episodes) for episodes in self._episodes)

    def topics(self) -> RecordedTopics:
        """Names of the topics that are read."""
        return RecordedTopics(self._options.robot_name, self.cameras)

    def trajectories(self) -> Iterator[Trajectory]:
        """All trajectories; holes divide an episode into several."""
        number = 0
        for path, episodes, lag in zip(self._bags, self._episodes, self._lags, strict=True):
            with Bag(path) as bag:
                yield from self._of_bag(bag, episodes, number, lag)
                self._warn(bag)
            number += len(episodes)
        if self._without_action:
            self.warnings.append(
                f"{sum(self._without_action.values())} frames, in {len(self._without_action)} of {number} episodes, "
                "are left out because nothing was commanded then; some at both ends of an episode are usual."
            )

    def stream_times(self) -> Iterator[dict[str, StreamTimes]]:
        """Stamps of the cameras' and joints' messages of each bag, by topic."""
        topics = self.topics()
        for path in self._bags:
            with Bag(path) as bag:
                pictures = [topics.image_topic(bag, camera) for camera in self.cameras]
                yield stream_times(bag, [*pictures, topics.joint_states])

    def _look_into(self, bag: Bag) -> None:
        cameras = self._options.cameras or cameras_in(bag)
        if self.cameras and cameras != self.cameras:
            raise RecordingError(
                f"{bag.path} has the cameras {', '.join(cameras)}, another bag {', '.join(self.cameras)}; name those "
                "to read with --cameras."
            )
        self.cameras = cameras
        tracks = action_tracks(bag, self.topics())
        track = self._chosen(tracks, bag)
        if self.convention and track.convention != self.convention:
            self.warnings.append(f"{bag.path}: actions are {track.convention}, in another bag {self.convention}.")
        self.convention = self.convention or track.convention
        episodes = episodes_of(bag, self.topics(), self._options.gap_s, self._options.instruction)
        if self._options.only_successes:
            done = successes(bag, self.topics())
            kept = [e for e in episodes if any(e.start <= time <= e.end for time in done)]
            if len(kept) < len(episodes):
                self.warnings.append(f"{bag.path}: {len(episodes) - len(kept)} episodes without success are left out.")
            episodes = kept
        self._episodes.append(episodes)
        self._lags.append(self._lag(tracks, track, episodes))

    def _lag(self, tracks: Mapping[str, ActionTrack], track: ActionTrack, episodes: Sequence[RecordedEpisode]) -> float:
        lag = self._options.lag_s
        if lag != "auto":
            return lag
        if MEASURED not in tracks or track is tracks[MEASURED]:
            return 0.0
        return tracking_lag(track, tracks[MEASURED], episodes)

    def _chosen(self, tracks: Mapping[str, ActionTrack], bag: Bag) -> ActionTrack:
        if self._options.actions == "best":
            return best_track(tracks)
        if self._options.actions not in tracks:
            raise RecordingError(
                f"{bag.path} has no actions '{self._options.actions}'; it has {', '.join(tracks) or 'none at all'}."
            )
        return tracks[self._options.actions]

    def _of_bag(self, bag: Bag, episodes: Sequence[RecordedEpisode], first: int, lag: float) -> Iterator[Trajectory]:
        track, dt = self._chosen(action_tracks(bag, self.topics()), bag), 1.0 / self.fps
        anchors = [_anchors(episode, dt) for episode in episodes]
        owner = [index for index, times in enumerate(anchors) for _ in times]
        seen = observations(
            bag, self.topics(), self._alignment, np.concatenate(anchors).tolist(), _sentence_at(episodes)
        )
        for index, group in groupby(zip(owner, seen, strict=True), key=lambda pair: pair[0]):
            episode = episodes[index]
            actions = track.rows(episode.start - lag, dt, len(anchors[index]), ControlMode.EE_DELTA)
            number = first + index
            for frames in self._runs(number, actions, (found for _, (_, found) in group)):
                yield Trajectory(
                    number,
                    episode.instruction or self._options.instruction,
                    np.asarray(frames.states, np.float32),
                    np.asarray(frames.actions, np.float32),
                    frames.spool.finish() if self._options.pictures else no_pictures(len(frames.states)),
                )

    def _runs(
        self, number: int, actions: np.ndarray, found: Iterator[Observation | ObservationError]
    ) -> Iterator[_Frames]:
        """Stretches without holes; says what was left out."""
        run, problems, count = _Frames([], [], PictureSpool()), [], 0
        for action, observation in zip(actions, found, strict=True):
            count += 1
            problem = _problem(action, observation)
            if not problem:
                assert isinstance(observation, Observation)
                self._keep(run, action, observation)
                continue
            problems.append(problem)
            if len(run.states) >= _FEWEST:
                yield run
            if run.states:
                run = _Frames([], [], PictureSpool())
        if len(run.states) >= _FEWEST:
            yield run
        without_observation = [problem for problem in problems if problem != _NO_ACTION]
        if len(without_observation) < len(problems):
            self._without_action[number] = len(problems) - len(without_observation)
        if without_observation:
            self.warnings.append(
                f"Episode {number}: {len(without_observation)} of {count} frames are left out, having no observation, "
                f"the first because: {without_observation[0]}"
            )

    def _keep(self, run: _Frames, action: np.ndarray, observation: Observation) -> None:
        run.states.append(observation.state)
        run.actions.append(action)
        if self._options.pictures:
            pictures = [resized(observation.images[name], self._options.size) for name in self.cameras]
            run.spool.append(_one_size(pictures, self.cameras))

    def _warn(self, bag: Bag) -> None:
        self.warnings += [f"{bag.path}: {warning}" for warning in bag.warnings]


def cameras_in(bag: Bag) -> tuple[str, ...]:
    """Cameras whose pictures a bag has; `front` and `wrist` first, the others by name.

    Raises:
        RecordingError: There is none.
    """
    found = {match[1] for topic in bag.topics if (match := _CAMERA_TOPIC.fullmatch(topic))}
    if not found:
        raise RecordingError(
            f"{bag.path} has no topic /<camera>_camera/image_raw; it has {', '.join(sorted(bag.topics)) or 'none'}."
        )
    usual = tuple(name for name in _USUAL_ORDER if name in found)
    return usual + tuple(sorted(found - set(usual)))


def _anchors(episode: RecordedEpisode, dt: float) -> np.ndarray:
    """Times of an episode's frames, s."""
    times: np.ndarray = episode.start + dt * np.arange(int((episode.end - episode.start) / dt) + 1)
    return times


def _sentence_at(episodes: Sequence[RecordedEpisode]) -> Callable[[float], str]:
    starts = np.array([episode.start for episode in episodes])

    def sentence(stamp: float) -> str:
        index = max(int(np.searchsorted(starts, stamp, side="right")) - 1, 0)
        return episodes[index].instruction or _UNSAID

    return sentence


def _problem(action: np.ndarray, observation: Observation | ObservationError) -> str:
    """Why a frame cannot be used; empty when it can."""
    if isinstance(observation, ObservationError):
        return str(observation)
    return "" if np.isfinite(action).all() else _NO_ACTION


def _one_size(pictures: list[np.ndarray], cameras: tuple[str, ...]) -> np.ndarray:
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        told = ", ".join(f"{name} {p.shape[1]}x{p.shape[0]}" for name, p in zip(cameras, pictures, strict=True))
        raise RecordingError(f"The cameras have pictures of several sizes ({told}); give --image-size.")
    return np.stack(pictures)
