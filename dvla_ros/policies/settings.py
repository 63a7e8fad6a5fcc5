"""Settings by name, as a command line gives them."""

import json
from collections.abc import Sequence

from dvla_ros.errors import ConfigurationError


def parse_settings(words: Sequence[str]) -> dict[str, object]:
    """`name=value` words to a dictionary, values read as JSON where they are, else as text.

    Raises:
        ConfigurationError: A word has no `=`.
    """
    settings: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigurationError(f"A setting is name=value, got {word!r}.")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings
