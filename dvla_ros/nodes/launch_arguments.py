"""The arguments of `widowx.launch.py` and `dvla bringup widowx`, and how their texts become values."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError

AUTO = "auto"


@dataclass(frozen=True)
class Argument:
    """One launch argument.

    Attributes:
        name: What is written before `:=`.
        default: Its text when it is not given.
        description: One line.
        choices: Allowed texts; empty: any.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


_BOOLEAN = ("true", "false")
SHIPPED_SYSTEMS = ("dd_vla", "ud_vla", "llada_vla", "dfm_vla", "diffusion_vla")
EXPERT = "expert"
"""Instead of a system: the scripted expert of the simulated scene."""
REPLANNING = ("sync", "async", "inpaint", "temporal_ensemble")
BACKENDS = (
    "interbotix",
    "jtc",
    "joint_trajectory",
    "forward",
    "servo_pose",
    "servo_twist",
    "servo_joint",
    "none",
)
RECORDERS = (AUTO, "rosbag2", "node")
GRIPPERS = ("backend", "gripper_action")

WIDOWX_ARGUMENTS = (
    Argument("use_sim", "false", "start the simulated robot instead of expecting a real one", _BOOLEAN),
    Argument("robot_name", "wx250s", "namespace of the robot's topics"),
    Argument(
        "system",
        "dd_vla",
        "which shipped policy drives, where checkpoint is auto; expert: the simulation's scripted expert",
        (*SHIPPED_SYSTEMS, EXPERT),
    ),
    Argument("checkpoint", AUTO, "folder of the policy's checkpoint; auto: the one shipped for the system"),
    Argument("deployment", "", "YAML file: how a published checkpoint is used; empty: as the defaults say"),
    Argument("instruction", "", "what to do, e.g. 'pick up the red cube'; empty: wait for the topic /instruction"),
    Argument("device", "cpu", "where the policy runs: cpu, cuda, cuda:1 …"),
    Argument("cache", "", "what a denoising step keeps: exact, prefix, dllm …; empty: as the deployment says"),
    Argument("control_hz", "50.0", "commands per second"),
    Argument("policy_hz", "0.0", "at most so many chunks per second; 0: as often as the chunks ask for"),
    Argument(
        "replanning", "inpaint", "when the next chunk is inferred, and what of the present one it keeps", REPLANNING
    ),
    Argument("backend", "jtc", "where commands go", BACKENDS),
    Argument("gripper", "backend", "where the gripper's commands go: with the arm's, or to a gripper action", GRIPPERS),
    Argument(
        "dry_run",
        AUTO,
        "compute everything, move nothing; auto: false in simulation, true on a real robot",
        (AUTO, *_BOOLEAN),
    ),
    Argument(
        "deadman",
        AUTO,
        "start deadman_node and move only while its heartbeats come; auto: false in simulation, true on a real robot",
        (AUTO, *_BOOLEAN),
    ),
    Argument("planning_scene", "false", "ask MoveIt's planning scene about each chunk before it moves", _BOOLEAN),
    Argument("record", "", "true, or a new folder: record the robot's topics into a bag; false or empty: do not"),
    Argument("record_keep_s", "0.0", "keep the last seconds, and record them when asked or after a fault; 0: all"),
    Argument("recorder", AUTO, "who records; auto: rosbag2 where it is installed, else recorder_node", RECORDERS),
    Argument("operator", "false", "serve the operator page, a web page with which a person drives the robot", _BOOLEAN),
    Argument("operator_host", "127.0.0.1", "address of the operator page; 0.0.0.0: to the network, with a token"),
    Argument("operator_port", "8080", "port of the operator page"),
    Argument("view", "false", "serve the view: what the policy sees, thinks and does, in a browser", _BOOLEAN),
    Argument("view_address", "127.0.0.1", "address that the view listens at; 0.0.0.0: to the network, for anybody"),
    Argument("cameras", "front,wrist", "camera names, separated by commas; topics /<camera>_camera/image_raw"),
    Argument("compressed", "false", "take /<camera>_camera/image_raw/compressed instead", _BOOLEAN),
    Argument("task", "pick_red", "simulation: task of the first episode"),
    Argument("seed", "0", "simulation: seed of the first episode's scene"),
    Argument("params_file", AUTO, "YAML file with the nodes' other parameters; auto: config/widowx.yaml"),
)


def parse_arguments(texts: Sequence[str], arguments: Sequence[Argument] = WIDOWX_ARGUMENTS) -> dict[str, str]:
    """Texts `name:=value` to values by name, with defaults filled in.

    Raises:
        ConfigurationError: A text is malformed, or its name or value is not allowed.
    """
    given = {}
    for text in texts:
        name, separator, value = text.partition(":=")
        if not separator or not name:
            raise ConfigurationError(f"Arguments are written name:=value, got '{text}'.")
        given[name] = value
    return resolve_arguments(given, arguments)


def resolve_arguments(given: Mapping[str, str], arguments: Sequence[Argument] = WIDOWX_ARGUMENTS) -> dict[str, str]:
    """All arguments by name: those given, and the defaults of the others.

    Raises:
        ConfigurationError: A name or value is not allowed.
    """
    known = {argument.name: argument for argument in arguments}
    for name, value in given.items():
        if name not in known:
            raise ConfigurationError(unknown_argument(name, arguments))
        if known[name].choices and value not in known[name].choices:
            raise ConfigurationError(f"{name} must be one of {', '.join(known[name].choices)}, got '{value}'.")
    return {name: given.get(name, argument.default) for name, argument in known.items()}


def unknown_argument(name: str, arguments: Sequence[Argument] = WIDOWX_ARGUMENTS) -> str:
    """One line about an argument that does not exist: the nearest one, and all there are."""
    names = [argument.name for argument in arguments]
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"Unknown argument '{name}'.{hint} Known: {', '.join(names)}."


def number(values: Mapping[str, str], name: str) -> float:
    """An argument's value as a number.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return float(values[name])
    except ValueError:
        raise ConfigurationError(f"{name} must be a number, got '{values[name]}'.") from None


def whole_number(values: Mapping[str, str], name: str) -> int:
    """An argument's value as a whole number.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return int(values[name])
    except ValueError:
        raise ConfigurationError(f"{name} must be a whole number, got '{values[name]}'.") from None
