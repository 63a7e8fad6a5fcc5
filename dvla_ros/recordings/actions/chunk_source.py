"""Recorded action chunks, and what became of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.errors import ActionError
from dvla_ros.recordings.actions.executed_rows import ExecutedRows
from dvla_ros.recordings.actions.row_track import RowTrack
from dvla_ros.recordings.actions.series import Series

_COLUMNS = 7


@dataclass
class ChunkSource:
    """Collects the chunks of one topic, and the statuses that say which of them were refused.

    Attributes:
        topic: Of the chunks.
        problems: How many messages could not be used, by reason.
    """

    topic: str
    problems: Counter[str] = field(default_factory=Counter)
    _chunks: list[tuple[float, ActionChunk]] = field(default_factory=list)
    _refused: set[tuple[int, int]] = field(default_factory=set)
    _accepted: set[tuple[int, int]] = field(default_factory=set)
    _drops: list[float] = field(default_factory=list)
    _dropped: int | None = None

    def __len__(self) -> int:
        return len(self._chunks)

    def add(self, received: float, message: Any) -> None:
        """A chunk message."""
        try:
            chunk = chunk_from_message(message)
        except ActionError as error:
            self.problems[str(error)] += 1
            return
        if chunk.actions.shape[1] != _COLUMNS:
            self.problems[f"chunks of {chunk.actions.shape[1]} columns; a WidowX has {_COLUMNS}"] += 1
            return
        self._chunks.append((received, chunk))

    def add_status(self, received: float, message: Any) -> None:
        """An `ExecutionStatus` message."""
        key = (int(message.epoch), int(message.sequence))
        if message.accepted:
            self._accepted.add(key)
        elif message.reason:
            self._refused.add(key)
        if self._dropped is not None and message.dropped > self._dropped:
            self._drops.append(stamp_seconds(message.header.stamp) or received)
        self._dropped = int(message.dropped)

    def track(self, measured: Series) -> RowTrack | None:
        """What was executed; None without a chunk of which anything was."""
        if not self._chunks:
            return None
        mode = Counter(chunk.mode for _, chunk in self._chunks).most_common(1)[0][0]
        rows = self._executed(mode).rows()
        if not len(rows.due):
            return None
        return RowTrack(f"ActionChunk {mode.name} of {self.topic}, rows as they were executed", rows, measured)

    def _executed(self, mode: ControlMode) -> ExecutedRows:
        executed, refused = ExecutedRows(mode), self._refused - self._accepted
        drops = list(self._drops)
        for received, chunk in self._chunks:
            while drops and drops[0] <= received:
                executed.drop(drops.pop(0))
            if (chunk.epoch, chunk.sequence) not in refused:
                executed.take(chunk, received)
        for time in drops[:1]:  # what the first one left is dropped already
            executed.drop(time)
        return executed
