"""The parameters of `chunker_node`: its own, and every setting of the controller and of the safety gate."""

from dataclasses import dataclass

from rclpy.node import Node

from dvla_ros.control.controller import ControllerConfig
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.backends.choice import GRIPPERS, check_backend
from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES
from dvla_ros.nodes.parameters import described, load_parameter_groups

_POSITIVE = (
    "control_hz",
    "joint_state_timeout_s",
    "deadman_timeout_s",
    "policy_timeout_s",
    "clock_jump_s",
    "clock_stop_s",
    "preview_s",
    "planning_scene_timeout_s",
)


@dataclass(frozen=True)
class ChunkerParameters:
    """Parameters of `chunker_node` itself.

    Raises:
        ConfigurationError: A rate or time is not positive, or there is no such backend.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    control_hz: float = described(50.0, "commands per second")
    backend: str = described("jtc", "where commands go, see docs/how_to/backends.md")
    gripper: str = described("backend", "where the gripper's commands go: backend (with the arm's) or gripper_action")
    gripper_action_type: str = described("ParallelGripperCommand", "gripper_action: or GripperCommand, of control_msgs")
    set_modes: bool = described(False, "interbotix: set the motors' operating modes at start; the arm sags meanwhile")
    modes_file: str = described("auto", "interbotix: file with these modes; auto: config/modes_policy.yaml")
    dry_run: bool = described(True, "compute everything, publish only to shadow topics")
    chunk_topic: str = described("/policy_node/action_chunk", "where chunks come from")
    joint_state_timeout_s: float = described(0.2, "older joint states count as missing: the arm is held")
    estop_topic: str = described("/estop", "std_msgs/Bool; true latches the fault estop; empty: no such topic")
    deadman_topic: str = described("", "heartbeats without which nothing moves; empty: none are needed")
    deadman_timeout_s: float = described(0.2, "without a heartbeat for so long: fault deadman_lost")
    policy_timeout_s: float = described(3.0, "a policy whose chunks and diagnostics stop for so long is lost")
    clock_jump_s: float = described(0.25, "ROS time that deviates by so much in one period has jumped: the arm is held")
    clock_stop_s: float = described(0.5, "ROS time that stands still for so long has stopped: the arm is held")
    planning_scene: bool = described(False, "ask MoveIt's planning scene about each chunk before it moves")
    planning_scene_timeout_s: float = described(0.5, "chunks about which it does not answer in time are rejected")
    preview_s: float = described(3.0, "backend joint_trajectory: so much of the plan is sent ahead")
    realtime_priority: int = described(10, "SCHED_FIFO priority of the control thread, 0: do not ask for it")
    lock_memory: bool = described(True, "keep the memory of the process in RAM")
    discovery_s: float = described(1.0, "seconds to look for other nodes that command the arm before activation")
    autostart: bool = described(True, "configure and activate at start")

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.discovery_s < 0.0:
            raise ConfigurationError(f"discovery_s must be 0 or more, got {self.discovery_s}.")
        check_backend(self.backend)
        for name, choices in (("gripper", GRIPPERS), ("gripper_action_type", ACTION_TYPES)):
            if getattr(self, name) not in choices:
                raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, got '{getattr(self, name)}'.")


CHUNKER_PARAMETERS = (ChunkerParameters, SafetyConfig, ControllerConfig)
"""In the order in which they are made: the last one contains the one before it."""


def load_chunker_parameters(node: Node) -> tuple[ChunkerParameters, ControllerConfig]:
    """Declare and read all parameters.

    Raises:
        ConfigurationError: A parameter is unknown, has the wrong type or is out of range.
    """
    parameters, _, controller = load_parameter_groups(node, CHUNKER_PARAMETERS)
    return parameters, controller
