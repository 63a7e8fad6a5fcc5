"""Turns chunks into joint commands at a steady rate; the last line before drivers that check nothing."""

import sys
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from dvla_ros.control.controller import ChunkController, Command, ControllerConfig
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.pacing import PacedThread, request_realtime
from dvla_ros.errors import ActionError, ConfigurationError, ObservationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.backends.choice import check_backend, make_backend
from dvla_ros.nodes.chunk_latency import ChunkLatency
from dvla_ros.nodes.conversions import chunk_from_message, to_time
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.joint_feed import JointFeed
from dvla_ros.nodes.parameters import described, load_parameters
from dvla_ros.nodes.poses import pose_message
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.rivals import refuse_rivals, rival_publishers
from dvla_ros.nodes.transitions import failing_on_error

CHUNK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
EE_TARGET_HZ = 10.0
LOG_EVERY_S = 2.0


@dataclass(frozen=True)
class ChunkerParameters:
    """Parameters of `chunker_node`.

    Raises:
        ConfigurationError: A rate or time is not positive, or there is no such backend.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    control_hz: float = described(50.0, "commands per second")
    backend: str = described("jtc", "where commands go: jtc, forward, interbotix or none")
    dry_run: bool = described(True, "compute everything, publish only ~/command_preview")
    chunk_topic: str = described("/policy_node/action_chunk", "where chunks come from")
    joint_state_timeout_s: float = described(0.2, "older joint states count as missing: the arm is held")
    realtime_priority: int = described(10, "SCHED_FIFO priority of the control thread, 0: do not ask for it")
    discovery_s: float = described(1.0, "seconds to look for other nodes that command the arm before activation")
    autostart: bool = described(True, "configure and activate at start")

    def __post_init__(self) -> None:
        for name in ("control_hz", "joint_state_timeout_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.discovery_s < 0.0:
            raise ConfigurationError(f"discovery_s must be 0 or more, got {self.discovery_s}.")
        check_backend(self.backend)


class ChunkerNode(LifecycleNode):
    """ROS shell of a ChunkController: chunks and joint states in, commands out, from a thread of its own."""

    def __init__(self) -> None:
        super().__init__("chunker_node", automatically_declare_parameters_from_overrides=True)
        self.parameters = load_parameters(self, ChunkerParameters)
        self._thread: PacedThread | None = None
        self._held = self._hold_sent = False
        self._epoch = 0
        self._diagnostics = DiagnosticsPublisher(self, self.parameters.robot_name)

    @failing_on_error
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the controller and the backend, and subscribe."""
        parameters = self.parameters
        robot = parameters.robot_name
        self._backend = make_backend(parameters.backend, self, robot, parameters.control_hz, parameters.dry_run)
        self._controller = ChunkController(ControllerConfig(), WidowXKinematics())
        self._feed, self._latency = (JointFeed(parameters.joint_state_timeout_s), ChunkLatency())
        self._ee_target = self.create_publisher(PoseStamped, "~/ee_target", 1)
        self._joints = AdaptiveSubscription(self, JointState, f"/{robot}/joint_states", self._on_joints, depth=1)
        self._chunks = self.create_subscription(ActionChunkMessage, parameters.chunk_topic, self._on_chunk, CHUNK_QOS)
        self._hold_service = self.create_service(SetBool, "~/hold", self._on_hold)
        self._timer = self.create_timer(1.0, self._watch)
        return TransitionCallbackReturn.SUCCESS

    @failing_on_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start commanding, unless somebody else does."""
        refuse_rivals(self, self._backend.topics, self.parameters.discovery_s)
        self._held = self._hold_sent = False
        self._controller.reset(self._epoch)
        self._ticks_per_target = max(1, round(self.parameters.control_hz / EE_TARGET_HZ))
        self._thread = PacedThread(
            self._tick,
            self.parameters.control_hz,
            self.parameters.realtime_priority,
            name="control",
            on_failure=self._on_failure,
        )
        self._thread.start()
        where = "~/command_preview only (dry run)" if self.parameters.dry_run else self.parameters.backend
        self.get_logger().info(f"commanding at {self.parameters.control_hz:g} Hz through {where}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold the arm and stop commanding."""
        self._stop_commanding()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop what `on_configure` made."""
        self._joints.destroy()
        self.destroy_subscription(self._chunks)
        self.destroy_service(self._hold_service)
        self.destroy_timer(self._timer)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold the arm and stop commanding."""
        self._stop_commanding()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """Hold the arm, stop the thread, say how it went."""
        if self._thread is not None:
            self._stop_commanding()

    def _stop_commanding(self) -> None:
        thread = self._thread
        if thread is None:
            return
        thread.stop()
        self._thread = None
        self._controller.hold()
        if not self._held:
            self._command(self._now())
        self.get_logger().info(f"arm held; {self._summary(thread)}")

    def _summary(self, thread: PacedThread) -> str:
        counts, period = self._controller.statistics, thread.statistics.summary()
        rejected = ", ".join(f"{count} {reason}" for reason, count in counts.rejected.items()) or "none"
        errors = f"period error p99 {period.p99_period_error_ms:.2f} ms, {period.overruns} overruns"
        return (
            f"{counts.ticks} commands at {period.rate_hz:.2f} Hz ({errors}), "
            f"{counts.accepted} chunks, rejected: {rejected}, "
            f"{counts.starved_ticks} starved and {counts.held_ticks} held ticks"
        )

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _tick(self) -> None:
        """Control thread: one command."""
        if self._held and self._hold_sent:
            return
        hold = self._held
        self._command(self._now())
        self._hold_sent = hold

    def _command(self, now: float) -> None:
        measured = self._feed.fresh(now)
        if measured is None:
            command = self._controller.update(now, None, 0.0)
        else:
            command = self._controller.update(now, measured.arm, measured.finger)
        if command is None:
            return
        self._backend.send(command, now)
        self._latency.commanded(now)
        if self._controller.statistics.ticks % self._ticks_per_target == 0:
            self._publish_target(command, now)

    def _publish_target(self, command: Command, now: float) -> None:
        message = PoseStamped(pose=pose_message(forward(np.asarray(command.arm))))
        message.header.stamp, message.header.frame_id = (to_time(now), f"{self.parameters.robot_name}/base_link")
        self._ee_target.publish(message)

    def _on_joints(self, message: JointState) -> None:
        try:
            jumped = self._feed.receive(message, self._now())
        except ObservationError as error:
            self.get_logger().error(str(error), throttle_duration_sec=LOG_EVERY_S)
            return
        if jumped and self._thread is not None:
            self._controller.reset(self._epoch)
            self.get_logger().warning("The arm was put elsewhere from outside: commands start anew from there.")

    def _on_chunk(self, message: ActionChunkMessage) -> None:
        if self._thread is None:
            return
        now = self._now()
        if self._held:
            self._controller.statistics.rejected["held"] += 1
            return
        try:
            chunk = chunk_from_message(message)
        except ActionError as error:
            self._controller.statistics.rejected["malformed"] += 1
            self.get_logger().error(f"Chunk {message.sequence} rejected: {error}")
            return
        verdict = self._controller.accept(chunk, now)
        if verdict.accepted:
            self._epoch = chunk.epoch
            self._latency.accepted(chunk, float(message.latency), now)
        else:
            self.get_logger().error(f"Chunk {chunk.sequence} rejected ({verdict.reason}): {verdict.detail}")

    def _on_hold(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._hold(request.data)
        response.success = True
        response.message = "holding; chunks are refused" if request.data else "following chunks"
        return response

    def _hold(self, held: bool) -> None:
        """Hold: one last command at rest, then silence, for the controllers keep the position."""
        self._hold_sent = False
        self._held = held
        if held:
            self._controller.hold()
        else:
            self._controller.reset(self._epoch)

    def _watch(self) -> None:
        """Once per second: rivals, quality of service, diagnostics."""
        self._joints.adapt()
        if self._thread is None:
            self._diagnostics.publish("ok", "inactive", {})
            return
        rivals = rival_publishers(self, self._backend.topics)
        if rivals and not self._held:
            self._hold(True)
            self.get_logger().error(
                f"Holding: the arm is also commanded by {', '.join(rivals)}. Stop that node, then call "
                f"{self.get_name()}/hold with data: false."
            )
        self._publish_diagnostics(self._thread)

    def _publish_diagnostics(self, thread: PacedThread) -> None:
        counts, period = self._controller.statistics, thread.statistics.summary()
        level, message = self._health(thread)
        self._diagnostics.publish(
            level,
            message,
            {
                "rate_hz": period.rate_hz,
                "p50_period_error_ms": period.p50_period_error_ms,
                "p99_period_error_ms": period.p99_period_error_ms,
                "worst_period_error_ms": period.worst_period_error_ms,
                "overruns": period.overruns,
                "realtime_priority": int(thread.realtime),
                "commands": counts.ticks,
                "chunks_accepted": counts.accepted,
                "starved_ticks": counts.starved_ticks,
                "held_ticks": counts.held_ticks,
                **{f"rejected_{reason}": count for reason, count in counts.rejected.items()},
                **self._latency.numbers(),
            },
        )

    def _health(self, thread: PacedThread) -> tuple[str, str]:
        if thread.failure is not None:
            return "error", f"control thread ended: {thread.failure}"
        if self._feed.fresh(self._now()) is None:
            topic = self._joints.topic
            return ("error", f"no usable joint states on {topic}; is the driver running and robot_name right?")
        if self._held:
            return "warn", "held"
        return "ok", "commanding (dry run)" if self.parameters.dry_run else "commanding"

    def _on_failure(self, error: Exception) -> None:
        self.get_logger().fatal(f"The control thread ended, the arm keeps its last command: {error}")


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(_prioritised_node)


def _prioritised_node() -> ChunkerNode:
    """The node; this thread, which runs its callbacks, comes right behind the control thread.

    With an ordinary priority it would be suspended on a busy machine while it holds the interpreter lock, and the
    control thread would wait for it.
    """
    node = ChunkerNode()
    request_realtime(max(0, node.parameters.realtime_priority - 1))
    return node


if __name__ == "__main__":
    sys.exit(main())
