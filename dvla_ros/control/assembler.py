"""One observation from streams that arrive each in its own time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvla_ros.control.alignment_config import AssemblerConfig as AssemblerConfig
from dvla_ros.control.alignment_config import StreamTiming
from dvla_ros.control.clock_jump import ClockWatch
from dvla_ros.control.frozen_camera import UnchangedPicture, has_moved
from dvla_ros.control.observation import Observation
from dvla_ros.control.stream import StampedStream
from dvla_ros.control.stream_presence import ahead_of_clock, nothing_arrived, standing_still
from dvla_ros.control.stream_statistics import StreamStatistics
from dvla_ros.errors import ConfigurationError, ObservationError

JOINTS = "joint_states"
"""Name of the joint stream in messages and statistics."""

_JOINT_TIMING = StreamTiming(100.0)
_JOINTS_MAX_HZ = 1000.0
"""Joint states of drivers that are faster than this cover less time than asked for."""

_SAMPLES_OF_MOTION = 32
"""So many joint states tell whether the arm moved while a picture stayed."""


@dataclass(frozen=True)
class _Camera:
    stream: StampedStream[Any]
    decode: Callable[[Any], np.ndarray]
    picture: UnchangedPicture | None


class ObservationAssembler:
    """Aligns cameras and joint states at one anchor time.

    The anchor is the newest time that every required stream covers: the oldest of their newest stamps, latencies taken
    off. Images are the ones nearest to it; joints are interpolated at it. `store_image`, `store_joints` and
    `set_instruction` only keep what they are given and may be called from any thread; all decoding happens in
    `assemble`, in the thread that asks.
    """

    def __init__(
        self,
        config: AssemblerConfig,
        decode_joints: Callable[[Any], np.ndarray],
        state: Callable[[np.ndarray], np.ndarray],
        joints: StreamTiming = _JOINT_TIMING,
    ) -> None:
        """Prepare an assembler without cameras.

        Args:
            config: Limits.
            decode_joints: From a stored payload to joint values `[n]`; raises ObservationError when it cannot.
            state: From joint values `[n]` to the state vector `[S]` of an observation.
            joints: Expected rate, latency and timeline of the joint states.
        """
        self._config = config
        self._decode_joints = decode_joints
        self._state = state
        history = config.history_s + config.frozen_s
        self._joints: StampedStream[Any] = StampedStream(JOINTS, joints, history, int(_JOINTS_MAX_HZ * history))
        self._cameras: dict[str, _Camera] = {}
        self._instruction = ""
        self._warm_up_from: float | None = None
        self._clock = ClockWatch()
        self._skew: dict[str, float] = {}

    def add_camera(
        self,
        name: str,
        decode: Callable[[Any], np.ndarray],
        expected_hz: float,
        *,
        latency_s: float = 0.0,
        timeline: str = "header",
        content: Callable[[Any], Any] | None = None,
    ) -> None:
        """Require a camera.

        Args:
            name: Name of the image in the observation.
            decode: From a stored payload to RGB uint8 `[H, W, 3]`; raises ObservationError when it cannot.
            expected_hz: Frames per second when none is lost.
            latency_s: See `StreamTiming`.
            timeline: See `StreamTiming`.
            content: From a stored payload to its bytes, to see whether pictures change; None: that is not checked.

        Raises:
            ConfigurationError: The name is taken, or a number is out of range.
        """
        if name in self._cameras or name == JOINTS:
            raise ConfigurationError(f"Camera '{name}' is configured twice.")
        picture = UnchangedPicture(content) if content is not None and self._config.frozen_s > 0.0 else None
        timing = StreamTiming(expected_hz, latency_s, timeline)
        self._cameras[name] = _Camera(StampedStream(name, timing, self._config.history_s), decode, picture)

    def store_image(self, name: str, stamp: float, payload: Any, received: float | None = None) -> None:
        """Keep an image message of camera `name` with the stamp of its header and its arrival in seconds.

        One thread per camera.
        """
        camera = self._cameras[name]
        kept = camera.stream.store(stamp, payload, received)
        if kept and camera.picture is not None and camera.stream.newest is not None:
            camera.picture.see(camera.stream.newest, payload)

    def store_joints(self, stamp: float, payload: Any, received: float | None = None) -> None:
        """Keep a joint state message with the stamp of its header and its arrival in seconds."""
        self._joints.store(stamp, payload, received)

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
        for camera in self._cameras.values():
            if camera.picture is not None:
                camera.picture.forget()
        self._warm_up_from = None
        self._clock.forget()
        self._skew = {}

    def assemble(self, now: float, not_before: float) -> Observation | None:
        """The newest observation whose anchor is not older than `not_before`.

        Args:
            now: Seconds, on the clock of the stamps.
            not_before: Oldest acceptable anchor in seconds.

        Returns:
            None while a stream is still warming up or the anchor is too old: ask again.

        Raises:
            ObservationError: A stream is missing, frozen or ahead of the clock, images lie too far apart in time, a
                payload is malformed or there is no instruction. The message names which. Also after a jump of the
                clock: all samples are forgotten then, and the streams warm up again.
        """
        self._follow_clock(now)
        anchor = self._anchor(now)
        if anchor is None or anchor < not_before:
            return None
        self._require_changing_pictures()
        return self.observe(anchor)

    @property
    def covered(self) -> float | None:
        """Newest time in seconds that every stream covers, without a look at the clock; None before that."""
        newest = list(self.newest.values())
        return None if None in newest else min(stamp for stamp in newest if stamp is not None)

    @property
    def newest(self) -> Mapping[str, float | None]:
        """Newest time in seconds by stream, see `statistics`; None before its first sample."""
        return {stream.name: stream.newest for stream in self._streams()}

    def observe(self, anchor: float, image_stamps: Mapping[str, float] | None = None) -> Observation:
        """The observation of a time that every stream covers, see `covered`.

        The same anchor gives the same observation whatever has been stored since, as long as it is within the history.

        Args:
            anchor: Seconds.
            image_stamps: Stamp of the image to take, by camera; None: the one nearest to the anchor.

        Raises:
            ObservationError: Images lie too far from the anchor or are not there, a payload is malformed or there is
                no instruction.
        """
        if not self._instruction:
            raise ObservationError("There is no instruction yet; publish a sentence such as 'pick up the red cube'.")
        if image_stamps is None:
            found = {name: self._nearest(name, camera, anchor) for name, camera in self._cameras.items()}
        else:
            found = {name: (at := image_stamps[name], c.stream.at(at)) for name, c in self._cameras.items()}
        joints, joint_skew = self._joints_at(anchor)
        images = {name: _image(name, camera, found[name][1]) for name, camera in self._cameras.items()}
        self._skew = {name: abs(stamp - anchor) for name, (stamp, _) in found.items()} | {JOINTS: joint_skew}
        stamps = {name: stamp for name, (stamp, _) in found.items()}
        return Observation(anchor, images, self._state(joints), self._instruction, stamps)

    def problem(self, now: float) -> str:
        """Why `assemble` would refuse at the time `now`, without decoding an image; empty when it would not.

        For a timer that watches: nothing is forgotten and no warm-up begins.
        """
        try:
            jump = self._clock.jump(self._streams(), now)
            if jump:
                return f"{jump}."
            if self._warm_up_from is None and any(stream.newest is None for stream in self._streams()):
                return ""
            if self._anchor(now) is not None:
                self._require_changing_pictures()
        except ObservationError as error:
            return str(error)
        return ""

    def statistics(self) -> Mapping[str, StreamStatistics]:
        """Delivery by stream: camera names, and `joint_states`."""
        return {stream.name: stream.statistics() for stream in self._streams()}

    def numbers(self, now: float) -> dict[str, float | int]:
        """Numbers for diagnostics: of each stream what `StreamStatistics.numbers` says, and the skew.

        `<stream>_skew_s` is the distance of the newest observation's sample from its anchor, `skew_s` the largest.
        """
        numbers: dict[str, float | int] = {}
        skew = dict(self._skew)
        for name, statistics in self.statistics().items():
            numbers |= statistics.numbers(name, now)
            numbers[f"{name}_skew_s"] = skew.get(name, float("nan"))
        numbers["skew_s"] = max(skew.values(), default=float("nan"))
        return numbers

    def _streams(self) -> list[StampedStream[Any]]:
        return [*(camera.stream for camera in self._cameras.values()), self._joints]

    def _follow_clock(self, now: float) -> None:
        jump = self._clock.jump(self._streams(), now)
        if jump:
            self.clear()
            self._warm_up_from = now
        self._clock.at(now)
        if jump:
            raise ObservationError(f"{jump}: all samples are forgotten, the streams warm up again.")

    def _anchor(self, now: float) -> float | None:
        """Newest time that all streams cover; None during warm-up."""
        streams = self._streams()
        newest = {stream.name: stamp for stream in streams if (stamp := stream.newest) is not None}
        if len(newest) < len(streams):
            self._require_warming_up([stream for stream in streams if stream.name not in newest], now)
            return None
        refusal = ahead_of_clock(newest, now, self._config.max_skew_s) or standing_still(
            streams, newest, now, self._config.max_age_s
        )
        if refusal:
            raise ObservationError(refusal)
        return min(newest.values())

    def _require_warming_up(self, missing: Sequence[StampedStream[Any]], now: float) -> None:
        if self._warm_up_from is None:
            self._warm_up_from = now
        if now - self._warm_up_from > self._config.warm_up_s:
            raise ObservationError(nothing_arrived(missing, self._config.warm_up_s))

    def _require_changing_pictures(self) -> None:
        """No camera that shows the same picture while the arm moves."""
        for name, camera in self._cameras.items():
            newest, since = camera.stream.newest, camera.picture.since if camera.picture is not None else None
            if newest is None or since is None or newest - since <= self._config.frozen_s:
                continue
            if self._config.frozen_strict or self._arm_moved(since, newest - self._config.max_skew_s):
                raise ObservationError(
                    f"'{name}' is frozen: its picture has been the same, byte for byte, for {newest - since:.2f} s"
                    f"{'' if self._config.frozen_strict else ' while the arm moved'}, allowed are "
                    f"{self._config.frozen_s} s. Restart its driver, or check its cable and the camera's topic."
                )

    def _arm_moved(self, start: float, end: float) -> bool:
        samples = self._joints.between(start, end)
        few = samples[:: len(samples) // _SAMPLES_OF_MOTION + 1] + samples[-1:]
        return len(few) > 1 and has_moved(np.array([self._decode_joints(payload) for _, payload in few]))

    def _nearest(self, name: str, camera: _Camera, anchor: float) -> tuple[float, Any]:
        """Stamp and payload of the image nearest to the anchor."""
        stamp, payload = camera.stream.nearest(anchor)
        if abs(stamp - anchor) > self._config.max_skew_s:
            raise ObservationError(
                f"The image of '{name}' nearest to the anchor is {abs(stamp - anchor):.3f} s away from it, allowed are "
                f"{self._config.max_skew_s} s. Is the camera too slow, or its clock another?"
            )
        return stamp, payload

    def _joints_at(self, anchor: float) -> tuple[np.ndarray, float]:
        """Joint values `[n]`, interpolated linearly at the anchor, and the distance of the nearest sample in s."""
        (before, first), (after, second) = self._joints.around(anchor)
        distance = min(abs(anchor - before), abs(after - anchor))
        if distance > self._config.max_skew_s:
            raise ObservationError(
                f"The joint state nearest to the images is {distance:.3f} s away from them, allowed are "
                f"{self._config.max_skew_s} s. Is '{JOINTS}' too slow, or its clock another?"
            )
        weight = (anchor - before) / (after - before) if before < anchor < after else 0.0
        joints = self._decode_joints(first)
        if weight > 0.0:
            joints = joints + weight * (self._decode_joints(second) - joints)
        if not np.isfinite(joints).all():
            raise ObservationError(f"'{JOINTS}' has a value that is not a finite number: {joints.tolist()}.")
        return joints, distance


def _image(name: str, camera: _Camera, payload: Any) -> np.ndarray:
    """The decoded image, uint8 `[H, W, 3]`."""
    image = camera.decode(payload)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ObservationError(f"The image of '{name}' must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}.")
    return image
