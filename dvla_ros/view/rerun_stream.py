"""Where drawings go: a file, or the server that viewers connect to."""

import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dvla_ros.view.rerun_package import rerun

APPLICATION = "dvla_ros"
_PATIENCE_S = 5.0
_log = logging.getLogger(__name__)
TIME, CHUNK = "ros_time", "chunk"
"""The two timelines: ROS time, and the number of the chunk, to step from chunk to chunk."""


class RerunStream:
    """Logs to one recording; use it from one thread, as a context manager.

    Args:
        recording: What `rerun.RecordingStream` makes.

    Raises:
        DependencyError: Rerun is not installed.
    """

    def __init__(self, recording: Any) -> None:
        self.rr = rerun()
        self._recording = recording

    def __enter__(self) -> "RerunStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def to_file(cls, path: Path, blueprint: Any = None, name: str | None = None) -> "RerunStream":
        """Write an `.rrd` file; its folder must exist.

        Args:
            path: The file.
            blueprint: How viewers lay it out.
            name: What viewers call the recording.
        """
        recording = _recording(name)
        recording.save(path, default_blueprint=blueprint)
        return cls(recording)

    @classmethod
    def to_server(cls, url: str, blueprint: Any = None) -> "RerunStream":
        """Send to a server, see `ViewerServer.data_url`."""
        recording = _recording(None)
        recording.connect_grpc(url, default_blueprint=blueprint)
        return cls(recording)

    def at(self, stamp: float, chunk: int | None = None) -> None:
        """What is logged from now on belongs to this time in seconds, and to this chunk if one is named."""
        self._recording.reset_time()
        self._recording.set_time(TIME, timestamp=np.datetime64(round(stamp * 1e9), "ns"))
        if chunk is not None:
            self._recording.set_time(CHUNK, sequence=chunk)

    def log(self, entity: str, *parts: Any) -> None:
        """Log archetypes of Rerun at the present time."""
        self._recording.log(entity, *parts)

    def log_always(self, entity: str, *parts: Any) -> None:
        """Log archetypes of Rerun for all times."""
        self._recording.log(entity, *parts, static=True)

    def close(self) -> None:
        """Write or send what is left; what a server that is gone did not get is lost."""
        try:
            self._recording.flush(timeout_sec=_PATIENCE_S)
        except RuntimeError as error:
            _log.warning("The viewer did not get everything: %s", error)
        self._recording.disconnect()


def _recording(name: str | None) -> Any:
    package = rerun()
    recording = package.RecordingStream(APPLICATION)
    if name is not None:
        recording.send_recording_name(name)
    return recording
