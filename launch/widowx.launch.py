"""Start everything that drives a WidowX 250s: `ros2 launch dvla_ros widowx.launch.py use_sim:=true`."""

import sys

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch_ros.actions import Node

from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS, parse_arguments, resolve_arguments
from dvla_ros.nodes.node_table import LaunchPlan, widowx_plan
from dvla_ros.nodes.recording import record_command


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes of the table."""
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in WIDOWX_ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    if any(word.endswith("widowx.launch.py") for word in sys.argv):
        # Typed for this very file: a name it does not know is a mistake, which launch would pass over in silence.
        parse_arguments([word for word in context.argv if ":=" in word])
    configurations = context.launch_configurations
    return _actions(widowx_plan(resolve_arguments({a.name: configurations[a.name] for a in WIDOWX_ARGUMENTS})))


def _actions(plan: LaunchPlan) -> list[LaunchDescriptionEntity]:
    nodes: list[LaunchDescriptionEntity] = [
        Node(
            package="dvla_ros",
            executable=entry.name,
            name=entry.name,
            parameters=[str(entry.params_file), dict(entry.parameters)],
            output="screen",
            on_exit=Shutdown(reason=f"{entry.name} ended"),
        )
        for entry in plan.nodes
    ]
    if plan.record is not None:
        nodes.append(ExecuteProcess(cmd=record_command(plan.record), output="screen"))
    return nodes
