"""Every checkpoint with every decoder, under names that tell them apart."""

from pathlib import Path

import numpy as np
import pytest
from recorded_run import CHECKPOINT

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.compared_policy import compared_policies, decoder_settings

A, B = Path("/runs/a/final"), Path("/runs/b/final")


def test_each_checkpoint_comes_with_each_decoder():
    names = [policy.name for policy in compared_policies([A, Path("/runs/c")], ["own", "num_steps=4,greedy=true"])]
    assert names == ["final", "final, num_steps=4, greedy=true", "c", "c, num_steps=4, greedy=true"]


def test_folders_of_one_name_are_told_apart_by_those_above():
    assert [policy.name for policy in compared_policies([A, B])] == ["a/final", "b/final"]


@pytest.mark.parametrize("twice", [([A, A], []), ([A], ["own", "own"]), ([A], ["num_steps=4", "num_steps=4"])])
def test_nothing_is_evaluated_twice(twice):
    with pytest.raises(ConfigurationError, match="twice"):
        compared_policies(*twice)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("own", {}),
        ("num_steps=4, greedy=true", {"num_steps": 4, "greedy": True}),
        ("order=margin", {"order": "margin"}),
        ("rates=[1,2],num_steps=3", {"rates": [1, 2], "num_steps": 3}),
    ],
)
def test_settings_are_read(words, settings):
    assert decoder_settings(words) == settings


def test_a_cache_is_that_of_the_deployment_where_none_is_named(tmp_path):
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text("cache: prefix\n")
    (plain,), (deployed,) = compared_policies([A]), compared_policies([A], deployment=deployment, cache="dllm")
    assert str(plain.cache_plan("")) == "exact" and str(deployed.cache_plan("")) == "prefix"
    assert str(deployed.cache_plan(deployed.cache)).startswith("dllm:")


def test_a_policy_is_loaded_with_its_cache():
    (compared,) = compared_policies([CHECKPOINT], cache="dllm:2,2,0.5")
    assert str(compared.load().network.cache) == "dllm:2,2,0.5"


def test_a_setting_without_a_value_is_named():
    with pytest.raises(ConfigurationError, match="num_steps"):
        decoder_settings("num_steps")


def test_the_range_of_a_policy_is_that_of_its_statistics():
    (policy,) = compared_policies([CHECKPOINT])
    found = policy.action_range()
    assert (found.high[:3] > 0.03).all() and (found.low[:3] < -0.03).all()
    assert np.isnan(found.low[[3, 4, 6]]).all()  # the shipped policies never roll or pitch; a gripper has no range
