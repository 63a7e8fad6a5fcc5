"""What `servo.launch.py` adds to `widowx.launch.py`: its arguments, and the Servo node if it is to be started.

Imports no ROS, except to find Servo's packages.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.launch_arguments import AUTO, WIDOWX_ARGUMENTS, Argument
from dvla_ros.nodes.node_table import Value
from dvla_ros.share import share_path

SHIPPED_SERVO_PARAMETERS = "config/servo_wx250s.yaml"
SERVO_BACKENDS = ("servo_pose", "servo_twist", "servo_joint")

_DESCRIPTIONS, _MOVEIT = "interbotix_xsarm_descriptions", "interbotix_xsarm_moveit"
_SOURCES = {
    "moveit_servo": "Install the apt package ros-$ROS_DISTRO-moveit-servo (ROS 2 Jazzy or newer)",
    "moveit_kinematics": "Install the apt package ros-$ROS_DISTRO-moveit-kinematics",
    "xacro": "Install the apt package ros-$ROS_DISTRO-xacro",
    _DESCRIPTIONS: "Build interbotix_ros_manipulators in your workspace, or give urdf:=FILE",
    _MOVEIT: "Build interbotix_ros_manipulators in your workspace, or give srdf:=FILE",
}


def _argument(argument: Argument) -> Argument:
    """An argument of `widowx.launch.py` as `servo.launch.py` has it."""
    if argument.name == "backend":
        return replace(argument, default="servo_pose", description="what Servo is told", choices=SERVO_BACKENDS)
    if argument.name == "control_hz":
        return replace(argument, default="100.0", description="commands per second; as many as Servo has cycles")
    return argument


SERVO_ARGUMENTS = (
    *(_argument(argument) for argument in WIDOWX_ARGUMENTS),
    Argument("start_servo", "false", "start MoveIt's Servo node, too, instead of expecting it", ("true", "false")),
    Argument("servo_params_file", AUTO, f"YAML file with Servo's parameters; auto: {SHIPPED_SERVO_PARAMETERS}"),
    Argument("urdf", AUTO, "start_servo: URDF or xacro file of the arm; auto: Interbotix' wx250s.urdf.xacro"),
    Argument("srdf", AUTO, "start_servo: SRDF or xacro file of the arm; auto: Interbotix' wx250s.srdf.xacro"),
)
"""Those of `widowx.launch.py`, and what concerns Servo."""


@dataclass(frozen=True)
class ServoEntry:
    """The Servo node to start.

    Attributes:
        params_file: YAML file with its parameters.
        parameters: Parameters that the arguments set.
        urdf: Robot description, expanded by xacro.
        srdf: Semantic description, expanded by xacro.
        robot_name: Argument of both for xacro.
    """

    params_file: Path
    parameters: Mapping[str, Value]
    urdf: Path
    srdf: Path
    robot_name: str


def servo_entry(values: Mapping[str, str]) -> ServoEntry | None:
    """The Servo node that resolved `SERVO_ARGUMENTS` ask for; None when somebody else starts it.

    Raises:
        ConfigurationError: A file is missing.
        DependencyError: Servo is to be started and a package that it needs is not installed.
    """
    if values["start_servo"] == "false":
        return None
    for package in ("moveit_servo", "moveit_kinematics"):
        package_share(package)
    if shutil.which("xacro") is None:
        raise _missing("xacro")
    robot = values["robot_name"]
    return ServoEntry(
        params_file=_file(values, "servo_params_file", lambda: share_path(SHIPPED_SERVO_PARAMETERS)),
        parameters={
            "moveit_servo.command_out_topic": f"/{robot}/arm_controller/joint_trajectory",
            "moveit_servo.joint_topic": f"/{robot}/joint_states",
        },
        urdf=_file(values, "urdf", lambda: package_share(_DESCRIPTIONS) / "urdf" / "wx250s.urdf.xacro"),
        srdf=_file(values, "srdf", lambda: package_share(_MOVEIT) / "config" / "srdf" / "wx250s.srdf.xacro"),
        robot_name=robot,
    )


def _file(values: Mapping[str, str], name: str, shipped: Callable[[], Path]) -> Path:
    file = shipped() if values[name] == AUTO else Path(values[name]).expanduser()
    if not file.is_file():
        raise ConfigurationError(f"{name} {file} does not exist.")
    return file


def package_share(package: str) -> Path:
    """Share folder of another ROS package.

    Raises:
        DependencyError: It is not installed, or ROS 2 is not sourced; the message says where it comes from.
    """
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory(package))
    except (ModuleNotFoundError, LookupError) as error:
        raise _missing(package) from error


def _missing(package: str) -> DependencyError:
    return DependencyError(
        f"start_servo:=true needs the ROS package '{package}'. {_SOURCES[package]}; or start Servo yourself and leave "
        "start_servo out, see docs/how_to/moveit.md."
    )
