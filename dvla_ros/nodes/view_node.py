"""Shows live what the policy sees, thinks and does: to a viewer in any browser, without ROS on its side.

It only listens. Everything that takes time happens in a thread of low priority behind a bounded queue, in a process of
its own: where that cannot follow, pictures are dropped.
"""

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.errors import ConfigurationError, DvlaError, NodeError
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.parameters import described, load_parameters
from dvla_ros.nodes.process import run_node
from dvla_ros.recordings.topics import RecordedTopics
from dvla_ros.view.backlog import Backlog, Waiting
from dvla_ros.view.camera_poses import camera_poses
from dvla_ros.view.layout import blueprint, load_layout
from dvla_ros.view.messages import readers
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.scene import Scene
from dvla_ros.view.viewer_server import LOOPBACK, ServerConfig, ViewerServer

_REPORT_S = 1.0
_LATCHED = ("/policy_node/policy_info", "/instruction", "/sim_node/task_status")
_TOLD_EVERY_S = 10.0


@dataclass(frozen=True)
class ViewParameters:
    """Parameters of `view_node`.

    Raises:
        ConfigurationError: A value is out of range.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    cameras: tuple[str, ...] = described(("front", "wrist"), "cameras to show; topics /<camera>_camera/image_raw")
    compressed: bool = described(False, "take /<camera>_camera/image_raw/compressed instead")
    picture_hz: float = described(8.0, "at most so many pictures per second and camera")
    camera_poses: str = described("", "YAML file that says where the cameras are; simulation: the simulated ones")
    layout: str = described("auto", "layout file; auto: config/view.yaml")
    address: str = described(LOOPBACK, "where the viewer listens; another than loopback opens it to the network")
    web_port: int = described(9090, "port of the viewer's page")
    data_port: int = described(9876, "port of the viewer's data")
    memory: str = described("512MB", "what is kept for viewers that come later; older data are dropped")
    file: str = described("", "write an .rrd file instead of serving a viewer")
    nice: int = described(10, "nice value 0..19 of this process: it gives way to everything that moves the arm")

    def __post_init__(self) -> None:
        if not self.picture_hz > 0.0:
            raise ConfigurationError(f"picture_hz must be positive, got {self.picture_hz}.")
        if not 0 <= self.nice <= 19:
            raise ConfigurationError(f"nice must be 0..19, got {self.nice}.")
        ServerConfig(self.address, self.web_port, self.data_port, self.memory)

    @property
    def server(self) -> ServerConfig:
        """Where the viewer is served."""
        return ServerConfig(self.address, self.web_port, self.data_port, self.memory)


class ViewNode(Node):
    """Subscribes, and draws in a thread."""

    def __init__(self) -> None:
        super().__init__("view_node", automatically_declare_parameters_from_overrides=True)
        self.parameters = parameters = load_parameters(self, ViewParameters)
        self._give_way(parameters.nice)
        self._table = readers(RecordedTopics(parameters.robot_name, parameters.cameras))
        self._backlog, self._drawn, self._left_out = Backlog(), 0, 0
        self._told = float("-inf")
        self._accepted: dict[str, float] = {}
        self._server, self._scene, self._stream = self._open()
        self._streams = [self._subscribe(topic) for topic in self._wanted()]
        self._timer = self.create_timer(_REPORT_S, self._adapt, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._thread = threading.Thread(target=self._draw, name="draw", daemon=True)
        self._thread.start()

    @property
    def drawn(self) -> int:
        """Facts drawn so far."""
        return self._drawn

    def stop(self) -> None:
        """Write what is left, end the server."""
        self._backlog.close()
        self._thread.join(5.0)
        self._stream.close()
        if self._server is not None:
            self._server.close()
        self.get_logger().info(
            f"stopped after {self._drawn} facts; {self._backlog.dropped} messages were not drawn because newer ones "
            f"came, {self._left_out} could not be"
        )

    def _give_way(self, nice: int) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))

    def _open(self) -> tuple[ViewerServer | None, Scene, RerunStream]:
        parameters = self.parameters
        layout = load_layout(None if parameters.layout == "auto" else Path(parameters.layout).expanduser())
        poses = camera_poses(parameters.camera_poses)
        plan = blueprint(layout, parameters.cameras, posed=bool(parameters.camera_poses))
        server = None
        if parameters.file:
            stream = RerunStream.to_file(Path(parameters.file).expanduser(), plan)
            self.get_logger().info(f"writing {parameters.file}")
        else:
            server = ViewerServer(parameters.server)
            stream = RerunStream.to_server(parameters.server.data_url, plan)
            self._say_where(parameters.server)
        return server, Scene(stream, poses), stream

    def _say_where(self, server: ServerConfig) -> None:
        self.get_logger().info(f"open {server.page} in a browser")
        if server.is_open:
            self.get_logger().warning(
                f"the view listens at {server.address}: whoever reaches ports {server.web_port} and "
                f"{server.data_port} sees the cameras"
            )

    def _wanted(self) -> list[str]:
        """Topics to subscribe: of each camera one kind of picture only."""
        other = {camera_topic(camera, not self.parameters.compressed) for camera in self.parameters.cameras}
        return [topic for topic in self._table if topic not in other]

    def _subscribe(self, topic: str) -> AdaptiveSubscription:
        receive = partial(self._receive, topic, self._is_replaceable(topic), self._spacing(topic))
        kind = message_class(self._table[topic][0])
        return AdaptiveSubscription(self, kind, topic, receive, depth=2, latched=topic in _LATCHED)

    def _is_replaceable(self, topic: str) -> bool:
        return "_camera/" in topic or topic.endswith(("/joint_states", "/joint_trajectory", "/execution_status"))

    def _spacing(self, topic: str) -> float:
        return 0.95 / self.parameters.picture_hz if "_camera/image_raw" in topic else 0.0

    def _receive(self, topic: str, replaceable: bool, spacing: float, message: Any) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        if 0.0 <= now - self._accepted.get(topic, float("-inf")) < spacing:
            return
        self._accepted[topic] = now
        self._backlog.put(Waiting(topic, message, now), replaceable)

    def _draw(self) -> None:
        while (waiting := self._backlog.take()) is not None:
            try:
                fact = self._table[waiting.topic][1](waiting.message, waiting.received)
                if fact is not None:
                    self._scene.see(fact)
                    self._drawn += 1
            except (DvlaError, ValueError, TypeError) as error:
                self._left_out += 1
                self._tell(waiting, error)

    def _tell(self, waiting: Waiting, error: Exception) -> None:
        if time.monotonic() - self._told >= _TOLD_EVERY_S:
            self._told = time.monotonic()
            self.get_logger().warning(f"{waiting.topic}: a message is not shown: {error}")
            self._scene.warn(waiting.received, f"{waiting.topic}: a message is not shown: {error}")

    def _adapt(self) -> None:
        for stream in self._streams:
            stream.adapt()
        if self._server is not None and not self._server.running:
            raise NodeError("The viewer's server ended; start view_node again.")


def message_class(name: str) -> type:
    """The class of a message type such as `sensor_msgs/msg/Image`."""
    package, _, kind = name.split("/")
    found: type = getattr(import_module(f"{package}.msg"), kind)
    return found


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(ViewNode)


if __name__ == "__main__":
    sys.exit(main())
