"""One sqlite3 file of a bag."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.storage import FIRST_NS, LAST_NS, Channel, Stored, Warn

_WAYS = ("mode=ro", "mode=rw", "immutable=1")
"""How to open: as it is; with SQLite's own recovery, which a recorder that was killed makes necessary; without it,
where the folder cannot be written to."""

_MESSAGES = (
    "SELECT timestamp, topic_id, data FROM messages WHERE timestamp BETWEEN ? AND ? AND topic_id IN ({}) "
    "ORDER BY timestamp, id"
)


class SqliteFile:
    """Reads row after row in order of recording.

    Args:
        path: The file.
        warn: Told what is wrong with it.

    Raises:
        RecordingError: It is no file of a bag, or damaged at its beginning.
    """

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path, self._warn = path, warn
        self._database, self._topics = _opened(path)
        self.channels: tuple[Channel, ...] = tuple(self._topics.values())
        self.start_ns, self.end_ns = self._span()

    def messages(self, topics: Mapping[str, str], start_ns: int, end_ns: int) -> Iterator[Stored]:
        """The messages of some topics (to their types), in order of recording, both times included."""
        channels = self._topics.items()
        wanted = {key: channel.topic for key, channel in channels if topics.get(channel.topic) == channel.type}
        query = _MESSAGES.format(", ".join("?" * len(wanted)))
        try:
            with closing(self._database.execute(query, (start_ns, end_ns, *wanted))) as rows:
                for time, topic, data in rows:
                    yield Stored(time, wanted[topic], bytes(data))
        except sqlite3.DatabaseError as error:
            self._warn(f"{self.path.name}: it is damaged ({error}); what comes behind it is left out.")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _span(self) -> tuple[int, int]:
        try:
            first, last = self._database.execute("SELECT MIN(timestamp), MAX(timestamp) FROM messages").fetchone()
        except sqlite3.DatabaseError as error:
            self._warn(f"{self.path.name}: it is damaged ({error}); what can be read of it is kept.")
            return FIRST_NS, LAST_NS
        return (LAST_NS, FIRST_NS) if first is None else (first, last)


def _opened(path: Path) -> tuple[sqlite3.Connection, dict[int, Channel]]:
    problem = ""
    for way in _WAYS:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?{way}", uri=True, check_same_thread=False)
        try:
            return database, _channels(database)
        except sqlite3.DatabaseError as error:
            problem = problem or str(error)
            database.close()
    raise RecordingError(f"its tables cannot be read: {problem}")


def _channels(database: sqlite3.Connection) -> dict[int, Channel]:
    """Topics by their key in the file."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    definitions = {}
    if "message_definitions" in tables:  # since ROS 2 Iron
        rows = database.execute("SELECT topic_type, encoded_message_definition, encoding FROM message_definitions")
        definitions = {kind: (text, form) for kind, text, form in rows}
    topics = database.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
    return {
        key: Channel(topic, kind, form, *definitions.get(kind, ("", "ros2msg"))) for key, topic, kind, form in topics
    }
