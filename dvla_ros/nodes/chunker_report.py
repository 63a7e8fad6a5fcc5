"""What the chunker says of itself: numbers for `/diagnostics`, and one line at the end."""

import math
import time

from dvla_ros.control.pacing import PacedThread
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_status import NO_MEASUREMENT, Condition
from dvla_ros.nodes.command_loop import CommandPath

Number = float | int | str


class ChunkerReport:
    """Reads what the parts of a configured chunker have counted.

    Args:
        path: What is asked.
        joint_topic: For the sentence when joint states are missing.
        dry_run: Whether nothing is sent to the arm.
    """

    def __init__(self, path: CommandPath, joint_topic: str, dry_run: bool) -> None:
        self._controller, self._feed, self._latency = path.controller, path.feed, path.latency
        self._deadman, self._backend = path.deadman, path.backend
        self._joint_topic, self._dry_run = joint_topic, dry_run

    def health(self, now: Condition) -> tuple[str, str]:
        """Level and message of the diagnostics."""
        if now.state == ExecutionStatus.FAULT:
            return "error", f"fault {now.reason}: {now.detail}"
        missing = self._feed.problem(time.monotonic())
        if now.reason == NO_MEASUREMENT or (missing and now.state != ExecutionStatus.HOLDING):
            return "error", (
                f"no usable joint states on {self._joint_topic}; is the driver running and robot_name right? {missing}"
            )
        if now.state == ExecutionStatus.HOLDING:
            return "warn", f"held ({now.reason}): {now.detail}"
        if now.state == ExecutionStatus.STARVED and now.reason:
            return "warn", f"{now.reason}: {now.detail}"
        return "ok", "commanding (dry run)" if self._dry_run else "commanding"

    def numbers(self, thread: PacedThread, now: Condition) -> dict[str, Number]:
        """Everything that is counted and measured."""
        counts, monotonic = self._controller.statistics, time.monotonic()
        newest = self._feed.newest
        return {
            "state": now.state,
            "reason": now.reason,
            **_thread_numbers(thread),
            "commands": counts.ticks,
            "chunks_accepted": counts.accepted,
            "rows": counts.rows,
            "queue_depth": counts.rows_left,
            "dropped": counts.dropped,
            "truncated": counts.truncated,
            "limited_ticks": counts.limited_ticks,
            "lagging": counts.lagging,
            "reanchored": counts.reanchored,
            "tick_gaps": counts.tick_gaps,
            "seams": counts.seams.count,
            "seam_position_max_mm": 1e3 * counts.seams.max_position,
            "seam_velocity_max_mm_s": 1e3 * counts.seams.max_velocity,
            "starved_ticks": counts.starved_ticks,
            "held_ticks": counts.held_ticks,
            **{f"rejected_{reason}": count for reason, count in counts.rejected.items()},
            **{f"held_{reason}": count for reason, count in counts.held.items()},
            **{f"fault_{reason}": count for reason, count in counts.faults.items()},
            "joint_state_age_s": math.nan if newest is None else monotonic - newest.received,
            "deadman_age_s": self._deadman.age(monotonic),
            **self._latency.numbers(),
            **self._backend.numbers(),
        }

    def summary(self, thread: PacedThread) -> str:
        """How it went, in one line."""
        counts, period = self._controller.statistics, thread.statistics.summary()
        rejected = ", ".join(f"{count} {reason}" for reason, count in counts.rejected.items()) or "none"
        held = ", ".join(f"{count} {reason}" for reason, count in counts.held.items()) or "none"
        latency = self._latency.total
        return (
            f"{counts.ticks} commands at {period.rate_hz:.2f} Hz (period error p99 "
            f"{period.p99_period_error_ms:.2f} ms, {period.overruns} overruns), {counts.accepted} chunks, rejected: "
            f"{rejected}, observation to command p50/p95/p99 {latency.percentile_ms(50):.0f}/"
            f"{latency.percentile_ms(95):.0f}/{latency.percentile_ms(99):.0f} ms, {counts.starved_ticks} starved "
            f"ticks, held ticks: {held}"
        )


def _thread_numbers(thread: PacedThread) -> dict[str, Number]:
    period = thread.statistics.summary()
    return {
        "rate_hz": period.rate_hz,
        "p50_period_error_ms": period.p50_period_error_ms,
        "p99_period_error_ms": period.p99_period_error_ms,
        "worst_period_error_ms": period.worst_period_error_ms,
        "overruns": period.overruns,
        "skipped_slots": period.skipped_slots,
        "longest_gap_s": period.longest_gap_s,
        "realtime_priority": int(thread.realtime),
        "memory_locked": int(thread.memory_locked),
    }
