"""Processes in the background: their end is noticed, and all are stopped."""

import os
import socket
import sys
import time

import pytest

from dvla_ros.errors import NodeError
from dvla_ros.nodes.background_nodes import BackgroundNodes
from dvla_ros.nodes.isolation import isolate

WAITING = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit({code}))
print("up", flush=True)
signal.pause()
"""
OBEDIENT, STUBBORN = WAITING.format(code=0), WAITING.format(code=4)
BROKEN = "import sys\nprint('the checkpoint is missing')\nsys.exit(3)"


def python(code):
    return [sys.executable, "-c", code]


def wait_for(condition):
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_printed(nodes, name, word):
    return word in (nodes.logs / f"{name}.log").read_text()


def test_a_process_is_known_by_the_name_of_its_node(tmp_path):
    with BackgroundNodes({"one": python(OBEDIENT)}, tmp_path / "log") as nodes:
        wait_for(lambda: has_printed(nodes, "one", "up"))
        assert os.getpgid(nodes.process_id("one")) == nodes.process_id("one") and nodes.process_id("two") is None


def test_nodes_are_interrupted_at_the_end(tmp_path):
    with BackgroundNodes({"one": python(OBEDIENT), "two": python(OBEDIENT)}, tmp_path / "log") as nodes:
        wait_for(lambda: has_printed(nodes, "one", "up") and has_printed(nodes, "two", "up"))
        nodes.check()
    with pytest.raises(NodeError, match="one ended with exit code 0"):
        nodes.check()


def test_a_node_that_ends_is_named_with_its_last_words(tmp_path):
    with pytest.raises(NodeError) as caught, BackgroundNodes({"policy_node": python(BROKEN)}, tmp_path) as nodes:
        wait_for(lambda: has_printed(nodes, "policy_node", "missing"))
        while True:
            nodes.check()
    assert "policy_node ended with exit code 3" in str(caught.value)
    assert "the checkpoint is missing" in str(caught.value)


def test_an_unclean_end_is_an_error(tmp_path):
    with (
        pytest.raises(NodeError, match=r"sim_node \(exit code 4\)"),
        BackgroundNodes({"sim_node": python(STUBBORN)}, tmp_path) as nodes,
    ):
        wait_for(lambda: has_printed(nodes, "sim_node", "up"))


def test_an_error_inside_is_not_hidden_by_the_end(tmp_path):
    with pytest.raises(ZeroDivisionError), BackgroundNodes({"sim_node": python(STUBBORN)}, tmp_path) as nodes:
        wait_for(lambda: has_printed(nodes, "sim_node", "up"))
        raise ZeroDivisionError


def test_a_domain_in_use_is_avoided(monkeypatch):
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY"):
        monkeypatch.setenv(name, "0")
    first = isolate()
    assert os.environ["ROS_DOMAIN_ID"] == str(first) and os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * first + 10))
        assert isolate() != first


def test_ctrl_c_in_the_terminal_does_not_reach_the_nodes(tmp_path):
    group = OBEDIENT.replace('"up"', "__import__('os').getpgrp()")
    with BackgroundNodes({"one": python(group)}, tmp_path) as nodes:
        wait_for(lambda: has_printed(nodes, "one", "\n"))
    assert int((nodes.logs / "one.log").read_text()) != os.getpgrp()
