"""The node table: which nodes for which arguments, and that the nodes know every parameter it sets."""

import dataclasses

import pytest
import yaml

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.chunker_node import ChunkerParameters
from dvla_ros.nodes.launch_arguments import parse_arguments
from dvla_ros.nodes.node_table import SHIPPED_PARAMETERS, widowx_plan
from dvla_ros.nodes.policy_node import PolicyParameters
from dvla_ros.nodes.share import share_path
from dvla_ros.nodes.sim_node import SimParameters

KINDS = {"sim_node": SimParameters, "policy_node": PolicyParameters, "chunker_node": ChunkerParameters}


def plan(*texts):
    return widowx_plan(parse_arguments(["checkpoint:=/some/folder", *texts]))


def parameters(a_plan, name):
    return next(entry.parameters for entry in a_plan.nodes if entry.name == name)


def fields(name):
    return {field.name for field in dataclasses.fields(KINDS[name])}


def test_a_real_robot_needs_no_simulation_and_runs_dry():
    real = plan()
    assert [entry.name for entry in real.nodes] == ["policy_node", "chunker_node"]
    assert parameters(real, "chunker_node")["dry_run"] is True


def test_the_simulated_robot_moves():
    simulated = plan("use_sim:=true", "task:=pick_blue", "seed:=4", "cameras:=front")
    assert [entry.name for entry in simulated.nodes] == ["sim_node", "policy_node", "chunker_node"]
    assert parameters(simulated, "chunker_node")["dry_run"] is False
    assert parameters(simulated, "sim_node")["seed"] == 4
    assert parameters(simulated, "sim_node")["cameras"] == parameters(simulated, "policy_node")["cameras"] == ["front"]


@pytest.mark.parametrize("text", ["dry_run:=false", "dry_run:=true"])
def test_dry_run_can_be_chosen(text):
    assert parameters(plan(text), "chunker_node")["dry_run"] is (text == "dry_run:=true")


def test_the_nodes_know_every_parameter_of_the_table():
    for entry in plan("use_sim:=true").nodes:
        assert set(entry.parameters) <= fields(entry.name)
        KINDS[entry.name](**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.parameters.items()})


def test_the_nodes_know_every_parameter_of_the_yaml_and_it_repeats_no_argument():
    sections = yaml.safe_load(share_path(SHIPPED_PARAMETERS).read_text())
    assert set(sections) == set(KINDS)
    for entry in plan("use_sim:=true").nodes:
        given = sections[entry.name]["ros__parameters"]
        assert set(given) <= fields(entry.name)
        assert not set(given) & set(entry.parameters)
        KINDS[entry.name](**given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cameras:= , ", "cameras must name at least one"),
        ("params_file:=/no.yaml", "params_file /no.yaml does not exist"),
    ],
)
def test_what_does_not_fit_is_named(text, words):
    with pytest.raises(ConfigurationError, match=words):
        plan(text)
