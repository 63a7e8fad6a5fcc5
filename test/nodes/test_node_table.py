"""The node table: which nodes for which arguments, and that the nodes know every parameter it sets."""

import pytest
import yaml

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.chunker_parameters import CHUNKER_PARAMETERS
from dvla_ros.nodes.deadman_node import DeadmanParameters
from dvla_ros.nodes.launch_arguments import parse_arguments
from dvla_ros.nodes.node_table import HEARTBEAT_TOPIC, SHIPPED_PARAMETERS, widowx_plan
from dvla_ros.nodes.operator.parameters import OperatorParameters
from dvla_ros.nodes.parameters import parameter_fields
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.nodes.recorder_parameters import RecorderParameters
from dvla_ros.nodes.sim_node import SimParameters
from dvla_ros.nodes.view_node import ViewParameters
from dvla_ros.share import share_path

KINDS = {
    "sim_node": (SimParameters,),
    "deadman_node": (DeadmanParameters,),
    "operator_node": (OperatorParameters,),
    "view_node": (ViewParameters,),
    "recorder_node": (RecorderParameters,),
    "policy_node": (PolicyParameters,),
    "chunker_node": CHUNKER_PARAMETERS,
}


def plan(*texts):
    return widowx_plan(parse_arguments(["checkpoint:=/some/folder", *texts]))


def test_the_scripted_expert_plays_in_the_simulation_only():
    drives = parameters(widowx_plan(parse_arguments(["system:=expert", "use_sim:=true"])), "policy_node")
    assert (drives["checkpoint"], drives["replanning"]) == ("expert", "sync")
    with pytest.raises(ConfigurationError, match="use_sim:=true"):
        widowx_plan(parse_arguments(["system:=expert"]))
    with pytest.raises(ConfigurationError, match="begins at rest"):
        PolicyParameters(checkpoint="expert", replanning="inpaint")


def everything():
    """A plan with every node of the table."""
    return plan("use_sim:=true", "deadman:=true", "operator:=true", "view:=true", "record:=true", "recorder:=node")


def parameters(a_plan, name):
    return next(entry.parameters for entry in a_plan.nodes if entry.name == name)


def fields(kind):
    return {field.name for field in parameter_fields(kind)}


def make(name, values):
    """What the node makes of parameters; an unknown or wrong one is an error."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    assert set(values) <= {field for kind in KINDS[name] for field in fields(kind)}
    return [kind(**{key: value for key, value in values.items() if key in fields(kind)}) for kind in KINDS[name]]


def test_a_real_robot_needs_no_simulation_and_runs_dry_and_only_with_heartbeats():
    real = plan()
    assert [entry.name for entry in real.nodes] == ["deadman_node", "policy_node", "chunker_node"]
    assert parameters(real, "chunker_node")["dry_run"] is True
    assert parameters(real, "chunker_node")["deadman_topic"] == HEARTBEAT_TOPIC


def test_the_simulated_robot_moves():
    simulated = plan("use_sim:=true", "task:=pick_blue", "seed:=4", "cameras:=front")
    assert [entry.name for entry in simulated.nodes] == ["sim_node", "policy_node", "chunker_node"]
    assert parameters(simulated, "chunker_node")["dry_run"] is False
    assert parameters(simulated, "chunker_node")["deadman_topic"] == ""
    assert parameters(simulated, "sim_node")["seed"] == 4
    assert parameters(simulated, "sim_node")["cameras"] == parameters(simulated, "policy_node")["cameras"] == ["front"]


def test_the_operator_page_is_served_where_it_is_asked_for():
    assert "operator_node" not in [entry.name for entry in plan().nodes]
    given = ("operator:=true", "operator_port:=8081", "compressed:=true", "cameras:=top")
    page = parameters(plan(*given), "operator_node")
    assert (page["host"], page["port"], page["cameras"], page["compressed"]) == ("127.0.0.1", 8081, ["top"], True)
    with pytest.raises(ConfigurationError, match="operator_port must be a whole number, got 'http'"):
        plan("operator:=true", "operator_port:=http")


def test_the_view_knows_the_simulated_cameras_and_the_arm_does_not_wait_for_it():
    assert "view_node" not in [entry.name for entry in plan().nodes]
    (seen,) = (entry for entry in plan("view:=true", "cameras:=top").nodes if entry.name == "view_node")
    assert not seen.required and seen.parameters["cameras"] == ["top"]
    assert seen.parameters["address"] == "127.0.0.1" and "camera_poses" not in seen.parameters
    assert parameters(plan("use_sim:=true", "view:=true"), "view_node")["camera_poses"] == "simulation"


def test_a_recorder_starts_first_and_the_arm_does_not_wait_for_it(monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    recorded = plan("record:=somewhere/new", "cameras:=top", "compressed:=true", "robot_name:=left")
    first, *others = recorded.nodes
    assert (first.name, first.required) == ("recorder_node", False) and all(entry.required for entry in others)
    assert first.parameters == {
        "robot_name": "left",
        "folder": "somewhere/new",
        "cameras": ["top"],
        "compressed": True,
        "keep_s": 0.0,
    }
    assert recorded.rosbag2 == ()


@pytest.mark.parametrize("text", ["dry_run:=false", "dry_run:=true"])
def test_dry_run_can_be_chosen(text):
    assert parameters(plan(text), "chunker_node")["dry_run"] is (text == "dry_run:=true")


@pytest.mark.parametrize("name", ["backend", "gripper", "planning_scene"])
def test_what_the_chunker_is_told_is_what_was_given(name):
    given = {"backend": "servo_pose", "gripper": "gripper_action", "planning_scene": "true"}
    told = parameters(plan(f"{name}:={given[name]}"), "chunker_node")[name]
    assert told == (True if name == "planning_scene" else given[name])


def test_the_deadman_knows_the_backend_and_the_policy_how_to_replan():
    chosen = plan("backend:=joint_trajectory", "replanning:=sync")
    assert parameters(chosen, "deadman_node")["backend"] == "joint_trajectory"
    assert parameters(chosen, "policy_node")["replanning"] == "sync"


def test_the_nodes_know_every_parameter_of_the_table():
    for entry in everything().nodes:
        assert make(entry.name, entry.parameters)


def test_the_nodes_know_every_parameter_of_the_yaml_and_it_repeats_no_argument():
    sections = yaml.safe_load(share_path(SHIPPED_PARAMETERS).read_text())
    assert set(sections) == set(KINDS)
    for entry in everything().nodes:
        given = sections[entry.name]["ros__parameters"]
        assert make(entry.name, {**entry.parameters, **given})
        assert not set(given) & set(entry.parameters)


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
