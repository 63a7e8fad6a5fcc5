"""The simulated arm resets reproducibly and keeps the limits of the real one."""

import numpy as np
import pytest

from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import (
    FINGER_CLOSED,
    FINGER_OPEN,
    FINGER_VELOCITY_LIMIT,
    JOINT_STATE_ORDER,
    LOWER,
    UPPER,
    VELOCITY_LIMIT,
)
from dvla_ros.errors import SimulationError
from dvla_ros.simulation.placement import pointing_down
from dvla_ros.simulation.simulation import Simulation

SAFE = pointing_down(0.25, 0.20)
OVERSHOOT = 1.05


def moved(simulation, arm, finger, seconds):
    """Joint states every 20 ms on the way to a target."""
    simulation.set_targets(arm, finger)
    states = []
    for _ in range(round(seconds / 0.02)):
        simulation.step(0.02)
        states.append(simulation.joint_state())
    return states


def test_a_reset_is_deterministic_whatever_happened_before(simulation):
    start = simulation.qpos()
    moved(simulation, SAFE + 0.3, FINGER_CLOSED, 0.5)
    simulation.reset("pick_red", 0)
    assert (simulation.qpos() == start).all()
    assert (Simulation("pick_red", 0).qpos() == start).all()
    assert simulation.time == 0.0


@pytest.mark.parametrize(("task", "seed"), [("pick_red", 1), ("pick_blue", 0)])
def test_another_seed_or_task_gives_another_scene(simulation, task, seed):
    other = Simulation(task, seed)
    assert not np.allclose(simulation.scene_state().cubes["red"], other.scene_state().cubes["red"], atol=1e-3)
    assert not np.allclose(simulation.arm, other.arm, atol=1e-3)


def test_the_same_commands_lead_to_the_same_state(simulation):
    first = moved(simulation, SAFE, FINGER_CLOSED, 0.4)[-1]
    simulation.reset("pick_red", 0)
    again = moved(simulation, SAFE, FINGER_CLOSED, 0.4)[-1]
    assert (first.positions == again.positions).all()


def test_time_is_simulated_time(simulation):
    simulation.step(0.1)
    assert simulation.time == pytest.approx(0.1)


def test_joint_states_come_in_the_order_of_the_driver(simulation):
    state = moved(simulation, SAFE, FINGER_OPEN, 1.0)[-1]
    assert state.names == JOINT_STATE_ORDER
    assert state.positions[:6] == pytest.approx(simulation.arm)
    assert state.positions[:6] == pytest.approx(SAFE, abs=2e-3)
    assert state.positions[7] == pytest.approx(FINGER_OPEN, abs=1e-4)
    assert state.positions[8] == pytest.approx(-FINGER_OPEN, abs=1e-4)


def test_the_gripper_motor_turns_with_the_fingers(simulation):
    opened = moved(simulation, simulation.arm, FINGER_OPEN, 0.3)[-1]
    closing = moved(simulation, simulation.arm, FINGER_CLOSED, 0.4)
    gripper = JOINT_STATE_ORDER.index("gripper")
    assert opened.positions[gripper] - closing[-1].positions[gripper] == pytest.approx(2.5, abs=0.1)
    assert min(state.velocities[gripper] for state in closing) < -5.0


def test_joints_never_move_faster_than_the_motors(simulation):
    moved(simulation, SAFE, FINGER_OPEN, 1.0)
    # Folding up and turning away: over the table, clear of everything.
    target = np.array([2.5, SAFE[1] - 0.5, SAFE[2] - 0.5, 1.0, 0.0, 2.0])
    states = moved(simulation, target, FINGER_OPEN, 1.2)
    speeds = np.abs([state.velocities[:6] for state in states])
    assert (speeds < OVERSHOOT * VELOCITY_LIMIT).all()
    assert speeds[:, 0].max() > 0.9 * VELOCITY_LIMIT[0]
    assert states[-1].positions[:6] == pytest.approx(target, abs=5e-3)


def test_a_far_target_takes_the_time_the_velocity_limit_asks_for(simulation):
    moved(simulation, SAFE, FINGER_OPEN, 1.0)
    target = SAFE + np.array([2.0, 0, 0, 0, 0, 0])
    needed = 2.0 / VELOCITY_LIMIT[0]
    assert moved(simulation, target, FINGER_OPEN, needed - 0.1)[-1].positions[0] < target[0] - 0.2
    assert moved(simulation, target, FINGER_OPEN, 0.3)[-1].positions[0] == pytest.approx(target[0], abs=5e-3)


