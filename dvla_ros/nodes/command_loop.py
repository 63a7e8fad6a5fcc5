"""The control thread's work: one look at everything that may hold the arm, one command."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dvla_ros.control.controller import ChunkController, Command
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.chunk_latency import ChunkLatency
from dvla_ros.nodes.control_clock import JUMPED, STOPPED, ClockReading, ControlClock
from dvla_ros.nodes.ee_target import EndEffectorTarget
from dvla_ros.nodes.fault_watch import DEADMAN_AWAITED, DEADMAN_LOST, Deadman
from dvla_ros.nodes.holds import Hold, Holds
from dvla_ros.nodes.joint_feed import JointFeed

BACKEND, STOPPING = "backend", "stopping"
_AT_REST = 1e-6
"""rad/s"""


@dataclass(frozen=True)
class CommandPath:
    """What a command passes on its way, and what is asked about it.

    Attributes:
        controller: Makes the commands.
        backend: Sends them.
        feed: Has the measured joints, by the monotonic clock.
        deadman: Says whether motion is permitted.
        holds: Causes that others have set; this loop adds its own.
        latency: Notes when a chunk shows in a command.
        target: Shows commands to those who look on.
    """

    controller: ChunkController
    backend: CommandBackend
    feed: JointFeed
    deadman: Deadman
    holds: Holds
    latency: ChunkLatency
    target: EndEffectorTarget


class CommandLoop:
    """Makes and sends one command per `tick`; belongs to the control thread, except `brake`.

    Args:
        path: What a command passes.
        clock: Checks ROS time.
        ros_time: ROS time in seconds.
        preview_s: How much of the plan whole-trajectory backends get.
        changed: Called when state or reason are others than before; must return at once.
    """

    def __init__(
        self,
        path: CommandPath,
        clock: ControlClock,
        ros_time: Callable[[], float],
        preview_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._path, self._clock, self._ros_time = path, clock, ros_time
        self._preview_s, self._changed = preview_s, changed
        self._held_by: Hold | None = None
        self._backend_problem, self._backend_hold = "", None  # type: str, Hold | None
        self._silent = self._anew = False
        self._resting = threading.Event()
        self._shown = ("", "")
        self._preview_version = -1

    def tick(self) -> None:
        """One command."""
        monotonic = time.monotonic()
        reading = self._clock.read(self._ros_time(), monotonic)
        self._watch_clock(reading)
        self._watch_deadman(monotonic)
        self._watch_backend()
        self._hold_or_release()
        if reading.now > 0.0:
            self._command(reading, monotonic)
        self._notice_changes()

    def brake(self, patience_s: float) -> bool:
        """Another thread: brake, and wait until the arm is commanded to rest; False if it took longer."""
        self._resting.clear()
        self._path.holds.set(Hold(STOPPING, "The node stops commanding.", quiet=True))
        return self._resting.wait(patience_s)

    def _watch_clock(self, reading: ClockReading) -> None:
        holds = self._path.holds
        # After a jump nothing that was known by the old time counts: commands start anew.
        holds.put(Hold(JUMPED, reading.detail, elsewhere=True), reading.problem == JUMPED)
        holds.put(Hold(STOPPED, reading.detail), reading.problem == STOPPED)
        if reading.problem == JUMPED and self._held_by is not None and self._resting.is_set():
            self._clock.follow()

    def _watch_deadman(self, monotonic: float) -> None:
        path = self._path
        awaited = path.deadman.awaited
        if awaited is not None:
            path.holds.set(awaited)
            return
        path.holds.clear(DEADMAN_AWAITED)
        lost = path.deadman.lost(monotonic)
        if lost:
            path.controller.fault(DEADMAN_LOST, lost)

    def _watch_backend(self) -> None:
        """A backend may say why the arm cannot be commanded, as `word: sentence`."""
        problem, before = self._path.backend.problem(), self._backend_hold
        if problem == self._backend_problem:
            return
        self._backend_problem = problem
        self._backend_hold = _backend_hold(problem) if problem else None
        if before is not None:
            self._path.holds.clear(before.reason)
        if self._backend_hold is not None:
            self._path.holds.set(self._backend_hold)

    def _hold_or_release(self) -> None:
        wanted, held_by, controller = self._path.holds.first, self._held_by, self._path.controller
        self._held_by = wanted
        if wanted is None:
            if self._anew:
                controller.reset(controller.epoch)
            elif held_by is not None:
                controller.release()
            self._anew = False
            return
        self._anew |= wanted.starts_anew
        if held_by is None or wanted.reason != held_by.reason:
            self._resting.clear()
            controller.hold(wanted.reason, wanted.detail)

    def _command(self, reading: ClockReading, monotonic: float) -> None:
        path, measured, now = self._path, self._path.feed.fresh(monotonic), reading.now
        if measured is None:
            command = path.controller.update(now, None, 0.0)
        else:
            command = path.controller.update(now, measured.arm, measured.finger)
            if path.backend.wants_measured:
                path.backend.measured(measured.arm, now + reading.shift)
        resting = command is None or bool((abs(command.arm_velocity) < _AT_REST).all())
        quiet = path.holds.quiet or path.controller.state == ExecutionStatus.FAULT
        if command is not None and not (quiet and self._silent):
            self._send(command, reading)
        self._silent = quiet and resting
        if resting and self._held_by is not None:
            self._resting.set()

    def _send(self, command: Command, reading: ClockReading) -> None:
        path, now = self._path, reading.now + reading.shift
        if path.backend.wants_preview:
            self._send_preview(reading)
        path.backend.send(command, now)
        path.latency.commanded(now)
        path.target.show(command.arm, now)

    def _send_preview(self, reading: ClockReading) -> None:
        controller, now = self._path.controller, reading.now
        version = controller.preview(now, 0.0).version
        if version == self._preview_version:
            return
        self._preview_version = version
        preview = controller.preview(now, self._preview_s)
        in_ros_time = replace(preview, times=preview.times + reading.shift)
        self._path.backend.send_preview(in_ros_time, now + reading.shift)

    def _notice_changes(self) -> None:
        shown = (self._path.controller.state, self._path.controller.reason)
        if shown != self._shown:
            self._shown = shown
            self._changed()


def _backend_hold(problem: str) -> Hold:
    """The hold for what a backend says, `word: sentence` or only a sentence."""
    word, separator, sentence = problem.partition(": ")
    if not separator or not word.isidentifier():
        return Hold(BACKEND, problem, elsewhere=True)
    return Hold(word, sentence, elsewhere=True)
