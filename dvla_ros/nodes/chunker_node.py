"""Turns chunks into joint commands at a steady rate; the last line before drivers that check nothing."""

import sys
import time
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from dvla_ros.control.controller import ChunkController
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.pacing import PacedThread, request_realtime
from dvla_ros.errors import ObservationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.backends.choice import make_backend
from dvla_ros.nodes.chunk_intake import ChunkIntake, Decision
from dvla_ros.nodes.chunk_latency import ChunkLatency
from dvla_ros.nodes.chunker_parameters import load_chunker_parameters
from dvla_ros.nodes.chunker_preparation import planning_scene, prepare_driver
from dvla_ros.nodes.chunker_report import ChunkerReport
from dvla_ros.nodes.chunker_status import Condition, StatusPublisher, condition
from dvla_ros.nodes.command_loop import STOPPING, CommandLoop, CommandPath
from dvla_ros.nodes.control_clock import ControlClock
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.ee_target import EndEffectorTarget
from dvla_ros.nodes.fault_services import FaultServices
from dvla_ros.nodes.fault_watch import Deadman, EmergencyStop
from dvla_ros.nodes.holds import Hold, Holds
from dvla_ros.nodes.joint_feed import JointFeed
from dvla_ros.nodes.policy_watch import PolicyWatch
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.rivals import publisher_names, refuse_rivals, rival_publishers
from dvla_ros.nodes.transitions import failing_on_error

CHUNK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
HEARTBEAT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
STATUS_HZ = 10.0
BRAKE_S = 1.0
"""Patience with an arm that brakes when the node stops commanding."""
RIVAL = "rival"
LOG_EVERY_S = 2.0


