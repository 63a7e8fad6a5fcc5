"""LIBERO's suites of tasks, and how long an episode may take in the published evaluations."""

from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError

INITIAL_STATES = 50
"""Of each task; the published evaluations run all of them."""
SETTLE_STEPS = 10
"""Steps in which nothing is commanded and the objects come to rest; they do not count."""


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes:
        name: Its name in LIBERO.
        tasks: Number of tasks.
        max_steps: Commands of an episode, at 20 a second: a little more than the longest demonstration has. Source:
            OpenVLA's `run_libero_eval.py`, which the later systems took over.
    """

    name: str
    tasks: int
    max_steps: int


SUITES = {
    suite.name: suite
    for suite in (
        Suite("libero_spatial", 10, 220),
        Suite("libero_object", 10, 280),
        Suite("libero_goal", 10, 300),
        Suite("libero_10", 10, 520),
        Suite("libero_90", 90, 400),
    )
}


def suite_named(name: str) -> Suite:
    """The suite of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in SUITES:
        raise ConfigurationError(f"There is no suite {name!r}; choose one of {', '.join(SUITES)}.")
    return SUITES[name]
