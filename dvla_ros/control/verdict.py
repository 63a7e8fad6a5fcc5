"""The answer of a check: yes, or no with a reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether something may be executed.

    Attributes:
        accepted: True when it may.
        reason: Short word to count by, e.g. `out_of_order`; empty when accepted.
        detail: One sentence with the wrong value; empty when accepted.
    """

    accepted: bool
    reason: str = ""
    detail: str = ""


ACCEPTED = Verdict(True)


def rejected(reason: str, detail: str) -> Verdict:
    """A negative verdict."""
    return Verdict(False, reason, detail)


def first_rejection(*verdicts: Verdict) -> Verdict:
    """The first negative one of several verdicts; accepted when there is none."""
    return next((verdict for verdict in verdicts if not verdict.accepted), ACCEPTED)
