"""A few small pictures of each episode, and where chunks lead in them where the cameras' places are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from dvla_ros.control.bridge import pose_from_state
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.evaluation.anchors import Anchor
from dvla_ros.evaluation.evaluation_result import PathInPicture, StripPicture
from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.predicted_path import predicted_path, project
from dvla_ros.recordings.bag import Bag
from dvla_ros.view.camera_poses import CameraPoses

RECORDED = "recorded"
_PER_EPISODE = 5
_EPISODES = 6
_WIDTH = 240


@dataclass(frozen=True)
class _Frame:
    """A picture that was kept, and what is needed to draw into it later."""

    episode: int
    due: float
    camera: str
    seconds: float
    picture: np.ndarray
    state: np.ndarray
    pose: np.ndarray | None
    intrinsics: np.ndarray | None


@dataclass
class PictureStrip:
    """Keeps pictures while one policy is evaluated, and draws the ways of all policies afterwards.

    Attributes:
        anchors: At which pictures are kept.
    """

    anchors: frozenset[Anchor]
    _frames: list[_Frame] = field(default_factory=list)

    @classmethod
    def of(cls, anchors: Sequence[Anchor]) -> "PictureStrip":
        """A strip of evenly spaced anchors of the first episodes."""
        episodes = sorted({anchor.episode for anchor in anchors})[:_EPISODES]
        kept: set[Anchor] = set()
        for episode in episodes:
            own = [anchor for anchor in anchors if anchor.episode == episode]
            kept |= {own[i] for i in np.linspace(0, len(own) - 1, min(_PER_EPISODE, len(own))).round().astype(int)}
        return cls(frozenset(kept))

    def add(
        self,
        anchor: Anchor,
        seconds: float,
        observation: Observation,
        joints: np.ndarray | None,
        poses: CameraPoses,
        intrinsics: Mapping[str, np.ndarray],
    ) -> None:
        """Keep the pictures of an observation.

        Args:
            anchor: One of `anchors`; others are passed over.
            seconds: Since the start of the episode.
            observation: What was seen.
            joints: Arm joints `[6]` in rad then; None: not known.
            poses: Where the cameras are.
            intrinsics: Pinhole matrices `[3, 3]` in pixels by camera, as recorded.
        """
        if anchor not in self.anchors:
            return
        for camera, image in observation.images.items():
            factor = min(1.0, _WIDTH / image.shape[1])
            pose = None if joints is None else poses.pose(camera, joints)
            given = poses.intrinsics(camera)
            matrix = intrinsics.get(camera) if given is None else given
            scaled = None if matrix is None else np.diag([factor, factor, 1.0]) @ matrix
            size = round(image.shape[1] * factor), round(image.shape[0] * factor)
            picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            frame = _Frame(anchor.episode, anchor.due, camera, seconds, picture, observation.state, pose, scaled)
            self._frames.append(frame)

    def pictures(self, samples: Mapping[str, Sequence[Sample]], mode: ControlMode) -> tuple[StripPicture, ...]:
        """The pictures with the ways of each policy, by its name, and of what was recorded.

        Args:
            samples: Of each policy; those of the first one say what was recorded.
            mode: Only increments of the end effector have a way that can be drawn.
        """
        found = {name: {(s.episode, s.anchor): s for s in of_one} for name, of_one in samples.items()}
        strip = []
        for frame in self._frames:
            picture = StripPicture(frame.episode, frame.camera, frame.seconds, frame.picture)
            own = {n: s[frame.episode, frame.due] for n, s in found.items() if (frame.episode, frame.due) in s}
            if mode is ControlMode.EE_DELTA and frame.pose is not None and frame.intrinsics is not None and own:
                picture = replace(picture, paths=_paths(frame, own))
            strip.append(picture)
        return tuple(strip)


def recorded_intrinsics(bag: Bag, cameras: Sequence[str]) -> dict[str, np.ndarray]:
    """Pinhole matrices `[3, 3]` in pixels by camera, from the first `camera_info` of each."""
    topics = {f"/{camera}_camera/camera_info": camera for camera in cameras}
    wanted = {topic for topic in topics if bag.topics.get(topic) == "sensor_msgs/msg/CameraInfo"}
    found: dict[str, np.ndarray] = {}
    if wanted:
        for recorded in bag.messages(wanted):
            found.setdefault(topics[recorded.topic], np.asarray(recorded.message.k, np.float64).reshape(3, 3))
            if len(found) == len(wanted):
                break
    return {camera: matrix for camera, matrix in found.items() if matrix[0, 0] > 0.0}


def _paths(frame: _Frame, samples: Mapping[str, Sample]) -> dict[str, PathInPicture]:
    first = next(iter(samples.values()))
    rows = {RECORDED: first.recorded, **{name: sample.predicted for name, sample in samples.items()}}
    return {name: _path(frame, known) for name, actions in rows.items() if len(known := _leading(actions))}


def _leading(actions: np.ndarray) -> np.ndarray:
    """The rows before the first one that is not known."""
    bad = np.flatnonzero(~np.isfinite(actions).all(axis=1))
    return actions[: bad[0]] if len(bad) else actions


def _path(frame: _Frame, actions: np.ndarray) -> PathInPicture:
    assert frame.pose is not None and frame.intrinsics is not None
    points = predicted_path(actions, pose_from_state(frame.state)[0])
    return PathInPicture(project(points, frame.pose, frame.intrinsics), actions[:, -1])
