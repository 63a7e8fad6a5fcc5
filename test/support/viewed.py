"""Chunks, traces and messages to be shown."""

from dataclasses import replace
from typing import Any

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.recordings.message_types import type_store
from dvla_ros.view.facts import Published
from dvla_ros.view.trace import Segment, Trace

NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
MASK = 300
BEGIN = 1_700_000_000.0
TYPES = type_store()


def chunk(sequence: int = 1, stamp: float = BEGIN, **changes: Any) -> ActionChunk:
    """Eight rows of 0.2 s, each 1 cm forward and half a centimetre down; the gripper closes in row 5."""
    actions = np.zeros((8, 7), np.float32)
    actions[:, 0], actions[:, 2], actions[:, 6] = 0.01, -0.005, 1.0
    actions[5:, 6] = 0.0
    made = ActionChunk(
        stamp=stamp,
        dt=0.2,
        actions=actions,
        mode=ControlMode.EE_DELTA,
        names=NAMES,
        sequence=sequence,
        epoch=7,
        execute_steps=3,
        observation_stamp=stamp - 0.1,
        confidence=np.linspace(0.0, 1.0, 56, dtype=np.float32).reshape(8, 7),
    )
    return replace(made, **changes)


def published(sequence: int = 1, stamp: float = BEGIN, **changes: Any) -> Published:
    """A chunk that was published 0.15 s after its observation, which is 0.1 s before its first row."""
    return Published(chunk(sequence, stamp, **changes), nfe=6, latency_s=0.15)


def trace(sequence: int = 1, segments: tuple[Segment, ...] = (Segment("action", 2, 3),)) -> Trace:
    """Three steps: the first position is frozen, one is committed, masked again, and committed again."""
    size = sum(segment.size for segment in segments)
    tokens = np.full((3, size), MASK, np.int32)
    committed, remasked, frozen = (np.zeros((3, size), bool) for _ in range(3))
    frozen[:, 0], tokens[:, 0] = True, 5
    committed[0, 1], tokens[:, 1] = True, 9
    committed[0, 2], remasked[1, 2], committed[2, 2] = True, True, True
    tokens[0, 2] = tokens[2, 2] = 4
    confidence = np.linspace(0.0, 1.0, 3 * size, dtype=np.float32).reshape(3, size)
    return Trace(7, sequence, segments, tokens, confidence, committed, remasked, frozen, MASK, 0.01, 0.03, 0.06)


def message(kind: str, **fields: Any) -> Any:
    """A message as bags give it; `header` is filled from `stamp` where the type has one."""
    if "stamp" in fields:
        header = TYPES.types["std_msgs/msg/Header"](stamp=time_of(fields.pop("stamp")), frame_id="wx250s/base_link")
        fields["header"] = header
    return TYPES.types[kind](**fields)


def time_of(seconds: float, kind: str = "builtin_interfaces/msg/Time") -> Any:
    """A time or duration."""
    whole = int(np.floor(seconds))
    return TYPES.types[kind](sec=whole, nanosec=round((seconds - whole) * 1e9))


def chunk_message(made: Published) -> Any:
    """The message of a chunk."""
    its = made.chunk
    return message(
        "dvla_ros/msg/ActionChunk",
        stamp=its.stamp,
        observation_stamp=time_of(its.observation_stamp),
        sequence=its.sequence,
        epoch=its.epoch,
        control_mode=int(its.mode),
        names=list(its.names),
        dt=time_of(its.dt, "builtin_interfaces/msg/Duration"),
        horizon=its.horizon,
        execute_steps=its.execute_steps,
        execute_reserve=its.execute_reserve,
        frozen_steps=its.frozen_steps,
        decided_steps=its.horizon,
        data=its.actions.ravel(),
        confidence=its.confidence.ravel(),
        nfe=made.nfe,
        latency=made.latency_s,
    )


def trace_message(made: Trace, stamp: float = BEGIN) -> Any:
    """The message of a trace."""
    return message(
        "dvla_ros/msg/DenoisingTrace",
        stamp=stamp,
        sequence=made.sequence,
        epoch=made.epoch,
        num_steps=made.steps,
        horizon=8,
        action_dim=7,
        segments=[segment.name for segment in made.segments],
        segment_rows=np.array([segment.rows for segment in made.segments], np.uint16),
        segment_columns=np.array([segment.columns for segment in made.segments], np.uint16),
        mask_token=made.mask_token,
        tokens=made.tokens.ravel(),
        confidence=made.confidence.ravel(),
        committed=made.committed.ravel(),
        remasked=made.remasked.ravel(),
        frozen=made.frozen.ravel(),
        preprocess_s=made.preprocess_s,
        prefill_s=made.prefill_s,
        denoise_s=made.denoise_s,
    )


def joints_message(stamp: float, joints: np.ndarray = NEUTRAL) -> Any:
    """Joint states of the six arm joints."""
    nothing = np.empty(0)
    return message(
        "sensor_msgs/msg/JointState",
        stamp=stamp,
        name=list(ARM_JOINTS),
        position=np.array(joints, np.float64),
        velocity=nothing,
        effort=nothing,
    )


def image_message(stamp: float, colour: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (64, 48)) -> Any:
    """An rgb8 picture of one colour; size is width and height."""
    width, height = size
    data = np.tile(np.array(colour, np.uint8), width * height)
    return message(
        "sensor_msgs/msg/Image",
        stamp=stamp,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=data,
    )
