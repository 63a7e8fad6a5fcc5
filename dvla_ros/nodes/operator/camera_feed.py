"""Listens to cameras while somebody looks at them, in a thread of its own."""

import threading
from collections.abc import Mapping, Sequence

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.nodes.operator.pictures import CameraPictures, pictures_of

_LOOK_S = 0.25
_ADAPT_EVERY = 4
NODE_NAME = "operator_cameras"


class CameraFeed:
    """A node beside the operator's, so that images never stand before an answer or a state.

    Messages are only stored; what nobody asks for is never deserialised.

    Args:
        cameras: Their names.
        compressed: Whether to take the compressed topics.
        hz: Pictures per second and camera.
        width: Largest width of a picture, in pixels.
    """

    def __init__(self, cameras: Sequence[str], compressed: bool, hz: float, width: int) -> None:
        self._kind = CompressedImage if compressed else Image
        self._suffix = "/compressed" if compressed else ""
        self.pictures: Mapping[str, CameraPictures] = pictures_of(cameras, self._deserialise, hz, width)
        self._streams: dict[str, AdaptiveSubscription] = {}
        self._looks = 0
        self._node = Node(NODE_NAME)
        self._timer = self._node.create_timer(_LOOK_S, self._look)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="cameras", daemon=True)
        self._thread.start()

    @property
    def listening(self) -> tuple[str, ...]:
        """Cameras that are listened to now."""
        return tuple(self._streams)

    def stop(self) -> None:
        """End the thread and the node."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _deserialise(self, data: bytes) -> object:
        return deserialize_message(data, self._kind)

    def _look(self) -> None:
        self._looks += 1
        for camera, pictures in self.pictures.items():
            stream = self._streams.get(camera)
            if pictures.looked_at and stream is None:
                self._streams[camera] = self._subscribe(camera, pictures)
            elif not pictures.looked_at and stream is not None:
                self._streams.pop(camera).destroy()
                pictures.forget()
            elif stream is not None and self._looks % _ADAPT_EVERY == 0:
                stream.adapt()

    def _subscribe(self, camera: str, pictures: CameraPictures) -> AdaptiveSubscription:
        topic = f"/{camera}_camera/image_raw{self._suffix}"
        return AdaptiveSubscription(self._node, self._kind, topic, pictures.store, depth=1, raw=True)
