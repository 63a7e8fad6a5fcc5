"""Ctrl-C that is not forgotten."""

import signal
from types import FrameType, TracebackType


class Interruption:
    """Raises KeyboardInterrupt at once, and again at the next `check`.

    Python drops an exception that is raised while it runs a finaliser or a callback of the garbage collector, which may
    be what the main thread does at that moment. A context manager for the main thread; the handler before comes back
    at the end.
    """

    def __init__(self) -> None:
        self._happened = False

    def __enter__(self) -> "Interruption":
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Call it now and then.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self._happened:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._happened = True
        raise KeyboardInterrupt
