"""ROS messages to the package's own data classes and back."""

import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.joint_positions import joint_positions
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import DenoisingTrace as DenoisingTraceMessage
from dvla_ros.msg import InferenceRequest
from dvla_ros.nodes.run import Inference
from dvla_ros.policies.base import Prediction


def seconds(stamp: Time | Duration) -> float:
    """Seconds of a ROS time or duration."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def to_time(time_s: float) -> Time:
    """ROS time of a number of seconds (never negative)."""
    sec, nanosec = _split(time_s)
    return Time(sec=sec, nanosec=nanosec)


def to_duration(duration_s: float) -> Duration:
    """ROS duration of a number of seconds."""
    sec, nanosec = _split(duration_s)
    return Duration(sec=sec, nanosec=nanosec)


def _split(value_s: float) -> tuple[int, int]:
    """Whole seconds and nanoseconds; `seconds` of them is the same number again, bit for bit."""
    whole = math.floor(value_s)
    carry, nanosec = divmod(round((value_s - whole) * 1e9), 1_000_000_000)
    return whole + carry, nanosec


def joints_by_name(message: JointState, names: Sequence[str], what: str = "joint_states") -> np.ndarray:
    """Positions float64 `[len(names)]` (rad or m) of the named joints, whatever the message's order.

    Raises:
        ObservationError: A joint is missing, has no position, or its position is not finite.
    """
    return joint_positions(message, names, what)


def chunk_to_message(chunk: ActionChunk, frame_id: str, nfe: int, latency_s: float) -> ActionChunkMessage:
    """The message of a chunk.

    Args:
        chunk: What is to be sent.
        frame_id: Base frame of the arm.
        nfe: Network function evaluations it took.
        latency_s: Seconds from the observation to publication.
    """
    message = ActionChunkMessage(
        header=Header(stamp=to_time(chunk.stamp), frame_id=frame_id),
        observation_stamp=to_time(chunk.observation_stamp),
        sequence=chunk.sequence,
        epoch=chunk.epoch,
        control_mode=int(chunk.mode),
        names=list(chunk.names),
        dt=to_duration(chunk.dt),
        horizon=chunk.horizon,
        execute_steps=chunk.execute_steps,
        execute_reserve=chunk.execute_reserve,
        frozen_steps=chunk.frozen_steps,
        decided_steps=chunk.horizon if chunk.decided_steps is None else chunk.decided_steps,
        nfe=nfe,
        latency=latency_s,
    )
    message.data.frombytes(np.ascontiguousarray(chunk.actions, np.float32).tobytes())
    if chunk.confidence is not None:
        message.confidence.frombytes(np.ascontiguousarray(chunk.confidence, np.float32).tobytes())
    return message


def trace_to_message(prediction: Prediction, chunk: ActionChunkMessage) -> DenoisingTraceMessage:
    """The message that tells how a chunk came about; steps are stacked row-major `[S, L]`."""
    steps = prediction.trace
    message = DenoisingTraceMessage(
        header=chunk.header,
        sequence=chunk.sequence,
        epoch=chunk.epoch,
        num_steps=len(steps),
        horizon=chunk.horizon,
        action_dim=len(chunk.names),
        segments=[part.name for part in prediction.canvas],
        segment_rows=[part.rows for part in prediction.canvas],
        segment_columns=[part.columns for part in prediction.canvas],
        mask_token=prediction.mask_token,
        preprocess_s=prediction.timings.preprocess_s,
        prefill_s=prediction.timings.prefill_s,
        denoise_s=prediction.timings.denoise_s,
    )
    for step in steps:
        message.tokens.frombytes(np.ascontiguousarray(step.tokens, np.int32).tobytes())
        message.confidence.frombytes(np.ascontiguousarray(step.confidence, np.float32).tobytes())
    message.committed = [bool(value) for step in steps for value in np.ravel(step.committed)]
    message.remasked = [bool(value) for step in steps for value in np.ravel(step.remasked)]
    message.frozen = [bool(value) for step in steps for value in np.ravel(step.frozen)]
    return message


def request_to_message(inference: Inference, frame_id: str) -> InferenceRequest:
    """The message that tells what the policy was asked for a chunk."""
    observation, ask = inference.observation, inference.ask
    message = InferenceRequest(
        header=Header(stamp=to_time(observation.stamp), frame_id=frame_id),
        sequence=inference.chunk.sequence,
        epoch=inference.chunk.epoch,
        instruction=observation.instruction,
        cameras=list(observation.image_stamps),
        image_stamps=[to_time(stamp) for stamp in observation.image_stamps.values()],
        state=observation.state.tolist(),
        observation_crc=observation.crc,
        seed=inference.seed,
        frozen_steps=len(ask.frozen),
        needed_steps=-1 if ask.needed_steps is None else ask.needed_steps,
        deadline=ask.deadline_s or 0.0,
    )
    if ask.guess is not None and ask.guess_confidence is not None:
        message.guess.frombytes(np.ascontiguousarray(ask.guess, np.float32).tobytes())
        message.guess_confidence.frombytes(np.ascontiguousarray(ask.guess_confidence, np.float32).tobytes())
    return message
