"""One simulation and one arm for the tests of this folder; each test resets them to what it needs."""

import pytest

from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.teleop import BridgeArm


@pytest.fixture
def simulation():
    return Simulation("pick_red", 0)


@pytest.fixture
def arm(simulation):
    return BridgeArm(simulation)
