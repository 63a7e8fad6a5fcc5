"""The canvas of each chunk as a heat map over its denoising steps."""

from dvla_ros.view.heat_map import CELL_COLOUR, draw_heat_map
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.trace import CELL_NAMES, Trace


class CanvasPanel:
    """Three pictures for each segment: the heat map, and what each cell is and how confident, for the mouse to read.

    Args:
        stream: Where to log.
    """

    def __init__(self, stream: RerunStream) -> None:
        self._stream = stream
        classes = [(int(cell), name, CELL_COLOUR[cell]) for cell, name in CELL_NAMES.items()]
        stream.log_always("canvas", stream.rr.AnnotationContext(classes))

    def see_trace(self, stamp: float, trace: Trace) -> None:
        """Draw the trace of a chunk that was published at `stamp` seconds."""
        if trace.steps == 0:
            return
        rr, cells = self._stream.rr, trace.cells()
        self._stream.at(stamp, trace.sequence)
        for segment, positions in trace.parts():
            if segment.size == 0:
                continue
            entity, part = f"canvas/{segment.name}", cells[:, positions]
            confidence = trace.confidence[:, positions]
            self._stream.log(f"{entity}/heat_map", rr.Image(draw_heat_map(confidence, part, segment)))
            self._stream.log(f"{entity}/cells", rr.SegmentationImage(part))
            depth = rr.DepthImage(confidence, meter=1.0, colormap="viridis", depth_range=[0.0, 1.0])
            self._stream.log(f"{entity}/confidence", depth)
