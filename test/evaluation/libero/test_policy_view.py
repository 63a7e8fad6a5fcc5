"""A policy sees LIBERO as it was trained to, or is refused with what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.policy_view import PolicyView
from dvla_ros.evaluation.libero.simulator import Look
from dvla_ros.policies.base import PolicySpec

SPEC = PolicySpec("dd_vla", ("front", "wrist"), 8, ACTION_NAMES, ControlMode.EE_DELTA, 8, 8, 0.05)
AGENTVIEW = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
LOOK = Look(AGENTVIEW, AGENTVIEW + 100, np.zeros(3), np.array([1.0, 0, 0, 0]), np.array([0.04, -0.04]), np.zeros(3))


def test_pictures_are_turned_upside_down_and_left_to_right():
    seen = PolicyView.fitting(SPEC, rotate=True).observation(LOOK, "open the drawer")
    assert list(seen.images) == ["front", "wrist"] and seen.instruction == "open the drawer"
    assert seen.images["front"][0, 0].tolist() == AGENTVIEW[2, 2].tolist()
    np.testing.assert_array_equal(seen.images["wrist"], LOOK.wrist[::-1, ::-1])
    as_they_are = PolicyView.fitting(SPEC, rotate=False).observation(LOOK, "open the drawer")
    np.testing.assert_array_equal(as_they_are.images["front"], AGENTVIEW)


def test_a_policy_of_one_camera_sees_the_table():
    seen = PolicyView.fitting(replace(SPEC, cameras=("top",)), rotate=False).observation(LOOK, "x")
    assert list(seen.images) == ["top"] and seen.images["top"] is AGENTVIEW


def test_the_state_has_the_length_that_the_policy_takes():
    lengths = [len(PolicyView.fitting(replace(SPEC, state_dim=n), True).observation(LOOK, "x").state) for n in (7, 8)]
    assert lengths == [7, 8]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": ("a", "b", "c")}, "two cameras.* needs 3: .'a', 'b', 'c'"),
        ({"cameras": ()}, "needs 0"),
        ({"state_dim": 14}, "a state of 14 numbers; LIBERO gives 8 .* or 7"),
        ({"mode": ControlMode.JOINT_POSITION}, "gives 7 of JOINT_POSITION"),
        ({"action_names": ("dx", "dy")}, "gives 2 of EE_DELTA"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        PolicyView.fitting(replace(SPEC, **changes), rotate=True)
