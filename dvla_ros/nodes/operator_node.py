"""A web page by which a person drives the robot: instruction, start, stop, emergency stop, state, cameras."""

import secrets
import sys

from rclpy.node import Node

from dvla_ros.nodes.operator.access import Access
from dvla_ros.nodes.operator.app import OperatorApp, PageSettings
from dvla_ros.nodes.operator.camera_feed import CameraFeed
from dvla_ros.nodes.operator.commands import RobotCommands
from dvla_ros.nodes.operator.guard import Guard
from dvla_ros.nodes.operator.parameters import OperatorParameters
from dvla_ros.nodes.operator.server import PageServer, listen
from dvla_ros.nodes.operator.watch import RobotWatch
from dvla_ros.nodes.parameters import load_parameters
from dvla_ros.nodes.process import run_node

_TOKEN_BYTES = 24


class OperatorNode(Node):
    """Serves the page from threads of its own; the node's callbacks only store.

    Attributes:
        link: Address of the page, with the token where one is needed.
    """

    def __init__(self) -> None:
        super().__init__("operator_node", automatically_declare_parameters_from_overrides=True)
        p = self.parameters = load_parameters(self, OperatorParameters)
        listener = listen(p.host, p.port)
        token = p.token or ("" if p.local else secrets.token_urlsafe(_TOKEN_BYTES))
        watch = RobotWatch(self, p.policy, p.chunker, p.cameras)
        commands = RobotCommands(self, watch, p.policy, p.chunker, p.estop_topic)
        self._feed = CameraFeed(p.cameras, p.compressed, p.picture_hz, p.picture_width)
        self._app = OperatorApp(commands, self._feed.pictures, PageSettings(p.robot_name, p.cameras, p.picture_hz))
        self._server = PageServer(Guard(self._app.routes(), Access(token)), listener, p.max_connections)
        self.link = f"{self._server.address}/" + (f"?token={token}" if token else "")
        # Not through the logger: what it says goes to a topic and into files.
        print(f"Operator page: {self.link}", flush=True)

    def stop(self) -> None:
        """End the server and the cameras; once."""
        if self._server.stop():
            self._app.stop()
            self._feed.stop()
        self.get_logger().info("stopped; the robot's nodes go on as they were")


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(OperatorNode)


if __name__ == "__main__":
    sys.exit(main())
