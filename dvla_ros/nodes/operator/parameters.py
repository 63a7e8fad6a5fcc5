"""Parameters of `operator_node`."""

import ipaddress
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.parameters import described

MIN_TOKEN_LENGTH = 16
_LOCAL_NAME = "localhost"


@dataclass(frozen=True)
class OperatorParameters:
    """Parameters of `operator_node`.

    Raises:
        ConfigurationError: A value is out of range, or the token is easy to guess.
    """

    robot_name: str = described("wx250s", "name of the robot, as the page shows it")
    cameras: tuple[str, ...] = described(("front", "wrist"), "cameras to show; topics /<camera>_camera/image_raw")
    compressed: bool = described(False, "take /<camera>_camera/image_raw/compressed instead")
    host: str = described("127.0.0.1", "address to listen on; any but this machine's own asks for a token")
    port: int = described(8080, "port to listen on; 0: any free one")
    token: str = described("", "secret of the link to the page; empty: none on this machine, else made at each start")
    picture_hz: float = described(5.0, "pictures per second and camera, while somebody looks")
    picture_width: int = described(640, "pictures are made no wider, in pixels")
    max_connections: int = described(128, "further connections are closed at once")
    policy: str = described("/policy_node", "fully qualified name of the node that follows instructions")
    chunker: str = described("/chunker_node", "fully qualified name of the node that commands the arm")
    estop_topic: str = described("/estop", "topic that the emergency stop is published on, too")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port must be 0..65535, got {self.port}.")
        if not 0.0 < self.picture_hz <= 30.0:
            raise ConfigurationError(f"picture_hz must be more than 0 and at most 30, got {self.picture_hz:g}.")
        if not 16 <= self.picture_width <= 4096:
            raise ConfigurationError(f"picture_width must be 16..4096 pixels, got {self.picture_width}.")
        if self.max_connections < 8:
            raise ConfigurationError(f"max_connections must be 8 or more (a page needs 2), got {self.max_connections}.")
        if self.token and (len(self.token) < MIN_TOKEN_LENGTH or not self.token.isascii() or " " in self.token):
            raise ConfigurationError(
                f"token must have {MIN_TOKEN_LENGTH} or more ASCII characters and no space, got {len(self.token)}. "
                "Leave it empty to have one made."
            )

    @property
    def local(self) -> bool:
        """Whether only programs of this machine can connect."""
        if self.host == _LOCAL_NAME:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name, which may mean any address
