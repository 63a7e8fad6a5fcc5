"""What a policy tells beside its chunks: the future it imagines, the reasons it gives."""

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from dvla_ros.nodes.images import encode_image
from dvla_ros.policies.base import PolicySpec, Prediction

_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class ThoughtPublisher:
    """Publishes imagined images and reasoning text, each on its topic, for policies that have them.

    Topics: `~/imagined_image/<camera>` (`sensor_msgs/Image`, rgb8: that camera after the chunk; the header is the
    chunk's) and `~/reasoning` (`std_msgs/String`).
    """

    def __init__(self, node: Node, spec: PolicySpec) -> None:
        self._node = node
        self._images = {
            camera: node.create_publisher(Image, f"~/imagined_image/{camera}", _QOS)
            for camera in (spec.cameras if spec.imagines else ())
        }
        self._reasoning = node.create_publisher(String, "~/reasoning", _QOS) if spec.reasons else None

    def publish(self, prediction: Prediction, header: Header) -> None:
        """Send what this prediction holds."""
        for camera, publisher in self._images.items():
            message = encode_image(prediction.imagined_images[camera])
            message.header = header
            publisher.publish(message)
        if self._reasoning is not None:
            self._reasoning.publish(String(data=prediction.reasoning))

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in (*self._images.values(), self._reasoning):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