class ChunkerNode(LifecycleNode):
    """ROS shell of a ChunkController: chunks and joint states in, commands out, from a thread of its own.

    Three threads: the executor's hears everything and never waits; the intake's decides on chunks; the control thread
    (`CommandLoop`) sends the commands. Each has real-time priority right behind the next.
    """

    def __init__(self) -> None:
        super().__init__("chunker_node", automatically_declare_parameters_from_overrides=True)
        self.parameters, self._controller_config = load_chunker_parameters(self)
        self._thread: PacedThread | None = None
        self._path: CommandPath | None = None
        self._estop = EmergencyStop()
        self._shown = Condition("")
        self._diagnostics = DiagnosticsPublisher(self, self.parameters.robot_name)

    @failing_on_error
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the controller and the backend, and subscribe."""
        parameters = self.parameters
        prepare_driver(self, parameters)
        self._scene = planning_scene(self, parameters)
        self._path = self._make_path()
        self._policy = PolicyWatch(self, parameters.chunk_topic, parameters.policy_timeout_s)
        self._status = StatusPublisher(self)
        self._changed = self.create_guard_condition(self._publish_status)
        self._subscribe(self._path)
        self._report = ChunkerReport(self._path, self._joints.topic, parameters.dry_run)
        self._fault_services = FaultServices(self, self._path, self._estop, parameters.estop_topic)
        # Not the node's clock: simulated time may stand still.
        steady = partial(self.create_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._watches = (steady(1.0, self._watch), steady(1.0 / STATUS_HZ, self._publish_status))
        return TransitionCallbackReturn.SUCCESS

    @failing_on_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start commanding, unless somebody else does."""
        parameters, path = self.parameters, self._configured
        refuse_rivals(self, path.backend.topics, parameters.discovery_s, self._friends())
        path.controller.reset(path.controller.epoch)
        clock = ControlClock(parameters.clock_jump_s, parameters.clock_stop_s)
        self._loop = CommandLoop(path, clock, self._now, parameters.preview_s, self._changed.trigger)
        behind = max(0, parameters.realtime_priority - 2)
        self._intake = ChunkIntake(path.controller, path.latency, self._now, self._on_decision, behind)
        self._thread = PacedThread(
            self._loop.tick,
            parameters.control_hz,
            parameters.realtime_priority,
            name="control",
            on_failure=self._on_failure,
            lock_memory=parameters.lock_memory,
        )
        self._intake.start()
        self._thread.start()
        where = "shadow topics only (dry run)" if parameters.dry_run else parameters.backend
        self.get_logger().info(f"commanding at {parameters.control_hz:g} Hz through {where}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brake and stop commanding."""
        self._stop_commanding()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop what `on_configure` made."""
        self._close()
        self._fault_services.destroy()
        self._joints.destroy()
        for subscription in self._heard:
            self.destroy_subscription(subscription)
        for timer in self._watches:
            self.destroy_timer(timer)
        self.destroy_guard_condition(self._changed)
        self._path = None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brake and stop commanding."""
        self._stop_commanding()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """Brake, stop the threads, say how it went."""
        self._stop_commanding()
        if self._path is not None:
            self._close()

    @property
    def _configured(self) -> CommandPath:
        assert self._path is not None
        return self._path

    def _make_path(self) -> CommandPath:
        parameters = self.parameters
        check_path = None if self._scene is None else self._scene.check_path
        return CommandPath(
            controller=ChunkController(self._controller_config, WidowXKinematics(), check_path),
            backend=make_backend(
                parameters.backend,
                self,
                parameters.robot_name,
                parameters.control_hz,
                parameters.dry_run,
                parameters.gripper,
                parameters.gripper_action_type,
            ),
            feed=JointFeed(parameters.joint_state_timeout_s),
            deadman=Deadman(parameters.deadman_topic, parameters.deadman_timeout_s),
            holds=Holds(),
            latency=ChunkLatency(),
            target=EndEffectorTarget(self, parameters.robot_name, parameters.control_hz),
        )

    def _close(self) -> None:
        if self._scene is not None:
            self._scene.close()
        self._configured.backend.close()

    def _subscribe(self, path: CommandPath) -> None:
        parameters = self.parameters
        topic = f"/{parameters.robot_name}/joint_states"
        self._joints = AdaptiveSubscription(self, JointState, topic, self._on_joints, depth=1)
        self._heard = [
            self.create_subscription(ActionChunkMessage, parameters.chunk_topic, self._on_chunk, CHUNK_QOS),
            self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10),
        ]
        if parameters.deadman_topic:
            beat = partial(self._on_heartbeat, path)
            self._heard.append(self.create_subscription(Header, parameters.deadman_topic, beat, HEARTBEAT_QOS))

    def _stop_commanding(self) -> None:
        thread = self._thread
        if thread is None:
            return
        braked = thread.failure is None and self._loop.brake(BRAKE_S)
        thread.stop()
        self._intake.stop()
        self._thread = None
        self._configured.holds.clear(STOPPING)
        self._publish_status()
        how = "arm held" if braked else "arm not braked: it keeps its last command"
        self.get_logger().info(f"{how}; {self._report.summary(thread)}")

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _on_joints(self, message: JointState) -> None:
        try:
            jumped = self._configured.feed.receive(message, time.monotonic())
        except ObservationError as error:
            self.get_logger().error(str(error), throttle_duration_sec=LOG_EVERY_S)
            return
        if jumped and self._thread is not None:
            controller = self._configured.controller
            controller.reset(controller.epoch)
            self.get_logger().warning("The arm was put elsewhere from outside: commands start anew from there.")

    def _on_chunk(self, message: ActionChunkMessage) -> None:
        self._policy.on_chunk(time.monotonic())
        if self._thread is not None:
            self._intake.put(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._policy.on_diagnostics(message, time.monotonic())

    def _on_heartbeat(self, path: CommandPath, message: Header) -> None:
        path.deadman.heartbeat(time.monotonic())

    def _on_decision(self, decision: Decision) -> None:
        """Intake thread: say what became of a chunk."""
        self._status.decided(decision)
        self._publish_status()
        verdict = decision.verdict
        if not verdict.accepted:
            self.get_logger().error(f"Chunk {decision.sequence} rejected ({verdict.reason}): {verdict.detail}")

    def _condition(self) -> Condition:
        return condition(self._configured.controller, self._thread, self._policy)

    def _publish_status(self) -> None:
        now = self._condition()
        self._status.publish(now, self._configured.controller.statistics.dropped)
        before, self._shown = self._shown, now
        if (now.state, now.reason) != (before.state, before.reason):
            self._log(before, now)

    def _log(self, before: Condition, now: Condition) -> None:
        log = self.get_logger()
        if not now.reason:
            if before.reason:
                log.info(f"{now.state} again")
        elif now.state == ExecutionStatus.FAULT:
            log.error(f"fault {now.reason}: {now.detail}")
        else:
            log.warning(f"{now.state} ({now.reason}): {now.detail}")

    def _friends(self) -> tuple[str, ...]:
        """Nodes that may stop the arm on the command topics: those that send the heartbeats."""
        topic = self.parameters.deadman_topic
        return tuple(publisher_names(self, topic)) if topic else ()

    def _watch(self) -> None:
        """Once per second: rivals, policy, quality of service, diagnostics."""
        self._joints.adapt()
        self._policy.look(time.monotonic())
        if self._thread is None:
            self._diagnostics.publish("ok", "inactive", {})
            return
        path = self._configured
        rivals = rival_publishers(self, path.backend.topics, self._friends())
        sentence = f"The arm is also commanded by {', '.join(rivals)}. Stop that node."
        path.holds.put(Hold(RIVAL, sentence, quiet=True), bool(rivals))
        now = self._condition()
        level, message = self._report.health(now)
        self._diagnostics.publish(level, message, self._report.numbers(self._thread, now))

    def _on_failure(self, error: Exception) -> None:
        """Control thread, on its way out: the executor says so from now on."""
        self.get_logger().fatal(f"The control thread ended, the arm keeps its last command: {error}")
        self._changed.trigger()


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
