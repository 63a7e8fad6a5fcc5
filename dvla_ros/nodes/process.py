"""One node in one process: start, spin, stop cleanly on Ctrl-C or SIGTERM."""

import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from dvla_ros.errors import ConfigurationError, DvlaError

# A signal is noticed within this time; Python runs its handlers only between two waits of the executor.
_WAIT_S = 0.1


class Stoppable(Protocol):
    """A node that leaves its outputs in a safe state and says how it went."""

    def stop(self) -> None:
        """End threads, hold the arm, print one summary line. Called once, while ROS still works."""
        ...


def run_node(make_node: Callable[[], Node], arguments: Sequence[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM; the node must be `Stoppable`.

    ROS stays up until the node has stopped (rclpy's own handlers would take its publishers away before the arm can be
    held). A lifecycle node whose parameter `autostart` is true is configured and activated here.

    Args:
        make_node: Makes the node once ROS is up; may raise a DvlaError.
        arguments: ROS arguments; None takes the command line's.

    Returns:
        Exit code: 0 after a clean stop, 2 for a wrong parameter, 1 when the node could not start.
    """
    stopping: list[int] = []
    handlers = {number: signal.signal(number, _noting(stopping)) for number in (signal.SIGINT, signal.SIGTERM)}
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _run(make_node, stopping)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, ConfigurationError) else 1
    finally:
        _collect_nodes()
        rclpy.try_shutdown()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _noting(stopping: list[int]) -> Callable[[int, FrameType | None], None]:
    def note(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    return note


def _collect_nodes() -> None:
    """Free the node now, its DDS participant with it.

    A lifecycle node keeps its participant as long as the Python object lives. It is part of reference cycles and may be
    frozen (see `PacedThread`); left to the end of the process, DDS threads would meet libraries that are gone.
    """
    gc.unfreeze()
    gc.collect()


class _RosLog(logging.Handler):
    """What the parts that know nothing of ROS have to say goes to the log of the node."""

    def __init__(self, node: Node) -> None:
        super().__init__(logging.INFO)
        self._log = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        # A line of its own for each level: rclpy knows a message by the line it comes from.
        if record.levelno >= logging.ERROR:
            self._log.error(text)
        elif record.levelno >= logging.WARNING:
            self._log.warning(text)
        else:
            self._log.info(text)


@contextlib.contextmanager
def _logging_through(node: Node) -> Iterator[None]:
    logger, handler = logging.getLogger("dvla_ros"), _RosLog(node)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _run(make_node: Callable[[], Node], stopping: list[int]) -> int:
    node = make_node()
    with _logging_through(node):
        return _spin(node, stopping)


def _spin(node: Node, stopping: list[int]) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if isinstance(node, LifecycleNode) and node.get_parameter("autostart").value and not autostart(node, stopping):
            return 1
        while not stopping:
            executor.spin_once(timeout_sec=_WAIT_S)
        return 0
    finally:
        node.stop()
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_node()


def autostart(node: LifecycleNode, stopping: Sequence[int] = ()) -> bool:
    """Configure and activate a lifecycle node, unless `stopping` says meanwhile that it is to end.

    Returns:
        False when a transition failed; the node has said why.
    """
    for transition in (node.trigger_configure, node.trigger_activate):
        if not stopping and transition() != TransitionCallbackReturn.SUCCESS:
            return False
    return True
