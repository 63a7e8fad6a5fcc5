"""What is noted of cameras and joints while a recording is read for something else: numbers only."""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from dvla_ros.control.alignment_config import AlignmentConfig, StreamTiming
from dvla_ros.control.camera_image import decode_camera
from dvla_ros.control.joint_positions import joint_positions
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.errors import ObservationError
from dvla_ros.evaluation.open_loop.picture_change import PictureChange
from dvla_ros.evaluation.open_loop.time_offset import OffsetCurve, TimeOffset, offset_curve, time_offset
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.topics import RecordedTopics


class StreamWatch:
    """Sees every message of cameras and joint states once; give it to a `WatchedBag`.

    Args:
        bag: The recording.
        topics: Names of its topics; of the cameras that are watched.
        alignment: How stamps become times.

    Raises:
        RecordingError: The bag lacks a camera.
        ConfigurationError: There is no latency for each camera.
    """

    def __init__(self, bag: Bag, topics: RecordedTopics, alignment: AlignmentConfig) -> None:
        self._changes = {camera: PictureChange(camera) for camera in topics.cameras}
        self._times: list[float] = []
        self._joints: list[np.ndarray] = []
        self._take: dict[str, Callable[[RecordedMessage], None]] = {
            topics.joint_states: lambda recorded: self._take_joints(recorded, alignment.joint_timing)
        }
        latencies = alignment.latency_of_each(topics.cameras)
        for camera, latency in zip(topics.cameras, latencies, strict=True):
            timing = StreamTiming(alignment.camera_hz, latency, alignment.stamp_source)
            self._take[topics.image_topic(bag, camera)] = self._picture_taker(camera, timing)

    def see(self, recorded: RecordedMessage) -> None:
        """Note one message; what cannot be read is passed over, others complain of it."""
        take = self._take.get(recorded.topic)
        if take is None:
            return
        try:
            take(recorded)
        except ObservationError:
            return

    @property
    def joint_times(self) -> np.ndarray:
        """Seconds float64 `[n]` of the joint states, increasing."""
        return np.array(self._times)

    @property
    def joints(self) -> np.ndarray:
        """Arm joints float64 `[n, 6]` in rad at these times."""
        return np.array(self._joints).reshape(-1, len(ARM_JOINTS))

    @property
    def intervals(self) -> Mapping[str, np.ndarray]:
        """By camera, how much its pictures change; see `PictureChange.intervals`."""
        return {camera: change.intervals for camera, change in self._changes.items()}

    def offsets(self) -> tuple[TimeOffset, ...]:
        """Of each camera against the joints."""
        times, joints = self.joint_times, self.joints
        return tuple(time_offset(camera, rows, times, joints) for camera, rows in self.intervals.items())

    def curves(self) -> tuple[OffsetCurve, ...]:
        """Of each camera against the joints."""
        times, joints = self.joint_times, self.joints
        return tuple(offset_curve(camera, rows, times, joints) for camera, rows in self.intervals.items())

    def joints_at(self, time: float) -> np.ndarray | None:
        """Arm joints `[6]` in rad at a time in seconds; None before any were noted."""
        if not self._times:
            return None
        times, joints = self.joint_times, self.joints
        return np.array([np.interp(time, times, column) for column in joints.T])

    def _take_joints(self, recorded: RecordedMessage, timing: StreamTiming) -> None:
        time = timing.capture_time(stamp_seconds(recorded.message.header.stamp), recorded.received)
        if not self._times or time > self._times[-1]:
            positions = joint_positions(recorded.message, ARM_JOINTS)
            self._times.append(time)
            self._joints.append(positions)

    def _picture_taker(self, camera: str, timing: StreamTiming) -> Callable[[RecordedMessage], None]:
        def take(recorded: RecordedMessage) -> None:
            time = timing.capture_time(stamp_seconds(recorded.message.header.stamp), recorded.received)
            self._changes[camera].add(time, _small(recorded.message, camera))

        return take


def _small(message: Any, camera: str) -> np.ndarray:
    """The picture, of compressed ones a cheap small grey version."""
    if hasattr(message, "encoding"):
        return decode_camera(message, camera)
    picture = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if picture is None:
        raise ObservationError(f"A compressed image of '{camera}' cannot be decoded.")
    return picture
