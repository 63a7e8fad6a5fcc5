"""Which recorded topics tell what was commanded."""

from dataclasses import dataclass

from dvla_ros.control.joint_positions import MEASURED_JOINTS
from dvla_ros.control.widowx import ARM_JOINTS

FINGER = MEASURED_JOINTS[-1]
FORWARD_JOINTS = (*ARM_JOINTS, FINGER)

CHUNK = "dvla_ros/msg/ActionChunk"
STATUS = "dvla_ros/msg/ExecutionStatus"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
ARRAY = "std_msgs/msg/Float64MultiArray"
GROUP = "interbotix_xs_msgs/msg/JointGroupCommand"
SINGLE = "interbotix_xs_msgs/msg/JointSingleCommand"
POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
JOINT_STATE = "sensor_msgs/msg/JointState"

POSE_NAMES = ("ee_target", "pose_target_cmds", "ee_pose_target")
TWIST_NAMES = ("delta_twist_cmds",)
DELTA_NAMES = ("ee_delta", "ee_deltas", "bridge_action", "bridge_actions", "action", "actions")
"""Last parts of the names of topics; robots name these as they like."""

_SHADOW = "/shadow/"


@dataclass(frozen=True)
class CommandTopic:
    """Tells by name and type what a recorded topic is.

    Attributes:
        robot_name: Namespace of the robot.
    """

    robot_name: str

    def kind(self, topic: str, message_type: str) -> str:
        """The kind of a topic; empty where it commands nothing.

        Kinds: `chunk`, `status`, `arm` and `gripper` (trajectories), `forward`, `group`, `single`, `pose`, `twist`,
        `delta`, `measured`. What a dry run would have sent counts for nothing.
        """
        if _SHADOW in topic:
            return ""
        name = topic.rsplit("/", 1)[-1]
        own = topic.startswith(f"/{self.robot_name}/")
        controller = topic.rsplit("/", 2)[-2] if topic.count("/") > 1 else ""
        rules = {
            CHUNK: "chunk",
            STATUS: "status",
            TRAJECTORY: _trajectory_kind(controller) if own and name == "joint_trajectory" else "",
            ARRAY: "forward" if own and name == "commands" else "delta" if name in DELTA_NAMES else "",
            GROUP: "group" if own else "",
            SINGLE: "single" if own else "",
            POSE: "pose" if name in POSE_NAMES else "",
            TWIST: "twist" if name in TWIST_NAMES else "",
            JOINT_STATE: "measured" if topic == f"/{self.robot_name}/joint_states" else "",
        }
        return rules.get(message_type, "")


def _trajectory_kind(controller: str) -> str:
    return {"arm_controller": "arm", "gripper_controller": "gripper"}.get(controller, "")
