"""A function applied to every tensor within something: a batch, its targets, a mapping of them."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

Content = TypeVar("Content")


def mapped(content: Content, function: Callable[[Tensor], Tensor]) -> Content:
    """The same, with each tensor in dataclasses, mappings, lists and tuples replaced by what `function` makes of it."""
    return _mapped(content, function)


def _mapped(content: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(content, Tensor):
        return function(content)
    if is_dataclass(content) and not isinstance(content, type):
        return replace(
            content, **{field.name: _mapped(getattr(content, field.name), function) for field in fields(content)}
        )
    if isinstance(content, Mapping):
        return {name: _mapped(part, function) for name, part in content.items()}
    if type(content) in (list, tuple):
        return type(content)(_mapped(part, function) for part in content)
    return content
