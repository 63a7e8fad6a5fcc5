"""Everything into one bag, from beginning to end."""

from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag_writer import Storage
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recording import Written
from dvla_ros.recordings.sparing_writer import SparingWriter


class WholeRecording:
    """Writes every message at once: the `Recording` of `record:=true`.

    Args:
        folder: Folder of the bag; must not exist.
        storage: Format of the file.
        least_free_bytes: Recording ends when the disk has less left.

    Raises:
        RecordingError: The folder exists, or cannot be made.
    """

    def __init__(self, folder: Path, storage: Storage = "mcap", least_free_bytes: int = 0) -> None:
        self._folder, self._bag = folder, SparingWriter(folder, storage, least_free_bytes)

    @property
    def written(self) -> Written:
        """What has been written so far."""
        return self._bag.written

    def take(self, message: ReceivedMessage) -> None:
        """Write one message.

        Raises:
            RecordingError: The disk is nearly full.
            OSError: The disk is gone.
        """
        self._bag.write(message)

    def save(self, folder: Path, now_ns: int) -> None:
        """Everything is written already.

        Raises:
            RecordingError: Always.
        """
        raise RecordingError(f"Everything is recorded in {self._folder}; there is nothing else to save.")

    def work(self, now_ns: int) -> bool:
        """Put into the file what is still in memory; nothing is left to do then."""
        self._bag.flush()
        return False

    def close(self) -> None:
        """Finish the bag."""
        self._bag.close()
