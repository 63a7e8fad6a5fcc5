"""Real nodes over real DDS in one process: a spinning executor, and a probe that publishes and collects."""

import contextlib
import gc
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from untrained import write_untrained

from dvla_ros.control import pacing
from dvla_ros.nodes.process import autostart

TIMEOUT_S = 10.0


@pytest.fixture(scope="session", autouse=True)
def long_switch_interval() -> Iterator[None]:
    """Threads of ordinary priority share the process with the nodes here.

    While one of them is suspended with the interpreter lock, those that wait for it wake after each interval. At that
    of a real node they would take a core from everybody.
    """
    shortest, pacing._SWITCH_INTERVAL_S = pacing._SWITCH_INTERVAL_S, 0.002
    yield
    pacing._SWITCH_INTERVAL_S = shortest


class Probe(Node):
    """Publishes and collects messages for a test."""

    def __init__(self) -> None:
        super().__init__("probe")

    def collect(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> "queue.Queue[Any]":
        """All messages of a topic from now on."""
        messages: queue.Queue[Any] = queue.Queue()
        self.create_subscription(kind, topic, messages.put, qos)
        return messages

    def connect(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Any:
        """A publisher that somebody subscribes already."""
        publisher = self.create_publisher(kind, topic, qos)
        wait_until(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")
        return publisher

    def call(self, kind: type, service: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.create_client(kind, service)
        assert client.wait_for_service(TIMEOUT_S), f"no service {service}"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S), f"no answer from {service}"
        return future.result()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Poll a condition that no event announces (DDS discovery, physics)."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.01)


class RosWorld:
    """One ROS context with an executor that spins in a thread."""

    def __init__(self, arguments: list[str]) -> None:
        rclpy.init(args=["--ros-args", *arguments] if arguments else None)
        self._executor = SingleThreadedExecutor()
        self._nodes: list[Node] = []
        self.probe = Probe()
        self._executor.add_node(self.probe)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def thread_id(self) -> int:
        """The kernel's number of the thread that runs all callbacks."""
        assert self._thread.native_id is not None
        return self._thread.native_id

    def _spin(self) -> None:
        while not self._closing.is_set():
            # A test that ends a node's transition from its own thread may destroy what the executor waits for.
            with contextlib.suppress(InvalidHandle):
                self._executor.spin_once(timeout_sec=0.05)

    def start(self, make: Callable[[], Any], activate: bool = True) -> Any:
        """Start a node; a lifecycle node is activated unless `activate` is false."""
        node = make()
        self._nodes.append(node)
        if activate and hasattr(node, "trigger_configure"):
            assert autostart(node)
        self._executor.add_node(node)
        return node

    @staticmethod
    def next_that(messages: "queue.Queue[Any]", wanted: Callable[[Any], bool], timeout_s: float = TIMEOUT_S) -> Any:
        """The first collected message that is as wanted."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = messages.get(timeout=max(0.01, deadline - time.monotonic()))
            if wanted(message):
                return message

    @staticmethod
    def wait_until(condition: Callable[[], bool], what: str) -> None:
        """Poll a condition that no event announces."""
        wait_until(condition, what)

    def close(self) -> None:
        """Stop all nodes, newest first, and ROS; as in a process of its own, nothing spins any more by then."""
        self._closing.set()
        self._thread.join(TIMEOUT_S)
        for node in reversed(self._nodes):
            node.stop()
        self._executor.shutdown()
        for node in (*self._nodes, self.probe):
            node.destroy_node()
        rclpy.try_shutdown()
        self._nodes.clear()
        _free_participants()


def _free_participants() -> None:
    """Free the nodes, which a command thread may have frozen, and their DDS participants.

    On one machine Fast DDS finds 32 participants of a domain; those of later tests would look for each other in vain.
    """
    gc.unfreeze()
    gc.collect()


@pytest.fixture
def ros_world(request: pytest.FixtureRequest) -> Iterator[RosWorld]:
    """A ROS world; ROS arguments such as `["-p", "node:name:=value"]` through indirect parametrisation."""
    world = RosWorld(getattr(request, "param", []))
    try:
        yield world
    finally:
        world.close()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a checkpoint with random weights and small steps; arguments as `write_untrained`."""
    return lambda **settings: write_untrained(tmp_path_factory.mktemp("checkpoint"), greatest=0.01, **settings)


@pytest.fixture(scope="session")
def checkpoint(untrained: Callable[..., Path]) -> Path:
    """A checkpoint for both cameras."""
    return untrained()
