"""What a chunker needs of other programs before it may command, as its parameters ask for."""

from pathlib import Path
from typing import TYPE_CHECKING

from rclpy.node import Node

from dvla_ros.nodes.chunker_parameters import ChunkerParameters
from dvla_ros.nodes.launch_arguments import AUTO
from dvla_ros.share import share_path

if TYPE_CHECKING:
    from dvla_ros.nodes.planning_scene import PlanningSceneGate


def prepare_driver(node: Node, parameters: ChunkerParameters) -> None:
    """Set the operating modes of Interbotix' motors, if asked to and the arm is really commanded.

    Raises:
        DependencyError: The driver's messages are not installed.
        NodeError: The driver is not there or refuses.
    """
    if parameters.backend != "interbotix" or parameters.dry_run or not parameters.set_modes:
        return
    from dvla_ros.nodes.backends.interbotix_modes import MODES_FILE, fitted, load_operating_modes, set_operating_modes

    path = share_path(MODES_FILE) if parameters.modes_file == AUTO else Path(parameters.modes_file).expanduser()
    modes = [fitted(mode, parameters.control_hz) for mode in load_operating_modes(path)]
    set_operating_modes(node.context, parameters.robot_name, modes)
    node.get_logger().info(f"operating modes set: {', '.join(f'{mode.name} {mode.mode}' for mode in modes)}")


def planning_scene(node: Node, parameters: ChunkerParameters) -> "PlanningSceneGate | None":
    """MoveIt's planning scene; None when it is not to be asked.

    Raises:
        DependencyError: MoveIt's messages are not installed.
    """
    if not parameters.planning_scene:
        return None
    from dvla_ros.nodes.planning_scene import PlanningSceneGate

    return PlanningSceneGate(node, timeout_s=parameters.planning_scene_timeout_s)
