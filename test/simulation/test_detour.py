"""The detour: two ways that are equally good, and none between them."""

import numpy as np
import pytest

from dvla_ros.simulation.expert import Expert, Style, draw_style, plain_style
from dvla_ros.simulation.tasks import ALL_TASKS, EXTRA_TASKS, FAMILIES, TASKS, tasks_of

ROWS = 8
"""Of a chunk."""


def start(simulation, arm, seed, side=None):
    names = list(EXTRA_TASKS)
    simulation.reset(names[seed % len(names)], seed)
    arm.restart()
    rng = np.random.default_rng(seed)
    style = draw_style(simulation.task, simulation.scene_state(), 0.0, rng) if side is None else sided(side)
    return Expert(simulation.task, style), style


def sided(side):
    return Style(0.0, 0.0, "together", side=side)


def act(expert, simulation, arm):
    command = expert.act(simulation.scene_state(), arm.pose, arm.gripper, simulation.finger)
    action = arm.action_towards(command.pose, command.gripper)
    arm.apply(action)
    return action


def chunk(simulation, arm, seed, side):
    """The first actions of an expert that goes round that side, `[8, 7]`."""
    expert, _ = start(simulation, arm, seed, side)
    return np.stack([act(expert, simulation, arm) for _ in range(ROWS)])


def execute(simulation, arm, seed, actions):
    start(simulation, arm, seed)
    for action in actions:
        arm.apply(action)
    return simulation.judge().outcome


def test_it_is_there_for_who_asks_for_it_by_name():
    assert tasks_of(()) == tuple(TASKS) and "detour" not in FAMILIES
    assert tasks_of(("detour",)) == tuple(EXTRA_TASKS) == ("detour_red", "detour_green", "detour_blue")
    assert set(ALL_TASKS) == {*TASKS, *EXTRA_TASKS}


def test_the_expert_arrives_by_either_side(simulation, arm):
    for seed in range(6):
        for side in (-1.0, 1.0):
            expert, _ = start(simulation, arm, seed, side)
            for _ in range(20):
                if simulation.judge().outcome == "running":
                    act(expert, simulation, arm)
            assert simulation.judge().outcome == "success", f"seed {seed}, side {side}"


def test_both_sides_are_drawn_equally_often(simulation, arm):
    start(simulation, arm, 0)
    scene, rng = simulation.scene_state(), np.random.default_rng(0)
    left = sum(draw_style(simulation.task, scene, 0.0, rng).side > 0 for _ in range(1000))
    assert 445 <= left <= 555  # 3.5 standard deviations of a fair coin


def test_the_sides_differ_in_the_first_chunk_and_the_chunk_leads_past_the_post(simulation, arm):
    for side in (-1.0, 1.0):
        actions = chunk(simulation, arm, 1, side)
        assert (side * actions[:4, 1] > 0.01).all()
        assert simulation.judge().outcome == "running"
        assert arm.pose[0, 3] > simulation.scene_state().post[0]


def test_a_chunk_whose_rows_are_of_both_ways_hits_the_post(simulation, arm):
    """Each row is right for one of the ways; drawn row by row, 14 of 16 chunks mix them where it matters."""
    left, right = (chunk(simulation, arm, 1, side) for side in (1.0, -1.0))
    outcomes = {}
    for number in range(16):
        rows = [(left, right)[number >> row & 1][row] for row in range(4)]
        outcomes[number] = execute(simulation, arm, 1, [*rows, *(left[4:] + right[4:]) / 2])
    assert [number for number, outcome in outcomes.items() if outcome == "running"] == [0, 15]
    assert set(outcomes.values()) == {"running", "collision"}


def test_the_mean_of_both_ways_hits_the_post(simulation, arm):
    mean = (chunk(simulation, arm, 1, 1.0) + chunk(simulation, arm, 1, -1.0)) / 2
    assert execute(simulation, arm, 1, mean) == "collision"
    arm.apply(np.zeros(7))
    assert simulation.judge().outcome == "collision"  # for good


def test_once_on_a_side_the_expert_stays_there_whatever_its_style(simulation, arm):
    chunk_of = chunk(simulation, arm, 1, 1.0)
    start(simulation, arm, 1)
    for action in chunk_of[:2]:
        arm.apply(action)
    assert act(Expert(simulation.task, sided(-1.0)), simulation, arm)[1] > 0.01
    assert plain_style(simulation.task, simulation.scene_state(), 0.0).side == 1.0


def test_other_scenes_have_no_post(simulation, arm):
    start(simulation, arm, 3)
    assert simulation.scene_state().post is not None
    simulation.reset("pick_red", 3)
    assert simulation.scene_state().post is None and simulation.mocap()[1, 2] < -0.1


@pytest.mark.parametrize("seed", range(5))
def test_post_and_target_stand_in_a_row_with_all_else_out_of_the_way(simulation, arm, seed):
    start(simulation, arm, seed)
    scene = simulation.scene_state()
    target = scene.cubes[simulation.task.target]
    assert 0.06 < scene.post[0] - scene.tool[0] < 0.09 < target[0] - scene.tool[0]
    assert np.abs([scene.post[1] - scene.tool[1], target[1] - scene.tool[1]]).max() < 0.02
    others = [cube for colour, cube in scene.cubes.items() if colour != simulation.task.target]
    assert min(np.hypot(*(cube - scene.post)[:2]) for cube in others) > 0.06
