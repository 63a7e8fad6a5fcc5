"""Start everything that drives a WidowX 250s: `ros2 launch dvla_ros widowx.launch.py use_sim:=true`."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import ExecuteProcess, LogInfo, OpaqueFunction, Shutdown
from launch_ros.actions import Node

from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS
from dvla_ros.nodes.launch_declarations import declarations, values
from dvla_ros.nodes.node_table import LaunchPlan, NodeEntry, widowx_plan


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes of the table."""
    return LaunchDescription([*declarations(WIDOWX_ARGUMENTS), OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return _actions(widowx_plan(values(context, "widowx.launch.py", WIDOWX_ARGUMENTS)))


def _actions(plan: LaunchPlan) -> list[LaunchDescriptionEntity]:
    nodes: list[LaunchDescriptionEntity] = [
        Node(
            package="dvla_ros",
            executable=entry.name,
            name=entry.name,
            parameters=[str(entry.params_file), dict(entry.parameters)],
            output="screen",
            on_exit=_when_it_ends(entry),
        )
        for entry in plan.nodes
    ]
    if plan.rosbag2:
        nodes.append(ExecuteProcess(cmd=list(plan.rosbag2), output="screen"))
    return nodes


def _when_it_ends(entry: NodeEntry) -> LaunchDescriptionEntity:
    if entry.required:
        return Shutdown(reason=f"{entry.name} ended")
    return LogInfo(msg=f"{entry.name} ended; the others go on without it.")
