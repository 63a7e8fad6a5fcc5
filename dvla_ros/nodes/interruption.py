"""Ctrl-C that is neither forgotten nor tears apart what it meets."""

import signal
from types import FrameType, TracebackType


class Interruption:
    """Notes Ctrl-C, and raises KeyboardInterrupt at the next `check`, at the latest at the end of the context.

    Raised by the handler itself it could strike anywhere: in a finaliser or a callback of the garbage collector, where
    Python drops it; between the start of a process and the note that it runs; while processes are being stopped. A
    context manager for the main thread; the handler before comes back at the end.
    """

    def __init__(self) -> None:
        self._happened = False

    def __enter__(self) -> "Interruption":
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)
        if not isinstance(error, KeyboardInterrupt):
            self.check()

    def check(self) -> None:
        """Call it wherever something is awaited.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self._happened:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._happened = True
