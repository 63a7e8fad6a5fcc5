"""A bag writer that leaves out what cannot be recorded, and room on the disk for everybody else."""

import shutil
from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag_writer import BagWriter, Storage
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recording import Written

_LOOK_BYTES = 1 << 24
"""The disk is looked at once for so many bytes."""


class SparingWriter:
    """Writes received messages into a new bag.

    Args:
        folder: Folder of the bag; must not exist.
        storage: Format of the file.
        least_free_bytes: No more is written when the disk has less left.

    Raises:
        RecordingError: The folder exists, or cannot be made.
    """

    def __init__(self, folder: Path, storage: Storage, least_free_bytes: int) -> None:
        self._bag, self._least_free = BagWriter(folder, storage), least_free_bytes
        self._refused: dict[str, str] = {}
        self._looked_at = -_LOOK_BYTES

    @property
    def written(self) -> Written:
        """What has been written so far."""
        return Written((self._bag.folder,), dict(self._bag.messages), self._bag.bytes, dict(self._refused))

    def write(self, message: ReceivedMessage) -> None:
        """Write one message, unless its type is not known.

        Raises:
            RecordingError: The disk is nearly full.
            OSError: The disk is gone.
        """
        if message.topic in self._refused:
            return
        self._require_space()
        try:
            self._bag.write(message.topic, message.type, message.received_ns, message.data, latched=message.latched)
        except RecordingError as error:
            self._refused[message.topic] = str(error)

    def flush(self) -> None:
        """Put into the file what is still in memory."""
        self._bag.flush()

    def close(self) -> None:
        """Finish the bag."""
        self._bag.close()

    def _require_space(self) -> None:
        if self._bag.bytes - self._looked_at < _LOOK_BYTES:
            return
        self._looked_at = self._bag.bytes
        free = shutil.disk_usage(self._bag.folder).free
        if free < self._least_free:
            raise RecordingError(
                f"Recording ends: {free / 1e6:.0f} MB are free on the disk of {self._bag.folder}, at least "
                f"{self._least_free / 1e6:.0f} MB are to stay free."
            )
