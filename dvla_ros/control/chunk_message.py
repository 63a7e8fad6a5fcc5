"""The chunk of a `dvla_ros/ActionChunk` message, read by its fields alone: from live topics and recordings alike."""

from typing import Any

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.errors import ActionError


def chunk_from_message(message: Any) -> ActionChunk:
    """The chunk of a message.

    Raises:
        ActionError: Sizes disagree, the mode is unknown or dt is not positive.
    """
    horizon, width = int(message.horizon), len(message.names)
    if horizon == 0 or len(message.data) != horizon * width:
        raise ActionError(
            f"A chunk of horizon {horizon} with {width} names needs {horizon * width} numbers (and at least one row); "
            f"it holds {len(message.data)} numbers."
        )
    if len(message.confidence) not in (0, horizon * width):
        raise ActionError(f"A chunk's confidence needs 0 or {horizon * width} numbers, got {len(message.confidence)}.")
    confidence = np.array(message.confidence, dtype=np.float32)
    return ActionChunk(
        stamp=stamp_seconds(message.header.stamp),
        dt=stamp_seconds(message.dt),
        actions=np.array(message.data, dtype=np.float32).reshape(horizon, width),
        mode=_control_mode(int(message.control_mode)),
        names=tuple(str(name) for name in message.names),
        sequence=int(message.sequence),
        epoch=int(message.epoch),
        execute_steps=int(message.execute_steps),
        execute_reserve=bool(message.execute_reserve),
        frozen_steps=int(message.frozen_steps),
        decided_steps=int(message.decided_steps),
        observation_stamp=stamp_seconds(message.observation_stamp),
        confidence=confidence.reshape(horizon, width) if confidence.size else None,
    )


def _control_mode(number: int) -> ControlMode:
    try:
        return ControlMode(number)
    except ValueError:
        known = ", ".join(f"{mode.value} ({mode.name})" for mode in ControlMode)
        raise ActionError(f"A chunk has control_mode {number}; known are {known}.") from None
