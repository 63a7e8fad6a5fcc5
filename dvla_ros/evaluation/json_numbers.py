"""Figures as JSON allows them."""

import math
from collections.abc import Mapping


def known(value: object) -> object:
    """The same value with None in place of every number that is not finite, however deep; JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: known(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
