"""A node of this process whose callbacks run in a thread of its own."""

import threading
from types import TracebackType

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class SpinningNode:
    """ROS, a node and a thread that spins it, for as long as the context lasts; Ctrl-C stays Python's.

    Args:
        name: Name of the node.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Node:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node(self._name)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="spin", daemon=True)
        self._thread.start()
        return self._node

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
