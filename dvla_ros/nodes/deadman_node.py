"""Permits motion by heartbeats, from a process of its own, and stops the arm when the chunker dies on its way."""

import sys
import time
from dataclasses import dataclass
from functools import partial

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.realtime import MAX_PRIORITY, request_realtime
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.chunker_guard import CHUNKER_LOST, ChunkerGuard
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.node_table import HEARTBEAT_TOPIC
from dvla_ros.nodes.parameters import described, load_parameters
from dvla_ros.nodes.permission import Permission
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.stopping_trajectory import stopping_trajectory

HEARTBEAT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LOOK_S = 0.05
JOINTS_TIMEOUT_S = 0.2
KINDS = ("bool", "joy")


@dataclass(frozen=True)
class DeadmanParameters:
    """Parameters of `deadman_node`.

    Raises:
        ConfigurationError: A rate or time is not positive, or a kind of switch does not exist.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    heartbeat_hz: float = described(20.0, "heartbeats per second while motion is permitted")
    enable_topic: str = described("", "topic of the switch that must be held; empty: this process alive is enough")
    enable_kind: str = described("bool", "what the switch sends: bool (std_msgs/Bool) or joy (sensor_msgs/Joy)")
    enable_button: int = described(0, "joy: index of the button")
    enable_timeout_s: float = described(0.5, "a switch not heard of for so long counts as let go")
    chunker: str = described("/chunker_node", "fully qualified name of the node that is watched")
    chunker_timeout_s: float = described(0.5, "a chunker that follows a chunk and is silent for so long is lost")
    backend: str = described("jtc", "backend of the chunker; the arm is stopped from here with joint_trajectory")
    realtime_priority: int = described(10, "SCHED_FIFO priority of this process, 0: do not ask for it")

    def __post_init__(self) -> None:
        for name in ("heartbeat_hz", "enable_timeout_s", "chunker_timeout_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.enable_kind not in KINDS:
            raise ConfigurationError(f"enable_kind must be one of {', '.join(KINDS)}, got '{self.enable_kind}'.")
        if self.enable_button < 0:
            raise ConfigurationError(f"enable_button must be 0 or more, got {self.enable_button}.")
        if not 0 <= self.realtime_priority <= MAX_PRIORITY:
            raise ConfigurationError(f"realtime_priority must be 0..{MAX_PRIORITY}, got {self.realtime_priority}.")


class DeadmanNode(Node):
    """Heartbeats while permitted; a stopping trajectory when a whole trajectory has lost its sender.

    A chunker that sends one command after another leaves the arm at rest when it dies. With the backend
    `joint_trajectory` the controller would go on to the end of the trajectory it has; the arm is then stopped from
    here.
    """

    def __init__(self) -> None:
        super().__init__("deadman_node", automatically_declare_parameters_from_overrides=True)
        self.parameters = parameters = load_parameters(self, DeadmanParameters)
        self._permission = Permission(bool(parameters.enable_topic), parameters.enable_timeout_s)
        self._guard = ChunkerGuard(parameters.chunker_timeout_s)
        self._heartbeats, self._refusal, self._lost = 0, "", ""
        self._heartbeat = self.create_publisher(Header, HEARTBEAT_TOPIC, HEARTBEAT_QOS)
        self._diagnostics = DiagnosticsPublisher(self, parameters.robot_name)
        self._service = self.create_service(SetBool, "~/release", self._on_release)
        self._status = self.create_subscription(
            ExecutionStatus, f"{parameters.chunker}/execution_status", self._on_status, 10
        )
        self._streams: list[AdaptiveSubscription] = []
        self._subscribe_switch()
        self._prepare_stop()
        # Heartbeats go on when a simulated clock stands still.
        steady = partial(self.create_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clockwork = (
            steady(1.0 / parameters.heartbeat_hz, self._beat),
            steady(LOOK_S, self._look),
            steady(1.0, self._report),
        )
        self.get_logger().info(f"heartbeats on {HEARTBEAT_TOPIC}; {self._condition()}")

    def stop(self) -> None:
        """Say how it went; the heartbeats end with the process."""
        self.get_logger().info(f"stopped after {self._heartbeats} heartbeats; the chunker holds the arm")

    def _condition(self) -> str:
        topic = self.parameters.enable_topic
        return (
            f"while the switch on {topic} is held" if topic else "no switch is configured: this process alive permits"
        )

    def _subscribe_switch(self) -> None:
        parameters = self.parameters
        if not parameters.enable_topic:
            return
        kind, held = (Joy, self._button) if parameters.enable_kind == "joy" else (Bool, lambda message: message.data)

        def receive(message: Bool | Joy) -> None:
            self._permission.switch(bool(held(message)), time.monotonic())

        self._streams.append(AdaptiveSubscription(self, kind, parameters.enable_topic, receive, depth=1))

    def _button(self, message: Joy) -> bool:
        index = self.parameters.enable_button
        return index < len(message.buttons) and message.buttons[index] == 1

    def _prepare_stop(self) -> None:
        self._joint_state, self._joints_heard = JointState(), float("-inf")
        self._stopper = None
        if self.parameters.backend == "joint_trajectory":
            robot = self.parameters.robot_name
            self._stopper = self.create_publisher(JointTrajectory, f"/{robot}/arm_controller/joint_trajectory", 10)
            topic = f"/{robot}/joint_states"
            self._streams.append(AdaptiveSubscription(self, JointState, topic, self._on_joints, depth=1))

    def _on_joints(self, message: JointState) -> None:
        self._joint_state, self._joints_heard = message, time.monotonic()

    def _on_status(self, message: ExecutionStatus) -> None:
        self._guard.hear(message, time.monotonic())

    def _on_release(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._permission.released = request.data
        response.success = True
        response.message = "motion is not permitted" if request.data else "motion is permitted again"
        return response

    def _beat(self) -> None:
        refusal = self._permission.refusal(time.monotonic())
        if refusal != self._refusal:
            self.get_logger().info(refusal or "motion is permitted")
            self._refusal = refusal
        if not refusal:
            self._heartbeat.publish(Header(stamp=self.get_clock().now().to_msg()))
            self._heartbeats += 1

    def _look(self) -> None:
        lost = self._guard.lost(time.monotonic())
        if lost and not self._lost:
            self.get_logger().fatal(f"{CHUNKER_LOST}: {lost} {self._stop_arm()}")
        self._lost = lost

    def _stop_arm(self) -> str:
        if self._stopper is None:
            return "The arm rests at its last command."
        if time.monotonic() - self._joints_heard > JOINTS_TIMEOUT_S:
            return "Without joint states it cannot be stopped from here: the arm goes to the end of its trajectory."
        try:
            self._stopper.publish(stopping_trajectory(self._joint_state))
        except ObservationError as error:
            return f"The arm goes to the end of its trajectory: {error}"
        return "The arm was sent a trajectory to rest."

    def _report(self) -> None:
        for stream in self._streams:
            stream.adapt()
        if self._lost:
            level, message = "error", f"{CHUNKER_LOST}: {self._lost}"
        else:
            level, message = ("warn", self._refusal) if self._refusal else ("ok", "motion is permitted")
        self._diagnostics.publish(level, message, {"heartbeats": self._heartbeats, "permitted": int(not self._refusal)})


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(_prioritised_node)


def _prioritised_node() -> DeadmanNode:
    """The node; on a busy machine its heartbeats would be late with an ordinary priority, and stop the arm."""
    node = DeadmanNode()
    request_realtime(node.parameters.realtime_priority)
    return node


if __name__ == "__main__":
    sys.exit(main())
