"""A node's process: starts, stops cleanly, leaves nothing behind."""

import logging
import os
import re
import signal
import sys
import threading
import weakref

import pytest
from rclpy.node import Node

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.sim_node import SimNode


@pytest.mark.parametrize("kind", [ChunkerNode, SimNode])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_with_code_0_and_frees_it(kind, number):
    nodes = []

    def make() -> Node:
        node = kind()
        nodes.append(weakref.ref(node))
        threading.Timer(0.5, os.kill, args=(os.getpid(), number)).start()
        return node

    assert run_node(make, ["--ros-args", "-p", "chunker_node:discovery_s:=0.1"]) == 0
    assert nodes[0]() is None


@pytest.mark.parametrize(("error", "code"), [(ConfigurationError("wrong value"), 2), (CheckpointError("gone"), 1)])
def test_a_node_that_cannot_be_made_says_why_in_one_line(capsys, error, code):
    def make() -> Node:
        raise error

    assert run_node(make, []) == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.fixture
def no_driver(monkeypatch):
    """The messages of Interbotix' driver are not installed, as far as a node can tell."""
    for module in ("interbotix_xs_msgs", "interbotix_xs_msgs.msg"):
        monkeypatch.setitem(sys.modules, module, None)


def test_a_failed_activation_ends_the_process_with_code_1(no_driver):
    assert run_node(ChunkerNode, ["--ros-args", "-p", "backend:=interbotix", "-p", "dry_run:=false"]) == 1


def test_what_parts_without_ros_log_is_in_the_log_of_the_node(capfd):
    def make() -> Node:
        node = ChunkerNode()
        threading.Timer(0.5, os.kill, args=(os.getpid(), signal.SIGINT)).start()
        return node

    run_node(make, ["--ros-args", "-p", "discovery_s:=0.1", "-p", "realtime_priority:=10"])
    assert re.search(r"\[chunker_node\].*real-time priority", capfd.readouterr().err)
    assert logging.getLogger("dvla_ros").handlers == []


def test_the_signal_handlers_are_put_back(no_driver):
    before = signal.getsignal(signal.SIGTERM)
    run_node(ChunkerNode, ["--ros-args", "-p", "backend:=interbotix", "-p", "dry_run:=false"])
    assert signal.getsignal(signal.SIGTERM) is before
