"""Why the arm is held until the cause is over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hold:
    """One cause.

    Attributes:
        reason: Short word as in docs/safety.md.
        detail: One sentence.
        quiet: Nothing more is sent once the arm rests: somebody else may move it.
        elsewhere: The arm may not be where it was commanded to be when the cause is over; commands then start anew
            from where it is.
    """

    reason: str
    detail: str
    quiet: bool = False
    elsewhere: bool = False

    @property
    def starts_anew(self) -> bool:
        """Whether commands start from the measured joints afterwards."""
        return self.quiet or self.elsewhere


class Holds:
    """The causes that hold the arm now, in the order in which they came. Any thread may call."""

    def __init__(self) -> None:
        self._causes: dict[str, Hold] = {}

    def set(self, hold: Hold) -> None:
        """The cause is there; the sentence of one that is there already is replaced."""
        self._causes[hold.reason] = hold

    def clear(self, reason: str) -> None:
        """The cause is over, if it was there."""
        self._causes.pop(reason, None)

    def put(self, hold: Hold, present: bool) -> None:
        """Set or clear a cause."""
        if present:
            self.set(hold)
        else:
            self.clear(hold.reason)

    @property
    def first(self) -> Hold | None:
        """The cause that came first and is still there; None when nothing holds the arm."""
        causes = list(self._causes.values())
        return causes[0] if causes else None

    @property
    def quiet(self) -> bool:
        """Whether one of the causes asks for silence."""
        return any(hold.quiet for hold in list(self._causes.values()))
