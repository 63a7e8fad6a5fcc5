"""A node's parameters are one frozen dataclass: its fields are the parameter names, types and defaults."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from dvla_ros.errors import ConfigurationError

Settings = TypeVar("Settings")

_RCLPY_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Prefixes of the parameters that rclpy itself declares for every node."""

_KINDS: Mapping[object, tuple[str, Parameter.Type]] = {
    bool: ("true or false", Parameter.Type.BOOL),
    int: ("a whole number", Parameter.Type.INTEGER),
    float: ("a number", Parameter.Type.DOUBLE),
    str: ("a text", Parameter.Type.STRING),
    tuple[str, ...]: ("a list of texts", Parameter.Type.STRING_ARRAY),
}


def described(default: object, description: str) -> typing.Any:
    """A dataclass field with a default and the description that `ros2 param describe` shows."""
    return dataclasses.field(default=default, metadata={"description": description})


def load_parameters(node: Node, kind: type[Settings]) -> Settings:
    """Declare one read-only ROS parameter per field of a dataclass and return the dataclass filled in.

    The node must be created with `automatically_declare_parameters_from_overrides=True`, so that overrides which
    no field answers to can be told apart.

    Args:
        node: The node that owns the parameters.
        kind: A frozen dataclass whose fields are made by `described`.

    Raises:
        ConfigurationError: A parameter is unknown, has the wrong type, or the dataclass refuses its value.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    types = typing.get_type_hints(kind)
    _refuse_unknown(node, tuple(fields))
    values = {name: _declare(node, field, types[name]) for name, field in fields.items()}
    return kind(**values)


def unknown_name_message(what: str, name: str, known: Sequence[str]) -> str:
    """One line that names an unknown name, the nearest known one and all known ones."""
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"Unknown {what} '{name}'.{hint} Known: {', '.join(sorted(known))}."


def _refuse_unknown(node: Node, known: Sequence[str]) -> None:
    given = node.get_parameters_by_prefix("")
    for name in sorted(given):
        if name not in known and not name.startswith(_RCLPY_OWN):
            raise ConfigurationError(unknown_name_message(f"parameter of {node.get_name()}", name, known))


def _declare(node: Node, field: "dataclasses.Field[object]", annotation: object) -> object:
    words, parameter_type = _KINDS[annotation]
    value = field.default
    if node.has_parameter(field.name):
        value = _typed(node, field.name, node.get_parameter(field.name).value, annotation, words)
        node.undeclare_parameter(field.name)
    descriptor = ParameterDescriptor(
        description=str(field.metadata["description"]), type=parameter_type.value, read_only=True
    )
    ros_value = list(value) if isinstance(value, tuple) else value
    node.declare_parameter(field.name, ros_value, descriptor, ignore_override=True)
    return value


def _typed(node: Node, name: str, value: object, annotation: object, words: str) -> object:
    if annotation is float and type(value) is int:
        return float(value)
    if annotation == tuple[str, ...]:
        if isinstance(value, (list, tuple)) and value and all(isinstance(entry, str) for entry in value):
            return tuple(value)
    elif type(value) is annotation:
        return value
    raise ConfigurationError(f"Parameter '{name}' of {node.get_name()} must be {words}, got {value!r}.")
