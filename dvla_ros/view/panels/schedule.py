"""Which chunk commands each moment: the newest chunks as bars over their due times, and how they join."""

import numpy as np

from dvla_ros.view.colours import ROW, SEAM
from dvla_ros.view.facts import Published, Status
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.seams import ROW_KINDS, Schedule, Seam, rows_of

SECOND = 100.0
"""Units of the drawing for a second."""
LANE = 16.0
"""Height of a chunk's bar; newer ones are below."""


class SchedulePanel:
    """Bars of the newest chunks; seams as plots.

    Args:
        stream: Where to log.
    """

    def __init__(self, stream: RerunStream) -> None:
        self._stream, self._schedule = stream, Schedule()
        classes = [(index, kind, ROW[kind]) for index, kind in enumerate(ROW_KINDS)]
        stream.log_always("schedule", stream.rr.AnnotationContext(classes))

    def see_chunk(self, fact: Published) -> None:
        """Add a chunk."""
        seam = self._schedule.add(fact.chunk, fact.stamp)
        self._stream.at(fact.stamp, fact.chunk.sequence)
        if seam is not None:
            self._log_seam(seam)
        self._stream.log("seams/frozen_rows", self._stream.rr.Scalars(float(fact.chunk.frozen_steps)))
        self._draw()

    def see_status(self, fact: Status) -> None:
        """Mark a chunk that the controller refused."""
        before = self._schedule.reigns
        if not fact.accepted:
            self._schedule.refuse(fact.epoch, fact.sequence)
        if self._schedule.reigns != before:
            self._stream.at(fact.stamp)
            self._draw()

    def _log_seam(self, seam: Seam) -> None:
        if np.isfinite(seam.jump):
            self._stream.log("seams/jump_mm", self._stream.rr.Scalars(1000.0 * seam.jump))
        self._stream.log("seams/gap_ms", self._stream.rr.Scalars(1000.0 * seam.gap_s))

    def _draw(self) -> None:
        """All rows as boxes; x is the due time after the first row shown, y the lane of the chunk."""
        reigns = self._schedule.reigns
        if not reigns:
            return
        origin = min(reign.chunk.stamp for reign in reigns)
        centers, sizes, kinds, labels = [], [], [], []
        for reign, index, kind in rows_of(reigns):
            begin = reign.chunk.stamp + index * reign.chunk.dt - origin
            lane = reigns.index(reign)
            centers.append((SECOND * (begin + 0.5 * reign.chunk.dt), LANE * (lane + 0.5)))
            sizes.append((0.46 * SECOND * reign.chunk.dt, 0.42 * LANE))
            kinds.append(ROW_KINDS.index(kind))
            labels.append(f"{reign.chunk.sequence}.{index}")
        boxes = self._stream.rr.Boxes2D(
            centers=centers, half_sizes=sizes, class_ids=kinds, labels=labels, show_labels=False
        )
        self._stream.log("schedule/rows", boxes)
        seams = [SECOND * (reign.begin - origin) for reign in reigns if reign.accepted]
        height = LANE * len(reigns)
        lines = [[(x, 0.0), (x, height)] for x in seams]
        self._stream.log("schedule/seams", self._stream.rr.LineStrips2D(lines, colors=SEAM, radii=0.5))
