"""Figures over episodes."""

from dataclasses import replace

import pytest

from dvla_ros.evaluation.chunk_timing import ChunkTiming
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.evaluation.ros_summary import confusion, summarise

RED = RosEpisode(
    task="pick_red",
    instruction="pick up the red cube",
    seed=0,
    outcome="success",
    detail="",
    simulated_s=6.0,
    wall_s=6.0,
    chunks=1,
    nfe=(12,),
    confidence=(0.8,),
    timings=(ChunkTiming(60.0, 1.0, 12.0, 40.0, 30.0, 143.0),),
    frames_received=90,
    frames_expected=100,
    chunks_rejected=1,
    time_limit_s=25.0,
)
GREEN_FOR_BLUE = replace(RED, task="pick_blue", outcome="wrong_object", detail="green", simulated_s=4.0, wall_s=8.0)
LATE_PUSH = replace(RED, task="push_red_left", outcome="timeout", simulated_s=25.0, wall_s=25.0, frames_received=100)
EPISODES = [RED, replace(RED, seed=1), GREEN_FOR_BLUE, LATE_PUSH]


def test_confusion_counts_the_cube_that_was_moved():
    table = confusion([RED, GREEN_FOR_BLUE, replace(RED, task="pick_green", outcome="timeout")])
    assert table["red"] == {"red": 1, "green": 0, "blue": 0, "none": 0}
    assert table["blue"] == {"red": 0, "green": 1, "blue": 0, "none": 0}
    assert table["green"] == {"red": 0, "green": 0, "blue": 0, "none": 1}


def test_rates_are_given_over_all_by_task_and_by_family():
    summary = summarise(EPISODES)
    assert (summary["episodes"], summary["successes"], summary["success_rate"]) == (4, 2, 0.5)
    assert summary["by_task"]["pick_red"]["success_rate"] == 1.0
    assert summary["by_family"]["pick"]["success_rate"] == pytest.approx(2 / 3)
    assert summary["by_family"]["push"]["successes"] == 0
    assert set(summary["confusion"]) == {"pick", "push"}


def test_times_count_successes_only_and_frames_count_all():
    summary = summarise(EPISODES)
    assert summary["simulated_s_mean"] == 6.0
    assert summary["camera_frames_received"] == pytest.approx(370 / 400)
    assert summary["real_time_factor_min"] == 0.5
    assert summary["chunks_rejected"] == 4
    assert [failure[0] for failure in summary["failures"]] == ["pick_blue", "push_red_left"]
