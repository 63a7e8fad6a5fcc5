"""Messages to facts: read by their fields alone, so that live topics and recordings go through the same code."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from dvla_ros.control.camera_image import decode_camera
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.joint_positions import joint_positions
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.control.widowx_streams import camera_topic, stamp_seconds
from dvla_ros.errors import ActionError
from dvla_ros.recordings.topics import COMPRESSED_IMAGE, IMAGE, JOINT_STATE, RecordedTopics
from dvla_ros.view.facts import (
    Calibration,
    Commanded,
    Fact,
    Imagined,
    Instruction,
    Measured,
    Outcome,
    Picture,
    Policy,
    Published,
    Reasoning,
    Status,
    Traced,
)
from dvla_ros.view.trace import Segment, Trace

JPEG_QUALITY = 85
_MAGIC = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png"}

Reader = Callable[[Any, float], Fact | None]
"""A message and the time of its arrival in seconds to a fact; None where it tells nothing."""


def readers(topics: RecordedTopics) -> dict[str, tuple[str, Reader]]:
    """How each topic of a robot is read: its type (as in `sensor_msgs/msg/Image`) and its reader, by topic."""
    table: dict[str, tuple[str, Reader]] = {
        topics.joint_states: (JOINT_STATE, _measured),
        topics.arm_trajectory: ("trajectory_msgs/msg/JointTrajectory", _commanded),
        topics.instruction: ("std_msgs/msg/String", _instruction),
        topics.action_chunk: ("dvla_ros/msg/ActionChunk", _published),
        topics.denoising_trace: ("dvla_ros/msg/DenoisingTrace", _traced),
        topics.policy_info: ("dvla_ros/msg/PolicyInfo", _policy),
        topics.reasoning: ("std_msgs/msg/String", _reasoning),
        topics.inference_request: ("dvla_ros/msg/InferenceRequest", _asked),
        topics.execution_status: ("dvla_ros/msg/ExecutionStatus", _status),
        topics.task_status: ("dvla_ros/msg/TaskStatus", _outcome),
    }
    for camera in topics.cameras:
        picture = partial(_picture, camera)
        table[camera_topic(camera, compressed=False)] = (IMAGE, picture)
        table[camera_topic(camera, compressed=True)] = (COMPRESSED_IMAGE, picture)
        table[f"/{camera}_camera/camera_info"] = ("sensor_msgs/msg/CameraInfo", partial(_calibration, camera))
        table[topics.imagined_image(camera)] = (IMAGE, partial(_imagined, camera))
    return table


def _picture(camera: str, message: Any, received: float) -> Picture:
    stamp = stamp_seconds(message.header.stamp)
    if not hasattr(message, "encoding"):
        data = bytes(message.data)
        if data[:2] in _MAGIC:
            return Picture(camera, stamp, data, _MAGIC[data[:2]])
    image = decode_camera(message, camera)
    file = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return Picture(camera, stamp, file.tobytes())


def _imagined(camera: str, message: Any, received: float) -> Imagined:
    return Imagined(camera, stamp_seconds(message.header.stamp), decode_camera(message, camera))


def _calibration(camera: str, message: Any, received: float) -> Calibration | None:
    intrinsics = np.array(message.k, np.float64).reshape(3, 3)
    if not (intrinsics[0, 0] > 0.0 and intrinsics[1, 1] > 0.0):
        return None  # a camera that was never calibrated sends zeros
    return Calibration(camera, intrinsics, int(message.width), int(message.height))


def _measured(message: Any, received: float) -> Measured:
    return Measured(stamp_seconds(message.header.stamp), joint_positions(message, ARM_JOINTS, "joint_states"))


def _commanded(message: Any, received: float) -> Commanded | None:
    """The first point of a trajectory; its time is that of its arrival, because commands carry none."""
    if not message.points or len(message.points[0].positions) < len(ARM_JOINTS):
        return None
    return Commanded(received, np.array(message.points[0].positions[: len(ARM_JOINTS)], np.float64))


def _instruction(message: Any, received: float) -> Instruction:
    return Instruction(received, str(message.data))


def _asked(message: Any, received: float) -> Instruction:
    return Instruction(received, str(message.instruction))


def _reasoning(message: Any, received: float) -> Reasoning:
    return Reasoning(received, str(message.data))


def _published(message: Any, received: float) -> Published:
    chunk = chunk_from_message(message)
    if len(chunk.names) <= len(ARM_JOINTS):
        raise ActionError(
            f"Chunk {chunk.sequence} has {len(chunk.names)} columns ({', '.join(chunk.names)}); shown are chunks of "
            "six numbers for the arm and one for the gripper."
        )
    return Published(chunk, int(message.nfe), float(message.latency))


def _traced(message: Any, received: float) -> Traced:
    steps = int(message.num_steps)
    sizes = zip(message.segments, message.segment_rows, message.segment_columns, strict=False)
    segments = tuple(Segment(str(name), int(rows), int(columns)) for name, rows, columns in sizes)
    size = sum(segment.size for segment in segments)
    shaped = partial(_shaped, int(message.sequence), (steps, size))
    trace = Trace(
        epoch=int(message.epoch),
        sequence=int(message.sequence),
        segments=segments,
        tokens=shaped("tokens", np.array(message.tokens, np.int32)),
        confidence=shaped("confidence", np.array(message.confidence, np.float32)),
        committed=shaped("committed", np.array(message.committed, bool)),
        remasked=shaped("remasked", np.array(message.remasked, bool)),
        frozen=shaped("frozen", np.array(message.frozen, bool)),
        mask_token=int(message.mask_token),
        preprocess_s=float(message.preprocess_s),
        prefill_s=float(message.prefill_s),
        denoise_s=float(message.denoise_s),
    )
    return Traced(received, trace)


def _shaped(sequence: int, shape: tuple[int, int], name: str, values: np.ndarray) -> np.ndarray:
    if values.size != shape[0] * shape[1]:
        raise ActionError(
            f"The trace of chunk {sequence} has {values.size} values of {name}; "
            f"{shape[0]} steps of {shape[1]} positions need {shape[0] * shape[1]}."
        )
    return values.reshape(shape)


def _status(message: Any, received: float) -> Status:
    return Status(
        stamp=stamp_seconds(message.header.stamp),
        state=str(message.state),
        reason=str(message.reason),
        message=str(message.message),
        epoch=int(message.epoch),
        sequence=int(message.sequence),
        accepted=bool(message.accepted),
    )


def _policy(message: Any, received: float) -> Policy:
    names, values = list(message.parameter_names), list(message.parameter_values)
    facts = [
        ("system", str(message.system)),
        ("checkpoint", str(message.checkpoint)),
        ("fingerprint", str(message.fingerprint)),
        ("horizon", f"{message.horizon} rows of {stamp_seconds(message.dt):g} s, {message.execute_steps} executed"),
        ("version", f"{message.version} {message.git}".strip()),
        ("machine", str(message.machine)),
        *((str(name), _plain(str(value))) for name, value in zip(names, values, strict=False)),
    ]
    return Policy(received, tuple(facts))


def _plain(value: str) -> str:
    try:
        plain = json.loads(value)
    except ValueError:
        return value
    return plain if isinstance(plain, str) else value


def _outcome(message: Any, received: float) -> Outcome:
    detail = f" ({message.detail})" if message.detail else ""
    outcome = str(message.outcome)
    return Outcome(
        stamp_seconds(message.header.stamp),
        f"episode {message.episode}, {message.task}: {outcome}{detail}",
        outcome != "running",
    )
