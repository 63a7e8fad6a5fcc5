"""One run: an instruction that the policy follows until something ends it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import Ask
from dvla_ros.nodes.ticket import Ticket
from dvla_ros.policies.base import Prediction


@dataclass(frozen=True)
class RunLimits:
    """When a run ends by itself; 0 means never. Seconds, and number of chunks."""

    max_duration_s: float = 0.0
    max_chunks: int = 0
    max_silence_s: float = 0.0


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: one of the termination reasons of `action/RunPolicy.action`, and why in plain words."""

    reason: str
    message: str
    chunks: int
    duration_s: float


@dataclass(frozen=True)
class Inference:
    """One answered observation: the chunk, how it was inferred, and when things happened (seconds).

    Attributes:
        chunk: What is to be executed.
        prediction: What the policy answered.
        waited_s: Time spent waiting for an observation that was new enough.
        latency_s: From the observation to publication.
        observation: What the policy saw.
        ask: What it was asked beside that.
        seed: Of the answer.
    """

    chunk: ActionChunk
    prediction: Prediction
    waited_s: float
    latency_s: float
    observation: Observation
    ask: Ask
    seed: int


@dataclass
class Run:
    """An instruction that is being followed.

    Attributes:
        instruction: What to do.
        epoch: Epoch of its chunks.
        limits: When it ends by itself.
        started: Seconds on the ROS clock.
        on_chunk: Called in the inference thread after each chunk.
        ended: Filled when it is over.
        chunks: Published so far.
        silent_since: Since when there is no observation, in seconds; None while there is.
    """

    instruction: str
    epoch: int
    limits: RunLimits
    started: float
    on_chunk: "Callable[[Run, Inference], None] | None" = None
    ended: Ticket[RunOutcome] = field(default_factory=Ticket)
    chunks: int = 0
    silent_since: float | None = None

    def end(self, reason: str, message: str, now: float) -> None:
        """It is over, at `now` seconds."""
        self.ended.fill(RunOutcome(reason, message, self.chunks, now - self.started))

    def over(self, now: float) -> tuple[str, str] | None:
        """Reason and message when a limit is reached at `now` seconds."""
        limits = self.limits
        if limits.max_chunks and self.chunks >= limits.max_chunks:
            return "max_chunks", f"{self.chunks} chunks were published"
        if limits.max_duration_s and now - self.started >= limits.max_duration_s:
            return "max_duration", f"{limits.max_duration_s:g} s are over"
        return None
