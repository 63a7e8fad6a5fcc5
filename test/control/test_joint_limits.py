"""Limits read from a URDF."""

import pytest

from dvla_ros.control.joint_limits import limits_from_urdf
from dvla_ros.errors import ConfigurationError

URDF = """<robot name="two">
<joint name="a" type="revolute"><limit lower="-1" upper="2" velocity="3" effort="9"/></joint>
<joint name="b" type="revolute"><limit lower="-0.5" upper="0.5" velocity="1" effort="9"/></joint>
<transmission name="t"><joint name="a"/></transmission>
<joint name="c" type="continuous"><limit velocity="1" effort="9"/></joint></robot>"""


def test_limits_come_in_the_order_of_the_joints() -> None:
    limits = limits_from_urdf(URDF, ("b", "a"))
    assert (limits.lower, limits.upper, limits.velocity) == ((-0.5, -1.0), (0.5, 2.0), (1.0, 3.0))


@pytest.mark.parametrize(
    ("joints", "message"), [(("a", "z"), "no lower limit of joint 'z'"), (("c",), "no lower limit of joint 'c'")]
)
def test_joint_without_limits_is_named(joints: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        limits_from_urdf(URDF, joints)


def test_text_that_is_no_urdf_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no XML"):
        limits_from_urdf("robot: two")
