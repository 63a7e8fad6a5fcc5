"""Runs episodes of the simulated scene through ROS: reset, run the policy, wait for the verdict, cancel, count."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future

from dvla_ros.action import RunPolicy
from dvla_ros.errors import ConfigurationError, NodeError
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.msg import TaskStatus
from dvla_ros.nodes.chunk_monitor import ChunkMonitor
from dvla_ros.nodes.conversions import seconds, to_duration
from dvla_ros.nodes.node_reports import NodeReports
from dvla_ros.srv import ResetEpisode

STATUS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
POLICY, CHUNKER = "policy_node", "chunker_node"
_POLL_S = 0.2
_ANSWER_S = 15.0
"""A node that does not answer within this time is taken to be broken."""
_LEASH = 4.0
"""The goal ends by itself after so many time limits on the clock, should this process be gone."""


@dataclass(frozen=True)
class EpisodeRequest:
    """What to run: the task that is judged, the scene seed, the sentence, and the limit in simulated seconds."""

    task: str
    seed: int
    instruction: str
    time_limit_s: float


def require_episodes(episodes: int, seed: int, time_limit_s: float) -> None:
    """Check how many episodes from which seed on, and the limit of each in simulated seconds.

    Raises:
        ConfigurationError: A number is out of range.
    """
    if episodes < 1 or seed < 0:
        raise ConfigurationError(f"episodes must be 1 or more and seed 0 or more, got {episodes}, {seed}.")
    if not time_limit_s > 0.0:
        raise ConfigurationError(f"time_limit must be positive, got {time_limit_s}.")


@dataclass(frozen=True)
class Verdict:
    """How an episode ended: outcome and detail as in `RosEpisode`, simulated seconds, and the time on the ROS clock."""

    outcome: str
    detail: str
    simulated_s: float
    stamp: float


class EpisodeRunner:
    """Runs one episode at a time; call it from another thread than the one that spins the node.

    Attributes:
        monitor: Chunks and commands of the newest episode.
        began: Time of the newest reset, in seconds on the ROS clock.

    Args:
        node: Client of the nodes under test.
        robot_name: Namespace of the robot's topics.
        cameras: Cameras whose frames are counted.
        check_nodes: Raises when a node has ended; called while waiting.
    """

    def __init__(
        self, node: Node, robot_name: str, cameras: Sequence[str], check_nodes: Callable[[], None] = lambda: None
    ) -> None:
        self._node, self._cameras, self._check_nodes = node, cameras, check_nodes
        self._changed = threading.Condition()
        self._status: TaskStatus | None = None
        self.monitor = ChunkMonitor(node, robot_name)
        self.began = 0.0
        self._reports = NodeReports(node, self._notify)
        node.create_subscription(TaskStatus, "/sim_node/task_status", self._on_status, STATUS_QOS)
        self._reset_client = node.create_client(ResetEpisode, "/sim_node/reset")
        self._policy = ActionClient(node, RunPolicy, f"/{POLICY}/run_policy")

    def wait_until_ready(self, timeout_s: float, on_wait: Callable[[str], None] = lambda missing: None) -> None:
        """Wait until the scene answers, the policy sees every camera and the chunker commands the arm.

        Args:
            timeout_s: Patience.
            on_wait: Called now and then with what is still missing.

        Raises:
            NodeError: It takes longer; the message says what is missing.
        """
        deadline = time.monotonic() + timeout_s
        while missing := self.missing():
            on_wait(missing)
            self._check_nodes()
            if time.monotonic() > deadline:
                raise NodeError(f"Not ready after {timeout_s:g} s: {missing}.")
            with self._changed:
                self._changed.wait(_POLL_S)

    def missing(self) -> str:
        """What is not ready yet, in words; empty when everything is."""
        policy, chunker = self._reports.of(POLICY), self._reports.of(CHUNKER)
        waiting = []
        if self._status is None or not self._reset_client.service_is_ready():
            waiting.append("sim_node")
        if policy.message == "inactive" or not policy.well or not self._policy.server_is_ready():
            waiting.append(f"{POLICY} ({policy.message})")
        waiting += [f"camera {name}" for name in self._cameras if policy.whole(f"{name}_received") == 0]
        if chunker.message != "commanding":
            waiting.append(f"{CHUNKER} ({chunker.message})")
        return ", ".join(waiting)

    def run(
        self, request: EpisodeRequest, on_progress: Callable[[TaskStatus], None] = lambda status: None
    ) -> RosEpisode:
        """Run one episode, once; whatever ends it, the policy has stopped when this returns.

        Args:
            request: What to run.
            on_progress: Called a few times per second.

        Raises:
            NodeError: A node ended, refused or does not answer.
        """
        counts = self._counts()
        self.monitor.restart()
        self._reset(request)
        goal, result = self._send_goal(request)
        try:
            verdict = self._await_verdict(request, result, on_progress)
        finally:
            self._stop(goal, result)
        return self._record(request, verdict, counts)

    def _reset(self, request: EpisodeRequest) -> None:
        before = 0 if self._status is None else self._status.episode
        answer = self._answer(
            self._reset_client.call_async(ResetEpisode.Request(task=request.task, seed=request.seed)), "/sim_node/reset"
        )
        if not answer.success:
            raise NodeError(f"The scene could not be reset to {request.task}, seed {request.seed}: {answer.message}")
        self.began = self._node.get_clock().now().nanoseconds * 1e-9
        self._await(lambda: self._status is not None and self._status.episode > before, "the reset scene's status")

    def _send_goal(self, request: EpisodeRequest) -> tuple[ClientGoalHandle, Future]:
        goal = RunPolicy.Goal(instruction=request.instruction, max_duration=to_duration(_LEASH * request.time_limit_s))
        handle = self._answer(self._asked(lambda: self._policy.send_goal_async(goal)), f"/{POLICY}/run_policy")
        if not handle.accepted:
            raise NodeError(f"{POLICY} refused to follow '{request.instruction}'; its log says why.")
        result = self._asked(handle.get_result_async)
        result.add_done_callback(lambda _: self._notify())
        return handle, result

    def _await_verdict(
        self, request: EpisodeRequest, result: Future, on_progress: Callable[[TaskStatus], None]
    ) -> Verdict:
        while True:
            status = self._newest_status()
            on_progress(status)
            verdict = verdict_of(status, request.time_limit_s, result)
            if verdict is not None:
                return verdict
            self._await(partial(self._gone_on, status, result), "simulated time to go on")

    def _gone_on(self, seen: TaskStatus, result: Future) -> bool:
        newest = self._newest_status()
        return bool(result.done() or newest.elapsed > seen.elapsed or newest.outcome != seen.outcome)

    def _stop(self, goal: ClientGoalHandle, result: Future) -> None:
        if not result.done():
            self._answer(self._asked(goal.cancel_goal_async), "the cancelled goal")
            self._await(result.done, "the end of the run")

    def _record(self, request: EpisodeRequest, verdict: Verdict, before: tuple[int, int, int]) -> RosEpisode:
        received, expected, rejected = (b - a for a, b in zip(before, self._counts(), strict=True))
        chunks = [chunk for chunk in self.monitor.chunks() if chunk.published >= self.began]
        timings = [self.monitor.timing(chunk) for chunk in chunks if chunk.chunk.stamp <= verdict.stamp]
        return RosEpisode(
            task=request.task,
            instruction=request.instruction,
            seed=request.seed,
            outcome=verdict.outcome,
            detail=verdict.detail,
            simulated_s=verdict.simulated_s,
            wall_s=verdict.stamp - self.began,
            chunks=len(chunks),
            nfe=tuple(chunk.nfe for chunk in chunks),
            confidence=tuple(chunk.confidence for chunk in chunks),
            timings=tuple(timing for timing in timings if timing is not None),
            frames_received=received,
            frames_expected=expected,
            chunks_rejected=rejected,
            time_limit_s=request.time_limit_s,
        )

    def _counts(self) -> tuple[int, int, int]:
        """Frames received and expected at the policy, and chunks rejected, by reports that come after this call."""
        seen = {name: self._reports.of(name).count for name in (POLICY, CHUNKER)}
        self._await(lambda: all(self._reports.of(n).count > c for n, c in seen.items()), "the nodes' diagnostics")
        policy, chunker = self._reports.of(POLICY), self._reports.of(CHUNKER)
        rejected = sum(chunker.whole(key) for key in chunker.values if key.startswith("rejected_"))
        received, expected = (
            sum(policy.whole(f"{camera}_{kind}") for camera in self._cameras) for kind in ("received", "expected")
        )
        return received, expected, rejected

    def _asked(self, ask: Callable[[], Future]) -> Future:
        """The future of a request to an action server, made by the thread that spins the node.

        rclpy notes who waits for the answer only after it has sent the request: an answer that comes in between is
        dropped where another thread takes it.
        """
        assert self._node.executor is not None
        task = self._node.executor.create_task(ask)
        task.add_done_callback(lambda _: self._notify())
        self._await(task.done, "the thread that spins the node")
        future: Future = task.result()
        return future

    def _answer(self, future: Future, whose: str):  # type: ignore[no-untyped-def]  # whatever the service returns
        future.add_done_callback(lambda _: self._notify())
        self._await(future.done, f"an answer of {whose}")
        return future.result()

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _ANSWER_S
        while not condition():
            self._check_nodes()
            if time.monotonic() > deadline:
                raise NodeError(f"Waited {_ANSWER_S:g} s in vain for {what}.")
            with self._changed:
                if not condition():
                    self._changed.wait(_POLL_S)

    def _newest_status(self) -> TaskStatus:
        assert self._status is not None
        return self._status

    def _on_status(self, message: TaskStatus) -> None:
        self._status = message
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def verdict_of(status: TaskStatus, limit_s: float, result: Future) -> Verdict | None:
    """How the episode ended, or None while it goes on; what happens after the time limit does not count.

    Args:
        status: What the scene says.
        limit_s: Time limit in simulated seconds.
        result: Of the policy's run; done when the run has ended by itself.
    """
    at = (float(status.elapsed), seconds(status.header.stamp))
    if status.elapsed > limit_s:
        return Verdict("timeout", f"not done after {limit_s:g} s", *at)
    if status.outcome != TaskStatus.RUNNING:
        return Verdict(status.outcome, status.detail, *at)
    if result.done():
        end = result.result().result
        return Verdict(end.termination_reason, end.message, *at)
    return None
