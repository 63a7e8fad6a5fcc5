"""Tables of launch arguments in the launch system of ROS 2; needs its package `launch`: for launch files alone."""

import sys
from collections.abc import Sequence

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument

from dvla_ros.nodes.launch_arguments import Argument, parse_arguments, resolve_arguments


def declarations(arguments: Sequence[Argument]) -> list[DeclareLaunchArgument]:
    """The arguments as a launch file declares them."""
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in arguments
    ]


def values(context: LaunchContext, file: str, arguments: Sequence[Argument]) -> dict[str, str]:
    """All arguments by name, as given to the launch file of the name `file`.

    Raises:
        ConfigurationError: A name or value is not allowed.
    """
    if any(word.endswith(file) for word in sys.argv):
        # Typed for this very file: a name it does not know is a mistake, which launch would pass over in silence.
        parse_arguments([word for word in context.argv if ":=" in word], arguments)
    return resolve_arguments({a.name: context.launch_configurations[a.name] for a in arguments}, arguments)
