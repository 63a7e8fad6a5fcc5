"""From the recording of an episode to the pictures of its film."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.evaluation.film import FILM_HZ, PathView, Scene
from dvla_ros.evaluation.predicted_path import CameraGeometry, predicted_path, project

VERDICT_S = 1.5
"""How long the last picture stays, with the verdict."""


@dataclass(frozen=True)
class Recording:
    """What was seen; times in seconds on one clock, in order.

    Attributes:
        frames: (stamp, JPEG) by camera; at least one each.
        intrinsics: Pinhole matrix `[3, 3]` in pixels by camera.
        joint_times: `[N]`.
        joints: `[N, 6]` arm joints in radians at these times.
    """

    frames: Mapping[str, Sequence[tuple[float, bytes]]]
    intrinsics: Mapping[str, np.ndarray]
    joint_times: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True)
class FilmedChunk:
    """A chunk to be drawn.

    Attributes:
        chunk: What was published.
        published: Time of publication in seconds; it is drawn from then on.
        path: `[H + 1, 3]` where it leads, see `predicted_path`.
        steps: Denoising steps.
        nfe: Network function evaluations.
        confidence: Mean, 0..1.
    """

    chunk: ActionChunk
    published: float
    path: np.ndarray
    steps: int
    nfe: int
    confidence: float


def filmed_chunk(
    chunk: ActionChunk, published: float, start: np.ndarray, steps: int, nfe: int, confidence: float
) -> FilmedChunk:
    """A chunk to be drawn from the pose `[4, 4]` that was commanded before it."""
    return FilmedChunk(chunk, published, predicted_path(chunk.actions, start), steps, nfe, confidence)


class EpisodeFilm:
    """Pictures of one episode at the film's rate, and the last one again with the verdict.

    Args:
        recording: What was seen.
        chunks: In order of publication.
        instruction: What was asked.
        success: The verdict.
        geometry: Where the cameras are.
    """

    def __init__(
        self,
        recording: Recording,
        chunks: Sequence[FilmedChunk],
        instruction: str,
        success: bool,
        geometry: CameraGeometry,
    ) -> None:
        self._recording, self._chunks, self._geometry = recording, chunks, geometry
        self._instruction, self._success = instruction, success
        self._stamps = {name: [stamp for stamp, _ in frames] for name, frames in recording.frames.items()}

    def scenes(self, began: float, ended: float) -> Iterator[Scene]:
        """The pictures from one time to another (seconds), then the verdict."""
        last = max(0, int((ended - began) * FILM_HZ))
        for index in range(last):
            yield self.scene(began + index / FILM_HZ, began)
        for _ in range(round(VERDICT_S * FILM_HZ)):
            yield replace(self.scene(ended, began), verdict=self._success)

    def scene(self, now: float, began: float) -> Scene:
        """What was seen and planned at the time `now` in seconds."""
        index = bisect_right([chunk.published for chunk in self._chunks], now) - 1
        chunk = self._chunks[index] if index >= 0 else None
        facts = f"{now - began:5.1f} s"
        images, paths = {}, {}
        for camera in self._recording.frames:
            stamp, images[camera] = self._frame(camera, now)
            if chunk is not None:
                paths[camera] = self._view(camera, chunk, stamp)
        if chunk is not None:
            facts += f"   chunk {index + 1}   {chunk.steps} denoising steps   NFE {chunk.nfe}"
            facts += f"   mean confidence {chunk.confidence:.2f}"
        return Scene(images, paths, self._instruction, facts)

    def _frame(self, camera: str, now: float) -> tuple[float, np.ndarray]:
        """Stamp and RGB picture of the newest frame at the time `now`; the first one before it."""
        index = max(0, bisect_right(self._stamps[camera], now) - 1)
        stamp, jpeg = self._recording.frames[camera][index]
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None, f"the recording holds a broken JPEG of {camera}"
        return stamp, np.ascontiguousarray(picture[:, :, ::-1])

    def _view(self, camera: str, filmed: FilmedChunk, stamp: float) -> PathView:
        recording, chunk = self._recording, filmed.chunk
        joints = np.array([np.interp(stamp, recording.joint_times, column) for column in recording.joints.T])
        pose = self._geometry.pose(camera, joints)
        return PathView(
            pixels=project(filmed.path, pose, recording.intrinsics[camera]),
            gripper=chunk.actions[:, -1],
            execute_steps=chunk.execute_steps,
            row=int(np.floor((stamp - chunk.stamp) / chunk.dt)),
        )
