"""Settings of the controller."""

import math
from dataclasses import dataclass, field

from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.timeline import SameAction
from dvla_ros.errors import ConfigurationError

STARVATION = ("hold", "decelerate", "stop")


@dataclass(frozen=True)
class ControllerConfig:
    """Settings of the controller.

    Attributes:
        safety: Limits of the safety gate; its workspace is also the box to which increments are clipped.
        max_lead_s: Chunks that start later than this many seconds from now are rejected.
        max_tick_gap_s: After a longer pause between two updates, in seconds, the motion starts again from rest.
        align_fade_s: Absolute targets: the offset between the old plan and a new chunk fades out in this many seconds;
            0 does not align them.
        starvation: When rows run out: `hold` comes to rest at the last target; `decelerate` passes it and brakes;
            `stop` is `hold`, and the fault `starved` after `starvation_timeout_s`.
        starvation_timeout_s: Seconds without rows until the fault; only with `stop`.
        slow_start_s: Seconds of motion, after every start, reset, hold and fault, in which the largest speed grows.
        slow_start_scale: Part of the largest speed that is allowed at first.
        max_lag: When the command of a joint is further than this many rad behind the end of a row, because the rows ask
            for more than the limits, the arm brakes and the rows after it are dropped.
        frozen_translation: A frozen row is the one being executed if it differs by no more than this, in metres.
        frozen_rotation: The same for rotations and joints, in rad.
        reanchor_after_s: Seconds without rows after which the command goes to an arm that cannot follow it.

    Raises:
        ConfigurationError: A time or a distance is out of range, or there is no such starvation policy.
    """

    safety: SafetyConfig = field(default_factory=SafetyConfig)
    max_lead_s: float = 2.0
    max_tick_gap_s: float = 0.1
    align_fade_s: float = 0.4
    starvation: str = "hold"
    starvation_timeout_s: float = 1.0
    slow_start_s: float = 2.0
    slow_start_scale: float = 0.3
    max_lag: float = 0.3
    frozen_translation: float = 0.005
    frozen_rotation: float = 0.02
    reanchor_after_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("max_lead_s", "max_tick_gap_s", "starvation_timeout_s", "max_lag", "reanchor_after_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} must be positive and finite, got {getattr(self, name)}.")
        for name in ("align_fade_s", "slow_start_s", "frozen_translation", "frozen_rotation"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} must be 0 or more and finite, got {getattr(self, name)}.")
        if not 0.0 < self.slow_start_scale <= 1.0:
            raise ConfigurationError(f"slow_start_scale must lie above 0 and not above 1, got {self.slow_start_scale}.")
        if self.starvation not in STARVATION:
            raise ConfigurationError(f"starvation must be one of {', '.join(STARVATION)}, got '{self.starvation}'.")

    @property
    def same_action(self) -> SameAction:
        """When a frozen row is the one being executed."""
        return SameAction(self.frozen_translation, self.frozen_rotation)

    def speed_scale(self, since: float) -> float:
        """Part of the largest speed that is allowed `since` seconds after motion began."""
        if since >= self.slow_start_s:
            return 1.0
        return self.slow_start_scale + (1.0 - self.slow_start_scale) * since / self.slow_start_s
