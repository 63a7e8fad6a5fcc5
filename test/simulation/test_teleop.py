"""Bridge actions move the simulated arm as asked, and an instant can be revisited exactly."""

import mujoco
import numpy as np
import pytest

from dvla_ros.control.bridge import bridge_state
from dvla_ros.simulation.expert import Expert, draw_style, yaw_of
from dvla_ros.simulation.teleop import ACTION_DT


def action(dx=0.0, dy=0.0, dz=0.0, dyaw=0.0, gripper=1.0):
    return np.array([dx, dy, dz, 0.0, 0.0, dyaw, gripper])


def test_an_action_takes_one_bridge_period(simulation, arm):
    arm.apply(action())
    assert simulation.time == pytest.approx(ACTION_DT)


def test_the_arm_goes_where_the_action_says(simulation, arm):
    before = arm.state
    arm.apply(action(dx=0.02, dy=-0.01, dz=0.01, dyaw=0.1))
    simulation.step(0.5)
    assert arm.state[:3] - before[:3] == pytest.approx([0.02, -0.01, 0.01], abs=2e-3)
    assert arm.state[5] - before[5] == pytest.approx(0.1, abs=5e-3)


def test_the_state_is_the_measured_one(simulation, arm):
    arm.apply(action(dz=0.03, gripper=0.0))
    assert arm.state.tolist() == bridge_state(simulation.arm, simulation.finger).tolist()


def test_the_action_towards_a_pose_leads_to_it(arm):
    goal = arm.pose.copy()
    goal[:3, 3] += [0.01, 0.02, -0.02]
    arm.apply(arm.action_towards(goal, 1.0))
    assert arm.pose == pytest.approx(goal, abs=1e-9)


def test_an_unreachable_pose_leaves_the_command_where_it_is(arm):
    for _ in range(30):
        arm.apply(action(dx=0.05, dz=0.05))
    before = arm.pose.copy()
    arm.apply(action(dx=0.05, dz=0.05))
    assert (arm.pose == before).all()


def everything(simulation):
    state = np.empty(mujoco.mj_stateSize(simulation.model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(simulation.model, simulation.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    scene, joints = simulation.scene_state(), simulation.joint_state()
    poses = [*scene.cubes.values(), list(scene.yaws.values()), [scene.speed]]
    numbers = np.concatenate(
        [state, *poses, joints.positions, joints.velocities, joints.efforts, simulation.targets[0]]
    )
    return numbers.tolist(), scene.held, scene.touched, simulation.judge(), simulation.targets[1]


def test_a_remembered_instant_is_returned_to_exactly(simulation, arm):
    """At every instant of an episode, among them grasping, carrying and letting go."""
    simulation.reset("stack_red_on_blue", 3)
    arm.restart()
    style = draw_style(simulation.task, simulation.scene_state(), yaw_of(arm.pose), np.random.default_rng(0))
    expert = Expert(simulation.task, style)

    def advance():
        command = expert.act(simulation.scene_state(), arm.pose, arm.gripper, simulation.finger)
        arm.apply(arm.action_towards(command.pose, command.gripper))

    while simulation.judge().outcome == "running":
        assert simulation.time < 60 * ACTION_DT
        snapshot, here, pose, gripper = arm.save(), everything(simulation), arm.pose.copy(), arm.gripper
        advance()
        there = everything(simulation)
        arm.restore(snapshot)
        assert everything(simulation) == here
        assert (arm.pose == pose).all() and arm.gripper == gripper
        advance()
        assert everything(simulation) == there
    assert simulation.judge().outcome == "success"
