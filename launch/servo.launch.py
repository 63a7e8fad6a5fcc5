"""Drive a WidowX 250s through MoveIt Servo: `ros2 launch dvla_ros servo.launch.py backend:=servo_pose`.

Servo itself is started elsewhere, or here with `start_servo:=true` where moveit_servo is installed.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import IncludeLaunchDescription, LogInfo, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import Command
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS
from dvla_ros.nodes.launch_declarations import declarations, values
from dvla_ros.nodes.servo_plan import SERVO_ARGUMENTS, ServoEntry, servo_entry

ARM = Path(__file__).with_name("widowx.launch.py")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    return LaunchDescription([*declarations(SERVO_ARGUMENTS), OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = values(context, "servo.launch.py", SERVO_ARGUMENTS)
    entry = servo_entry(given)
    arm = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(ARM)),
        launch_arguments=[(argument.name, given[argument.name]) for argument in WIDOWX_ARGUMENTS],
    )
    expected = LogInfo(msg="Expecting a Servo node /servo_node; docs/how_to/moveit.md says how to start one.")
    return [arm, expected if entry is None else _servo_node(entry)]


def _servo_node(entry: ServoEntry) -> LaunchDescriptionEntity:
    def expanded(file: str) -> ParameterValue:
        return ParameterValue(Command(["xacro ", file, f" robot_name:={entry.robot_name}"]), value_type=str)

    return Node(
        package="moveit_servo",
        executable="servo_node",
        name="servo_node",
        parameters=[
            str(entry.params_file),
            {
                **entry.parameters,
                "robot_description": expanded(str(entry.urdf)),
                "robot_description_semantic": expanded(str(entry.srdf)),
            },
        ],
        output="screen",
        on_exit=Shutdown(reason="servo_node ended"),
    )
