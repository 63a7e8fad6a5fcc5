"""Episodes through ROS, with the real nodes as processes and a policy that has learned nothing."""

import os

import pytest
from builtin_interfaces.msg import Time
from rclpy.task import Future
from untrained import write_untrained

from dvla_ros.action import RunPolicy
from dvla_ros.errors import NodeError
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes.chunk_monitor import ChunkMonitor
from dvla_ros.nodes.episode_runner import EpisodeRequest, EpisodeRunner, verdict_of
from dvla_ros.nodes.session import simulated_robot, weights_digest

READY_S = 100.0
LIMIT_S = 6.0
"""Of an episode; a busy machine needs seconds for the first chunk."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return str(write_untrained(tmp_path_factory.mktemp("checkpoint"), greatest=0.01))


@pytest.fixture(scope="module")
def runner(checkpoint, tmp_path_factory):
    environment = dict(os.environ)
    with simulated_robot("test_runner", {"checkpoint": checkpoint}, tmp_path_factory.mktemp("log")) as session:
        runner = EpisodeRunner(session.node, session.robot_name, session.cameras, session.nodes.check)
        runner.wait_until_ready(READY_S)
        yield runner
    os.environ.clear()
    os.environ.update(environment)


def request(task="pick_red", seed=3, instruction="pick up the red cube", time_limit_s=LIMIT_S):
    return EpisodeRequest(task, seed, instruction, time_limit_s)


def test_a_policy_that_does_not_get_there_times_out_and_is_stopped(runner):
    seen = []
    episode = runner.run(request(), lambda status: seen.append((status.task, status.seed, status.elapsed)))
    assert (episode.outcome, episode.success, episode.seed) == ("timeout", False, 3)
    assert LIMIT_S < episode.simulated_s
    assert episode.chunks >= 1 and len(episode.nfe) == len(episode.confidence) == episode.chunks
    elapsed = [seconds for *_, seconds in seen]
    assert {(task, seed) for task, seed, _ in seen} == {("pick_red", 3)}
    assert elapsed == sorted(elapsed)
    assert 0 < episode.frames_received <= episode.frames_expected + 2
    assert runner.monitor.chunks()[-1].chunk.epoch == runner.monitor.chunks()[0].chunk.epoch


def test_the_time_of_each_chunk_is_split(runner):
    episode = runner.run(request(seed=4))
    assert episode.timings
    for timing in episode.timings:
        assert timing.total_ms > timing.denoise_ms > 0.0
        assert timing.publish_to_command_ms >= 20.0
        assert timing.image_age_ms > 0.0


def test_each_episode_is_the_task_and_seed_that_was_asked_for(runner):
    episode = runner.run(request("push_blue_left", 11, "slide the blue block left", 1.0))
    assert (episode.task, episode.seed, episode.instruction) == ("push_blue_left", 11, "slide the blue block left")
    assert episode.outcome == "timeout" and episode.simulated_s > 1.0


def test_a_blank_instruction_ends_the_episode_with_the_reason(runner):
    episode = runner.run(request(instruction="  "))
    assert episode.outcome == "fault" and "instruction" in episode.detail and not episode.success


def test_an_unknown_task_is_refused_by_the_scene(runner):
    with pytest.raises(NodeError, match="pick_purple"):
        runner.run(request("pick_purple"))


def test_weights_are_told_apart_by_their_digest(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "model.safetensors").write_bytes(b"other weights")
    given, other = {"checkpoint": checkpoint}, {"checkpoint": str(copy)}
    assert weights_digest(given) == weights_digest(given) != weights_digest(other)


def status(outcome, elapsed, detail=""):
    message = TaskStatus(outcome=outcome, elapsed=elapsed, detail=detail)
    message.header.stamp = Time(sec=100)
    return message


def ended(reason):
    future = Future()
    answer = RunPolicy.Impl.GetResultService.Response()
    answer.result.termination_reason, answer.result.message = reason, "camera front stands still"
    future.set_result(answer)
    return future


@pytest.mark.parametrize(
    ("seen", "run", "outcome"),
    [
        (status("running", 4.0), Future(), None),
        (status("success", 4.0), Future(), "success"),
        (status("success", 5.1), Future(), "timeout"),
        (status("wrong_object", 4.0, "blue"), Future(), "wrong_object"),
        (status("running", 5.1), Future(), "timeout"),
        (status("running", 4.0), ended("observation_lost"), "observation_lost"),
        (status("success", 4.0), ended("fault"), "success"),
    ],
)
def test_the_verdict_counts_what_happened_within_the_limit(seen, run, outcome):
    verdict = verdict_of(seen, 5.0, run)
    assert (None if verdict is None else verdict.outcome) == outcome


def test_the_wrong_colour_is_named():
    assert verdict_of(status("wrong_object", 4.0, "blue"), 5.0, Future()).detail == "blue"


def test_the_first_command_is_the_first_at_or_after_the_due_time(runner):
    monitor = runner.monitor
    runner.run(request(seed=5))
    chunk = monitor.chunks()[0]
    timing = monitor.timing(chunk)
    commanded = chunk.chunk.observation_stamp + 1e-3 * timing.total_ms
    assert chunk.chunk.stamp <= commanded
    assert monitor.pose_before(chunk.chunk.stamp).shape == (4, 4)
    assert isinstance(monitor, ChunkMonitor) and monitor.pose_before(0.0) is None
