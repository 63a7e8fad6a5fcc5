"""From `name=value` words to the settings of an objective."""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.checkpoint import dataclass_from_json
from dvla_ros.policies.settings import parse_settings

Settings = TypeVar("Settings")


def objective_settings(kind: type[Settings], words: Sequence[str]) -> Settings:
    """Settings of an objective with some replaced.

    Args:
        kind: Their dataclass; every field has a default, whose type a value must have.
        words: `name=value`, values as JSON.

    Raises:
        ConfigurationError: A name is unknown, or a value is of another type or out of range.
    """
    values = parse_settings(words)
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name in defaults and not _alike(value, defaults[name]):
            raise ConfigurationError(f"{name} must be {_kind(defaults[name])}, got {value!r}.")
    settings: Settings = dataclass_from_json(kind, values)
    return settings


def _alike(value: object, default: object) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is (list if isinstance(default, tuple) else type(default))


def _kind(default: object) -> str:
    kind = "list" if isinstance(default, tuple) else type(default).__name__
    return f"a JSON {kind}, such as {json.dumps(default)}"
