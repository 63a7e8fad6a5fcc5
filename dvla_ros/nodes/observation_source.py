"""Live topics into an observation assembler."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState

from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.widowx_streams import camera_topic, store_camera, store_joints
from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription

JOINT_DEPTH = 20
"""Every joint state matters for interpolation; those of 0.2 s wait while large images are taken."""


class ObservationSource:
    """Subscribes to the cameras and joint states of a policy and stores what arrives, with the time of arrival.

    Callbacks run in the node's executor and only store; nothing is decoded there. `adapt` must be called about once a
    second: publishers come and go, and the quality of service follows them.

    Args:
        node: The node that subscribes; its clock is that of the arrivals.
        assembler: Where messages are stored; made with the same cameras.
        cameras: Camera names; topics `/<camera>_camera/image_raw`.
        joint_topic: Topic of the joint states.
        compressed: Take `image_raw/compressed` instead.
        on_data: Called after each message.
    """

    def __init__(
        self,
        node: Node,
        assembler: ObservationAssembler,
        cameras: Sequence[str],
        joint_topic: str,
        compressed: bool,
        on_data: Callable[[], None],
    ) -> None:
        self._node, self._assembler, self._on_data = node, assembler, on_data
        kind = CompressedImage if compressed else Image
        self._subscriptions = [
            AdaptiveSubscription(node, kind, camera_topic(camera, compressed), partial(self._on_image, camera))
            for camera in cameras
        ]
        self._subscriptions.append(
            AdaptiveSubscription(node, JointState, joint_topic, self._on_joints, depth=JOINT_DEPTH)
        )

    @property
    def problem(self) -> str:
        """Which topics have publishers that cannot be heard, and why; empty when there are none."""
        return "; ".join(stream.problem for stream in self._subscriptions if stream.problem)

    def adapt(self) -> list[str]:
        """Follow the publishers' quality of service; one sentence for each subscription that changed."""
        return [
            f"{stream.topic}: {'reliable' if stream.reliable else 'best effort'} now"
            for stream in self._subscriptions
            if stream.adapt()
        ]

    def numbers(self) -> dict[str, float | int]:
        """Numbers for diagnostics: see `ObservationAssembler.numbers`."""
        return self._assembler.numbers(self._now())

    def destroy(self) -> None:
        """Stop receiving."""
        for stream in self._subscriptions:
            stream.destroy()

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds * 1e-9)

    def _on_image(self, camera: str, message: Any) -> None:
        store_camera(self._assembler, camera, message, self._now())
        self._on_data()

    def _on_joints(self, message: JointState) -> None:
        store_joints(self._assembler, message, self._now())
        self._on_data()
