"""One sentence for every wrong setting of a decoder."""

from dvla_ros.errors import ConfigurationError


def require(condition: bool, decoder: str, name: str, value: object, rule: str) -> None:
    """Check one setting.

    Args:
        condition: Whether the value is right.
        decoder: Whose setting it is, e.g. `Masked decoding`.
        name: Of the setting.
        value: What it was.
        rule: What it must be, e.g. `at least 1`.

    Raises:
        ConfigurationError: The condition does not hold.
    """
    if not condition:
        raise ConfigurationError(f"{decoder}: {name} must be {rule}, got {value!r}.")
