"""Which commands arrived, and how evenly they were sent, as the receiver sees it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CommandFigures:
    """Commands of one measurement.

    Attributes:
        commands_sent: Commands that were published between the first and the last that arrived.
        commands_received: Those of them that arrived.
        lost: Those that did not.
        sent_p99_error_ms: 99th percentile of |time between two publications - nominal period|.
        sent_worst_error_ms: Largest one.
        longest_gap_ms: Longest time between two publications.
    """

    commands_sent: int
    commands_received: int
    lost: int
    sent_p99_error_ms: float
    sent_worst_error_ms: float
    longest_gap_ms: float


class CommandRecord:
    """Sequence number and time of every command that arrived; DDS numbers all publications of a publisher."""

    def __init__(self) -> None:
        self._sequences: list[int] = []
        self._sent_ns: list[int] = []

    def __len__(self) -> int:
        return len(self._sequences)

    def add(self, sequence: int, sent_ns: int) -> None:
        """Note a command that arrived.

        Args:
            sequence: Its number, counted by the publisher.
            sent_ns: Nanoseconds at which it was published.
        """
        self._sequences.append(sequence)
        self._sent_ns.append(sent_ns)

    def figures(self, rate_hz: float, since: int = 0) -> CommandFigures:
        """Figures of all commands but the first `since`, of which there must be two or more.

        Args:
            rate_hz: Nominal rate.
            since: Commands to leave out.
        """
        arrived, order = np.unique(self._sequences[since:], return_index=True)
        sent = int(arrived[-1] - arrived[0] + 1)
        gaps_ms = np.diff(np.array(self._sent_ns[since:])[order]) / 1e6
        errors = np.abs(gaps_ms[np.diff(arrived) == 1] - 1e3 / rate_hz)
        return CommandFigures(
            commands_sent=sent,
            commands_received=len(arrived),
            lost=sent - len(arrived),
            sent_p99_error_ms=float(np.percentile(errors, 99)),
            sent_worst_error_ms=float(errors.max()),
            longest_gap_ms=float(gaps_ms.max()),
        )
