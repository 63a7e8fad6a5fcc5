"""Sees, reads the instruction and publishes chunks: the ROS shell of a policy."""

import sys
from collections.abc import Mapping

import torch
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleState
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from dvla_ros.control.inference_priority import give_way_to_control
from dvla_ros.control.widowx_streams import widowx_assembler
from dvla_ros.errors import ObservationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import DenoisingTrace, InferenceRequest, PolicyInfo
from dvla_ros.nodes.chunk_fate import ChunkFate
from dvla_ros.nodes.conversions import chunk_to_message, request_to_message, trace_to_message
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.get_action_chunk import GetActionChunkServer
from dvla_ros.nodes.inference_loop import InferenceLoop, LoopSettings
from dvla_ros.nodes.launch_arguments import EXPERT
from dvla_ros.nodes.observation_source import ObservationSource
from dvla_ros.nodes.parameters import load_parameters
from dvla_ros.nodes.policy_info import policy_info
from dvla_ros.nodes.policy_loading import load_fitting_policy, scripted_expert, warm_up
from dvla_ros.nodes.policy_parameters import PolicyParameters
from dvla_ros.nodes.policy_statistics import PolicyStatistics
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.run import Inference, RunLimits
from dvla_ros.nodes.run_policy import RunPolicyServer
from dvla_ros.nodes.simulated_scene import SimulatedScene
from dvla_ros.nodes.thoughts import ThoughtPublisher
from dvla_ros.nodes.transitions import failing_on_error

