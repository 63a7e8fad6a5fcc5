"""Launch arguments: what is given, what is assumed, what is refused."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS, number, parse_arguments, whole_number


def test_defaults_fill_what_is_not_given():
    values = parse_arguments(["use_sim:=true", "instruction:=push it := now"])
    assert values["use_sim"] == "true"
    assert values["instruction"] == "push it := now"
    assert values["control_hz"] == "50.0"
    assert set(values) == {argument.name for argument in WIDOWX_ARGUMENTS}


def test_every_argument_is_described():
    assert all(argument.description for argument in WIDOWX_ARGUMENTS)
    assert all(not a.choices or a.default in a.choices for a in WIDOWX_ARGUMENTS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("use_smi:=true", "Unknown argument 'use_smi'. Did you mean 'use_sim'.*Known: use_sim, robot_name"),
        ("use_sim:=yes", "use_sim must be one of true, false, got 'yes'"),
        ("use_sim=true", "written name:=value, got 'use_sim=true'"),
        ("backend:=moveit", "backend must be one of interbotix, jtc, .*, none"),
    ],
)
def test_what_is_wrong_is_named(text, words):
    with pytest.raises(ConfigurationError, match=words):
        parse_arguments([text])


def test_numbers_must_be_numbers():
    assert number({"control_hz": "25"}, "control_hz") == 25.0
    with pytest.raises(ConfigurationError, match="control_hz must be a number, got 'fast'"):
        number({"control_hz": "fast"}, "control_hz")
    with pytest.raises(ConfigurationError, match=r"seed must be a whole number, got '1.5'"):
        whole_number({"seed": "1.5"}, "seed")
