"""What the controller counts."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class SeamStatistics:
    """How chunks joined those that were being executed.

    Attributes:
        count: Chunks that took over from a row of an older one.
        max_position: Largest distance in metres between where the end effector was to be when the new rows took over,
            and where the new chunk, as it came, had it. Increments have none, and no frozen row has; for absolute
            targets it is what the alignment takes away.
        max_velocity: Largest change of the mean velocity of the end effector there, in m/s.
    """

    count: int = 0
    max_position: float = 0.0
    max_velocity: float = 0.0

    def add(self, position: float, velocity: float) -> None:
        """One more seam: distance in metres, change of velocity in m/s."""
        self.count += 1
        self.max_position, self.max_velocity = max(self.max_position, position), max(self.max_velocity, velocity)


@dataclass
class ControllerStatistics:
    """Counts since the controller was made.

    Attributes:
        ticks: Calls of `update` that gave a command.
        accepted: Chunks taken over.
        last_sequence: Sequence of the latest of them; -1 before the first.
        rejected: Chunks refused, by reason.
        last_rejection: The sentence that explains the latest refusal; empty when there was none.
        truncated: Chunks of which some of the reserve cannot be executed and was left out.
        rows: Rows executed.
        rows_left: Rows that are not over, at the latest tick.
        starved_ticks: Ticks for which no row was left though rows were expected.
        held: Ticks spent held, by a fault or on request or by another cause, by reason.
        last_fault: The sentence that explains the latest of these holds; empty when there was none.
        faults: Faults latched, by reason.
        dropped: How often rows that were still to come were dropped.
        tick_gaps: Pauses between two updates that were too long, or steps back in time.
        limited_ticks: Ticks in which the arm was late because its waypoints asked for more than the limits.
        lagging: How often rows were dropped because the arm was too far behind them.
        unsafe_motions: How often rows were dropped because smooth motion through them would have left the limits.
        reanchored: How often the command went to the arm because the arm could not follow.
        seams: How chunks joined each other.
    """

    ticks: int = 0
    accepted: int = 0
    last_sequence: int = -1
    rejected: Counter[str] = field(default_factory=Counter)
    last_rejection: str = ""
    truncated: int = 0
    rows: int = 0
    rows_left: int = 0
    starved_ticks: int = 0
    held: Counter[str] = field(default_factory=Counter)
    last_fault: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    tick_gaps: int = 0
    limited_ticks: int = 0
    lagging: int = 0
    unsafe_motions: int = 0
    reanchored: int = 0
    seams: SeamStatistics = field(default_factory=SeamStatistics)

    @property
    def held_ticks(self) -> int:
        """Ticks held for any reason."""
        return sum(self.held.values())
