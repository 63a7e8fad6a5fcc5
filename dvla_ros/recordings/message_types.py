"""The types of recorded messages: those of ROS 2 Jazzy, this package's own, and what a bag brings along itself.

Definitions are data: they are parsed, and nothing of a bag is run.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.storage import Channel
from dvla_ros.share import share_path

INTERBOTIX = {
    "interbotix_xs_msgs/msg/JointGroupCommand": "string name\nfloat32[] cmd\n",
    "interbotix_xs_msgs/msg/JointSingleCommand": "string name\nfloat32 cmd\n",
}
"""Commands of the Interbotix driver: its package is not installed everywhere."""

SERVICE_EVENT_INFO = "service_msgs/msg/ServiceEventInfo"
_SERVICE_EVENT_BYTES = 44
"""Encapsulation, event type, stamp, client and sequence: the part that the events of all services begin with."""

_MOST_PADDING = 16
"""Bytes after a message that were never written: rclpy's serialisation reserves more than some messages need."""

_IDL_SEPARATOR = "=" * 80 + "\n"
_UNREADABLE = (SerdeError, IndexError, KeyError, TypeError, OverflowError, MemoryError)


@lru_cache(maxsize=1)
def type_store() -> Typestore:
    """Types known without a bag: Jazzy's, `dvla_ros/msg/*` and the Interbotix driver's commands. Not to be changed.

    Raises:
        ConfigurationError: The package's message definitions are not installed.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted(share_path("msg").glob("*.msg")):
        store.register(get_types_from_msg(path.read_text(encoding="utf-8"), f"dvla_ros/msg/{path.stem}"))
    for name, definition in INTERBOTIX.items():
        store.register(get_types_from_msg(definition, name))
    return store


class RecordedTypes:
    """Reads the messages of one bag.

    A definition that the bag holds counts more than the one known here: the bytes were written by it. A topic whose
    type is not known, or was recorded without a field that the type has here, is in `problems`.

    Args:
        channels: The bag's topics.

    Attributes:
        problems: By topic, why its messages cannot be read.
    """

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._store = _copy(type_store())
        self.problems: dict[str, str] = {}
        for channel in channels:
            problem = self._learn(channel)
            if problem:
                self.problems[channel.topic] = problem

    def read(self, data: bytes, kind: str) -> Any:
        """The message of type `kind` that `data` (CDR) holds; of a service's event only `ServiceEventInfo`.

        Arrays are views of `data`.

        Raises:
            RecordingError: The data are no such message, or are cut short.
        """
        if is_service_event(kind):
            kind, data = SERVICE_EVENT_INFO, data[:_SERVICE_EVENT_BYTES]
        view, problem = memoryview(data), ""
        for padding in range(0, _MOST_PADDING + 1, 4):
            try:
                return self._read(view[: len(view) - padding], kind)
            except _UNREADABLE as error:
                problem = problem or str(error) or type(error).__name__
        raise RecordingError(f"{len(data)} bytes are no {kind}: {problem}")

    def _read(self, data: memoryview, kind: str) -> Any:
        message = self._store.deserialize_cdr(data, kind)
        # A text at the end that was cut is not noticed by reading, but by what would have to be written.
        definition = self._store.get_msgdef(kind)
        if definition.getsize_cdr(0, message, self._store) + 4 > len(data):
            raise SerdeError("it is cut short")
        return message

    def _learn(self, channel: Channel) -> str:
        """Take over the definition of a channel; what is wrong with it, else empty."""
        if is_service_event(channel.type):
            return ""
        known = channel.type in type_store().fielddefs
        if channel.definition:
            try:
                problem = self._take_over(_parsed(channel), channel.type)
            except (TypesysError, KeyError, ValueError, AssertionError, SyntaxError) as error:
                problem = "" if known else f"its definition in the bag cannot be read ({error})"
            return problem
        return "" if known else "its type is not known here, and the bag holds no definition of it"

    def _take_over(self, definitions: dict[str, Any], top: str) -> str:
        store = self._store
        for name, definition in definitions.items():
            known = store.fielddefs.get(name)
            if known is None or _fields(known) == _fields(definition):
                continue
            missing = sorted(_fields(known).keys() - _fields(definition).keys())
            if name == top and missing:
                return f"it was recorded with another definition, without {', '.join(missing)}"
            del store.fielddefs[name], store.types[name]
            store.cache.clear()
        store.register(definitions)
        store.get_msgdef(top)  # fails where a type that it contains is not known
        return ""


def is_service_event(kind: str) -> bool:
    """Whether a type is the record of a service's calls (service introspection)."""
    return "/srv/" in kind and kind.endswith("_Event")


def _copy(store: Typestore) -> Typestore:
    copy = Typestore()
    copy.fielddefs.update(store.fielddefs)
    copy.types.update(store.types)
    return copy


def _parsed(channel: Channel) -> dict[str, Any]:
    """Parsed definitions by type: that of a channel, and of all that it contains."""
    text = channel.definition
    if channel.definition_format != "ros2idl":
        return dict(get_types_from_msg(text, channel.type))
    parts = [part.split("\n", 1)[1] for part in text.split(_IDL_SEPARATOR) if part.startswith("IDL: ")] or [text]
    return {name: definition for part in parts for name, definition in get_types_from_idl(part).items()}


def _fields(definition: Any) -> dict[str, Any]:
    return {name.lower(): kind for name, kind in definition[1]}
