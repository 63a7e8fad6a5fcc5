"""The expert solves every task in every style, from wherever it is asked."""

import zlib

import numpy as np
import pytest

from dvla_ros.simulation.expert import MAX_STEP, MAX_TURN, Expert, Style, draw_style, yaw_of
from dvla_ros.simulation.tasks import TASKS

MAX_ACTIONS = 60


def expert_for(simulation, arm, seed):
    rng = np.random.default_rng([seed, 1])
    return Expert(simulation.task, draw_style(simulation.task, simulation.scene_state(), yaw_of(arm.pose), rng))


def ask(expert, simulation, arm):
    return expert.act(simulation.scene_state(), arm.pose, arm.gripper, simulation.finger)


def start(simulation, arm, name, seed):
    simulation.reset(name, seed)
    arm.restart()
    return expert_for(simulation, arm, seed)


def run(expert, simulation, arm, limit=MAX_ACTIONS):
    """The path of the gripper `[N, 3]` until the episode is judged."""
    path = [arm.pose[:3, 3].copy()]
    while simulation.judge().outcome == "running" and len(path) <= limit:
        command = ask(expert, simulation, arm)
        arm.apply(arm.action_towards(command.pose, command.gripper))
        path.append(arm.pose[:3, 3].copy())
    return np.array(path)


@pytest.mark.parametrize("name", TASKS)
def test_it_solves_the_task(simulation, arm, name):
    for seed in (0, 1):
        run(start(simulation, arm, name, seed), simulation, arm)
        assert simulation.judge().outcome == "success", f"seed {seed}: {simulation.judge()}"


@pytest.mark.parametrize("name", ["pick_red", "put_green_on_plate", "stack_blue_on_red", "push_red_left"])
def test_it_recovers_from_shoves_and_slips(simulation, arm, name):
    """Asked one action at a time, it is never stuck: without further shoves it comes to an end."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    expert = start(simulation, arm, name, 2)
    for _ in range(15):
        command = ask(expert, simulation, arm)
        action = arm.action_towards(command.pose, command.gripper)
        if rng.random() < 0.4:
            action[:3] = rng.uniform(-0.05, 0.05, 3) * [1.0, 1.0, 0.6]
            action[6] = rng.integers(2)
        arm.apply(action)
        # A shove that pushes a neighbour is an episode's end; the scene is laid out anew and the shoving goes on.
        if simulation.judge().outcome != "running":
            expert = start(simulation, arm, name, int(rng.integers(3, 1000)))
    run(expert_for(simulation, arm, 5), simulation, arm, limit=100)
    assert simulation.judge().outcome == "success", str(simulation.judge())


@pytest.mark.parametrize("name", ["pick_red", "stack_red_on_green", "push_blue_right"])
def test_no_command_exceeds_what_an_action_can_say(simulation, arm, name):
    expert = start(simulation, arm, name, 4)
    for _ in range(30):
        command = ask(expert, simulation, arm)
        action = arm.action_towards(command.pose, command.gripper)
        assert np.linalg.norm(command.pose[:3, 3] - arm.pose[:3, 3]) <= MAX_STEP + 1e-9
        assert np.abs(action[:3]).max() <= 0.05 and np.abs(action[3:6]).max() <= MAX_TURN + 0.01
        assert command.gripper in (0.0, 1.0)
        arm.apply(action)


def test_it_has_no_memory(simulation, arm):
    """Asked twice, or by another instance, in the same state, it answers the same."""
    expert = start(simulation, arm, "put_red_on_plate", 1)
    other = expert_for(simulation, arm, 1)
    for _ in range(12):
        first, second = ask(expert, simulation, arm), ask(other, simulation, arm)
        assert (first.pose == second.pose).all() and first.gripper == second.gripper
        arm.apply(arm.action_towards(first.pose, first.gripper))
        ask(expert, simulation, arm)


STRAIGHT = {"grasp_yaw": 0.0, "swirl": 0.0, "order": "together"}


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"swirl": 0.6}, slice(0, 2)),
        ({"swirl": -0.6}, slice(0, 2)),
        ({"order": "turn_first"}, slice(0, 2)),
        ({"order": "move_first"}, slice(5, 6)),
        ({"grasp_yaw": np.pi / 2}, slice(5, 6)),
    ],
)
def test_styles_lead_to_different_ways_with_the_same_end(simulation, arm, change, column):
    actions = {}
    for label, style in (("straight", Style(**STRAIGHT)), ("other", Style(**{**STRAIGHT, **change}))):
        simulation.reset("put_red_on_plate", 8)
        arm.restart()
        expert, rows = Expert(simulation.task, style), []
        while simulation.judge().outcome == "running" and len(rows) < MAX_ACTIONS:
            command = ask(expert, simulation, arm)
            rows.append(arm.action_towards(command.pose, command.gripper))
            arm.apply(rows[-1])
        assert simulation.judge().outcome == "success"
        actions[label] = np.array(rows)
    shared = min(len(rows) for rows in actions.values())
    difference = np.abs(actions["straight"][:shared] - actions["other"][:shared])[:, column]
    assert difference.max() > 0.01


def test_every_style_is_drawn(simulation, arm):
    rng = np.random.default_rng(0)
    scene = simulation.scene_state()
    styles = [draw_style(simulation.task, scene, 0.0, rng) for _ in range(200)]
    yaws = {round(style.grasp_yaw, 6) for style in styles}
    assert {style.swirl for style in styles} == {-0.6, 0.0, 0.6}
    assert {style.order for style in styles} == {"together", "turn_first", "move_first"}
    assert len(yaws) == 2 and max(yaws) - min(yaws) == pytest.approx(np.pi / 2, abs=1e-5)
