"""Renders the simulated cameras at a steady rate and publishes them as a camera driver does."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.images import compress_image, encode_image
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.simulation import Simulation

IMAGE_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Reliable: under best effort one lost fragment of a raw image loses the frame. The depth is the time that a listener
may be late by, here two thirds of a second, before frames are lost for good."""


@dataclass(frozen=True)
class ScenePose:
    """Where everything in the scene is: time in seconds, positions `[nq]`, fixtures `[nmocap, 7]`."""

    stamp: float
    qpos: np.ndarray
    mocap: np.ndarray


@dataclass(frozen=True)
class _Stream:
    name: str
    image: Publisher
    compressed: Publisher
    info: Publisher
    calibration: CameraInfo


class SimCameras:
    """One thread renders all cameras; topics that nobody subscribes cost nothing.

    Args:
        node: The node that publishes.
        simulation: Gives the model; its state is only read through `scene_pose`.
        scene_pose: Returns the present scene; called from the render thread.
        cameras: Camera names of the scene.
        size: Image width and height in pixels.
        rate_hz: Frames per second and camera.
    """

    def __init__(
        self,
        node: Node,
        simulation: Simulation,
        scene_pose: Callable[[], ScenePose],
        cameras: tuple[str, ...],
        size: tuple[int, int],
        rate_hz: float,
    ) -> None:
        self._node, self._scene_pose, self._cameras = node, scene_pose, cameras
        self._simulation, self._size, self._period = simulation, size, 1.0 / rate_hz
        self._stopping = threading.Event()
        self.frames = 0
        self._thread = threading.Thread(target=self._run, name="sim_cameras", daemon=True)

    def start(self) -> None:
        """Start rendering."""
        self._thread.start()

    def stop(self) -> None:
        """Stop rendering and free the OpenGL context."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        rig = CameraRig(self._simulation.model, *self._size)
        streams = [self._stream(rig, name) for name in self._cameras]
        due = time.monotonic()
        while not self._stopping.is_set():
            scene = self._scene_pose()
            for stream in streams:
                self._publish(rig, stream, scene)
            due = max(due + self._period, time.monotonic() - self._period)
            self._stopping.wait(max(0.0, due - time.monotonic()))
        rig.close()

    def _stream(self, rig: CameraRig, name: str) -> _Stream:
        publish, base = self._node.create_publisher, f"/{name}_camera"
        return _Stream(
            name=name,
            image=publish(Image, f"{base}/image_raw", IMAGE_QOS),
            compressed=publish(CompressedImage, f"{base}/image_raw/compressed", IMAGE_QOS),
            info=publish(CameraInfo, f"{base}/camera_info", IMAGE_QOS),
            calibration=camera_info(rig.intrinsics(name), rig.width, rig.height),
        )

    def _publish(self, rig: CameraRig, stream: _Stream, scene: ScenePose) -> None:
        header = Header(stamp=to_time(scene.stamp), frame_id=f"{stream.name}_camera_optical_frame")
        stream.calibration.header = header
        stream.info.publish(stream.calibration)
        raw, compressed = (topic.get_subscription_count() > 0 for topic in (stream.image, stream.compressed))
        if not raw and not compressed:
            return
        picture = rig.render(scene.qpos, stream.name, scene.mocap)
        if raw:
            image = encode_image(picture)
            image.header = header
            stream.image.publish(image)
        if compressed:
            jpeg = compress_image(picture)
            jpeg.header = header
            stream.compressed.publish(jpeg)
        self.frames += 1


def camera_info(intrinsics: np.ndarray, width: int, height: int) -> CameraInfo:
    """Calibration message of an ideal pinhole camera with matrix `[3, 3]` in pixels."""
    projection = np.hstack([intrinsics, np.zeros((3, 1))])
    return CameraInfo(
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=intrinsics.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )
