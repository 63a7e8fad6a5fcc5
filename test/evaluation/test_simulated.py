"""Success in simulation: episodes, summary and the shipped policy."""

import numpy as np
import pytest

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.seams import SeamRecorder
from dvla_ros.evaluation.simulated import Episode, SimulateConfig, SimulatedEpisodes, pick_confusion, summarise
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.policies.load import load_policy


def episode(task: str, outcome: str, detail: str = "") -> Episode:
    return Episode(task, 0, outcome, detail, 4.0, (12, 11), (30.0, 50.0), 0, 0)


def test_the_summary_counts_by_task_and_family():
    episodes = [episode("pick_red", "success"), episode("pick_red", "timeout"), episode("push_blue_left", "success")]
    summary = summarise(episodes)
    assert summary["success_rate"] == pytest.approx(2 / 3)
    assert summary["episodes"] == 3
    row = summary["by_task"]["pick_red"]
    assert (row["episodes"], row["successes"], row["success_rate"]) == (2, 1, 0.5)
    assert row["wilson_95"] == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert set(summary["by_family"]) == {"pick", "push"}
    assert summary["nfe"] == pytest.approx(11.5)
    assert summary["decode_ms_p50"] == pytest.approx(40.0)


def test_a_wrong_colour_stands_off_the_diagonal_of_the_confusion_table():
    table = pick_confusion([episode("pick_red", "wrong_object", "blue"), episode("pick_green", "timeout")])
    assert table["red"] == {"red": 0, "green": 0, "blue": 1, "none": 0}
    assert table["green"]["none"] == 1


@pytest.mark.parametrize("wrong", [{"tasks": ("fly",)}, {"episodes": 0}, {"seed": -1}, {"inference_s": -0.1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        SimulateConfig(**wrong)


@pytest.fixture(scope="module")
def shipped():
    return load_policy(shipped_checkpoint("dd_vla"))


@pytest.mark.timeout(240)
def test_the_shipped_policy_picks_up_the_cube_it_is_asked_for(shipped):
    config = SimulateConfig(tasks=("pick_red", "pick_green", "pick_blue"), episodes=6, seed=40)
    outcomes = [e.outcome for e in SimulatedEpisodes(shipped, config).run()]
    assert outcomes.count("success") >= 5
    assert "wrong_object" not in outcomes


def test_the_same_seed_gives_the_same_episode(shipped):
    config = SimulateConfig(tasks=("push_red_left",), episodes=1, seed=41, time_limit=3.0)
    first, second = (next(SimulatedEpisodes(shipped, config).run()) for _ in range(2))
    assert (first.outcome, first.seconds, first.nfe) == (second.outcome, second.seconds, second.nfe)
    assert np.isfinite(first.decode_ms).all()


def test_more_actions_than_a_chunk_holds_are_refused(shipped):
    with pytest.raises(ConfigurationError, match="execute_steps"):
        SimulatedEpisodes(shipped, SimulateConfig(execute_steps=9))


def drive(policy, mode, delay, episodes=2, **changes):
    config = SimulateConfig(
        tasks=("pick_red", "pick_green", "pick_blue"),
        episodes=episodes,
        seed=40,
        inference_s=delay,
        replanning=ReplanningConfig(mode=mode, lead_s=0.0),
        **changes,
    )
    recorder = SeamRecorder(config.control_hz)
    return list(SimulatedEpisodes(policy, config, recorder).run()), recorder.figures()


def test_in_painting_picks_up_cubes_while_it_thinks_for_two_rows(shipped):
    episodes, seams = drive(shipped, "inpaint", 0.4, episodes=6)
    assert [e.outcome for e in episodes].count("success") >= 5
    assert seams.seams > 6


def test_frozen_rows_leave_the_seam_where_it_was(shipped):
    _, seams = drive(shipped, "inpaint", 0.3)
    assert seams.seam_position_jump_max < 1e-6
    assert seams.gap_s == 0.0


def test_the_naive_way_jumps_at_seams(shipped):
    _, seams = drive(shipped, "async", 0.3, time_limit=5.0)
    assert seams.seam_position_jump > 1e-3


def test_synchronous_replanning_waits_between_chunks(shipped):
    _, seams = drive(shipped, "sync", 0.3, time_limit=4.0)
    assert seams.gap_s >= 0.3
