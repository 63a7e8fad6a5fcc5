"""Whatever the rates, delays and losses: what an observation promises."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.alignment_config import StreamTiming
from dvla_ros.control.assembler import JOINTS, AssemblerConfig, ObservationAssembler
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError

LIMITS = AssemblerConfig(max_age_s=0.4, max_skew_s=0.12)
OFFSET, SLOPE = np.linspace(-1.0, 1.0, 7), np.linspace(-2.0, 2.0, 7)
CAMERAS = ("front", "wrist")


@dataclass(frozen=True)
class Arrival:
    stream: str
    number: int
    stamp: float
    received: float


@st.composite
def arrivals(draw: st.DrawFn, stream: str) -> list[Arrival]:
    """Two seconds of a stream with its own rate, phase, jitter, delays and losses."""
    rate, phase = draw(st.floats(3.0, 60.0)), draw(st.floats(0.0, 0.3))
    seed, loss = draw(st.integers(0, 2**32 - 1)), draw(st.floats(0.0, 0.7))
    delay = draw(st.floats(0.0, 0.3))
    random = np.random.default_rng(seed)
    result = []
    for number, stamp in enumerate(np.arange(10.0 + phase, 12.0, 1.0 / rate).tolist()):
        if random.random() >= loss:
            taken = stamp + random.uniform(-0.3, 0.3) / rate
            result.append(Arrival(stream, number, taken, taken + random.uniform(0.0, delay)))
    return result


class Kept:
    """What a stream must have kept: samples in the order of arrival whose stamps grow."""

    def __init__(self) -> None:
        self.stamps: dict[str, list[float]] = {name: [] for name in (*CAMERAS, JOINTS)}

    def store(self, stream: str, stamp: float) -> None:
        if not self.stamps[stream] or stamp > self.stamps[stream][-1]:
            self.stamps[stream].append(stamp)


def picture(number: int) -> np.ndarray:
    return np.full((2, 2, 3), (number % 256, number // 256, 7), np.uint8)


def assembler(latency_s: float) -> ObservationAssembler:
    timing = StreamTiming(60.0, latency_s)
    result = ObservationAssembler(LIMITS, lambda stamp: OFFSET + SLOPE * stamp, lambda joints: joints, timing)
    for camera in CAMERAS:
        result.add_camera(camera, picture, 60.0, latency_s=latency_s)
    result.set_instruction("pick up the red cube")
    return result


def check(observation: Observation, now: float, kept: Kept, stamps: dict[tuple[str, int], float]) -> None:
    anchor = observation.stamp
    assert anchor == min(of_stream[-1] for of_stream in kept.stamps.values())
    assert now - anchor <= LIMITS.max_age_s
    for camera in CAMERAS:
        low, high, _ = observation.images[camera][0, 0].tolist()
        distance = abs(stamps[camera, low + 256 * high] - anchor)
        assert distance == min(abs(stamp - anchor) for stamp in kept.stamps[camera])
        assert distance <= LIMITS.max_skew_s
    joints = kept.stamps[JOINTS]
    if joints[0] <= anchor:
        assert np.abs(observation.state - (OFFSET + SLOPE * anchor)).max() < 1e-9
    assert min(abs(stamp - anchor) for stamp in joints) <= LIMITS.max_skew_s


@given(arrivals("front"), arrivals("wrist"), arrivals(JOINTS), st.sampled_from([0.0, 0.125]))
@settings(max_examples=30)
def test_every_observation_keeps_its_promises(
    front: list[Arrival], wrist: list[Arrival], joints: list[Arrival], latency_s: float
) -> None:
    streams, kept, stamps = assembler(latency_s), Kept(), {}
    for arrival in sorted([*front, *wrist, *joints], key=lambda arrival: arrival.received):
        stamped = arrival.stamp + latency_s
        taken = stamped - latency_s
        now = max(arrival.received, taken)
        kept.store(arrival.stream, taken)
        if arrival.stream == JOINTS:
            streams.store_joints(stamped, taken, now)
        else:
            stamps[arrival.stream, arrival.number] = taken
            streams.store_image(arrival.stream, stamped, arrival.number, now)
        try:
            observation = streams.assemble(now, 0.0)
        except ObservationError:
            continue
        if observation is not None:
            check(observation, now, kept, stamps)


@given(st.floats(5.0, 60.0), st.floats(5.0, 200.0), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_steady_streams_in_any_order_of_arrival_give_an_observation_at_every_time(
    camera_hz: float, joints_hz: float, seed: int
) -> None:
    streams = assembler(latency_s=0.0)
    random = np.random.default_rng(seed)
    for tick in np.arange(10.0, 12.0, 0.2).tolist():
        waiting = {
            stream: np.arange(tick, tick + 0.2, 1.0 / rate).tolist()[::-1]
            for stream, rate in ((JOINTS, joints_hz), *((camera, camera_hz) for camera in CAMERAS))
        }
        while left := [stream for stream, stamps in waiting.items() if stamps]:
            stream = left[random.integers(len(left))]
            stamp = waiting[stream].pop()
            if stream == JOINTS:
                streams.store_joints(stamp, stamp, tick + 0.2)
            else:
                streams.store_image(stream, stamp, 1, tick + 0.2)
        observation = streams.assemble(tick + 0.2, 0.0)
        assert observation is not None and tick <= observation.stamp <= tick + 0.2
