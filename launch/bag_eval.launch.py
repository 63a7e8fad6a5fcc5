"""Evaluate a policy on recordings: `ros2 launch dvla_ros bag_eval.launch.py bag:=recordings/…`.

With `real_time:=true` the recording is also played to the running nodes.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import ExecuteProcess, OpaqueFunction

from dvla_ros.nodes.bag_eval_arguments import BAG_EVAL_ARGUMENTS, evaluate_command
from dvla_ros.nodes.launch_declarations import declarations, values


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the evaluation."""
    return LaunchDescription([*declarations(BAG_EVAL_ARGUMENTS), OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    command = evaluate_command(values(context, "bag_eval.launch.py", BAG_EVAL_ARGUMENTS))
    return [ExecuteProcess(cmd=command, output="screen", name="evaluate")]
