"""The topics of a robot, in one place, and which of them a bag has."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.errors import RecordingError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
JOINT_STATE = "sensor_msgs/msg/JointState"


class HasTopics(Protocol):
    """What is asked of a bag here."""

    path: Path
    topics: Mapping[str, str]


@dataclass(frozen=True)
class RecordedTopics:
    """Names of the topics of one robot.

    Attributes:
        robot_name: Namespace of the robot's topics.
        cameras: Names of its cameras.
        policy: Node name of the policy.
        chunker: Node name of the chunker.
        sim: Node name of the simulated robot.
    """

    robot_name: str = "wx250s"
    cameras: tuple[str, ...] = ("front", "wrist")
    policy: str = "policy_node"
    chunker: str = "chunker_node"
    sim: str = "sim_node"

    instruction = "/instruction"
    diagnostics = "/diagnostics"

    @property
    def joint_states(self) -> str:
        """Measured joints, `sensor_msgs/JointState`."""
        return f"/{self.robot_name}/joint_states"

    @property
    def action_chunk(self) -> str:
        """Chunks of the policy, `dvla_ros/ActionChunk`."""
        return f"/{self.policy}/action_chunk"

    @property
    def denoising_trace(self) -> str:
        """How each chunk came about, `dvla_ros/DenoisingTrace`."""
        return f"/{self.policy}/denoising_trace"

    @property
    def inference_request(self) -> str:
        """What was asked for each chunk, `dvla_ros/InferenceRequest`."""
        return f"/{self.policy}/inference_request"

    @property
    def policy_info(self) -> str:
        """What answered, `dvla_ros/PolicyInfo`."""
        return f"/{self.policy}/policy_info"

    @property
    def reasoning(self) -> str:
        """What the policy said to itself, `std_msgs/String`."""
        return f"/{self.policy}/reasoning"

    @property
    def execution_status(self) -> str:
        """What became of the chunks, `dvla_ros/ExecutionStatus`."""
        return f"/{self.chunker}/execution_status"

    @property
    def ee_target(self) -> str:
        """Commanded pose of the end effector, `geometry_msgs/PoseStamped`."""
        return f"/{self.chunker}/ee_target"

    @property
    def task_status(self) -> str:
        """What the simulated scene knows, `dvla_ros/TaskStatus`."""
        return f"/{self.sim}/task_status"

    @property
    def arm_trajectory(self) -> str:
        """Commands for six joints (rad), `trajectory_msgs/JointTrajectory`."""
        return f"/{self.robot_name}/arm_controller/joint_trajectory"

    @property
    def gripper_trajectory(self) -> str:
        """Commands for `left_finger` (m), `trajectory_msgs/JointTrajectory`."""
        return f"/{self.robot_name}/gripper_controller/joint_trajectory"

    @property
    def forward_commands(self) -> str:
        """Commands for six joints (rad) and `left_finger` (m), `std_msgs/Float64MultiArray`."""
        return f"/{self.robot_name}/forward_position_controller/commands"

    @property
    def joint_group(self) -> str:
        """Commands for six joints (rad), `interbotix_xs_msgs/JointGroupCommand`."""
        return f"/{self.robot_name}/commands/joint_group"

    @property
    def joint_single(self) -> str:
        """Commands for the gripper (m), `interbotix_xs_msgs/JointSingleCommand`."""
        return f"/{self.robot_name}/commands/joint_single"

    def imagined_image(self, camera: str) -> str:
        """What the policy expects a camera to see, `sensor_msgs/Image`."""
        return f"/{self.policy}/imagined_image/{camera}"

    def image_topic(self, bag: HasTopics, camera: str) -> str:
        """The images of a camera in a bag: raw ones where it has them, else compressed ones.

        Raises:
            RecordingError: It has neither.
        """
        raw, compressed = camera_topic(camera, False), camera_topic(camera, True)
        for topic, kind in ((raw, IMAGE), (compressed, COMPRESSED_IMAGE)):
            if bag.topics.get(topic) == kind:
                return topic
        for topic, kind in ((raw, IMAGE), (compressed, COMPRESSED_IMAGE)):
            if topic in bag.topics:
                raise wrong_type(bag, topic, kind)
        raise RecordingError(f"{bag.path} has no images of camera '{camera}', no {raw} or {compressed}; {_has(bag)}.")


def require_topic(bag: HasTopics, topic: str, kind: str) -> str:
    """The topic, if a bag has it with the type `kind`.

    Raises:
        RecordingError: It lacks the topic, or has it with another type.
    """
    if topic not in bag.topics:
        raise RecordingError(f"{bag.path} has no topic {topic}; {_has(bag)}.")
    if bag.topics[topic] != kind:
        raise wrong_type(bag, topic, kind)
    return topic


def with_type(bag: HasTopics, topics: Collection[str], kind: str) -> list[str]:
    """Those of some topics that a bag has with the type `kind`."""
    return [topic for topic in topics if bag.topics.get(topic) == kind]


def wrong_type(bag: HasTopics, topic: str, kind: str) -> RecordingError:
    """The error that a topic has another type than `kind`."""
    return RecordingError(f"{topic} in {bag.path} is {bag.topics[topic]}, needed is {kind}.")


def _has(bag: HasTopics) -> str:
    return f"it has {', '.join(sorted(bag.topics)) or 'no topic at all'}"
