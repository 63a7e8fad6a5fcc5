"""What the page shows. Whatever is not known to be so now is None."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """What `chunker_node` does with the arm.

    Attributes:
        state: A word of `ExecutionStatus`: following, starved, holding, fault, inactive.
        reason: Short word as in docs/safety.md, or empty.
        message: The same in one sentence.
        delay_ms: From the observation of the newest accepted chunk to its acceptance, milliseconds.
        dropped: How often rows that were still to come were dropped.
        health: What it says of itself in `/diagnostics`; None where that is not known.
        commands_hz: Commands per second.
    """

    state: str
    reason: str
    message: str
    delay_ms: float
    dropped: int
    health: str | None
    commands_hz: float | None


@dataclass(frozen=True)
class PolicyReport:
    """What `policy_node` does.

    Attributes:
        activity: following, idle or inactive; problem where it reports one and has not been asked to follow from here.
        message: Its own sentence.
        well: Whether it reports no problem.
        latency_ms_p50: From observation to publication, milliseconds; None before the first chunk.
        latency_ms_p95: The same, exceeded by one chunk in twenty.
    """

    activity: str
    message: str
    well: bool
    latency_ms_p50: float | None
    latency_ms_p95: float | None


@dataclass(frozen=True)
class Chunk:
    """The newest chunk: milliseconds from observation to publication, seconds since it came, chunks per second."""

    latency_ms: float
    age_s: float
    per_s: float
    nfe: int
    confidence: float | None


@dataclass(frozen=True)
class RunState:
    """The run that the page started last: `phase` is following or ended; then `reason` and `message` say why."""

    instruction: str
    phase: str
    reason: str
    message: str
    chunks: int


@dataclass(frozen=True)
class Task:
    """What the simulated scene knows about its task; seconds since the reset."""

    task: str
    instruction: str
    outcome: str
    detail: str
    elapsed_s: float


@dataclass(frozen=True)
class OperatorState:
    """Everything at once.

    Attributes:
        execution: None while `chunker_node` is silent.
        policy: None while `policy_node` is silent.
        chunk: None before the first one.
        run: None before the first start.
        task: None without a simulated scene.
        camera_hz: Frames per second that the policy received, by camera; None where not known.
        estop_pressed: Whether the page's emergency stop has not been released yet.
        estop_elsewhere: Whether another emergency stop is pressed on the topic.
    """

    execution: Execution | None
    policy: PolicyReport | None
    chunk: Chunk | None
    run: RunState | None
    task: Task | None
    camera_hz: dict[str, float | None]
    estop_pressed: bool
    estop_elsewhere: bool


@dataclass(frozen=True)
class Answer:
    """What came of a command: done or refused, and the sentence that is shown."""

    ok: bool
    message: str
