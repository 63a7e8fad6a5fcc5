"""Small bags for tests: messages made by hand, written with `rosbags`, of a robot that moves.

    messages = [*robot(start=5.0, seconds=2.0), (TOPICS.instruction, 5.0, text("pick up the red cube"))]
    bag = write_bag(tmp_path / "bag", messages)

A message to be written is (topic, seconds of its recording, message). Times of stamps and recordings are seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.recordings.message_types import type_store
from dvla_ros.recordings.topics import RecordedTopics

TOPICS = RecordedTopics()
ROBOT_S, CAMERA_HZ, JOINTS_HZ = 1.0, 10.0, 50.0
Written = tuple[str, float, Any]


def write_bag(
    folder: Path,
    messages: Iterable[Written],
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
) -> Path:
    """A bag with these messages, written in this order; its folder."""
    writer = Writer(folder, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, recorded, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=type_store())
            writer.write(connections[topic], round(recorded * 1e9), cdr(message))
    return folder


def cdr(message: Any) -> bytes:
    """A message, serialised."""
    return bytes(type_store().serialize_cdr(message, message.__msgtype__))


def make(kind: str, **fields: Any) -> Any:
    """A message of any type with all its fields, e.g. `make("std_msgs/msg/String", data="hello")`."""
    return type_store().types[kind](**fields)


def time(seconds: float) -> Any:
    """A stamp."""
    whole = round(seconds * 1e9)
    return make("builtin_interfaces/msg/Time", sec=whole // 10**9, nanosec=whole % 10**9)


def duration(seconds: float) -> Any:
    """A duration."""
    whole = round(seconds * 1e9)
    return make("builtin_interfaces/msg/Duration", sec=whole // 10**9, nanosec=whole % 10**9)


def header(seconds: float, frame: str = "") -> Any:
    """A header."""
    return make("std_msgs/msg/Header", stamp=time(seconds), frame_id=frame)


def image(seconds: float, picture: np.ndarray | int, encoding: str = "rgb8") -> Any:
    """A raw image of a picture uint8 `[H, W, 3]`, or of one grey level, 6 x 4."""
    pixels = np.full((4, 6, 3), picture, np.uint8) if isinstance(picture, int) else picture
    height, width = pixels.shape[:2]
    size = {"height": height, "width": width, "step": pixels[0].nbytes}
    data = np.ascontiguousarray(pixels).reshape(-1)
    return make("sensor_msgs/msg/Image", header=header(seconds), encoding=encoding, is_bigendian=0, data=data, **size)


def jpeg(seconds: float, picture: np.ndarray | int, form: str = ".jpg") -> Any:
    """The same compressed, JPEG or `.png`."""
    pixels = np.full((4, 6, 3), picture, np.uint8) if isinstance(picture, int) else picture
    _, data = cv2.imencode(form, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    kind = "jpeg" if form == ".jpg" else form[1:]
    return make("sensor_msgs/msg/CompressedImage", header=header(seconds), format=kind, data=data.reshape(-1))


def joint_states(seconds: float, arm: Sequence[float] | np.ndarray = NEUTRAL, finger: float = FINGER_OPEN) -> Any:
    """Joint states of a WidowX: six joints (rad), the left finger (m)."""
    position = np.array([*arm, 0.0, finger, -finger])
    names, none = list(JOINT_STATE_ORDER), np.empty(0)
    return make(
        "sensor_msgs/msg/JointState", header=header(seconds), name=names, position=position, velocity=none, effort=none
    )


def text(words: str) -> Any:
    """An instruction."""
    return make("std_msgs/msg/String", data=words)


def chunk(
    seconds: float, rows: np.ndarray, sequence: int = 0, epoch: int = 1, mode: int = 3, dt: float = 0.2, **fields: Any
) -> Any:
    """An ActionChunk of `rows` `[H, 7]`, EE_DELTA by default; other fields by name."""
    names = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]
    rows = np.asarray(rows, np.float32)
    given = {
        "header": header(seconds, "wx250s/base_link"),
        "observation_stamp": time(seconds),
        "sequence": sequence,
        "epoch": epoch,
        "control_mode": mode,
        "names": names,
        "dt": duration(dt),
        "horizon": len(rows),
        "execute_steps": len(rows),
        "execute_reserve": False,
        "frozen_steps": 0,
        "decided_steps": len(rows),
        "data": rows.reshape(-1),
        "confidence": np.ones(rows.size, np.float32),
        "nfe": 1,
        "latency": 0.0,
    }
    return make("dvla_ros/msg/ActionChunk", **{**given, **fields})


def request(
    seconds: float, instruction: str = "pick up the red cube", sequence: int = 0, epoch: int = 1, **fields: Any
) -> Any:
    """An InferenceRequest for the anchor `seconds`; other fields by name."""
    given = {
        "header": header(seconds, "wx250s/base_link"),
        "sequence": sequence,
        "epoch": epoch,
        "instruction": instruction,
        "cameras": list(TOPICS.cameras),
        "image_stamps": [time(seconds) for _ in TOPICS.cameras],
        "state": np.zeros(7),
        "observation_crc": 0,
        "seed": sequence,
        "frozen_steps": 0,
        "needed_steps": -1,
        "deadline": 0.0,
        "guess": np.empty(0, np.float32),
        "guess_confidence": np.empty(0, np.float32),
    }
    return make("dvla_ros/msg/InferenceRequest", **{**given, **fields})


def trajectory(
    seconds: float, positions: Sequence[float] | np.ndarray, names: Sequence[str], after: float = 0.02
) -> Any:
    """A JointTrajectory of one point, due `after` seconds."""
    none = np.empty(0)
    point = make(
        "trajectory_msgs/msg/JointTrajectoryPoint",
        positions=np.asarray(positions, float),
        velocities=none,
        accelerations=none,
        effort=none,
        time_from_start=duration(after),
    )
    kind = "trajectory_msgs/msg/JointTrajectory"
    return make(kind, header=header(seconds), joint_names=list(names), points=[point])


def task_status(seconds: float, episode: int, instruction: str, outcome: str = "running") -> Any:
    """A TaskStatus of the simulated scene."""
    return make(
        "dvla_ros/msg/TaskStatus",
        header=header(seconds),
        episode=episode,
        task="pick_red",
        instruction=instruction,
        seed=episode,
        outcome=outcome,
        detail="",
        elapsed=0.0,
    )


def service_event(seconds: float, sequence: int, event: int = 1, client: int = 0) -> Any:
    """What every service event begins with: 0 request sent, 1 received, 2 response sent, 3 received."""
    gid = np.full(16, client, np.uint8)
    kind = "service_msgs/msg/ServiceEventInfo"
    return make(kind, event_type=event, stamp=time(seconds), client_gid=gid, sequence_number=sequence)


def robot(
    start: float = 5.0,
    seconds: float = ROBOT_S,
    compressed: Sequence[str] = (),
    size: tuple[int, int] = (4, 6),
    delay: float = 0.005,
    cameras: Sequence[str] = TOPICS.cameras,
) -> Iterator[Written]:
    """A robot whose waist turns 1 rad/s: joints at 50 Hz, cameras at 10 Hz, the second 20 ms behind the first.

    Pictures are noise that the camera and the number of the frame decide. All is recorded `delay` seconds after its
    stamp; `compressed` names the cameras that send JPEG.
    """
    every = round(JOINTS_HZ / CAMERA_HZ)
    for tick in range(round(seconds * JOINTS_HZ)):
        stamp = start + tick / JOINTS_HZ
        yield TOPICS.joint_states, stamp + delay, joint_states(stamp, [tick / JOINTS_HZ, *NEUTRAL[1:]])
        for number, camera in enumerate(cameras):
            if tick % every == number:
                encode = jpeg if camera in compressed else image
                picture = noise(number, tick // every, size)
                yield camera_topic(camera, camera in compressed), stamp + delay, encode(stamp, picture)


def noise(camera: int, frame: int, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    """A picture uint8 `[H, W, 3]` that is another for each camera and frame."""
    return np.random.default_rng((camera, frame)).integers(0, 256, (*size, 3), dtype=np.uint8)
