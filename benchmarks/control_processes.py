"""What runs beside the chunker node in the control-loop benchmark, each in a process of its own."""

import os
import time
from pathlib import Path
from threading import Event

import numpy as np

from dvla_ros.control.bridge import ACTION_LOWER, ACTION_NAMES, ACTION_UPPER
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.controller import ChunkController, ControllerConfig
from dvla_ros.control.inference_priority import give_way_to_control
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.observation import Observation
from dvla_ros.control.pacing import PacedThread
from dvla_ros.control.period_statistics import PeriodStatistics, PeriodSummary
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL

DT, HORIZON, EXECUTE_STEPS = 0.2, 8, 5
LEAD_S = 0.02
_GENTLE = 0.2


def random_chunk(rng: np.random.Generator, sequence: int, now: float) -> ActionChunk:
    """Random increments, small ones; each odd chunk goes back the way of an equally long one, so that none drifts off.

    Args:
        rng: Source of the increments.
        sequence: Number of the chunk.
        now: Seconds on the clock of the chunk's stamp.
    """
    actions = rng.uniform(_GENTLE * ACTION_LOWER, _GENTLE * ACTION_UPPER, (HORIZON, len(ACTION_NAMES)))
    actions[:, :3] = np.abs(actions[:, :3]) * (-1.0) ** sequence
    actions[:, -1] = sequence % 2
    return ActionChunk(
        stamp=now + LEAD_S,
        dt=DT,
        actions=actions.astype(np.float32),
        mode=ControlMode.EE_DELTA,
        names=ACTION_NAMES,
        sequence=sequence,
        execute_steps=EXECUTE_STEPS,
        execute_reserve=True,
        observation_stamp=now,
    )


def infer_until(checkpoint: Path, seed: int, ready: Event, stop: Event) -> list[float]:
    """Infer without a pause, giving way as the policy node does; returns the seconds that each prediction took."""
    import torch

    from dvla_ros.policies.load import load_policy

    policy, rng = load_policy(checkpoint), np.random.default_rng(seed)
    torch.set_num_threads(give_way_to_control().threads)
    images = {name: rng.integers(0, 256, (480, 640, 3), dtype=np.uint8) for name in policy.spec.cameras}
    observation = Observation(0.0, images, np.zeros(policy.spec.state_dim), "pick up the red cube")
    seconds: list[float] = []
    while not stop.is_set():
        seconds.append(policy.predict(observation, seed=seed).timings.total_s)
        ready.set()
    return seconds


def spin() -> None:
    """Compute without end, in a session of its own: sessions share the processor equally, this one with the node's."""
    os.setsid()
    while True:
        pass


def sleep_loop(rate_hz: float, duration_s: float, seed: int) -> PeriodSummary:
    """The baseline: the same controller in a plain loop that works, then sleeps for one period."""
    controller, rng = ChunkController(ControllerConfig(), WidowXKinematics()), np.random.default_rng(seed)
    statistics, sequence, joints = PeriodStatistics(rate_hz), 0, NEUTRAL
    due = end = time.monotonic()
    while time.monotonic() < end + duration_s:
        statistics.record_start()
        if time.monotonic() >= due:
            controller.accept(random_chunk(rng, sequence, due), due)
            due, sequence = due + EXECUTE_STEPS * DT, sequence + 1
        command = controller.update(time.monotonic(), joints, FINGER_OPEN)
        joints = joints if command is None else command.arm
        time.sleep(1.0 / rate_hz)
    return statistics.summary()


def empty_loop(rate_hz: float, duration_s: float, priority: int) -> PeriodSummary:
    """The floor: the paced thread with nothing to do, alone in its process."""
    thread = PacedThread(lambda: None, rate_hz, priority)
    thread.start()
    time.sleep(duration_s)
    thread.stop()
    return thread.statistics.summary()