def test_fingers_never_move_faster_than_the_gripper(simulation):
    states = moved(simulation, simulation.arm, FINGER_CLOSED, 0.4)
    speeds = np.abs([state.velocities[7] for state in states])
    assert 0.8 * FINGER_VELOCITY_LIMIT < speeds.max() < 1.1 * FINGER_VELOCITY_LIMIT


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_targets_beyond_the_limits_are_clipped_to_them(simulation, side):
    simulation.set_targets(np.full(6, side * 9.0), side * 9.0)
    arm, finger = simulation.targets
    assert arm.tolist() == (UPPER if side > 0 else LOWER).tolist()
    assert finger == (FINGER_OPEN if side > 0 else FINGER_CLOSED)


@pytest.mark.parametrize("joint", [0, 3, 4, 5])
def test_the_arm_stops_at_its_joint_limits(simulation, joint):
    moved(simulation, SAFE, FINGER_OPEN, 0.8)
    target = SAFE.copy()
    target[joint] = 9.0
    state = moved(simulation, target, FINGER_OPEN, 2.0)[-1]
    assert state.positions[joint] == pytest.approx(UPPER[joint], abs=5e-3)


@pytest.mark.parametrize(
    ("arm", "finger"),
    [(np.full(6, np.nan), 0.02), (np.array([0, 0, np.inf, 0, 0, 0]), 0.02), (np.zeros(6), np.nan), (np.zeros(5), 0.02)],
)
def test_malformed_targets_are_refused_and_change_nothing(simulation, arm, finger):
    before = simulation.targets
    with pytest.raises(SimulationError, match="six finite angles"):
        simulation.set_targets(arm, finger)
    after = simulation.targets
    assert after[0].tolist() == before[0].tolist() and after[1] == before[1]


def test_an_unknown_task_names_those_there_are_and_leaves_the_scene(simulation):
    before = simulation.qpos()
    with pytest.raises(SimulationError, match=r"'fly'.*pick_red.*push_blue_right"):
        simulation.reset("fly", 0)
    with pytest.raises(SimulationError, match="0 or more, got -1"):
        simulation.reset("pick_red", -1)
    assert (simulation.qpos() == before).all() and simulation.task.name == "pick_red"


def test_a_grip_shows_as_held_and_a_cube_on_the_table_does_not(simulation):
    assert simulation.scene_state().held == frozenset()
    cube = simulation.scene_state().cubes["red"]
    grip_red(simulation)
    assert simulation.scene_state().held == {"red"}
    assert simulation.scene_state().cubes["red"][:2] == pytest.approx(cube[:2], abs=0.01)


def grip_red(simulation):
    """Close the gripper around the red cube, coming straight from above."""
    scene = simulation.scene_state()
    x, y, _ = scene.cubes["red"]
    bearing = np.arctan2(y, x)
    turn = np.array([0, 0, 0, 0, 0, bearing - scene.yaws["red"]])
    for height, finger in ((0.12, FINGER_OPEN), (0.02, FINGER_OPEN), (0.02, FINGER_CLOSED)):
        joints = pointing_down(np.hypot(x, y), height, bearing) + turn
        moved(simulation, joints, finger, 0.9)


def test_success_stays_until_the_next_reset(simulation):
    grip_red(simulation)
    scene = simulation.scene_state()
    bearing = np.arctan2(scene.cubes["red"][1], scene.cubes["red"][0])
    lifted = pointing_down(0.25, 0.2, bearing)
    assert simulation.judge().outcome == "running"
    moved(simulation, lifted, FINGER_CLOSED, 1.0)
    assert simulation.judge().outcome == "success"
    moved(simulation, lifted, FINGER_OPEN, 1.0)
    assert simulation.scene_state().cubes["red"][2] < 0.05
    assert simulation.judge().outcome == "success"
    simulation.reset("pick_red", 0)
    assert simulation.judge().outcome == "running"


def test_the_measured_arm_is_where_forward_kinematics_says(simulation):
    assert forward(simulation.arm)[:3, 3] == pytest.approx(simulation.data.site("ee").xpos, abs=1e-4)
