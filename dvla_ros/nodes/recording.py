"""Recording through `ros2 bag`."""

import shutil
from pathlib import Path

from dvla_ros.errors import ConfigurationError, DependencyError


def record_command(folder: Path) -> list[str]:
    """The command that records all topics into a new folder.

    Raises:
        DependencyError: ros2 bag is not installed.
        ConfigurationError: The folder exists already.
    """
    if shutil.which("ros2") is None:
        raise DependencyError(
            "record needs 'ros2 bag'. Install ros-$ROS_DISTRO-ros2bag and ros-$ROS_DISTRO-rosbag2-storage-mcap (apt) "
            "and source ROS 2, or leave record empty."
        )
    if folder.exists():
        raise ConfigurationError(f"record folder {folder} exists already; name a new one.")
    return ["ros2", "bag", "record", "--all", "--storage", "mcap", "--output", str(folder)]
