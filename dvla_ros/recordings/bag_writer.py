"""Writes messages into a rosbag2 that stays readable, whatever happens to the process."""

import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.message_types import type_store

if TYPE_CHECKING:
    from rosbags.rosbag2 import Writer

Storage = Literal["mcap", "sqlite3"]

FLUSH_S = 0.5
"""What was written longer ago is in the file: a killed process takes no more than this with it."""
_LEVEL = 1
"""Of zstd: less work than writing what it saves, where pictures are as smooth as a simulation's."""
_VERSION = 9
"""Of rosbag2's metadata: that of Jazzy."""


class BagWriter:
    """A new bag; a context manager, complete once it is left.

    Messages of the last `FLUSH_S` seconds are kept in memory (mcap: the open chunk; sqlite3: the open transaction), all
    others are in the file, those of an mcap compressed chunk by chunk. `metadata.yaml` and the index are written at the
    end; without them `recordings.bag.Bag` reads the file from its beginning.

    Args:
        folder: Folder of the bag; must not exist.
        storage: Format of the file.

    Raises:
        RecordingError: The folder exists, or cannot be made.
    """

    def __init__(self, folder: Path, storage: Storage = "mcap") -> None:
        self.folder = folder
        self.messages: Counter[str] = Counter()
        """Written so far, by topic."""
        self.bytes = 0
        self._types = type_store()
        self._connections: dict[tuple[str, str], Any] = {}
        self._unwritten = False
        self._flushed = time.monotonic()
        self._writer: Writer | None = _open(folder, storage)

    def __enter__(self) -> "BagWriter":
        """The writer, open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag; after an error as well, for what was recorded is still true."""
        self.close()

    def write(self, topic: str, type: str, received_ns: int, cdr: bytes, *, latched: bool = False) -> None:
        """Append a message; a topic is added with its first one.

        Args:
            topic: Topic name.
            type: Message type, e.g. `sensor_msgs/msg/Image`.
            received_ns: When it arrived, in nanoseconds since 1970.
            cdr: The message as ROS serialises it.
            latched: Whether the topic keeps its newest message for those who come late; counts at the first message.

        Raises:
            RecordingError: The type is not known, or the bag is closed.
            OSError: The disk is full or gone.
        """
        if self._writer is None:
            raise RecordingError(f"The bag {self.folder} is closed; make a new writer.")
        connection = self._connections.get((topic, type)) or self._add(self._writer, topic, type, latched)
        self._writer.write(connection, received_ns, cdr)
        self.messages[topic] += 1
        self.bytes += len(cdr)
        self._unwritten = True
        if time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Put into the file what is still in memory. Call it now and then when no messages come."""
        self._flushed = time.monotonic()
        if not self._unwritten or self._writer is None:
            return
        storage: Any = self._writer.storage
        if hasattr(storage, "close_chunk"):
            if storage.chunk.msgs:  # else the last message has just filled a chunk
                storage.close_chunk()
            storage.bio.flush()
        else:
            storage.conn.commit()
        self._unwritten = False

    def close(self) -> None:
        """Write the index and `metadata.yaml`; once."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _add(self, writer: "Writer", topic: str, type: str, latched: bool) -> Any:
        if type not in self._types.fielddefs:
            raise RecordingError(
                f"{topic} cannot be recorded: its type {type} is not known. Source the workspace that has it."
            )
        connection = writer.add_connection(topic, type, typestore=self._types, offered_qos_profiles=[_quality(latched)])
        self._connections[topic, type] = connection
        return connection


def _open(folder: Path, storage: Storage) -> "Writer":
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

    plugins = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
    if storage not in plugins:
        raise RecordingError(f"storage must be one of {', '.join(plugins)}, got '{storage}'.")
    try:
        writer = Writer(folder, version=_VERSION, storage_plugin=plugins[storage])
        if storage == "mcap":
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
        _hasten(writer)
    except (WriterError, OSError) as error:
        raise RecordingError(f"No bag can be made in {folder} ({error}). Name a new folder.") from None
    return writer


def _hasten(writer: "Writer") -> None:
    """Chunks of an mcap file are compressed; rosbags has no setting for how well."""
    storage: Any = writer.storage
    if hasattr(storage, "compressor"):
        storage.compressor = partial(storage.compressor, level=_LEVEL)


def _quality(latched: bool) -> Any:
    """What `ros2 bag play` is to offer for a topic."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9_223_372_036, 854_775_807)  # as rosbag2 writes it
    return Qos(
        QosHistory.KEEP_LAST,
        10,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
