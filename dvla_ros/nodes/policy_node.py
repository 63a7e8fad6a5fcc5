"""Sees, reads the instruction and publishes chunks: the ROS shell of a policy."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleState
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import DenoisingTrace
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.conversions import chunk_to_message, joints_by_name, seconds, trace_to_message
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.get_action_chunk import GetActionChunkServer
from dvla_ros.nodes.images import CameraMessage, decode_image
from dvla_ros.nodes.inference_loop import InferenceLoop, LoopSettings
from dvla_ros.nodes.joint_feed import MEASURED_JOINTS
from dvla_ros.nodes.parameters import described, load_parameters
from dvla_ros.nodes.policy_statistics import PolicyStatistics
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.run import Inference, RunLimits
from dvla_ros.nodes.run_policy import RunPolicyServer
from dvla_ros.nodes.thoughts import ThoughtPublisher
from dvla_ros.nodes.transitions import failing_on_error
from dvla_ros.policies.base import Policy, PolicySpec

CHUNK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WARM_UP_INSTRUCTION = "stay where you are"
WARM_UP_INFERENCES = 3
ACTION_WIDTH = STATE_WIDTH = 7
LOG_EVERY_S = 2.0


@dataclass(frozen=True)
class PolicyParameters:
    """Parameters of `policy_node`.

    Raises:
        ConfigurationError: A value is out of range.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    checkpoint: str = described("", "folder of the policy's checkpoint")
    instruction: str = described("", "what to do from the start; empty: wait for the topic /instruction")
    device: str = described("cpu", "where the policy runs: cpu, cuda, cuda:1")
    cpu_threads: int = described(1, "threads of a policy on the CPU; a small one is fastest with one")
    cameras: tuple[str, ...] = described(("front", "wrist"), "cameras; topics /<camera>_camera/image_raw")
    compressed: bool = described(False, "take /<camera>_camera/image_raw/compressed instead")
    camera_hz: float = described(15.0, "frames per second that each camera is expected to send")
    policy_hz: float = described(0.0, "at most so many chunks per second; 0: as often as the chunks ask for")
    lead_s: float = described(0.02, "a chunk starts this long after its publication, to reach the chunker in time")
    settle_s: float = described(0.12, "rest of the arm after the last executed row, before the next observation")
    max_image_age_s: float = described(0.5, "older images are no observation")
    max_skew_s: float = described(0.15, "largest distance in time between the streams of one observation")
    warm_up_s: float = described(5.0, "time in which every stream must have delivered once")
    max_duration_s: float = described(0.0, "longest run of a run_policy goal that sets none; 0: no limit")
    autostart: bool = described(True, "configure and activate at start")

    def __post_init__(self) -> None:
        for name in ("camera_hz", "max_image_age_s", "max_skew_s", "warm_up_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.cpu_threads < 1:
            raise ConfigurationError(f"cpu_threads must be 1 or more, got {self.cpu_threads}.")
        for name in ("policy_hz", "lead_s", "settle_s", "max_duration_s"):
            if getattr(self, name) < 0.0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if self.instruction and not self.instruction.strip():
            raise ConfigurationError("instruction is blank; write a sentence such as 'pick up the red cube'.")

    @property
    def assembler_config(self) -> AssemblerConfig:
        """Limits of an observation."""
        history = max(1.0, self.max_image_age_s + self.max_skew_s)
        return AssemblerConfig(self.max_image_age_s, self.max_skew_s, self.warm_up_s, history)


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
        self._policy = load_fitting_policy(parameters)
        self._assembler = self._make_assembler(self._policy.spec)
        self._chunks = self.create_publisher(ActionChunkMessage, "~/action_chunk", CHUNK_QOS)
        self._traces = self.create_publisher(DenoisingTrace, "~/denoising_trace", CHUNK_QOS)
        self._thoughts = ThoughtPublisher(self, self._policy.spec)
        self._runs = RunPolicyServer(self, lambda: self._loop, parameters.max_duration_s)
        self._requests = GetActionChunkServer(self, lambda: self._loop, self._base_frame)
        self._timer = self.create_timer(1.0, self._watch)
        return TransitionCallbackReturn.SUCCESS

    @failing_on_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Warm the policy up, subscribe and start the inference thread."""
        parameters = self.parameters
        elapsed = warm_up(self._policy)
        period = 1.0 / parameters.policy_hz if parameters.policy_hz > 0.0 else 0.0
        settings = LoopSettings(parameters.lead_s, parameters.settle_s, period)
        self._loop = InferenceLoop(self._policy, self._assembler, settings, self._now, self, int(self._now()))
        self._loop.start()
        self._subscribe()
        spec = self._policy.spec
        self.get_logger().info(
            f"{spec.system} ready: warm-up {elapsed:.2f} s, cameras {', '.join(spec.cameras)}, chunks of "
            f"{spec.horizon} rows every {spec.dt:g} s, {spec.execute_steps} executed"
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
        self._thoughts.destroy()
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

    def _make_assembler(self, spec: PolicySpec) -> ObservationAssembler:
        assembler = ObservationAssembler(
            self.parameters.assembler_config,
            decode_joints=lambda message: joints_by_name(message, MEASURED_JOINTS),
            state=lambda joints: bridge_state(joints[:6], float(joints[6])),
        )
        for camera in spec.cameras:
            assembler.add_camera(camera, partial(decode_image, camera=camera), self.parameters.camera_hz)
        return assembler

    def _subscribe(self) -> None:
        kind, suffix = (CompressedImage, "/compressed") if self.parameters.compressed else (Image, "")
        self._streams = [
            AdaptiveSubscription(self, kind, f"/{camera}_camera/image_raw{suffix}", self._storing(camera))
            for camera in self._policy.spec.cameras
        ]
        topic = f"/{self.parameters.robot_name}/joint_states"
        self._streams.append(AdaptiveSubscription(self, JointState, topic, self._on_joints))
        self._instructions = self.create_subscription(String, "/instruction", self._on_instruction, LATCHED_QOS)

    def _storing(self, camera: str) -> Callable[[CameraMessage], None]:
        def store(message: CameraMessage) -> None:
            self._assembler.store_image(camera, seconds(message.header.stamp), message)
            if self._loop is not None:
                self._loop.notify()

        return store

    def _on_joints(self, message: JointState) -> None:
        self._assembler.store_joints(seconds(message.header.stamp), message)

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
        for stream in self._streams:
            stream.destroy()
        self.destroy_subscription(self._instructions)
        loop.stop()
        self.get_logger().info(f"stopped; {self._statistics.summary(self._assembler.statistics())}")
        self._assembler.clear()

    def _watch(self) -> None:
        """Once per second: quality of service and diagnostics."""
        if self._loop is None:
            self._diagnostics.publish("ok", "inactive", {})
            return
        for stream in self._streams:
            if stream.adapt():
                self.get_logger().info(f"{stream.topic}: {'reliable' if stream.reliable else 'best effort'} now")
        run = self._loop.run
        message = self._problem or (f"following '{run.instruction}'" if run is not None else "idle")
        level = "error" if self._problem else "ok"
        self._diagnostics.publish(level, message, self._statistics.numbers(self._assembler.statistics()))


def load_fitting_policy(parameters: PolicyParameters) -> Policy:
    """Load the checkpoint and make sure that it fits the robot and the cameras.

    Raises:
        CheckpointError: The checkpoint is missing or made for another robot or other cameras.
    """
    path = Path(parameters.checkpoint).expanduser()
    if not parameters.checkpoint or not path.exists():
        raise CheckpointError(
            f"The checkpoint '{parameters.checkpoint}' does not exist. Set the parameter checkpoint to a folder that "
            "'dvla train' wrote."
        )
    # PyTorch takes seconds to import: wrong parameters and Ctrl-C need not wait for it.
    from dvla_ros.policies.load import load_policy

    policy = load_policy(path, parameters.device)
    spec = policy.spec
    if len(spec.action_names) != ACTION_WIDTH or spec.state_dim != STATE_WIDTH:
        raise CheckpointError(
            f"The checkpoint {path} is for {len(spec.action_names)} action dimensions and {spec.state_dim} state "
            f"dimensions; a WidowX needs {ACTION_WIDTH} and {STATE_WIDTH} (x y z roll pitch yaw gripper). "
            "Choose another checkpoint."
        )
    missing = [camera for camera in spec.cameras if camera not in parameters.cameras]
    if missing:
        raise CheckpointError(
            f"The checkpoint {path} needs camera '{missing[0]}', configured are {', '.join(parameters.cameras)}. "
            f"Set cameras:={','.join(spec.cameras)}, or choose another checkpoint."
        )
    return policy


def warm_up(policy: Policy) -> float:
    """Infer a few times on a blank observation, so that the first real one is not slow; seconds it took."""
    images = {camera: np.zeros((480, 640, 3), np.uint8) for camera in policy.spec.cameras}
    state = bridge_state(NEUTRAL, FINGER_OPEN)
    began = time.monotonic()
    for seed in range(WARM_UP_INFERENCES):
        policy.predict(Observation(0.0, images, state, WARM_UP_INSTRUCTION), seed=seed)
    policy.reset()
    return time.monotonic() - began


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
