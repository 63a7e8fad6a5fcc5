"""What the settings of every run have in common: ranges, and what a run that goes on must share with the one before."""

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from dvla_ros.errors import ConfigurationError

MAY_CHANGE = frozenset(
    "out batch_size accumulate device shard threads workers save_every keep report_every resume validation "
    "validation_frames validation_tasks validation_episodes adapter".split()
)
"""How a step is divided, where it is computed and what is kept of it."""


def require_ranges(settings: Any, positive: Collection[str], not_negative: Collection[str]) -> None:
    """Check numbers among the fields of a dataclass.

    Raises:
        ConfigurationError: One is out of range; the message names it.
    """
    for name in positive:
        if not getattr(settings, name) > 0:
            raise ConfigurationError(f"{name} must be more than 0, got {getattr(settings, name)}.")
    for name in not_negative:
        if getattr(settings, name) < 0:
            raise ConfigurationError(f"{name} must be 0 or more, got {getattr(settings, name)}.")


def identity(settings: Any) -> dict[str, Any]:
    """All that the steps of a run depend on, as JSON has it."""
    values = {name: value for name, value in asdict(settings).items() if name not in MAY_CHANGE}
    normalised: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return normalised
