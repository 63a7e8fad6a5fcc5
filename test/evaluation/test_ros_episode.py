"""Records survive an interruption, and only those of the same policy count."""

from dataclasses import replace

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.chunk_timing import ChunkTiming
from dvla_ros.evaluation.ros_episode import RosEpisode, append_episode, matching, read_episodes

EPISODE = RosEpisode(
    task="pick_red",
    instruction="pick up the red cube",
    seed=7,
    outcome="success",
    detail="",
    simulated_s=6.5,
    wall_s=6.6,
    chunks=2,
    nfe=(12, 12),
    confidence=(0.8, 0.9),
    timings=(ChunkTiming(60.0, 1.0, 12.0, 40.0, 30.0, 143.0),),
    frames_received=180,
    frames_expected=190,
    chunks_rejected=0,
    time_limit_s=25.0,
    checkpoint="abc",
)


def test_what_was_appended_is_read_again(tmp_path):
    path = tmp_path / "folder" / "episodes.jsonl"
    append_episode(path, EPISODE)
    append_episode(path, replace(EPISODE, seed=8, outcome="wrong_object", detail="blue", timings=()))
    first, second = read_episodes(path)
    assert first == EPISODE
    assert (second.seed, second.success, second.detail, second.timings) == (8, False, "blue", ())


def test_a_missing_file_holds_no_episode(tmp_path):
    assert read_episodes(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("line", ['{"task": "pick_red"}', "[1, 2]", '{"task": "pi'])
def test_a_broken_line_is_named_with_its_number(tmp_path, line):
    path = tmp_path / "episodes.jsonl"
    append_episode(path, EPISODE)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ConfigurationError, match=r"episodes.jsonl:2 .* Remove the line"):
        read_episodes(path)


def test_only_episodes_of_the_same_weights_and_limit_match():
    others = [EPISODE, replace(EPISODE, checkpoint="def"), replace(EPISODE, time_limit_s=5.0)]
    assert matching(others, "abc", 25.0) == [EPISODE]


def test_the_real_time_factor_tells_a_slow_machine():
    assert replace(EPISODE, simulated_s=5.0, wall_s=10.0).real_time_factor == pytest.approx(0.5)
