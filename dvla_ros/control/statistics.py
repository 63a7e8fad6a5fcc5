"""What the controller counts."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ControllerStatistics:
    """Counts since the controller was made.

    Attributes:
        ticks: Calls of `update` that gave a command.
        accepted: Chunks taken over.
        rejected: Chunks refused, by reason.
        last_rejection: The sentence that explains the latest refusal; empty when there was none.
        rows: Rows executed.
        starved_ticks: Ticks for which no row was left, after a chunk had been accepted and before `reset` or `hold`.
        held: Ticks spent without executing a row because of a fault or on request, by reason.
        last_fault: The sentence that explains the latest of these holds; empty when there was none.
        tick_gaps: Pauses between two updates that were too long, or steps back in time, after which the motion started
            again from rest.
    """

    ticks: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    last_rejection: str = ""
    rows: int = 0
    starved_ticks: int = 0
    held: Counter[str] = field(default_factory=Counter)
    last_fault: str = ""
    tick_gaps: int = 0

    @property
    def held_ticks(self) -> int:
        """Ticks held for any reason."""
        return sum(self.held.values())
