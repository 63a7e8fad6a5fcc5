"""What `record:=` asks for: which recorder, and into which folder.

Imports no ROS, so that the launch file and the command line can read it at once.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.launch_arguments import AUTO, number
from dvla_ros.recordings.recorder_topics import RecorderTopics

RECORDINGS = Path("recordings")
"""Where recordings go that were given no folder, below the working directory."""
ROSBAG2, NODE = "rosbag2", "node"
_NICE = 5
_ROSBAG2_PACKAGES = ("ros2bag", "rosbag2_storage_mcap")


@dataclass(frozen=True)
class RecordingPlan:
    """A recording that was asked for.

    Attributes:
        folder: Folder of the bag; with `keep_s`, the folder that the bags are put into.
        keep_s: Keep so many seconds and write them when something happened; 0: write everything.
        recorder: `rosbag2` or `node`, this package's own.
    """

    folder: Path
    keep_s: float
    recorder: str


def recording_plan(values: Mapping[str, str]) -> RecordingPlan | None:
    """What launch arguments ask to be recorded; None: nothing.

    Raises:
        ConfigurationError: The folder exists already, or a value does not fit.
        DependencyError: rosbag2 was asked for and is not installed.
    """
    record, keep_s = values["record"], number(values, "record_keep_s")
    if not keep_s >= 0.0:
        raise ConfigurationError(f"record_keep_s must be 0 or more, got {keep_s}.")
    if record == "false" or (not record and keep_s == 0.0):
        return None
    recorder = _recorder(values["recorder"], keep_s)
    named = record not in ("", "true")
    if keep_s > 0.0:
        return RecordingPlan(Path(record).expanduser() if named else RECORDINGS, keep_s, recorder)
    folder = Path(record).expanduser() if named else RECORDINGS / bag_name(values["robot_name"])
    if folder.exists():
        raise ConfigurationError(f"record folder {folder} exists already; name a new one.")
    return RecordingPlan(folder, 0.0, recorder)


def bag_name(robot_name: str) -> str:
    """Name of a bag that begins now: `<robot>_<date>_<time>`."""
    return f"{robot_name}_{datetime.now():%Y%m%d_%H%M%S}"


def rosbag2_command(folder: Path, topics: RecorderTopics) -> list[str]:
    """The command that records topics with rosbag2 into a new folder, with a low priority.

    A regular expression, because topics that nobody publishes yet are to be recorded when they appear.
    """
    record = ["ros2", "bag", "record", "--regex", topics.pattern, "--output", str(folder)]
    record += ["--storage", "mcap", "--storage-preset-profile", "zstd_fast"]
    return ["nice", "-n", str(_NICE), *record]


def rosbag2_installed() -> bool:
    """Whether `ros2 bag record --storage mcap` can be run."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return all(any((prefix / "share" / package).is_dir() for prefix in prefixes) for package in _ROSBAG2_PACKAGES)


def _recorder(wanted: str, keep_s: float) -> str:
    if keep_s > 0.0:
        if wanted == ROSBAG2:
            raise ConfigurationError("record_keep_s needs recorder:=node; rosbag2 does not keep the last seconds.")
        return NODE
    installed = rosbag2_installed()
    if wanted == ROSBAG2 and not installed:
        raise DependencyError(
            "recorder:=rosbag2 needs 'ros2 bag'. Install ros-$ROS_DISTRO-ros2bag and "
            "ros-$ROS_DISTRO-rosbag2-storage-mcap (apt) and source ROS 2, or leave recorder auto."
        )
    return (ROSBAG2 if installed else NODE) if wanted == AUTO else wanted
