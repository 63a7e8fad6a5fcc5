"""Which chunk commands each moment, and how far the plan jumps where one takes over from another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import positions_of

KEPT = 8
"""Chunks whose rows are shown."""

ROW_KINDS = ("commands", "frozen", "over", "replaced", "refused")
"""What a row is: executed; fixed because the chunk before executed it; over when the chunk came; taken over by a newer
chunk before it was due; of a chunk that the controller refused."""


@dataclass(frozen=True)
class Reign:
    """A chunk and the time for which it commands.

    Attributes:
        chunk: The chunk.
        begin: First moment that it decides: its first row that is not over and not frozen; seconds.
        end: When the next one takes over, or its rows are over.
        accepted: False once the controller has refused it.
    """

    chunk: ActionChunk
    begin: float
    end: float
    accepted: bool = True


@dataclass(frozen=True)
class Seam:
    """Where a chunk takes over.

    Attributes:
        stamp: The moment in seconds.
        jump: What the new chunk asks for in the row that begins there, less what the old one would have: metres of the
            end effector. NaN where the old chunk has no row there.
        gap_s: Seconds in which no row was left.
    """

    stamp: float
    jump: float
    gap_s: float


class Schedule:
    """The newest chunks in order of publication."""

    def __init__(self) -> None:
        self.reigns: tuple[Reign, ...] = ()

    def add(self, chunk: ActionChunk, published: float) -> Seam | None:
        """Take over a chunk published at a time in seconds; the seam to the one before, None for the first.

        An older chunk, or one that came twice, changes nothing.
        """
        last = next((reign for reign in reversed(self.reigns) if reign.accepted), None)
        if last is not None and (chunk.epoch, chunk.sequence) <= (last.chunk.epoch, last.chunk.sequence):
            return None
        begin = takeover(chunk, published)
        new = Reign(chunk, begin, chunk.end)
        seam = None
        if last is not None and last.chunk.epoch == chunk.epoch:
            seam = Seam(begin, _jump(last.chunk, chunk, begin), max(0.0, begin - last.chunk.end))
        ended = tuple(replace(reign, end=min(reign.end, begin)) if reign.accepted else reign for reign in self.reigns)
        self.reigns = (*ended, new)[-KEPT:]
        return seam

    def refuse(self, epoch: int, sequence: int) -> None:
        """The controller did not take a chunk over: it commands nothing, and the one before goes on."""
        reigns = list(self.reigns)
        for index, reign in enumerate(reigns):
            if (reign.chunk.epoch, reign.chunk.sequence) == (epoch, sequence) and reign.accepted:
                reigns[index] = replace(reign, end=reign.begin, accepted=False)
                before = next((i for i in range(index - 1, -1, -1) if reigns[i].accepted), None)
                if before is not None:
                    after = next((r.begin for r in reigns[index + 1 :] if r.accepted), float("inf"))
                    reigns[before] = replace(reigns[before], end=min(reigns[before].chunk.end, after))
        self.reigns = tuple(reigns)


def takeover(chunk: ActionChunk, published: float) -> float:
    """First moment that a chunk decides: the due time of its first row that was neither over nor frozen, in seconds."""
    over = int(np.floor((published - chunk.stamp) / chunk.dt + 1e-6))
    return chunk.stamp + min(chunk.horizon, max(0, over, chunk.frozen_steps)) * chunk.dt


def _jump(old: ActionChunk, new: ActionChunk, stamp: float) -> float:
    before, after = _row_at(old, stamp), _row_at(new, stamp)
    if before is None or after is None or old.mode is not new.mode:
        return float("nan")
    if old.mode in (ControlMode.EE_DELTA, ControlMode.EE_POSE):
        return float(np.linalg.norm(after[:3] - before[:3]))
    if old.mode is ControlMode.JOINT_DELTA:
        return float("nan")  # the joints that the increments start from are not known here
    points = positions_of(np.stack([before[:6], after[:6]]))
    return float(np.linalg.norm(points[1] - points[0]))


def _row_at(chunk: ActionChunk, stamp: float) -> np.ndarray | None:
    index = round((stamp - chunk.stamp) / chunk.dt)
    return chunk.actions[index].astype(np.float64) if 0 <= index < chunk.horizon else None


def rows_of(reigns: Sequence[Reign]) -> "list[tuple[Reign, int, str]]":
    """Every row of every chunk with what it is: one of `ROW_KINDS`."""
    rows = []
    for reign in reigns:
        for index in range(reign.chunk.horizon):
            rows.append((reign, index, _kind(reign, index)))
    return rows


def _kind(reign: Reign, index: int) -> str:
    middle = reign.chunk.stamp + (index + 0.5) * reign.chunk.dt
    if not reign.accepted:
        return "refused"
    if index < reign.chunk.frozen_steps:
        return "frozen"
    if middle < reign.begin:
        return "over"
    return "commands" if middle < reign.end else "replaced"
