"""The messages of other projects are there for every test of this folder, before its modules are imported."""

import gc
from collections.abc import Iterator

import pytest
from chunker_bench import ahead_of_others
from hypothesis import settings
from ros_messages import use_test_messages

# At collection rather than in a fixture: building them takes a minute, which no test's time limit should pay for.
use_test_messages()

# Times on shared cores say nothing about the code.
settings.register_profile("backends", deadline=None)
settings.load_profile("backends")


@pytest.fixture(autouse=True)
def _end_of_participants(request: pytest.FixtureRequest) -> Iterator[None]:
    """Free the nodes of a test that is over, which the simulation's loop has frozen, and their DDS participants.

    On one machine Fast DDS finds 32 participants of a domain; those of later tests would look for each other in vain.
    """
    yield
    if "ros_world" in request.fixturenames:
        gc.unfreeze()
        gc.collect()


@pytest.fixture(autouse=True)
def _ahead_of_others(request: pytest.FixtureRequest) -> Iterator[None]:
    """Commands for Servo that come late are commands that it throws away: other programs have to wait."""
    if "ros_world" not in request.fixturenames:
        yield
        return
    with ahead_of_others(request.getfixturevalue("ros_world")):
        yield
