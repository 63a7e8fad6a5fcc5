"""How fast a recording is read and aligned, and how much memory that takes.

Examples:
    .venv/bin/python benchmarks/bag_reading.py --minutes 1
    .venv/bin/python benchmarks/bag_reading.py --json benchmarks/results/bag_reading.json --write docs/benchmarks.md

Makes a bag as `ros2 bag record` writes it (mcap, chunks of 768 KiB, not compressed): two cameras of 640 x 480 and joint
states at 100 Hz. A fresh process reads it and builds an observation every 0.2 s, as a policy asks for them: all images
are read and checked, two are decoded for each observation. The same at half the length shows whether memory grows.
Bags are removed afterwards; 10 minutes of raw images need 17 GB of disk.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from mcap.writer import CompressionType, Writer
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.errors import ObservationError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.provenance import machine_line, machine_name
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.message_types import type_store
from dvla_ros.recordings.observations import observations
from dvla_ros.recordings.topics import COMPRESSED_IMAGE, IMAGE, JOINT_STATE, RecordedTopics

console = wide_console()
PART = "bag reading"
TOPICS = RecordedTopics()
WIDTH, HEIGHT, JOINTS_HZ, OBSERVATION_S = 640, 480, 100.0, 0.2
BEGIN_S = 1_700_000_000.0
CHUNK_BYTES = 768 * 1024
PICTURES = 32
"""So many different pictures follow each other again and again."""


@dataclass(frozen=True)
class BagReadingConfig:
    """Read and align a recording, and measure time and memory.

    Attributes:
        minutes: Length of the recording.
        camera_hz: Pictures per second of each camera.
        images: Which kinds: raw, jpeg or both.
        folder: Where to make the bags; a temporary folder by default.
        json: File for the figures.
        write: Page whose table is to be renewed.
        read: Only read this bag and print the figures as JSON; what the fresh process does.
    """

    minutes: float = 10.0
    camera_hz: float = 15.0
    images: tuple[str, ...] = ("jpeg", "raw")
    folder: Path | None = None
    json: Path | None = None
    write: Path | None = None
    read: Path | None = None


@dataclass(frozen=True)
class Reading:
    """What reading one bag took.

    Attributes:
        images: raw or jpeg.
        recorded_s: Length of the recording.
        gigabytes: Size of its file.
        messages: Read.
        observations: Built.
        seconds: Wall time of reading and alignment.
        processor_s: Processor time of it.
        peak_mb: Most memory of the process, libraries included.
        before_mb: Most memory before reading.
    """

    images: str
    recorded_s: float
    gigabytes: float
    messages: int
    observations: int
    seconds: float
    processor_s: float
    peak_mb: float
    before_mb: float

    @property
    def realtime_factor(self) -> float:
        """Seconds of recording in a second."""
        return self.recorded_s / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    config = tyro.cli(BagReadingConfig, args=arguments)
    if config.read is not None:
        print(json.dumps(asdict(read(config.read))))
        return 0
    readings = [
        measured(config, images, minutes)
        for images in config.images
        for minutes in (config.minutes / 2, config.minutes)
    ]
    table = table_of(readings)
    show(console, table, machine_line(), leave_out="")
    if config.json is not None:
        rows = [{**asdict(reading), "realtime_factor": reading.realtime_factor} for reading in readings]
        write_json(console, config.json, {"machine": machine_line(), "readings": rows})
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{machine_name()}.")
    return 0


def measured(config: BagReadingConfig, images: str, minutes: float) -> Reading:
    """Make a bag, read it in a fresh process, remove it."""
    with tempfile.TemporaryDirectory(dir=config.folder) as folder:
        bag = Path(folder) / f"{images}.mcap"
        make(bag, images, 60.0 * minutes, config.camera_hz)
        console.print(f"{images}, {minutes:g} min: {bag.stat().st_size / 1e9:.2f} GB. Reading ...")
        command = [sys.executable, __file__, "--read", str(bag)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Reading(**json.loads(done.stdout.splitlines()[-1]))


def read(bag: Path) -> Reading:
    """Read and align a bag in this process."""
    before = peak_mb()
    count, begun, processor = 0, time.perf_counter(), time.process_time()
    with Bag(bag) as opened:
        anchors = np.arange(opened.start + 1.0, opened.end - 0.5, OBSERVATION_S).tolist()
        for _, observation in observations(opened, TOPICS, AlignmentConfig(), anchors, "pick up the red cube"):
            if isinstance(observation, ObservationError):
                raise observation
            count += 1
        seconds, spent = time.perf_counter() - begun, time.process_time() - processor
        recorded = opened.end - opened.start
        messages = sum(1 for _ in opened.arrivals(opened.topics))
    size = bag.stat().st_size / 1e9
    return Reading(bag.stem, recorded, size, messages, count, seconds, spent, peak_mb(), before)


def peak_mb() -> float:
    """Most resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def make(path: Path, images: str, seconds: float, camera_hz: float) -> None:
    """Write a recording."""
    store = type_store()
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="")
        channels: dict[str, int] = {}
        for topic, stamp, message in stream(images, seconds, camera_hz):
            kind = message.__msgtype__
            if topic not in channels:
                definition, _ = store.generate_msgdef(kind, ros_version=2)
                schema = writer.register_schema(kind, "ros2msg", definition.encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            data, now = bytes(store.serialize_cdr(message, kind)), round((stamp + 0.004) * 1e9)
            writer.add_message(channels[topic], now, data, now)
        writer.finish()


def stream(images: str, seconds: float, camera_hz: float) -> Iterator[tuple[str, float, Any]]:
    """Topic, stamp and message, in order of time."""
    pictures = [encoded(images, number) for number in range(PICTURES)]
    due = {camera: BEGIN_S + 0.01 * number for number, camera in enumerate(TOPICS.cameras)}
    shown = 0
    for tick in range(round(seconds * JOINTS_HZ)):
        now = BEGIN_S + tick / JOINTS_HZ
        yield TOPICS.joint_states, now, joints(now)
        for camera, stamp in due.items():
            if stamp <= now:
                shown += 1
                yield camera_topic(camera, images == "jpeg"), stamp, picture(images, stamp, pictures[shown % PICTURES])
                due[camera] += 1.0 / camera_hz


def encoded(images: str, number: int) -> np.ndarray:
    """Bytes of a picture: shapes on a gradient, and the noise of a sensor."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([rows / 3, columns / 4, (rows + columns) / 6], axis=-1)
    pixels = (ground + np.random.default_rng(number).normal(0.0, 3.0, ground.shape)).clip(0, 255).astype(np.uint8)
    cv2.rectangle(pixels, (40 + 10 * number, 200), (140 + 10 * number, 300), (200, 30, 30), -1)
    return cv2.imencode(".jpg", pixels)[1].reshape(-1) if images == "jpeg" else pixels.reshape(-1)


def picture(images: str, stamp: float, data: np.ndarray) -> Any:
    """A camera's message."""
    if images == "jpeg":
        return made(COMPRESSED_IMAGE, header=header(stamp), format="jpeg", data=data)
    size = {"height": HEIGHT, "width": WIDTH, "step": 3 * WIDTH}
    return made(IMAGE, header=header(stamp), encoding="rgb8", is_bigendian=0, data=data, **size)


def joints(stamp: float) -> Any:
    """A joint state message of a waist that swings."""
    position = np.array([*NEUTRAL, 0.0, FINGER_OPEN, -FINGER_OPEN])
    position[0] = np.sin(stamp - BEGIN_S)
    rest = {"velocity": np.zeros(9), "effort": np.zeros(9)}
    return made(JOINT_STATE, header=header(stamp), name=list(JOINT_STATE_ORDER), position=position, **rest)


def header(stamp: float) -> Any:
    """A header."""
    whole = round(stamp * 1e9)
    time_of = made("builtin_interfaces/msg/Time", sec=whole // 10**9, nanosec=whole % 10**9)
    return made("std_msgs/msg/Header", stamp=time_of, frame_id="")


def made(kind: str, **fields: Any) -> Any:
    """A message."""
    return type_store().types[kind](**fields)


def table_of(readings: Sequence[Reading]) -> FigureTable:
    """One row for each bag."""
    headings = (
        "images",
        "minutes",
        "GB",
        "observations",
        "seconds",
        "× real time",
        "processor s",
        "× real time of it",
        "peak MB",
        "before MB",
    )
    rows = [
        (
            reading.images,
            f"{reading.recorded_s / 60.0:.1f}",
            f"{reading.gigabytes:.2f}",
            f"{reading.observations}",
            f"{reading.seconds:.1f}",
            f"{reading.realtime_factor:.1f}",
            f"{reading.processor_s:.1f}",
            f"{reading.recorded_s / reading.processor_s:.1f}",
            f"{reading.peak_mb:.0f}",
            f"{reading.before_mb:.0f}",
        )
        for reading in readings
    ]
    return FigureTable(headings, tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
