"""The scene compiles to what tasks, cameras and controllers rely on."""

import mujoco
import numpy as np
import pytest

from dvla_ros.control.description import EE_SITE
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.simulation.scene import CAMERAS, COLOURS, CUBE_HALF, build_model


@pytest.fixture(scope="module")
def model():
    return build_model()


def test_it_has_the_arm_three_free_cubes_a_plate_a_post_and_two_cameras(model):
    assert [model.actuator(i).name for i in range(model.nu)] == [*ARM_JOINTS, "left_finger", "right_finger"]
    assert all(model.joint(colour).type[0] == mujoco.mjtJoint.mjJNT_FREE for colour in COLOURS)
    assert model.nmocap == 2
    assert tuple(model.camera(i).name for i in range(model.ncam)) == CAMERAS


def test_cubes_measure_four_centimetres_and_have_their_colour(model):
    for channel, colour in enumerate(COLOURS):
        assert model.geom(colour).size == pytest.approx([CUBE_HALF] * 3)
        assert np.argmax(model.geom(colour).rgba[:3]) == channel


def test_the_arm_on_the_table_has_the_kinematics_of_the_controller(model):
    data = mujoco.MjData(model)
    for name, angle in zip(ARM_JOINTS, NEUTRAL, strict=True):
        data.joint(name).qpos = angle
    mujoco.mj_kinematics(model, data)
    assert data.site(EE_SITE).xpos == pytest.approx(forward(NEUTRAL)[:3, 3], abs=1e-9)


def test_the_arm_hangs_still_when_its_target_does_not_move(model):
    data = mujoco.MjData(model)
    for name, angle in zip(ARM_JOINTS, NEUTRAL, strict=True):
        data.joint(name).qpos = angle
    data.ctrl[:6] = NEUTRAL
    mujoco.mj_step(model, data, 250)
    settled = np.array([data.joint(name).qpos[0] for name in ARM_JOINTS])
    assert settled == pytest.approx(NEUTRAL, abs=1e-3)
