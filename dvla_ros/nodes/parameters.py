"""A node's parameters are frozen dataclasses: their fields are the parameter names, types and defaults."""

import dataclasses
import difflib
import inspect
import re
import typing
from array import array
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
    tuple[float, ...]: ("a list of numbers", Parameter.Type.DOUBLE_ARRAY),
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
        kind: A frozen dataclass whose fields are made by `described`, or described in its docstring.

    Raises:
        ConfigurationError: A parameter is unknown, has the wrong type, or the dataclass refuses its value.
    """
    return typing.cast(Settings, load_parameter_groups(node, (kind,))[0])


def load_parameter_groups(node: Node, kinds: Sequence[type]) -> tuple[typing.Any, ...]:
    """The same for several dataclasses whose parameters share one flat name space.

    A field whose type is another of the dataclasses is no parameter: it is filled with that one.

    Args:
        node: The node that owns the parameters.
        kinds: Frozen dataclasses; one that another contains stands before it.

    Returns:
        One object per dataclass, in the same order.
    """
    _refuse_unknown(node, [field.name for kind in kinds for field in parameter_fields(kind)])
    made: dict[object, object] = {}
    for kind in kinds:
        types, names = typing.get_type_hints(kind), {field.name for field in parameter_fields(kind)}
        values = {
            field.name: _declare(node, kind, field, types[field.name])
            if field.name in names
            else made[types[field.name]]
            for field in dataclasses.fields(kind)
            if field.name in names or types[field.name] in made
        }
        made[kind] = kind(**values)
    return tuple(made[kind] for kind in kinds)


def parameter_fields(kind: type) -> "tuple[dataclasses.Field[object], ...]":
    """The fields of a dataclass that are parameters: all but those that hold another dataclass."""
    types = typing.get_type_hints(kind)
    return tuple(field for field in dataclasses.fields(kind) if not dataclasses.is_dataclass(types[field.name]))


def description_of(kind: type, field: "dataclasses.Field[object]") -> str:
    """What `described` says of a field, else what the section `Attributes` of the dataclass's docstring says.

    Raises:
        ConfigurationError: Neither says anything.
    """
    if "description" in field.metadata:
        return str(field.metadata["description"])
    text = inspect.cleandoc(kind.__doc__ or "")
    found = re.search(rf"^    {field.name}: (.*(?:\n {{8}}.*)*)", text.partition("Attributes:")[2], re.MULTILINE)
    if found is None:
        raise ConfigurationError(f"The field '{field.name}' of {kind.__name__} has no description.")
    return " ".join(found[1].split())


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


def _declare(node: Node, kind: type, field: "dataclasses.Field[object]", annotation: object) -> object:
    annotation, length = _without_length(annotation)
    words, parameter_type = _KINDS[annotation]
    value = field.default
    if node.has_parameter(field.name):
        value = _typed(node, field.name, node.get_parameter(field.name).value, annotation, words)
        node.undeclare_parameter(field.name)
    if length is not None and len(typing.cast(Sequence[object], value)) != length:
        raise ConfigurationError(
            f"Parameter '{field.name}' of {node.get_name()} must have {length} entries, got {value!r}."
        )
    descriptor = ParameterDescriptor(description=description_of(kind, field), type=parameter_type.value, read_only=True)
    ros_value = list(value) if isinstance(value, tuple) else value
    node.declare_parameter(field.name, ros_value, descriptor, ignore_override=True)
    return value


def _without_length(annotation: object) -> tuple[object, int | None]:
    """`tuple[float, float]` as `tuple[float, ...]` and 2; any other annotation as it is, and None."""
    entries = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and Ellipsis not in entries:
        return tuple[entries[0], ...], len(entries)  # type: ignore[valid-type]
    return annotation, None


def _typed(node: Node, name: str, value: object, annotation: object, words: str) -> object:
    if annotation is float and type(value) is int:
        return float(value)
    if annotation in (tuple[str, ...], tuple[float, ...]):
        entry_kinds = (str,) if annotation == tuple[str, ...] else (float, int)
        if isinstance(value, (list, tuple, array)) and value and all(type(entry) in entry_kinds for entry in value):
            return tuple(value) if entry_kinds == (str,) else tuple(float(entry) for entry in value)
    elif type(value) is annotation:
        return value
    raise ConfigurationError(f"Parameter '{name}' of {node.get_name()} must be {words}, got {value!r}.")
