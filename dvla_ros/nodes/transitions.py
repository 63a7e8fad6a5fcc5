"""Turns errors in a lifecycle transition into a log entry and a failed transition; rclpy would swallow them."""

import traceback
from collections.abc import Callable
from typing import TypeVar

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleState

from dvla_ros.errors import DvlaError

NodeType = TypeVar("NodeType", bound=LifecycleNode)
Callback = Callable[[NodeType, LifecycleState], TransitionCallbackReturn]


def failing_on_error(transition: Callback[NodeType]) -> Callback[NodeType]:
    """Decorator of `on_configure` and `on_activate`.

    A DvlaError becomes one log line and a failed transition; anything else is logged with its traceback.
    """

    def guarded(node: NodeType, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except DvlaError as error:
            node.get_logger().error(str(error))
        except Exception:
            node.get_logger().fatal(traceback.format_exc())
        return TransitionCallbackReturn.FAILURE

    return guarded
