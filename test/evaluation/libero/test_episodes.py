"""An episode runs as the published evaluations do: look, execute a part of a chunk, look again, until done or late."""

import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.episodes import LiberoEpisodes, LiberoPlan
from dvla_ros.evaluation.libero.suites import SUITES


def test_an_episode_ends_when_the_task_is_solved(make_policy, simulator):
    policy = make_policy()
    episode = LiberoEpisodes(policy, simulator, LiberoPlan(seed=3)).episode(0, 4)
    assert (episode.task, episode.initial_state, episode.sentence) == (0, 4, "do 0")
    assert (episode.success, episode.steps, episode.nfe) == (True, 5, (2, 2))
    assert episode.decode_ms == (10.0, 10.0) and policy.resets == 1
    assert simulator.restarts == [(0, 4, 3, 10)]
    np.testing.assert_allclose(simulator.rows[0], [[0.2, 0, 0, 0, 0, 0, 1]] * 3, atol=1e-6)


def test_an_episode_that_is_not_solved_ends_at_the_limit_and_not_a_row_later(make_policy, simulator):
    episode = LiberoEpisodes(make_policy(), simulator, LiberoPlan(max_steps=7)).episode(1, 0)
    assert (episode.success, episode.steps) == (False, 7)
    assert [len(rows) for rows in simulator.rows] == [3, 3, 1]


@pytest.mark.parametrize(("changes", "rows"), [({}, 3), ({"whole_chunks": True}, 4), ({"execute_steps": 2}, 2)])
def test_so_many_rows_of_a_chunk_are_executed(changes, rows, make_policy, simulator):
    LiberoEpisodes(make_policy(), simulator, LiberoPlan(max_steps=12, **changes)).episode(1, 0)
    assert {len(each) for each in simulator.rows} == {rows}


def test_each_look_sees_the_scene_as_it_is(make_policy, simulator):
    policy = make_policy()
    LiberoEpisodes(policy, simulator, LiberoPlan(max_steps=7)).episode(2, 0)
    assert [int(seen.images["wrist"].max()) for seen in policy.observations] == [0, 3, 6]
    assert {seen.instruction for seen in policy.observations} == {"do 2"}


def test_an_answer_that_cannot_be_executed_stands_still_with_the_gripper_as_it_was(make_policy, simulator):
    episode = LiberoEpisodes(make_policy(broken=(0, 2)), simulator, LiberoPlan(max_steps=9)).episode(1, 0)
    assert episode.malformed == 2
    assert [rows[:, -1].tolist() for rows in simulator.rows] == [[-1] * 3, [1] * 3, [1] * 3]
    assert [float(np.abs(rows[:, :-1]).max() > 0) for rows in simulator.rows] == [0, 1, 0]


def test_an_episode_goes_alike_whichever_were_run_before(make_policy, simulator):
    def seeds(*scenes):
        policy = make_policy()
        runner = LiberoEpisodes(policy, simulator, LiberoPlan(max_steps=6))
        return [(runner.episode(*scene), policy.seeds[-2:])[1] for scene in scenes]

    first, second = seeds((1, 0), (1, 1))
    assert seeds((1, 1)) == [second] and len({*first, *second}) == 4


def test_scenes_go_task_by_task():
    assert LiberoPlan(tasks=(4, 1, 4), episodes=2).scenes == [(4, 0), (4, 1), (1, 0), (1, 1)]
    assert len(LiberoPlan("libero_90").scenes) == 4500
    assert {name: suite.max_steps for name, suite in SUITES.items()} == {
        "libero_spatial": 220,
        "libero_object": 280,
        "libero_goal": 300,
        "libero_10": 520,
        "libero_90": 400,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite": "libero_kitchen"}, "no suite 'libero_kitchen'; choose one of libero_spatial"),
        ({"tasks": (3, 10)}, r"has the tasks 0..9, got \[10\]"),
        ({"episodes": 51}, "episodes must be 1..50"),
        ({"episodes": 0}, "episodes must be 1..50"),
        ({"max_steps": -1}, "max_steps and execute_steps must be 0 or more"),
        ({"camera_size": 8}, "camera_size must be 16 or more, got 8"),
        ({"execute_steps": 2, "whole_chunks": True}, "not both"),
    ],
)
def test_a_plan_refuses_what_libero_has_not(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        LiberoPlan(**changes)


def test_more_rows_than_a_chunk_has_are_refused(make_policy, simulator):
    with pytest.raises(ConfigurationError, match=r"execute_steps must be 1..4, got 5"):
        LiberoEpisodes(make_policy(), simulator, LiberoPlan(execute_steps=5))
