"""Files that collect episodes, one JSON line each with what they depend on; several processes may add to one."""

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from dvla_ros.errors import ConfigurationError

_CONDITIONS = "conditions"


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


E = TypeVar("E", bound=Dataclass)
K = TypeVar("K", bound=Hashable)


def append_line(path: Path, conditions: str, episode: Dataclass) -> None:
    """Add one line, in one write, so that the lines of several processes do not mix.

    Args:
        path: Of the file; made with its folder where there is none.
        conditions: Digest of what the episode depends on.
        episode: A dataclass of numbers, texts and tuples of these.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({_CONDITIONS: conditions, **asdict(episode)}) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def read_lines(path: Path, kind: type[E], key: Callable[[E], K]) -> dict[str, dict[K, E]]:
    """Everything in a file, by the digest of its conditions and then by `key`; the last of equals, none without a file.

    Raises:
        ConfigurationError: A line is not the record of an episode of that kind.
    """
    found: dict[str, dict[K, E]] = {}
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        conditions, episode = _episode(line, kind, f"{path}:{number}")
        found.setdefault(conditions, {})[key(episode)] = episode
    return found


def _episode(line: str, kind: type[E], where: str) -> tuple[str, E]:
    try:
        values: dict[str, Any] = {name: _tupled(value) for name, value in json.loads(line).items()}
        return values.pop(_CONDITIONS), kind(**values)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        names = ", ".join((_CONDITIONS, *(field.name for field in fields(kind))))
        raise ConfigurationError(
            f"{where} is not the record of an episode ({error}); its keys must be {names}. Remove the line or the file."
        ) from error


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
