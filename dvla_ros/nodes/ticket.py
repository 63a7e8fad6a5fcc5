"""A result that another thread will deliver, awaitable in a callback of the executor."""

import threading
from collections.abc import Generator
from typing import Generic, TypeVar

Value = TypeVar("Value")

# rclpy resumes an awaiting callback over and over without a pause; waiting here for a moment keeps the core free.
# Many that wait take turns, so that together they keep the others waiting no longer than one would.
_PAUSE_S = 0.005


class Ticket(Generic[Value]):
    """Filled once by one thread, awaited by a coroutine of the executor or waited for by any thread."""

    _awaited = 0  # of all tickets, by the one thread that runs the callbacks

    def __init__(self) -> None:
        self._filled = threading.Event()
        self._value: Value | None = None

    def fill(self, value: Value) -> None:
        """Deliver the result; a second one is ignored."""
        if not self._filled.is_set():
            self._value = value
            self._filled.set()

    @property
    def filled(self) -> bool:
        """Whether the result is there."""
        return self._filled.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds; whether the result is there."""
        return self._filled.wait(timeout_s)

    @property
    def value(self) -> Value:
        """The result; only once it is there."""
        assert self._filled.is_set()
        return self._value  # type: ignore[return-value]

    def __await__(self) -> Generator[None, None, Value]:
        """Give way to other callbacks until the result is there."""
        Ticket._awaited += 1
        try:
            while not self._filled.wait(_PAUSE_S / Ticket._awaited):
                yield
        finally:
            Ticket._awaited -= 1
        return self.value
