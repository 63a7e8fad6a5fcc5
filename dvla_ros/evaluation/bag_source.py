"""Recordings (rosbag2, mcap or sqlite3) into an observation assembler: what live topics go through, without ROS."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.widowx_streams import camera_topic, store_camera, store_joints
from dvla_ros.errors import ConfigurationError, DependencyError, ObservationError

_JOINT_TYPE = "sensor_msgs/msg/JointState"

_MOST_PADDING = 16
"""Bytes after a message that were never written: rclpy's serialisation reserves more than some messages need."""


class BagSource:
    """Stores the messages of a bag in the order of their recording; the time of recording is that of their arrival.

    Use it as a context manager.

    Args:
        bag: Folder of the bag.
        assembler: Where messages are stored; made with the same cameras.
        cameras: Camera names; topics `/<camera>_camera/image_raw`.
        joint_topic: Topic of the joint states.
        compressed: Take `image_raw/compressed` instead.

    Raises:
        DependencyError: `rosbags` is not installed.
        ConfigurationError: There is no bag, it cannot be read, or lacks a topic or has it with another type.
    """

    def __init__(
        self,
        bag: Path,
        assembler: ObservationAssembler,
        cameras: Sequence[str],
        joint_topic: str,
        compressed: bool,
    ) -> None:
        self._reader, self._types = _open(bag)
        image_type = f"sensor_msgs/msg/{'CompressedImage' if compressed else 'Image'}"
        self._store: dict[str, Callable[[Any, float], None]] = {joint_topic: partial(store_joints, assembler)}
        wanted = {joint_topic: _JOINT_TYPE}
        for camera in cameras:
            topic = camera_topic(camera, compressed)
            self._store[topic] = partial(store_camera, assembler, camera)
            wanted[topic] = image_type
        try:
            self._connections = [_connection(self._reader, bag, topic, kind) for topic, kind in wanted.items()]
        except ConfigurationError:
            self._reader.close()
            raise

    def __enter__(self) -> "BagSource":
        """The source, open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag."""
        self._reader.close()

    def play(self) -> Iterator[float]:
        """Store message after message; yields the time of each recording in seconds, once the message is stored.

        Ask the assembler for an observation at these times.

        Raises:
            ObservationError: A message cannot be read.
        """
        connections = [connection for found in self._connections for connection in found]
        for connection, recorded_ns, data in self._reader.messages(connections=connections):
            received = recorded_ns * 1e-9
            self._store[connection.topic](self._read(connection, data), received)
            yield received

    def _read(self, connection: Any, data: bytes) -> Any:
        from rosbags.serde import SerdeError

        problem = ""
        for padding in range(0, _MOST_PADDING + 1, 4):
            try:
                return self._types.deserialize_cdr(data[: len(data) - padding], connection.msgtype)
            except SerdeError as error:
                problem = problem or str(error)
        raise ObservationError(f"A recorded message of {connection.topic} cannot be read: {problem}")


def _open(bag: Path) -> tuple[Any, Any]:
    """The opened reader, and the message types of the bags."""
    try:
        from rosbags.rosbag2 import Reader, ReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise DependencyError("Reading bags needs `pip install rosbags`.") from None
    try:
        reader = Reader(bag)
        reader.open()
    except (ReaderError, OSError) as error:
        raise ConfigurationError(f"{bag} is no bag that can be read ({error}). Name the folder of a rosbag2.") from None
    return reader, get_typestore(Stores.ROS2_JAZZY)


def _connection(reader: Any, bag: Path, topic: str, kind: str) -> list[Any]:
    """The connections of a topic, all of type `kind`."""
    found = [connection for connection in reader.connections if connection.topic == topic]
    if not found:
        topics = ", ".join(sorted({connection.topic for connection in reader.connections}))
        raise ConfigurationError(f"{bag} has no topic {topic}; it has {topics or 'no topic at all'}.")
    other = [connection.msgtype for connection in found if connection.msgtype != kind]
    if other:
        raise ConfigurationError(f"{topic} in {bag} is {other[0]}, needed is {kind}.")
    return found
