"""Numbers about inference and cameras."""

from collections.abc import Mapping

from dvla_ros.control.stream import StreamStatistics
from dvla_ros.nodes.diagnostics import LatencyRecord
from dvla_ros.nodes.run import Inference

_PARTS = ("latency", "image_wait", "preprocess", "prefill", "denoise")


class PolicyStatistics:
    """Latencies of the newest chunks, split by where the time went."""

    def __init__(self) -> None:
        self.chunks = 0
        self.malformed = 0
        self._nfe = 0
        self._records = {part: LatencyRecord() for part in _PARTS}

    def add(self, inference: Inference) -> None:
        """Count one published chunk."""
        timings = inference.prediction.timings
        self.chunks += 1
        self.malformed += bool(inference.prediction.malformed)
        self._nfe += inference.prediction.nfe
        durations = (
            inference.latency_s,
            inference.waited_s,
            timings.preprocess_s,
            timings.prefill_s,
            timings.denoise_s,
        )
        for part, duration in zip(_PARTS, durations, strict=True):
            self._records[part].add(duration)

    def numbers(self, streams: Mapping[str, StreamStatistics]) -> dict[str, float | int]:
        """Chunks, mean evaluations, percentiles in ms, and frames received and expected per stream."""
        numbers: dict[str, float | int] = {
            "chunks": self.chunks,
            "malformed": self.malformed,
            "nfe_mean": self._nfe / max(1, self.chunks),
        }
        for part, record in self._records.items():
            numbers |= record.numbers(part)
        for name, stream in streams.items():
            numbers |= {f"{name}_received": stream.received, f"{name}_expected": stream.expected}
        return numbers

    def summary(self, streams: Mapping[str, StreamStatistics]) -> str:
        """One line for the end."""
        frames = ", ".join(f"{name} {s.received}/{s.expected}" for name, s in streams.items())
        latency = self._records["latency"]
        if self.chunks == 0:
            return f"no chunk published; received/expected: {frames}"
        return (
            f"{self.chunks} chunks, latency p50 {latency.percentile_ms(50):.0f} ms, p95 "
            f"{latency.percentile_ms(95):.0f} ms; received/expected: {frames}"
        )
