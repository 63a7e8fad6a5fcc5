"""What is wrong with the stamps and pictures of a recorded stream, in words."""

from typing import Any

from dvla_ros.control.frozen_camera import UnchangedPicture

_CLOCK_APART_S = 1.0
"""Stamps further than this from the time of recording, on average, are another clock's."""

_FROZEN_S = 2.0
"""Pictures that stay byte-identical for longer while the arm moves are told of."""


class StreamCheck:
    """Looks at each message of a topic as it is read; counts only, keeps nothing but the last picture.

    Args:
        topic: Name for the sentences.
        by_header: Whether the stream is aligned by the stamps of its headers.
    """

    def __init__(self, topic: str, by_header: bool) -> None:
        self._topic, self._by_header = topic, by_header
        self._count = self._unstamped = self._repeated = self._backwards = 0
        self._most_back = self._apart = self._longest = 0.0
        self._last = 0.0
        self._picture = UnchangedPicture(lambda message: message.data)
        self._moved: float | None = None

    def arm_moved(self, received: float) -> None:
        """Take notice that the arm is elsewhere at this time of recording: from now on pictures have to change."""
        self._moved = received if self._moved is None else self._moved

    def see(self, stamp: float, received: float, message: Any) -> None:
        """Take notice of a message: its stamp and the time of its recording, in seconds."""
        self._count += 1
        if stamp == 0.0:
            self._unstamped += 1
        elif self._last:
            self._repeated += stamp == self._last
            self._backwards += stamp < self._last
            self._most_back = max(self._most_back, self._last - stamp)
        self._last = stamp
        self._apart += received - stamp
        if hasattr(message, "data"):
            self._picture.see(received, message)
            if self._picture.since == received:
                self._moved = None
            self._longest = max(self._longest, received - (self._moved or received))

    def problems(self) -> dict[str, str]:
        """Sentences, by what they are about; empty when nothing is wrong."""
        found = {"frozen": self._frozen()}
        if self._by_header and self._count:
            found |= {"unstamped": self._without_stamp(), "order": self._disorder(), "clock": self._other_clock()}
        return {about: f"{self._topic}: {text}" for about, text in found.items() if text}

    def _frozen(self) -> str:
        if self._longest <= _FROZEN_S:
            return ""
        return (
            f"its picture stays the same, byte for byte, for up to {self._longest:.1f} s after the arm moved. Was the "
            "camera frozen?"
        )

    def _without_stamp(self) -> str:
        if not self._unstamped:
            return ""
        return (
            f"{self._unstamped} of {self._count} messages have no stamp and are left out. Align them by their time of "
            "recording (stamp source 'receive')."
        )

    def _disorder(self) -> str:
        if not self._backwards + self._repeated:
            return ""
        back = f"{self._backwards} stamps go back, by up to {self._most_back:.3f} s" if self._backwards else ""
        again = f"{self._repeated} stamps are the same as before" if self._repeated else ""
        return f"of {self._count} messages {' and '.join(filter(None, (back, again)))}; these are left out."

    def _other_clock(self) -> str:
        apart = self._apart / self._count
        if self._unstamped or abs(apart) <= _CLOCK_APART_S:
            return ""
        return (
            f"its stamps are {apart:.1f} s away from the time of recording on average: another clock's? The stamp "
            "source 'receive' aligns by the time of recording."
        )
