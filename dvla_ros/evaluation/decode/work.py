"""The floor: no computation ends before its bytes are read and its multiplications are done."""

from collections.abc import Iterable
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class Work:
    """What a pass of a network cannot do without.

    Attributes:
        nbytes: Bytes that must come from memory: weights once, keys and values that were computed before.
        flop: Floating-point operations; a multiplication and its addition are two.
    """

    nbytes: float = 0.0
    flop: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        """Both in one pass."""
        return Work(self.nbytes + other.nbytes, self.flop + other.flop)


@dataclass(frozen=True)
class Rates:
    """What a device can do.

    Attributes:
        bytes_per_s: Bytes that memory reads or writes while it copies.
        flop_per_s: Of the multiplication of two large matrices.

    Raises:
        ConfigurationError: A rate is not positive.
    """

    bytes_per_s: float
    flop_per_s: float

    def __post_init__(self) -> None:
        if not (self.bytes_per_s > 0 and self.flop_per_s > 0):
            raise ConfigurationError(f"Rates must be positive, got {self}.")

    def seconds(self, work: Work) -> float:
        """The floor of one pass: reading and multiplying at the same time, each at its full rate."""
        return max(work.nbytes / self.bytes_per_s, work.flop / self.flop_per_s)

    def total_seconds(self, passes: Iterable[Work]) -> float:
        """The floor of passes that wait for each other."""
        return sum(self.seconds(work) for work in passes)
