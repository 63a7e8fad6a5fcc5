"""All checks of a data set's numbers, in the order of what makes the next ones worth asking."""

from collections.abc import Callable, Iterator

from dvla_ros.datasets.checks.columns import check_constant, check_dimension, check_finite, check_outliers
from dvla_ros.datasets.checks.episodes import check_instructions, check_lengths_of_episodes
from dvla_ros.datasets.checks.finding import Finding
from dvla_ros.datasets.checks.gripper import check_gripper_direction, check_gripper_range
from dvla_ros.datasets.checks.motion import check_direction, check_idle
from dvla_ros.datasets.checks.units import check_angles, check_lengths, check_scale
from dvla_ros.datasets.gathered import Gathered

Check = Callable[[Gathered], Iterator[Finding]]

BASIC: tuple[Check, ...] = (check_dimension, check_finite)
UNITS: tuple[Check, ...] = (check_lengths, check_angles, check_gripper_range)
MEANING: tuple[Check, ...] = (
    check_constant,
    check_outliers,
    check_scale,
    check_gripper_direction,
    check_direction,
    check_idle,
)
EPISODES: tuple[Check, ...] = (check_instructions, check_lengths_of_episodes)


def findings(gathered: Gathered) -> list[Finding]:
    """What looks wrong; without Bridge's columns, finite numbers and right units the later checks would be noise."""
    found = _ask(EPISODES, gathered)
    for group in (BASIC, UNITS, MEANING):
        here = _ask(group, gathered)
        found += here
        if any(finding.level == "error" for finding in here):
            break
    return found


def _ask(checks: tuple[Check, ...], gathered: Gathered) -> list[Finding]:
    return [finding for check in checks for finding in check(gathered)]
