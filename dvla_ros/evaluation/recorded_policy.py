"""What answered in a recording, and how it was run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dvla_ros.control.alignment_config import AlignmentConfig

_ALIGNMENT = (
    "camera_hz",
    "camera_latency_s",
    "joint_latency_s",
    "stamp_source",
    "frozen_s",
    "frozen_strict",
    "max_image_age_s",
    "max_skew_s",
    "warm_up_s",
)


@dataclass(frozen=True)
class RecordedPolicy:
    """What answered, from `msg/PolicyInfo.msg`.

    Attributes:
        received: When this became known, in seconds.
        system: Name of the published system.
        checkpoint: Folder of its checkpoint, on the machine that recorded.
        fingerprint: Of the checkpoint's files.
        deployment: Text of the deployment file; "" for none.
        cameras: That it saw.
        parameters: Of the node, by name.
        version: Of dvla_ros.
        git: Revision of its source tree.
        machine: What it ran on.
    """

    received: float
    system: str
    checkpoint: str
    fingerprint: str
    deployment: str
    cameras: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    git: str = ""
    machine: str = ""

    @property
    def replanning(self) -> str:
        """How chunks followed each other; "" where that was not recorded."""
        return str(self.parameters.get("replanning", ""))

    @property
    def tracking_lag_s(self) -> float:
        """How far the moving arm was taken to be behind its command, in seconds."""
        return float(self.parameters.get("tracking_lag_s", 0.0))

    @property
    def cpu_threads(self) -> int:
        """Threads that the policy had."""
        return int(self.parameters.get("cpu_threads", 1))

    def alignment(self) -> AlignmentConfig:
        """How streams became observations; the defaults for what was not recorded.

        Raises:
            ConfigurationError: A recorded value is out of range.
        """
        values = {name: self.parameters[name] for name in _ALIGNMENT if name in self.parameters}
        if isinstance(values.get("camera_latency_s"), list):
            values["camera_latency_s"] = tuple(values["camera_latency_s"])
        return AlignmentConfig(**values)


def policy_from_message(message: Any, received: float) -> RecordedPolicy:
    """The policy of a `dvla_ros/PolicyInfo` that was recorded at `received` seconds."""
    values = zip(message.parameter_names, message.parameter_values, strict=True)
    return RecordedPolicy(
        received=received,
        system=message.system,
        checkpoint=message.checkpoint,
        fingerprint=message.fingerprint,
        deployment=message.deployment,
        cameras=tuple(message.cameras),
        parameters={name: json.loads(value) for name, value in values},
        version=message.version,
        git=message.git,
        machine=message.machine,
    )


def newest(policies: Sequence[RecordedPolicy], now: float) -> RecordedPolicy | None:
    """The policy known last at that time; the first one where none was yet: recorders catch latched messages late."""
    before = [policy for policy in policies if policy.received <= now]
    return before[-1] if before else policies[0] if policies else None
