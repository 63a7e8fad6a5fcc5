"""Episodes are recorded once, and count only for the conditions they were run under."""

from dataclasses import replace
from pathlib import Path

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.episodes import LiberoEpisode, LiberoPlan
from dvla_ros.evaluation.libero.record import LiberoConditions, LiberoRecord
from dvla_ros.policies.published.deployment import Deployment

PLAN = LiberoPlan(tasks=(0, 3), episodes=2)


def episode(task, state, success=True):
    return LiberoEpisode(task, state, f"do {task}", success, 40, (12, 12), (5.0, 6.0), 0)


@pytest.fixture
def conditions(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    return LiberoConditions(checkpoint, None, {}, "", "cpu", PLAN, {"mujoco": "3.3.7"})


def test_what_is_recorded_is_not_missing(conditions, tmp_path):
    record = LiberoRecord(tmp_path / "record", conditions)
    assert record.missing == [(0, 0), (0, 1), (3, 0), (3, 1)]
    record.add(episode(0, 1))
    record.add(episode(3, 0, success=False))
    again = LiberoRecord(tmp_path / "record", conditions)
    assert again.missing == [(0, 0), (3, 1)]
    assert again.episodes == [episode(0, 1), episode(3, 0, success=False)]


def test_more_episodes_may_be_asked_for_later(conditions, tmp_path):
    LiberoRecord(tmp_path, conditions).add(episode(0, 1))
    more = LiberoRecord(tmp_path, replace(conditions, plan=replace(PLAN, tasks=(), episodes=50)))
    assert more.episodes == [episode(0, 1)] and len(more.missing) == 499


CHANGES = {
    "deployment": {"deployment": Deployment(units="libero")},
    "decoding": {"decoding": {"num_steps": 3}},
    "cache": {"cache": "prefix"},
    "device": {"device": "cuda"},
    "plan": {"plan": replace(PLAN, camera_size=128)},
    "versions": {"versions": {"mujoco": "2.3.7"}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_other_conditions_have_their_own_episodes(what, conditions, tmp_path):
    LiberoRecord(tmp_path, conditions).add(episode(0, 1))
    assert not LiberoRecord(tmp_path, replace(conditions, **CHANGES[what])).episodes


def test_other_weights_have_their_own_episodes(conditions, tmp_path):
    LiberoRecord(tmp_path, conditions).add(episode(0, 1))
    (conditions.checkpoint / "config.json").write_text("[]")
    assert not LiberoRecord(tmp_path, conditions).episodes


def test_the_published_limit_is_the_same_said_or_not(conditions):
    said = replace(conditions, plan=replace(PLAN, max_steps=220))
    assert said.digest == conditions.digest != replace(conditions, plan=replace(PLAN, max_steps=30)).digest


def test_a_broken_line_is_named(conditions, tmp_path):
    (tmp_path / "libero_spatial.jsonl").write_text('{"conditions": "x"}\n')
    with pytest.raises(ConfigurationError, match=r"libero_spatial.jsonl:1 is not the record of an episode.*task"):
        LiberoRecord(Path(tmp_path), conditions)
