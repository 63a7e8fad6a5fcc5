"""By what people and programs hold, stop and release the arm: `~/hold`, `~/estop`, `~/reset_fault`, `/estop`."""

import time
from functools import partial

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.command_loop import CommandPath
from dvla_ros.nodes.fault_watch import ESTOP, EmergencyStop
from dvla_ros.nodes.holds import Hold

REQUESTED = Hold("requested", "Held on request; ~/hold with data: false goes on.", quiet=True)


class FaultServices:
    """The services and the topic of one configured chunker; every call takes effect at the next command.

    Args:
        node: Owner.
        path: Has the controller that latches faults, the holds, and the deadman.
        estop: Keeps which buttons are pressed.
        estop_topic: Topic of an emergency stop; empty: none.
    """

    def __init__(self, node: Node, path: CommandPath, estop: EmergencyStop, estop_topic: str) -> None:
        self._node, self._estop = node, estop
        self._controller, self._holds, self._deadman = path.controller, path.holds, path.deadman
        self._services = (
            node.create_service(SetBool, "~/hold", self._on_hold),
            node.create_service(SetBool, "~/estop", self._on_estop),
            node.create_service(Trigger, "~/reset_fault", self._on_reset),
        )
        # The first matches every publisher, the second gets what a latching one has said before this node came.
        kinds = (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL) if estop_topic else ()
        self._subscriptions = [
            node.create_subscription(Bool, estop_topic, partial(self._on_button, estop_topic), _latching(kind))
            for kind in kinds
        ]

    def destroy(self) -> None:
        """Take services and topic away."""
        for service in self._services:
            self._node.destroy_service(service)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_hold(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._holds.put(REQUESTED, request.data)
        response.success = True
        response.message = "holding; chunks are refused" if request.data else "following chunks"
        return response

    def _on_estop(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._press(f"{self._node.get_name()}/estop", request.data)
        response.success = True
        response.message = "stopped; chunks are refused" if request.data else "still stopped; call ~/reset_fault"
        return response

    def _on_button(self, button: str, message: Bool) -> None:
        self._press(button, message.data)

    def _press(self, button: str, pressed: bool) -> None:
        self._estop.put(button, pressed)
        if pressed:
            self._controller.fault(ESTOP, f"Emergency stop by {button}.")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        cause = self._estop.cause or self._deadman.lost(time.monotonic())
        if cause:
            response.success, response.message = False, f"The cause persists: {cause}"
        elif self._controller.state != ExecutionStatus.FAULT:
            response.success, response.message = True, "there is no fault"
        else:
            response.success, response.message = True, f"fault {self._controller.reason} reset; following chunks"
            # Anew before the fault ends: nothing that is on its way may be executed.
            self._controller.reset(self._controller.epoch)
            self._controller.reset_fault()
        self._node.get_logger().info(f"reset_fault: {response.message}")
        return response


def _latching(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
