"""Parameters of `recorder_node`."""

from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.parameters import described

STORAGES = ("mcap", "sqlite3")


@dataclass(frozen=True)
class RecorderParameters:
    """Parameters of `recorder_node`.

    Raises:
        ConfigurationError: A value is out of range.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    folder: str = described("", "folder of the bag; must not exist. With keep_s: the folder that the bags are put into")
    cameras: tuple[str, ...] = described(("front", "wrist"), "cameras to record")
    compressed: bool = described(False, "record /<camera>_camera/image_raw/compressed instead of image_raw")
    more_topics: tuple[str, ...] = described(("/tf", "/tf_static"), "topics to record beside those of the robot")
    storage: str = described("mcap", "format of the bag: mcap or sqlite3")
    keep_s: float = described(0.0, "keep so many seconds in memory, and write them when asked; 0: write everything")
    keep_mb: float = described(1000.0, "keep_s: at most so many MB; with larger messages fewer seconds are kept")
    after_s: float = described(3.0, "keep_s: seconds after the trigger that are written, too")
    status_topic: str = described("/chunker_node/execution_status", "keep_s: a fault there is a trigger; empty: none")
    queue_mb: float = described(200.0, "messages that wait for the disk; more are dropped, and counted")
    min_free_mb: float = described(1000.0, "recording ends when the disk has less left")
    nice: int = described(5, "recording gives way to everything else: nice value 0..19")

    def __post_init__(self) -> None:
        if not self.folder.strip():
            raise ConfigurationError("folder is empty; name the folder to record into.")
        if self.storage not in STORAGES:
            raise ConfigurationError(f"storage must be one of {', '.join(STORAGES)}, got '{self.storage}'.")
        for name in ("keep_mb", "queue_mb"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)}.")
        for name in ("keep_s", "after_s", "min_free_mb"):
            if not getattr(self, name) >= 0.0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if not 0 <= self.nice <= 19:
            raise ConfigurationError(f"nice must be 0..19, got {self.nice}.")
