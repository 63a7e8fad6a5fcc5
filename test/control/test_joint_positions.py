"""Joint positions are found by name, and what is missing is named."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.joint_positions import MEASURED_JOINTS, joint_positions
from dvla_ros.errors import ObservationError


@dataclass
class Joints:
    """A joint state message that no ROS made."""

    name: list[str]
    position: np.ndarray


@given(st.permutations(MEASURED_JOINTS), st.lists(st.floats(-3.0, 3.0), min_size=7, max_size=7))
def test_positions_come_in_the_order_asked_for(names: list[str], values: list[float]) -> None:
    found = joint_positions(Joints(names, np.array(values)), MEASURED_JOINTS)
    assert dict(zip(MEASURED_JOINTS, found.tolist(), strict=True)) == dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        (["a"], [1.0], "lacks a position for joint 'b'; it names a with 1 positions"),
        (["a", "b"], [1.0], "lacks a position for joint 'b'"),
        ([], [], "it names no joint"),
        (["a", "b"], [1.0, float("nan")], "not a finite number for b"),
        (["a", "b"], [float("inf"), 2.0], "not a finite number for a"),
    ],
)
def test_what_is_missing_or_not_finite_is_named(names: list[str], values: list[float], words: str) -> None:
    with pytest.raises(ObservationError, match=words):
        joint_positions(Joints(names, np.array(values)), ("a", "b"))
