"""The role of a backend: it sends one joint command to whatever moves the arm."""

from typing import Protocol

from dvla_ros.control.controller import Command


class CommandBackend(Protocol):
    """Sends joint commands; called from the control thread only.

    Attributes:
        topics: Fully qualified topics it commands; nobody else may publish there.
    """

    topics: tuple[str, ...]

    def send(self, command: Command, now: float) -> None:
        """Send one command at the time `now` in seconds; must return at once."""
        ...