CHUNK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class PolicyNode(LifecycleNode):
    """Callbacks only store; the inference loop observes, infers and publishes in its own thread."""

    def __init__(self, overrides: Mapping[str, object] | None = None) -> None:
        super().__init__(
            "policy_node",
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter(name, value=value) for name, value in (overrides or {}).items()],
        )
        self.parameters = load_parameters(self, PolicyParameters)
        self._base_frame = f"{self.parameters.robot_name}/base_link"
        self._loop: InferenceLoop | None = None
        self._statistics = PolicyStatistics()
        self._problem = ""
        self._diagnostics = DiagnosticsPublisher(self, self.parameters.robot_name)

    @property
    def idle(self) -> bool:
        """Whether no instruction is being followed."""
        return self._loop is None or self._loop.run is None

    @failing_on_error
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy, check that it fits the robot, and make publishers and servers."""
        parameters = self.parameters
        torch.set_num_threads(parameters.cpu_threads)
        self._scene = SimulatedScene(self) if parameters.checkpoint == EXPERT else None
        self._policy = load_fitting_policy(parameters) if self._scene is None else scripted_expert(self._scene.now)
        self._assembler = widowx_assembler(self._policy.spec.cameras, parameters.alignment)
        self._chunks = self.create_publisher(ActionChunkMessage, "~/action_chunk", CHUNK_QOS)
        self._traces = self.create_publisher(DenoisingTrace, "~/denoising_trace", CHUNK_QOS)
        self._asked = self.create_publisher(InferenceRequest, "~/inference_request", CHUNK_QOS)
        self._info = self.create_publisher(PolicyInfo, "~/policy_info", LATCHED_QOS)
        self._thoughts = ThoughtPublisher(self, self._policy.spec)
        self._runs = RunPolicyServer(self, lambda: self._loop, parameters.max_duration_s)
        self._requests = GetActionChunkServer(self, lambda: self._loop, self._base_frame)
        self._timer = self.create_timer(1.0, self._watch)
        return TransitionCallbackReturn.SUCCESS

    @failing_on_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Warm the policy up, subscribe and start the inference thread."""
        parameters = self.parameters
        elapsed, latency = warm_up(self._policy) if self._scene is None else (0.0, 0.0)
        period = 1.0 / parameters.policy_hz if parameters.policy_hz > 0.0 else 0.0
        seed = parameters.seed if parameters.seed >= 0 else None
        settings = LoopSettings(
            parameters.replanning_config, period, latency, seed, parameters.max_batch, parameters.batch_wait_s
        )
        self._loop = InferenceLoop(self._policy, self._assembler, settings, self._now, self, int(self._now()))
        self._loop.request(lambda policy: self._give_way())
        self._loop.start()
        self._subscribe()
        spec = self._policy.spec
        self._info.publish(policy_info(parameters, spec, self._base_frame, self._now()))
        self.get_logger().info(
            f"{spec.system} ready: warm-up {elapsed:.2f} s, cameras {', '.join(spec.cameras)}, chunks of "
            f"{spec.horizon} rows every {spec.dt:g} s, {spec.execute_steps} executed, {parameters.replanning}"
        )
        if parameters.instruction:
            self._follow(parameters.instruction)
        else:
            self.get_logger().info("waiting for a sentence on /instruction or a goal on ~/run_policy")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop inferring and receiving."""
        self._stop_inferring()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the policy and everything `on_configure` made."""
        self._runs.destroy()
        self._requests.destroy()
        self.destroy_timer(self._timer)
        self.destroy_publisher(self._chunks)
        self.destroy_publisher(self._traces)
        self.destroy_publisher(self._asked)
        self.destroy_publisher(self._info)
        self._thoughts.destroy()
        if self._scene is not None:
            self._scene.destroy()
        del self._policy
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop inferring and receiving."""
        self._stop_inferring()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """End the inference thread and say how it went."""
        self._stop_inferring()

    def publish(self, inference: Inference) -> None:
        """Inference thread: send a chunk and how it came about."""
        message = chunk_to_message(inference.chunk, self._base_frame, inference.prediction.nfe, inference.latency_s)
        self._chunks.publish(message)
        self._traces.publish(trace_to_message(inference.prediction, message))
        self._asked.publish(request_to_message(inference, self._base_frame))
        self._thoughts.publish(inference.prediction, message.header)
        self._statistics.add(inference)
        self._problem = ""

    def report(self, problem: str) -> None:
        """Inference thread: log a problem when it is new, and keep it for the diagnostics."""
        if problem.split(":", maxsplit=1)[0][:40] != self._problem.split(":")[0][:40]:
            self.get_logger().error(problem)
        self._problem = problem

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _subscribe(self) -> None:
        assert self._loop is not None
        parameters, spec = self.parameters, self._policy.spec
        self._source = ObservationSource(
            self,
            self._assembler,
            spec.cameras,
            f"/{parameters.robot_name}/joint_states",
            parameters.compressed,
            self._loop.notify,
        )
        self._fate = ChunkFate(self, parameters.status_topic, self._loop)
        self._instructions = self.create_subscription(String, "/instruction", self._on_instruction, LATCHED_QOS)

    def _give_way(self) -> None:
        """Inference thread, first of all: control comes first."""
        if self.parameters.nice >= 0:
            self.get_logger().info(str(give_way_to_control(self.parameters.nice)))

    def _on_instruction(self, message: String) -> None:
        if not message.data.strip() and self._loop is not None:
            self._loop.end_run("cancelled", "the instruction was emptied")
        self._follow(message.data)

    def _follow(self, instruction: str) -> None:
        if self._loop is None:
            return
        try:
            run = self._loop.follow(instruction, RunLimits())
        except ObservationError as error:
            self.get_logger().error(str(error))
            return
        self.get_logger().info(f"following '{run.instruction}' (epoch {run.epoch})")

    def _stop_inferring(self) -> None:
        loop = self._loop
        if loop is None:
            return
        self._loop = None
        self._source.destroy()
        self._fate.destroy()
        self.destroy_subscription(self._instructions)
        loop.stop()
        self.get_logger().info(f"stopped; {self._statistics.summary(self._assembler.statistics())}")
        self._assembler.clear()

    def _watch(self) -> None:
        """Once per second: quality of service and diagnostics."""
        if self._loop is None:
            self._diagnostics.publish("ok", "inactive", {})
            return
        for change in self._source.adapt():
            self.get_logger().info(change)
        run = self._loop.run
        watched = "" if run is None else self._assembler.problem(self._now())
        problem = self._problem or self._source.problem or watched
        message = problem or (f"following '{run.instruction}'" if run is not None else "idle")
        numbers = self._statistics.numbers(self._assembler.statistics()) | self._source.numbers()
        numbers |= {"expected_delay_ms": self._loop.delay_ms()}
        self._diagnostics.publish("error" if problem else "ok", message, numbers)


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
