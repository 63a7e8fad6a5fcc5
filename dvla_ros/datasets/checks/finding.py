"""What a check has to say."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        check: Short name of the check.
        text: What was seen, and what to do about it.
        level: `error`: unusable as it is; `warning`: look at it.
    """

    check: str
    text: str
    level: Literal["warning", "error"] = "warning"


def error(check: str, text: str) -> Finding:
    """Something that makes the data set unusable."""
    return Finding(check, text, "error")
