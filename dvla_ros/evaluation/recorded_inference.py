"""What a policy was asked and what it answered, as a recording holds it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.replanning import Ask
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.evaluation.recorded_policy import RecordedPolicy


@dataclass(frozen=True)
class RecordedInference:
    """One question and its answer.

    Attributes:
        chunk: The answer as it was published.
        nfe: Network function evaluations it took.
        anchor: Time of the observation in seconds.
        instruction: What the robot was asked to do.
        image_stamps: When each image was taken in seconds, latency taken off; by the camera's name.
        state: State vector of the observation.
        crc: `control.observation.Observation.crc` of the observation.
        seed: Of the answer.
        ask: What was asked beside the observation; its deadline is the one that was set.
        tokens: int32 `[L]`, the whole canvas after the last denoising step; None where no trace was recorded, empty
            where actions are no tokens.
        policy: What answered; None where that was not recorded.
    """

    chunk: ActionChunk
    nfe: int
    anchor: float
    instruction: str
    image_stamps: Mapping[str, float]
    state: np.ndarray
    crc: int
    seed: int
    ask: Ask
    tokens: np.ndarray | None
    policy: RecordedPolicy | None

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(self.image_stamps)


def due_times(chunks: Sequence[ActionChunk], dt: float) -> Iterator[float]:
    """Due times in seconds of the rows that were executed, of all chunks on a grid of `dt`; each time once.

    Rows from the due time of the next chunk on are the next one's; rows that are no reserve end with `execute_steps`.
    """
    for chunk, after in zip(chunks, [*chunks[1:], None], strict=False):
        if abs(chunk.dt - dt) > 1e-6:
            continue
        rows = chunk.horizon if chunk.execute_reserve else (chunk.execute_steps or chunk.horizon)
        end = float("inf") if after is None or after.epoch != chunk.epoch else after.stamp - 0.5 * dt
        yield from (due for row in range(rows) if (due := chunk.stamp + row * dt) < end)


def inference_from_message(
    message: Any, chunk: ActionChunk, nfe: int, tokens: np.ndarray | None, policy: RecordedPolicy | None
) -> RecordedInference:
    """The inference of a `dvla_ros/InferenceRequest`, its chunk and the tokens of its trace."""
    anchor = stamp_seconds(message.header.stamp)
    guess = np.asarray(message.guess, np.float32)
    ask = Ask(
        began=anchor,
        stamp=chunk.stamp,
        execute_steps=chunk.execute_steps,
        frozen=chunk.actions[: int(message.frozen_steps)],
        guess=guess.reshape(chunk.actions.shape) if guess.size else None,
        guess_confidence=np.asarray(message.guess_confidence, np.float32).reshape(chunk.actions.shape)
        if guess.size
        else None,
        needed_steps=None if message.needed_steps < 0 else int(message.needed_steps),
        deadline_s=float(message.deadline) or None,
    )
    return RecordedInference(
        chunk=chunk,
        nfe=nfe,
        anchor=anchor,
        instruction=message.instruction,
        image_stamps=dict(zip(message.cameras, map(stamp_seconds, message.image_stamps), strict=True)),
        state=np.asarray(message.state, np.float64),
        crc=int(message.observation_crc),
        seed=int(message.seed),
        ask=ask,
        tokens=tokens,
        policy=policy,
    )
