"""How streams that arrive each in its own time become one observation: limits, latencies and where stamps come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError

TIMELINES = ("header", "receive")
"""Where the time of a sample comes from: the message's header, or the moment of its arrival."""


@dataclass(frozen=True)
class StreamTiming:
    """How a stream's samples get their time.

    Attributes:
        expected_hz: Samples per second when none is lost.
        latency_s: Seconds from the instant that a sample shows to its stamp; what a device and its driver take. UMI
            measured 0.125 to 0.17 s for USB cameras.
        timeline: `header`: the stamp is the message's. `receive`: the stamp is the time of arrival, for drivers that
            leave stamps unset or take them from another clock.

    Raises:
        ConfigurationError: The rate is not positive, the latency negative, or there is no such timeline.
    """

    expected_hz: float
    latency_s: float = 0.0
    timeline: str = "header"

    def __post_init__(self) -> None:
        if not self.expected_hz > 0.0:
            raise ConfigurationError(f"expected_hz must be positive, got {self.expected_hz} Hz.")
        if not self.latency_s >= 0.0:
            raise ConfigurationError(f"latency_s must be 0 or more, got {self.latency_s} s.")
        if self.timeline not in TIMELINES:
            raise ConfigurationError(f"The timeline must be {' or '.join(TIMELINES)}, got '{self.timeline}'.")

    def capture_time(self, stamp: float, received: float | None) -> float:
        """Seconds at which a sample was taken, from its stamp and the time of its arrival (None: not known).

        Raises:
            ConfigurationError: The timeline is `receive` and the time of arrival is not known.
        """
        if self.timeline == "header":
            return stamp - self.latency_s
        if received is None:
            raise ConfigurationError("The timeline 'receive' needs the time at which a message arrived.")
        return received - self.latency_s


@dataclass(frozen=True)
class AssemblerConfig:
    """Limits of an observation; all times count from when a sample was taken, its latency included.

    Attributes:
        max_age_s: No required stream may have its newest sample longer ago than this.
        max_skew_s: No sample may lie further than this from the anchor time, and no stamp further ahead of the clock.
        warm_up_s: Time from the first call of `assemble` in which streams may deliver their first sample.
        history_s: Seconds of images kept per camera.
        frozen_s: A camera whose pictures stay byte-identical for longer, while the arm moves, is frozen; 0: not
            checked.
        frozen_strict: Identical pictures count as frozen even when the arm rests. For real sensors, whose noise makes
            no two pictures equal; a simulated scene at rest does look the same for long.

    Raises:
        ConfigurationError: A time is not positive, or the history is shorter than the age and skew together.
    """

    max_age_s: float = 0.5
    max_skew_s: float = 0.1
    warm_up_s: float = 5.0
    history_s: float = 1.0
    frozen_s: float = 0.5
    frozen_strict: bool = False

    def __post_init__(self) -> None:
        for name in ("max_age_s", "max_skew_s", "warm_up_s", "history_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)} s.")
        if not self.frozen_s >= 0.0:
            raise ConfigurationError(f"frozen_s must be 0 (not checked) or more, got {self.frozen_s} s.")
        if self.history_s < self.max_age_s + self.max_skew_s:
            raise ConfigurationError(
                f"history_s {self.history_s} must be at least max_age_s + max_skew_s = "
                f"{self.max_age_s + self.max_skew_s:.3f} s."
            )


@dataclass(frozen=True)
class AlignmentConfig:
    """What a user sets about the alignment of a robot's cameras and joint states.

    Attributes:
        camera_hz: Frames per second that each camera is expected to send.
        joints_hz: Joint states per second that are expected.
        camera_latency_s: Seconds from exposure to stamp: one number for all cameras, or one each in their order.
        joint_latency_s: The same for joint states.
        stamp_source: `header` or `receive`, see `StreamTiming.timeline`; for all streams.
        frozen_s: See `AssemblerConfig`; so are the next four.
        frozen_strict: See `AssemblerConfig`.
        max_image_age_s: `max_age_s` there.
        max_skew_s: See `AssemblerConfig`.
        warm_up_s: See `AssemblerConfig`.

    Raises:
        ConfigurationError: A value is out of range, or a latency is not below max_image_age_s: every sample would be
            too old on arrival.
    """

    camera_hz: float = 15.0
    joints_hz: float = 100.0
    camera_latency_s: float | tuple[float, ...] = 0.0
    joint_latency_s: float = 0.0
    stamp_source: str = "header"
    frozen_s: float = 0.5
    frozen_strict: bool = False
    max_image_age_s: float = 0.5
    max_skew_s: float = 0.15
    warm_up_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("camera_hz", "joints_hz", "max_image_age_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        for latency in (*self._camera_latencies, self.joint_latency_s):
            if not 0.0 <= latency < self.max_image_age_s:
                raise ConfigurationError(
                    f"A latency must be 0 or more and below max_image_age_s {self.max_image_age_s} s, got {latency} s."
                )
        if self.stamp_source not in TIMELINES:
            raise ConfigurationError(f"stamp_source must be {' or '.join(TIMELINES)}, got '{self.stamp_source}'.")
        _ = self.limits  # checks the rest

    @property
    def limits(self) -> AssemblerConfig:
        """Limits of an observation."""
        history = max(1.0, self.max_image_age_s + self.max_skew_s)
        return AssemblerConfig(
            self.max_image_age_s, self.max_skew_s, self.warm_up_s, history, self.frozen_s, self.frozen_strict
        )

    @property
    def joint_timing(self) -> StreamTiming:
        """How joint states get their time."""
        return StreamTiming(self.joints_hz, self.joint_latency_s, self.stamp_source)

    def latency_of_each(self, cameras: Sequence[str]) -> tuple[float, ...]:
        """Seconds from exposure to stamp of each camera.

        Raises:
            ConfigurationError: There are several latencies, but not one for each camera.
        """
        latencies = self._camera_latencies
        if len(latencies) == 1:
            return latencies * len(cameras)
        if len(latencies) != len(cameras):
            raise ConfigurationError(
                f"camera_latency_s must be one number, or one for each of {', '.join(cameras)}; got {len(latencies)}."
            )
        return latencies

    @property
    def _camera_latencies(self) -> tuple[float, ...]:
        given = self.camera_latency_s
        return given if isinstance(given, tuple) else (given,)
