"""Figures say how many episodes they are of, and never stand without what sets them apart."""

import math

from dvla_ros.evaluation.libero.episodes import LiberoEpisode, LiberoPlan
from dvla_ros.evaluation.libero.figures import ALL_TASKS, differences, figures_of, figures_table

VERSIONS = {"mujoco": "3.3.7"}


def episode(task, state, success, steps):
    return LiberoEpisode(task, state, f"do {task}", success, steps, (10, 14), (5.0, 7.0), int(not success))


EPISODES = [episode(3, 0, True, 40), episode(1, 0, False, 220), episode(3, 1, True, 60), episode(3, 2, False, 220)]


def test_tasks_and_the_whole_suite_are_counted():
    figures = figures_of("libero_goal", EPISODES)
    assert [(row.task, row.sentence, row.successes, row.episodes) for row in figures] == [
        (1, "do 1", 0, 1),
        (3, "do 3", 2, 3),
        (ALL_TASKS, "2 of 10 tasks", 2, 4),
    ]
    whole = figures[-1]
    assert (whole.steps, whole.chunks, whole.nfe, whole.decode_ms_p50, whole.malformed) == (50, 8, 12, 6, 2)
    assert math.isnan(figures[0].steps)


def test_the_table_tells_episodes_and_interval():
    table = figures_table(figures_of("libero_goal", EPISODES))
    assert table.rows[0] == ("libero_goal", "1", "do 1", "0 of 1 (0–79 %)", "–", "12.0", "6", "1 of 2")
    assert table.rows[-1][1:5] == ("all", "2 of 10 tasks", "2 of 4 (15–85 %)", "50")


def test_nothing_is_said_of_no_episode():
    assert figures_of("libero_goal", []) == []


def test_what_differs_from_published_evaluations_is_said():
    told = "\n".join(differences([LiberoPlan("libero_goal", (3, 1), 2, max_steps=30)], VERSIONS))
    assert "mujoco 3.3.7" in told
    assert "libero_goal: 2 of 10 tasks, 2 of 50 initial states each." in told
    assert "30 steps an episode, published 300" in told


def test_a_whole_suite_still_differs_in_the_simulator_and_its_seeds():
    told = differences([LiberoPlan("libero_goal")], VERSIONS)
    assert len(told) == 2 and "seeded" in told[1]
