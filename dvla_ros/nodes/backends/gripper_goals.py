"""The goals of ros2_control's gripper controllers."""

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sensor_msgs.msg import JointState

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.backends.gripper_trajectory import FINGER

ACTION_TYPES = ("ParallelGripperCommand", "GripperCommand")
"""Of control_msgs: of parallel_gripper_action_controller, and of the older GripperActionController."""


def action_name(robot_name: str) -> str:
    """Of the gripper's controller, as ros2_control names it."""
    return f"/{robot_name}/gripper_controller/gripper_cmd"


def gripper_action(action_type: str) -> Any:
    """The action's class.

    Raises:
        ConfigurationError: There is no such action type.
        DependencyError: control_msgs is not installed, or too old.
    """
    if action_type not in ACTION_TYPES:
        raise ConfigurationError(f"gripper_action_type must be one of {', '.join(ACTION_TYPES)}, got '{action_type}'.")
    try:
        return getattr(_control_messages("action"), action_type)
    except (ModuleNotFoundError, AttributeError) as error:
        raise DependencyError(
            f"gripper 'gripper_action' needs control_msgs/action/{action_type}. Install the apt package "
            "ros-$ROS_DISTRO-control-msgs (ParallelGripperCommand: of ROS 2 Jazzy or newer), or choose gripper backend."
        ) from error


def installed_action_types() -> tuple[str, ...]:
    """Those of `ACTION_TYPES` that the control_msgs of this machine has: none without it, the older one in Humble."""
    if importlib.util.find_spec("control_msgs") is None:
        return ()
    return tuple(name for name in ACTION_TYPES if hasattr(_control_messages("action"), name))


def goal_maker(action_type: str, max_effort: float) -> Callable[[float], Any]:
    """Makes goals from finger positions in metres."""
    action = gripper_action(action_type)
    if action_type == "GripperCommand":
        command = _control_messages("msg").GripperCommand
        return lambda finger: action.Goal(command=command(position=finger, max_effort=max_effort))
    return lambda finger: action.Goal(command=JointState(name=[FINGER], position=[finger]))


def _control_messages(kind: str) -> ModuleType:
    return importlib.import_module(f"control_msgs.{kind}")
