"""What one stream delivered, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamStatistics:
    """Delivery of one stream since its first sample or since it was cleared.

    Attributes:
        received: Samples stored.
        expected: Samples that should have arrived between the first and the newest stamp, at the expected rate.
        dropped: Samples refused: repeated, out of order or unstamped.
        newest: Newest stamp in seconds, the latency taken off; None before the first sample.
        rate_hz: Samples per second of the history kept; 0 with fewer than two samples.
        repeated: Samples refused because they had the stamp of the one before.
        out_of_order: Samples refused because they were older than the one before.
        unstamped: Samples refused because their header had the stamp zero.
    """

    received: int = 0
    expected: int = 0
    dropped: int = 0
    newest: float | None = None
    rate_hz: float = 0.0
    repeated: int = 0
    out_of_order: int = 0
    unstamped: int = 0

    def numbers(self, name: str, now: float) -> dict[str, float | int]:
        """The numbers for diagnostics with the stream's name before each; the age is NaN before the first sample."""
        return {
            f"{name}_received": self.received,
            f"{name}_expected": self.expected,
            f"{name}_rate_hz": self.rate_hz,
            f"{name}_age_s": float("nan") if self.newest is None else now - self.newest,
            f"{name}_dropped": self.dropped,
            f"{name}_repeated": self.repeated,
            f"{name}_out_of_order": self.out_of_order,
        }
