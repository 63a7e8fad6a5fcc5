"""The messages of other projects are there for every test of this folder, before its modules are imported."""

from collections.abc import Iterator

import pytest
from chunker_bench import ahead_of_others
from ros_messages import use_test_messages

# At collection rather than in a fixture: building them takes a minute, which no test's time limit should pay for.
use_test_messages()


@pytest.fixture(autouse=True)
def _ahead_of_others(request: pytest.FixtureRequest) -> Iterator[None]:
    """Commands for Servo that come late are commands that it throws away: other programs have to wait."""
    if "ros_world" not in request.fixturenames:
        yield
        return
    with ahead_of_others(request.getfixturevalue("ros_world")):
        yield
