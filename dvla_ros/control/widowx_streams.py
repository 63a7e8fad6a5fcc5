"""The streams of a WidowX: which topics they have and how their messages become an observation.

Messages are read by their fields alone, so that live topics and bags go through the same code.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.camera_image import decode_camera
from dvla_ros.control.joint_positions import MEASURED_JOINTS, joint_positions


class Time(Protocol):
    """The fields of `builtin_interfaces/Time`."""

    sec: int
    nanosec: int


def stamp_seconds(stamp: Time) -> float:
    """Seconds of a stamp; 0 when it was never set."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def camera_topic(camera: str, compressed: bool) -> str:
    """Topic of a camera's images, raw or compressed."""
    return f"/{camera}_camera/image_raw{'/compressed' if compressed else ''}"


def widowx_assembler(
    cameras: Sequence[str], alignment: AlignmentConfig, history_s: float | None = None
) -> ObservationAssembler:
    """An assembler that is stored messages of cameras and joint states, and gives Bridge states.

    Args:
        cameras: Names of the cameras that an observation needs.
        alignment: Latencies, limits and where stamps come from.
        history_s: Seconds of images to keep; None: as many as live topics need.

    Raises:
        ConfigurationError: A camera is named twice, or there is no latency for each.
    """
    assembler = ObservationAssembler(
        alignment.limits if history_s is None else replace(alignment.limits, history_s=history_s),
        decode_joints=partial(joint_positions, names=MEASURED_JOINTS),
        state=_state,
        joints=alignment.joint_timing,
    )
    for camera, latency in zip(cameras, alignment.latency_of_each(cameras), strict=True):
        assembler.add_camera(
            camera,
            partial(decode_camera, camera=camera),
            alignment.camera_hz,
            latency_s=latency,
            timeline=alignment.stamp_source,
            content=_data,
        )
    return assembler


def store_camera(assembler: ObservationAssembler, camera: str, message: Any, received: float) -> None:
    """Keep an image message, raw or compressed, that arrived at `received` seconds."""
    assembler.store_image(camera, stamp_seconds(message.header.stamp), message, received)


def store_joints(assembler: ObservationAssembler, message: Any, received: float) -> None:
    """Keep a joint state message that arrived at `received` seconds."""
    assembler.store_joints(stamp_seconds(message.header.stamp), message, received)


def _state(joints: np.ndarray) -> np.ndarray:
    return bridge_state(joints[:6], float(joints[6]))


def _data(message: Any) -> Any:
    return message.data
