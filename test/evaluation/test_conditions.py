"""Conditions are named on a command line and change only what they say."""

from dataclasses import replace
from itertools import pairwise

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.conditions import AXES, Condition, conditions_of
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.simulation.appearance import Appearance

PLAN = SimulateConfig(tasks=("pick_red",), episodes=3, seed=5, execute_steps=2)


def test_the_nominal_condition_changes_nothing():
    assert Condition().applied(PLAN) == PLAN
    assert conditions_of(("nominal",)) == (Condition(),)


def test_an_axis_stands_for_its_strengths_and_every_condition_comes_once():
    assert [c.name for c in conditions_of(("noise:20", "noise", "nominal", "nominal"))] == [
        "noise:20", "noise:40", "noise:80", "nominal",
    ]  # fmt: skip
    assert {c.axis for c in conditions_of(("all",))} == {"nominal", *AXES}


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_has_two_or_three_strengths_that_differ_from_nominal_and_keep_the_scenes(axis):
    conditions = conditions_of((axis,))
    plans = [condition.applied(PLAN) for condition in conditions]
    assert 2 <= len(plans) <= 3 and all(plan != PLAN for plan in plans)
    assert all(a != b for a, b in pairwise(plans))
    for plan in plans:
        assert (plan.tasks, plan.episodes, plan.seed, plan.execute_steps) == (("pick_red",), 3, 5, 2)


def test_a_delay_is_met_as_the_nodes_meet_it():
    plan = Condition("delay", 0.4).applied(PLAN)
    assert (plan.inference_s, plan.replanning.mode) == (0.4, "inpaint")


def test_a_shift_of_the_pictures_is_of_that_kind_alone():
    plan = Condition("camera", 2.0).applied(PLAN)
    assert plan == replace(PLAN, appearance=Appearance(camera=2.0))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("fog:0.3", "no condition 'fog'; choose of nominal, delay"),
        ("noise:much", "axis:strength, got 'noise:much'"),
        ("noise:0", "must be above 0"),
        ("nominal:3", "must be above 0"),
        ("noise:-3", "must be above 0"),
        ("delay:nan", "must be above 0"),
        ("phrasing:1.5", "takes 1, 2 or 3"),
        ("phrasing:4", r"phrasing must be 0\.\.3"),
        ("colour:90", r"colour must lie in 0\.\.20"),
    ],
)
def test_a_condition_that_is_none_is_one_clear_error(word, message):
    with pytest.raises(ConfigurationError, match=message):
        conditions_of((word,))


def test_no_condition_is_refused():
    with pytest.raises(ConfigurationError, match="at least one condition"):
        conditions_of(())
