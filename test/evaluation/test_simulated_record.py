"""Recorded episodes are found again, only under the conditions they ran with."""

import json
from dataclasses import replace

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.episode_lines import append_line
from dvla_ros.evaluation.simulated import Episode, SimulateConfig
from dvla_ros.evaluation.simulated_record import conditions_digest, read_episodes
from dvla_ros.simulation.appearance import Appearance

EPISODE = Episode("pick_red", 7, "wrong_object", "blue", 4.2, (12, 11), (30.5, 50.0), 1, 2)


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_what_was_appended_is_read_again_by_task_and_seed(tmp_path):
    path = tmp_path / "folder" / "variant.jsonl"
    other = replace(EPISODE, task="pick_blue", outcome="success", nfe=())
    append_line(path, "abc", EPISODE)
    append_line(path, "abc", other)
    assert read_episodes(path, "abc") == {("pick_red", 7): EPISODE, ("pick_blue", 7): other}


def test_episodes_of_other_conditions_do_not_count(tmp_path):
    path = tmp_path / "variant.jsonl"
    append_line(path, "abc", EPISODE)
    assert read_episodes(path, "def") == {}
    assert read_episodes(tmp_path / "none.jsonl", "abc") == {}


def test_a_broken_line_is_named_with_its_number(tmp_path):
    path = tmp_path / "variant.jsonl"
    append_line(path, "abc", EPISODE)
    for line in ('{"task": "pick_red"}', '{"conditions": "abc", "task": 1}', "[1]", '{"tas'):
        path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
        with pytest.raises(ConfigurationError, match=r"variant.jsonl:2 .* Remove the line"):
            read_episodes(path, "abc")


def test_every_line_is_json_of_its_own(tmp_path):
    path = tmp_path / "variant.jsonl"
    for seed in range(3):
        append_line(path, "abc", replace(EPISODE, seed=seed, decode_ms=(1.0,) * 5000))
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_conditions_are_weights_settings_and_rules_but_not_which_episodes(checkpoint):
    config = SimulateConfig()
    digest = conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, config)
    assert digest == conditions_digest(checkpoint, {"greedy": True, "num_steps": 8}, config)
    assert digest == conditions_digest(
        checkpoint, {"num_steps": 8, "greedy": True}, replace(config, episodes=3, seed=9, tasks=("pick_red",))
    )
    assert digest == "7d2856b000971f63"  # as recorded before there were conditions: such episodes still count
    others = {digest}
    others.add(conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, replace(config, phrasing=1)))
    noisy = replace(config, appearance=Appearance(noise=20.0))
    others.add(conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, noisy))
    others.add(conditions_digest(checkpoint, {"num_steps": 9, "greedy": True}, config))
    others.add(conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, replace(config, time_limit=5.0)))
    (checkpoint / "model.safetensors").write_bytes(b"others")
    others.add(conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, config))
    (checkpoint / "config.json").write_text('{"dt": 0.1}')
    others.add(conditions_digest(checkpoint, {"num_steps": 8, "greedy": True}, config))
    assert len(others) == 7
