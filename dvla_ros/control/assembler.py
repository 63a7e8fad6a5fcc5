"""One observation from streams that arrive each in its own time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.control.stream import StampedStream, StreamStatistics
from dvla_ros.errors import ConfigurationError, ObservationError

JOINTS = "joint_states"
"""Name of the joint stream in messages and statistics."""


@dataclass(frozen=True)
class AssemblerConfig:
    """Limits of an observation.

    Attributes:
        max_age_s: No required stream may have its newest sample longer ago than this.
        max_skew_s: No image may lie further than this from the anchor time.
        warm_up_s: Time from the first call of `assemble` in which streams may deliver their first sample.
        history_s: Seconds of samples kept per stream.

    Raises:
        ConfigurationError: A time is not positive, or the history is shorter than the age and skew together.
    """

    max_age_s: float = 0.5
    max_skew_s: float = 0.1
    warm_up_s: float = 5.0
    history_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_age_s", "max_skew_s", "warm_up_s", "history_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)} s.")
        if self.history_s < self.max_age_s + self.max_skew_s:
            raise ConfigurationError(
                f"history_s {self.history_s} must be at least max_age_s + max_skew_s = "
                f"{self.max_age_s + self.max_skew_s:.3f} s."
            )


@dataclass(frozen=True)
class _Camera:
    stream: StampedStream[Any]
    decode: Callable[[Any], np.ndarray]


class ObservationAssembler:
    """Aligns cameras and joint states at one anchor time.

    The anchor is the newest time that every required stream covers: the oldest of their newest stamps. Images are the
    ones nearest to it; joints are interpolated at it. `store_image`, `store_joints` and `set_instruction` only keep
    what they are given and may be called from any thread; all decoding happens in `assemble`, in the thread that asks.
    """

    def __init__(
        self,
        config: AssemblerConfig,
        decode_joints: Callable[[Any], np.ndarray],
        state: Callable[[np.ndarray], np.ndarray],
        joints_hz: float = 100.0,
    ) -> None:
        """Prepare an assembler without cameras.

        Args:
            config: Limits.
            decode_joints: From a stored payload to joint values `[n]`; raises ObservationError when it cannot.
            state: From joint values `[n]` to the state vector `[S]` of an observation.
            joints_hz: Expected rate of the joint states.
        """
        self._config = config
        self._decode_joints = decode_joints
        self._state = state
        self._joints: StampedStream[Any] = StampedStream(JOINTS, joints_hz, config.history_s)
        self._cameras: dict[str, _Camera] = {}
        self._instruction = ""
        self._warm_up_from: float | None = None

    def add_camera(self, name: str, decode: Callable[[Any], np.ndarray], expected_hz: float) -> None:
        """Require a camera.

        Args:
            name: Name of the image in the observation.
            decode: From a stored payload to RGB uint8 `[H, W, 3]`; raises ObservationError when it cannot.
            expected_hz: Frames per second when none is lost.

        Raises:
            ConfigurationError: The name is taken or the rate is not positive.
        """
        if name in self._cameras:
            raise ConfigurationError(f"Camera '{name}' is configured twice.")
        self._cameras[name] = _Camera(StampedStream(name, expected_hz, self._config.history_s), decode)

    def store_image(self, name: str, stamp: float, payload: Any) -> None:
        """Keep an image message of camera `name` with its stamp in seconds."""
        self._cameras[name].stream.store(stamp, payload)

    def store_joints(self, stamp: float, payload: Any) -> None:
        """Keep a joint state message with its stamp in seconds."""
        self._joints.store(stamp, payload)

    def set_instruction(self, instruction: str) -> None:
        """Set what the robot is asked to do from now on.

        Raises:
            ObservationError: The instruction is blank; the one before stays.
        """
        if not instruction.strip():
            raise ObservationError("The instruction is empty; send a sentence such as 'pick up the red cube'.")
        self._instruction = instruction.strip()

    def clear(self) -> None:
        """Forget all samples, and warm up again; call it when the scene or the clock was reset."""
        for stream in self._streams():
            stream.clear()
        self._warm_up_from = None

    def assemble(self, now: float, not_before: float) -> Observation | None:
        """The newest observation whose anchor is not older than `not_before`.

        Args:
            now: Seconds, on the clock of the stamps.
            not_before: Oldest acceptable anchor in seconds.

        Returns:
            None while a stream is still warming up or the anchor is too old: ask again.

        Raises:
            ObservationError: A stream is missing or frozen, images lie too far apart in time, a payload is malformed
                or there is no instruction. The message names which.
        """
        anchor = self._anchor(now)
        if anchor is None or anchor < not_before:
            return None
        if not self._instruction:
            raise ObservationError("There is no instruction yet; publish a sentence such as 'pick up the red cube'.")
        images = {name: self._image(name, camera, anchor) for name, camera in self._cameras.items()}
        return Observation(anchor, images, self._state(self._joints_at(anchor)), self._instruction)

    def statistics(self) -> Mapping[str, StreamStatistics]:
        """Delivery by stream: camera names, and `joint_states`."""
        return {stream.name: stream.statistics() for stream in self._streams()}

    def _streams(self) -> list[StampedStream[Any]]:
        return [*(camera.stream for camera in self._cameras.values()), self._joints]

    def _anchor(self, now: float) -> float | None:
        """Newest time that all streams cover; None during warm-up."""
        newest = {stream.name: stream.newest for stream in self._streams()}
        missing = [name for name, stamp in newest.items() if stamp is None]
        if missing:
            self._require_warming_up(missing, now)
            return None
        stamps = {name: stamp for name, stamp in newest.items() if stamp is not None}
        oldest = min(stamps, key=lambda name: stamps[name])
        if now - stamps[oldest] > self._config.max_age_s:
            raise ObservationError(
                f"'{oldest}' stands still: its newest sample is {now - stamps[oldest]:.2f} s old, allowed are "
                f"{self._config.max_age_s} s. Check that its publisher runs and that the clocks agree."
            )
        return stamps[oldest]

    def _require_warming_up(self, missing: list[str], now: float) -> None:
        if self._warm_up_from is None:
            self._warm_up_from = now
        if now - self._warm_up_from > self._config.warm_up_s:
            raise ObservationError(
                f"Nothing arrived from {', '.join(repr(name) for name in missing)} in {self._config.warm_up_s} s. "
                f"Check the topic name, and that its publisher runs and offers a compatible QoS."
            )

    def _image(self, name: str, camera: _Camera, anchor: float) -> np.ndarray:
        """The image nearest to the anchor, uint8 `[H, W, 3]`."""
        stamp, payload = camera.stream.nearest(anchor)
        if abs(stamp - anchor) > self._config.max_skew_s:
            raise ObservationError(
                f"The image of '{name}' nearest to the anchor is {abs(stamp - anchor):.3f} s away from it, allowed are "
                f"{self._config.max_skew_s} s. Is the camera too slow, or its clock another?"
            )
        image = camera.decode(payload)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ObservationError(
                f"The image of '{name}' must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}."
            )
        return image

    def _joints_at(self, anchor: float) -> np.ndarray:
        """Joint values `[n]`, interpolated linearly at the anchor."""
        (before, first), (after, second) = self._joints.around(anchor)
        distance = min(abs(anchor - before), abs(after - anchor))
        if distance > self._config.max_skew_s:
            raise ObservationError(
                f"The joint state nearest to the images is {distance:.3f} s away from them, allowed are "
                f"{self._config.max_skew_s} s. Is '{JOINTS}' too slow, or its clock another?"
            )
        weight = (anchor - before) / (after - before) if before < anchor < after else 0.0
        low = self._decode_joints(first)
        return low if weight == 0.0 else low + weight * (self._decode_joints(second) - low)
