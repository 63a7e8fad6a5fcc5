"""Through every backend the simulated arm goes where it is commanded."""

import numpy as np
import pytest
from commanded_arm import CONTROL_HZ, FEW_IMAGES, CommandedArm

from dvla_ros.nodes.backends.choice import make_backend
from dvla_ros.nodes.sim_node import SimNode

AWAY = np.array([0.4, 0.1, -0.1, 0.0, 0.15, 0.3])
FAR = np.array([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""Takes seconds, so that the arm is still under way when a busy machine has noticed that it is."""

simulated = pytest.mark.parametrize("ros_world", [FEW_IMAGES], indirect=True)


@pytest.fixture
def connect(ros_world):
    """Makes an arm that is commanded through a backend."""
    arms = []

    def make(name, **options):
        ros_world.start(SimNode)
        arms.append(
            CommandedArm(ros_world, make_backend(name, ros_world.probe, "wx250s", CONTROL_HZ, False, **options))
        )
        return arms[-1]

    yield make
    for arm in arms:
        arm.stop()


@simulated
@pytest.mark.parametrize("gripper", ["backend", "gripper_action"])
@pytest.mark.parametrize("name", ["jtc", "joint_trajectory", "forward", "interbotix"])
def test_arm_and_gripper_go_where_they_are_commanded(connect, ros_world, name, gripper):
    arm = connect(name, gripper=gripper)
    ros_world.wait_until(lambda: not arm.backend.problem(), "a gripper that can be commanded")
    goal = arm.go_by(AWAY)
    arm.gripper = 0.2
    ros_world.wait_until(lambda: arm.distance(goal) < 0.01, "the arm at its goal")
    ros_world.wait_until(lambda: abs(arm.opening - 0.2) < 0.1, "the gripper nearly closed")
    ros_world.wait_until(lambda: not arm.backend.problem(), "a gripper that has answered")


@simulated
def test_a_whole_plan_that_is_replaced_by_a_stop_ends_where_it_was_stopped(connect, ros_world):
    arm = connect("joint_trajectory")
    start, goal = arm.joints, arm.go_by(FAR)
    ros_world.wait_until(lambda: np.abs(arm.joints - start).max() > 0.1, "the arm under way")
    arm.brake()
    stopped = arm.planned(arm.now)[0]
    ros_world.wait_until(lambda: np.abs(arm.joints - stopped).max() < 0.03, "the arm at rest")
    assert np.abs(goal - arm.joints).max() > 0.1
