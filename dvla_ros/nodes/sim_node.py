"""The simulated WidowX 250s on ROS topics: it publishes what the real arm does and obeys what its controllers obey."""

import sys
import threading
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from dvla_ros.control.pacing import PacedThread
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.parameters import described, load_parameters
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.sim_cameras import ScenePose, SimCameras
from dvla_ros.nodes.sim_commands import SimCommands
from dvla_ros.nodes.sim_physics import RealTimePhysics
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.srv import ResetEpisode

STATUS_HZ = 5.0
STATUS_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RESET_DEAF_S = 0.25
"""Commands of so many seconds after a reset belong to the scene before it."""
SIMULATION_PRIORITY = 5
"""Real-time, but behind every thread of the chunker: a simulated robot must not delay its commands."""


@dataclass(frozen=True)
class SimParameters:
    """Parameters of `sim_node`.

    Raises:
        ConfigurationError: A rate, size or seed is out of range, or a camera does not exist.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    task: str = described("pick_red", "task of the first episode, e.g. pick_red, put_blue_on_plate")
    seed: int = described(0, "seed of the first episode's scene, 0 or more")
    cameras: tuple[str, ...] = described(CAMERAS, "cameras to publish")
    image_width: int = described(640, "pixels")
    image_height: int = described(480, "pixels")
    camera_hz: float = described(15.0, "frames per second and camera")
    joint_state_hz: float = described(100.0, "joint states per second; the commands are read at this rate, too")

    def __post_init__(self) -> None:
        for name in ("image_width", "image_height", "camera_hz", "joint_state_hz"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.seed < 0:
            raise ConfigurationError(f"seed must be 0 or more, got {self.seed}.")
        unknown = sorted(set(self.cameras) - set(CAMERAS))
        if unknown:
            raise ConfigurationError(
                f"The simulated scene has no camera '{unknown[0]}'; it has {', '.join(CAMERAS)}. Change cameras."
            )


class SimNode(Node):
    """Real-time simulation with cameras, command topics, `~/reset` and `~/task_status`."""

    def __init__(self) -> None:
        super().__init__("sim_node", automatically_declare_parameters_from_overrides=True)
        self.parameters = load_parameters(self, SimParameters)
        self._lock = threading.Lock()
        self._simulation = Simulation(self.parameters.task, self.parameters.seed)
        self._physics = RealTimePhysics(self._simulation)
        self._episode, self._outcome = 1, ""
        robot = self.parameters.robot_name
        arm, finger = self._simulation.targets
        self._commands = SimCommands(self, robot, arm, finger)
        self._joint_states = self.create_publisher(JointState, f"/{robot}/joint_states", 10)
        self._status = self.create_publisher(TaskStatus, "~/task_status", STATUS_QOS)
        self._reset_service = self.create_service(ResetEpisode, "~/reset", self._on_reset)
        self._status_timer = self.create_timer(1.0 / STATUS_HZ, self._publish_status)
        self._start_threads()
        self.get_logger().info(f"simulated {robot}: {self._simulation.task.name}, seed {self._simulation.seed}")

    def _start_threads(self) -> None:
        parameters = self.parameters
        size = (parameters.image_width, parameters.image_height)
        self._cameras = SimCameras(
            self, self._simulation, self._scene_pose, parameters.cameras, size, parameters.camera_hz
        )
        self._thread = PacedThread(self._tick, parameters.joint_state_hz, SIMULATION_PRIORITY)
        self._cameras.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop the threads and say how it went."""
        self._thread.stop()
        self._cameras.stop()
        period = self._thread.statistics.summary()
        self.get_logger().info(
            f"stopped after {self._episode} episodes: {self._cameras.frames} camera frames, "
            f"joint states at {period.rate_hz:.1f} Hz, real-time factor {self._physics.real_time_factor:.3f}"
        )

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _tick(self) -> None:
        """Physics thread: obey, advance to the present, publish joint states."""
        now = self._now()
        arm, finger = self._commands.targets(now)
        with self._lock:
            before = self._physics.stamp
            self._simulation.set_targets(arm, finger)
            self._physics.advance(now)
            stamp, state = self._physics.stamp, self._simulation.joint_state()
            changed = self._simulation.judge().outcome != self._outcome
        if stamp != before:
            self._joint_states.publish(
                JointState(
                    header=Header(stamp=to_time(stamp)),
                    name=list(state.names),
                    position=state.positions.tolist(),
                    velocity=state.velocities.tolist(),
                    effort=state.efforts.tolist(),
                )
            )
        if changed:
            self._publish_status()

    def _scene_pose(self) -> ScenePose:
        with self._lock:
            return ScenePose(self._physics.stamp, self._simulation.qpos(), self._simulation.mocap())

    def _publish_status(self) -> None:
        with self._lock:
            simulation, judgement = self._simulation, self._simulation.judge()
            self._outcome = judgement.outcome
            status = TaskStatus(
                header=Header(stamp=to_time(self._now())),
                episode=self._episode,
                task=simulation.task.name,
                instruction=simulation.task.instruction,
                seed=simulation.seed,
                outcome=judgement.outcome,
                detail=judgement.detail,
                elapsed=simulation.time,
            )
        self._status.publish(status)

    def _on_reset(self, request: ResetEpisode.Request, response: ResetEpisode.Response) -> ResetEpisode.Response:
        try:
            self._reset(request.task or self._simulation.task.name, request.seed)
        except DvlaError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.seed = True, self._simulation.seed
        response.instruction = self._simulation.task.instruction
        self._publish_status()
        return response

    def _reset(self, task: str, seed: int) -> None:
        with self._lock:
            self._simulation.reset(task, seed if seed >= 0 else self._simulation.seed + 1)
            self._episode += 1
            now = self._now()
            self._physics.restart(now)
            arm, finger = self._simulation.targets
            self._commands.restart(arm, finger, now + RESET_DEAF_S)
        self.get_logger().info(f"episode {self._episode}: {task}, seed {self._simulation.seed}")


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(SimNode)


if __name__ == "__main__":
    sys.exit(main())
