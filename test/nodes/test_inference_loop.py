"""Timing of runs: what ends one, and which observation counts."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ObservationError
from dvla_ros.nodes.inference_loop import InferenceLoop, LoopSettings
from dvla_ros.nodes.run import Run, RunLimits
from dvla_ros.nodes.ticket import Ticket
from dvla_ros.policies.load import load_policy


def test_a_run_is_over_by_count_or_time():
    run = Run("go", 1, RunLimits(max_duration_s=5.0, max_chunks=2), started=10.0)
    assert run.over(14.9) is None
    assert run.over(15.0)[0] == "max_duration"
    run.chunks = 2
    assert run.over(11.0)[0] == "max_chunks"


def test_the_first_end_of_a_run_counts():
    run = Run("go", 1, RunLimits(), started=10.0)
    run.end("cancelled", "by hand", 12.5)
    run.end("fault", "later", 13.0)
    assert (run.ended.value.reason, run.ended.value.duration_s) == ("cancelled", 2.5)


def test_a_ticket_wakes_whoever_waits():
    ticket = Ticket()
    threading.Timer(0.01, ticket.fill, args=("done",)).start()
    assert ticket.wait(5.0)
    assert ticket.value == "done"


SYNC = LoopSettings(ReplanningConfig(mode="sync", settle_s=0.0))


class Silence:
    """Output that keeps what is reported."""

    def __init__(self):
        self.problems, self.reported = [], threading.Event()

    def publish(self, inference):
        raise AssertionError("nothing can be inferred without cameras")

    def report(self, problem):
        self.problems.append(problem)
        self.reported.set()


@pytest.fixture
def loop(checkpoint):
    assembler = ObservationAssembler(
        AssemblerConfig(warm_up_s=0.01), decode_joints=lambda payload: payload, state=lambda joints: np.zeros(7)
    )
    assembler.add_camera("front", lambda payload: payload, 15.0)
    clock = iter(np.arange(100.0, 1e6, 0.05))
    loop = InferenceLoop(load_policy(checkpoint), assembler, SYNC, lambda: float(next(clock)), Silence(), 7)
    loop.start()
    yield loop
    loop.stop()


def test_without_cameras_a_run_with_limited_patience_ends_and_names_them(loop):
    run = loop.follow("pick up the red cube", RunLimits(max_silence_s=0.2))
    assert run.ended.wait(10.0)
    assert run.ended.value.reason == "observation_lost"
    assert "'front'" in run.ended.value.message
    assert loop.run is None


class Babbling:
    """A real policy whose tokens are never a chunk."""

    def __init__(self, policy):
        self._policy, self.spec = policy, policy.spec

    def reset(self):
        self._policy.reset()

    def predict(self, observation, **options):
        prediction = self._policy.predict(observation, **options)
        return replace(prediction, actions=np.full_like(prediction.actions, np.nan), malformed="no end of actions")


def test_tokens_that_are_no_chunk_are_reported_and_send_nothing(checkpoint):
    assembler = ObservationAssembler(
        AssemblerConfig(warm_up_s=0.01), decode_joints=lambda payload: payload, state=lambda joints: np.zeros(7)
    )
    for camera in ("front", "wrist"):
        assembler.add_camera(camera, lambda payload: payload, 15.0)
    output = Silence()
    loop = InferenceLoop(Babbling(load_policy(checkpoint)), assembler, SYNC, time.monotonic, output, 7)
    loop.start()
    run = loop.follow("pick up the red cube", RunLimits())
    while not output.reported.wait(0.02):
        now = time.monotonic()
        for camera in ("front", "wrist"):
            assembler.store_image(camera, now, np.zeros((24, 32, 3), np.uint8))
        assembler.store_joints(now, np.zeros(7))
        loop.notify()
    assert any("the arm is held: no end of actions" in problem for problem in output.problems)
    assert run.chunks == 0 and loop.run is run
    loop.stop()


def test_a_new_instruction_replaces_the_run_in_a_later_epoch(loop):
    first = loop.follow("pick up the red cube", RunLimits())
    second = loop.follow(" pick up the blue cube ", RunLimits())
    assert first.ended.value.reason == "replaced"
    assert (first.epoch, second.epoch, second.instruction) == (7, 8, "pick up the blue cube")


def test_a_blank_instruction_leaves_the_run_alone(loop):
    run = loop.follow("pick up the red cube", RunLimits())
    with pytest.raises(ObservationError, match="instruction is empty"):
        loop.follow("  ", RunLimits())
    assert loop.run is run
