"""Keeps what the cameras saw during an episode, with the joints at that time."""

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState

from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import ObservationError
from dvla_ros.evaluation.episode_film import Recording
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.conversions import joints_by_name, seconds
from dvla_ros.nodes.images import decode_image

_JPEG_QUALITY = 92


class FilmRecorder:
    """Records between `start` and `stop`; frames are kept as JPEG, an episode takes some 50 MB.

    Args:
        node: The node that subscribes; its thread stores.
        robot_name: Namespace of the robot's topics.
        cameras: Camera names.
    """

    def __init__(self, node: Node, robot_name: str, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._recording = False
        self._frames: dict[str, list[tuple[float, bytes]]] = {camera: [] for camera in cameras}
        self._joints: list[JointState] = []
        self._intrinsics: dict[str, np.ndarray] = {}
        for camera in cameras:
            self._subscribe(node, camera)
        AdaptiveSubscription(node, JointState, f"/{robot_name}/joint_states", self._on_joints, depth=10)

    def start(self) -> None:
        """Forget what was recorded and record anew."""
        with self._lock:
            self._frames = {camera: [] for camera in self._frames}
            self._joints = []
            self._recording = True

    def stop(self) -> Recording:
        """Stop recording; what was recorded.

        Raises:
            ObservationError: A camera, its calibration or the joint states did not arrive.
        """
        with self._lock:
            self._recording = False
            frames, joints = self._frames, self._joints
        for camera, kept in frames.items():
            if not kept or camera not in self._intrinsics:
                raise ObservationError(
                    f"Nothing to film: no image or camera_info arrived from /{camera}_camera. Is its publisher running?"
                )
        if not joints:
            raise ObservationError("Nothing to film: no joint states arrived. Is robot_name right?")
        return Recording(
            frames=frames,
            intrinsics=self._intrinsics,
            joint_times=np.array([seconds(message.header.stamp) for message in joints]),
            joints=np.array([joints_by_name(message, ARM_JOINTS) for message in joints]),
        )

    def _subscribe(self, node: Node, camera: str) -> None:
        def on_image(message: Image) -> None:
            if self._recording:
                picture = decode_image(message, camera)
                jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
                with self._lock:
                    self._frames[camera].append((seconds(message.header.stamp), jpeg.tobytes()))

        def on_info(message: CameraInfo) -> None:
            self._intrinsics[camera] = np.array(message.k).reshape(3, 3)

        AdaptiveSubscription(node, Image, f"/{camera}_camera/image_raw", on_image)
        AdaptiveSubscription(node, CameraInfo, f"/{camera}_camera/camera_info", on_info)

    def _on_joints(self, message: JointState) -> None:
        with self._lock:
            if self._recording:
                self._joints.append(message)
