"""Numbers over time: where the time of a chunk went, how many evaluations it took, how sure it is."""

import numpy as np

from dvla_ros.view.facts import Published
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.trace import Trace


class PlotPanel:
    """One point of each curve for each chunk; milliseconds, evaluations, 0..1.

    Args:
        stream: Where to log.
    """

    def __init__(self, stream: RerunStream) -> None:
        self._stream = stream

    def see_chunk(self, fact: Published) -> None:
        """Latency from observation to publication, evaluations and confidence of a chunk."""
        self._stream.at(fact.stamp, fact.chunk.sequence)
        self._log("latency_ms/observation_to_publication", 1000.0 * fact.latency_s)
        self._log("nfe", float(fact.nfe))
        confidence = fact.chunk.confidence
        if confidence is not None:
            self._log("confidence/mean", float(np.mean(confidence)))
            self._log("confidence/least", float(np.min(confidence)))

    def see_trace(self, stamp: float, trace: Trace) -> None:
        """Where the time went, for a chunk that was published at `stamp` seconds."""
        self._stream.at(stamp, trace.sequence)
        for part in ("preprocess", "prefill", "denoise"):
            self._log(f"latency_ms/{part}", 1000.0 * getattr(trace, f"{part}_s"))
        self._log("denoising_steps", float(trace.steps))

    def _log(self, name: str, value: float) -> None:
        if np.isfinite(value):
            self._stream.log(f"plots/{name}", self._stream.rr.Scalars(value))
