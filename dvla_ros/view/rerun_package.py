"""The Rerun SDK, which is only needed by those who look."""

from typing import Any

from dvla_ros.errors import DependencyError


def rerun() -> Any:
    """The module `rerun`.

    Raises:
        DependencyError: It is not installed.
    """
    try:
        import rerun as package
    except ImportError as error:
        raise DependencyError(
            f"Seeing what the policy thinks needs the package rerun-sdk ({error}). Type: make setup, "
            "or: pip install rerun-sdk -c constraints.txt"
        ) from None
    return package
