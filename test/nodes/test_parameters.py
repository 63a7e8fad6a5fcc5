"""Parameters are a dataclass; what does not fit is named."""

from dataclasses import dataclass

import pytest
from rclpy.node import Node

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.parameters import described, load_parameters


@dataclass(frozen=True)
class Settings:
    """Parameters of the test's node."""

    rate: float = described(5.0, "per second")
    count: int = described(3, "how many")
    name: str = described("arm", "who")
    quick: bool = described(False, "whether")
    cameras: tuple[str, ...] = described(("front",), "which")


def load(probe):
    node = Node("tested", automatically_declare_parameters_from_overrides=True)
    try:
        return load_parameters(node, Settings), node.describe_parameter("rate")
    finally:
        node.destroy_node()


def given(*overrides):
    return [word for override in overrides for word in ("-p", f"tested:{override}")]


@pytest.mark.parametrize("ros_world", [[]], indirect=True)
def test_without_overrides_the_defaults_hold(ros_world):
    settings, description = load(ros_world.probe)
    assert settings == Settings()
    assert description.description == "per second"
    assert description.read_only


@pytest.mark.parametrize(
    "ros_world", [given("rate:=7", "count:=4", "name:=leg", "quick:=true", "cameras:=[a, b]")], indirect=True
)
def test_overrides_win_and_whole_numbers_serve_as_numbers(ros_world):
    settings, _ = load(ros_world.probe)
    assert settings == Settings(7.0, 4, "leg", True, ("a", "b"))
    assert isinstance(settings.rate, float)


@pytest.mark.parametrize(
    ("ros_world", "words"),
    [
        (given("raet:=1.0"), "Unknown parameter of tested 'raet'. Did you mean 'rate'.*cameras, count, name"),
        (given("count:=1.5"), "'count' of tested must be a whole number, got 1.5"),
        (given("name:=5"), "'name' of tested must be a text, got 5"),
        (given("quick:=1"), "'quick' of tested must be true or false, got 1"),
        (given("cameras:=front"), "'cameras' of tested must be a list of texts, got 'front'"),
    ],
    indirect=["ros_world"],
)
def test_what_does_not_fit_is_named(ros_world, words):
    with pytest.raises(ConfigurationError, match=words):
        load(ros_world.probe)
