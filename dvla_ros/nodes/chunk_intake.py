"""Chunks on their way from the topic to the controller, in a thread of their own."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.controller import ChunkController
from dvla_ros.control.pacing import request_realtime
from dvla_ros.control.verdict import Verdict, rejected
from dvla_ros.errors import ActionError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.chunk_latency import ChunkLatency
from dvla_ros.nodes.conversions import seconds


@dataclass(frozen=True)
class Decision:
    """What became of a chunk.

    Attributes:
        epoch: Of the chunk.
        sequence: Of the chunk.
        verdict: Accepted, or the reason why not.
        delay_s: Seconds from its observation to the decision.
    """

    epoch: int
    sequence: int
    verdict: Verdict
    delay_s: float


class ChunkIntake:
    """Decides on chunks one after another.

    A decision takes inverse kinematics for every row and, with a planning scene, answers of another node. The thread
    that runs the node's callbacks must not wait for that: it has to hear emergency stops and heartbeats.

    Args:
        controller: Takes over the chunks.
        latency: Follows those that are accepted.
        clock: ROS time in seconds.
        decided: Called from the thread after each decision.
        priority: `SCHED_FIFO` priority of the thread, 0: none.
    """

    def __init__(
        self,
        controller: ChunkController,
        latency: ChunkLatency,
        clock: Callable[[], float],
        decided: Callable[[Decision], None],
        priority: int,
    ) -> None:
        self._controller, self._latency, self._clock, self._decided = controller, latency, clock, decided
        self._priority = priority
        self._waiting: queue.SimpleQueue[ActionChunkMessage | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="chunks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, message: ActionChunkMessage) -> None:
        """A chunk arrived; returns at once."""
        self._waiting.put(message)

    def stop(self) -> None:
        """Decide on what is there, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        request_realtime(self._priority)
        while (message := self._waiting.get()) is not None:
            self._decided(self._decide(message))

    def _decide(self, message: ActionChunkMessage) -> Decision:
        try:
            chunk = chunk_from_message(message)
        except ActionError as error:
            self._controller.statistics.rejected["malformed"] += 1
            verdict = rejected("malformed", str(error))
        else:
            verdict = self._controller.accept(chunk, self._clock())
            if verdict.accepted:
                self._latency.accepted(chunk, float(message.latency), self._clock())
        delay = self._clock() - seconds(message.observation_stamp)
        return Decision(int(message.epoch), int(message.sequence), verdict, delay)
