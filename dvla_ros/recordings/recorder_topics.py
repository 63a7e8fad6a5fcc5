"""Which topics a recording holds: all that is needed to see an inference again, and to ask for it again.

Imports nothing but Python's own modules: launch files read it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NODES = (
    "/policy_node/action_chunk",
    "/policy_node/denoising_trace",
    "/policy_node/inference_request",
    "/policy_node/policy_info",
    "/policy_node/reasoning",
    "/chunker_node/execution_status",
    "/chunker_node/command_preview",
    "/chunker_node/ee_target",
    "/sim_node/task_status",
    "/deadman/heartbeat",
    "/instruction",
    "/estop",
    "/diagnostics",
)
_OF_ROBOT = (
    "joint_states",
    "arm_controller/joint_trajectory",
    "gripper_controller/joint_trajectory",
    "forward_position_controller/commands",
    "commands/joint_group",
    "commands/joint_single",
)
_SERVO = ("pose_target_cmds", "delta_twist_cmds", "delta_joint_cmds", "status")
_BELOW = ("/policy_node/imagined_image/", "/chunker_node/shadow/")


@dataclass(frozen=True)
class RecorderTopics:
    """The topics that are recorded as soon as somebody publishes them.

    Attributes:
        names: Names of topics.
        below: Beginnings of names, each ending with a slash: everything below.
    """

    names: frozenset[str]
    below: tuple[str, ...] = _BELOW

    def __contains__(self, topic: str) -> bool:
        """Whether a topic is recorded."""
        return topic in self.names or topic.startswith(self.below)

    @property
    def pattern(self) -> str:
        """A regular expression (POSIX extended, ECMAScript, Python) that matches these topics and no others."""
        whole = [re.escape(name) for name in sorted(self.names)]
        return f"^({'|'.join([*whole, *(f'{re.escape(name)}.*' for name in self.below)])})$"


def recorder_topics(
    robot_name: str, cameras: Sequence[str], compressed: bool, others: Sequence[str] = ()
) -> RecorderTopics:
    """The topics of a robot and of the nodes that drive it.

    Each camera is recorded in one transport, the one that the policy takes.

    Args:
        robot_name: Namespace of the robot's topics.
        cameras: Camera names.
        compressed: Whether the policy takes compressed images.
        others: More topic names.
    """
    transport = "image_raw/compressed" if compressed else "image_raw"
    images = [f"/{camera}_camera/{transport}" for camera in cameras]
    calibrations = [f"/{camera}_camera/camera_info" for camera in cameras]
    robot = [f"/{robot_name}/{name}" for name in _OF_ROBOT]
    servo = [f"/servo_node/{name}" for name in _SERVO]
    return RecorderTopics(frozenset([*images, *calibrations, *robot, *servo, *_NODES, *others]))
