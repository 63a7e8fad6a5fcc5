"""Which nodes a robot needs, with which parameters: read by the launch file and by `dvla bringup`.

Imports no ROS, so that the launch file and the command line can read it at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.launch_arguments import AUTO, EXPERT, number, whole_number
from dvla_ros.nodes.recording import NODE, RecordingPlan, recording_plan, rosbag2_command
from dvla_ros.recordings.recorder_topics import recorder_topics
from dvla_ros.share import share_path

Value = bool | int | float | str | list[str]

SHIPPED_CHECKPOINT = "checkpoints/widowx_{system}_small"
SHIPPED_PARAMETERS = "config/widowx.yaml"
HEARTBEAT_TOPIC = "/deadman/heartbeat"


@dataclass(frozen=True)
class NodeEntry:
    """One node to start.

    Attributes:
        name: Node name and executable.
        module: Python module whose `main` runs it.
        parameters: Parameters that the arguments set.
        params_file: YAML file with the others.
        required: Whether nothing goes on without it.
    """

    name: str
    module: str
    parameters: Mapping[str, Value]
    params_file: Path
    required: bool = True


@dataclass(frozen=True)
class LaunchPlan:
    """Everything to be started.

    Attributes:
        nodes: The nodes, in order.
        rosbag2: Command line of rosbag2's recorder; empty: it does not record. Nothing waits for it.
    """

    nodes: tuple[NodeEntry, ...]
    rosbag2: tuple[str, ...] = ()


def widowx_plan(values: Mapping[str, str]) -> LaunchPlan:
    """The nodes of a WidowX 250s for resolved launch arguments.

    Raises:
        ConfigurationError: A value does not fit, or a file is missing.
    """
    simulated = values["use_sim"] == "true"
    file = _params_file(values["params_file"])
    cameras = [camera.strip() for camera in values["cameras"].split(",") if camera.strip()]
    if not cameras:
        raise ConfigurationError(f"cameras must name at least one camera, got '{values['cameras']}'.")
    deadman = _automatic(values, "deadman", not simulated)
    nodes = [_policy(values, cameras, file), _chunker(values, simulated, deadman, file)]
    if deadman:
        nodes.insert(0, _deadman(values, file))
    if simulated:
        nodes.insert(0, _simulation(values, cameras, file))
    if values["view"] == "true":
        nodes.append(_view(values, cameras, simulated, file))
    if values["operator"] == "true":
        nodes.append(_operator(values, cameras, file))
    recording = recording_plan(values)
    if recording is None:
        return LaunchPlan(tuple(nodes))
    if recording.recorder == NODE:
        return LaunchPlan((_recorder(values, cameras, recording, file), *nodes))
    topics = recorder_topics(values["robot_name"], cameras, values["compressed"] == "true")
    return LaunchPlan(tuple(nodes), tuple(rosbag2_command(recording.folder, topics)))


def shipped_checkpoint(system: str) -> Path:
    """Folder of the checkpoint that comes with the package for a system."""
    return share_path(SHIPPED_CHECKPOINT.format(system=system))


def _params_file(text: str) -> Path:
    file = share_path(SHIPPED_PARAMETERS) if text == AUTO else Path(text).expanduser()
    if not file.is_file():
        raise ConfigurationError(f"params_file {file} does not exist.")
    return file


def _entry(name: str, parameters: Mapping[str, Value], file: Path) -> NodeEntry:
    return NodeEntry(name, f"dvla_ros.nodes.{name}", parameters, file)


def _simulation(values: Mapping[str, str], cameras: list[str], file: Path) -> NodeEntry:
    return _entry(
        "sim_node",
        {
            "robot_name": values["robot_name"],
            "task": values["task"],
            "seed": whole_number(values, "seed"),
            "cameras": cameras,
        },
        file,
    )


def _policy(values: Mapping[str, str], cameras: list[str], file: Path) -> NodeEntry:
    checkpoint, system = values["checkpoint"], values["system"]
    if checkpoint == AUTO:
        checkpoint = EXPERT if system == EXPERT else str(shipped_checkpoint(system))
    if checkpoint == EXPERT and values["use_sim"] != "true":
        raise ConfigurationError("system:=expert plays the episodes of the simulated scene; set use_sim:=true.")
    return _entry(
        "policy_node",
        {
            "robot_name": values["robot_name"],
            "checkpoint": checkpoint,
            "deployment": values["deployment"],
            "instruction": values["instruction"],
            "device": values["device"],
            "cache": values["cache"],
            "policy_hz": number(values, "policy_hz"),
            "cameras": cameras,
            "compressed": values["compressed"] == "true",
            "replanning": "sync" if checkpoint == EXPERT else values["replanning"],
        },
        file,
    )


def _recorder(values: Mapping[str, str], cameras: list[str], recording: RecordingPlan, file: Path) -> NodeEntry:
    parameters: dict[str, Value] = {
        "robot_name": values["robot_name"],
        "folder": str(recording.folder),
        "cameras": cameras,
        "compressed": values["compressed"] == "true",
        "keep_s": recording.keep_s,
    }
    # An arm goes on when its recorder ends.
    return NodeEntry("recorder_node", "dvla_ros.nodes.recorder_node", parameters, file, required=False)


def _view(values: Mapping[str, str], cameras: list[str], simulated: bool, file: Path) -> NodeEntry:
    parameters: dict[str, Value] = {
        "robot_name": values["robot_name"],
        "cameras": cameras,
        "compressed": values["compressed"] == "true",
        "address": values["view_address"],
    }
    if simulated:
        parameters["camera_poses"] = "simulation"
    # An arm goes on when nobody sees it any more.
    return NodeEntry("view_node", "dvla_ros.nodes.view_node", parameters, file, required=False)


def _operator(values: Mapping[str, str], cameras: list[str], file: Path) -> NodeEntry:
    return _entry(
        "operator_node",
        {
            "robot_name": values["robot_name"],
            "cameras": cameras,
            "compressed": values["compressed"] == "true",
            "host": values["operator_host"],
            "port": whole_number(values, "operator_port"),
        },
        file,
    )


def _deadman(values: Mapping[str, str], file: Path) -> NodeEntry:
    return _entry("deadman_node", {"robot_name": values["robot_name"], "backend": values["backend"]}, file)


def _automatic(values: Mapping[str, str], name: str, automatic: bool) -> bool:
    return automatic if values[name] == AUTO else values[name] == "true"


def _chunker(values: Mapping[str, str], simulated: bool, deadman: bool, file: Path) -> NodeEntry:
    return _entry(
        "chunker_node",
        {
            "robot_name": values["robot_name"],
            "control_hz": number(values, "control_hz"),
            "backend": values["backend"],
            "gripper": values["gripper"],
            "dry_run": _automatic(values, "dry_run", not simulated),
            "deadman_topic": HEARTBEAT_TOPIC if deadman else "",
            "planning_scene": values["planning_scene"] == "true",
        },
        file,
    )
