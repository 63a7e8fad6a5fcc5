"""Where the time goes between what the cameras saw and the first command that answers it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from dvla_ros.evaluation.statistics import percentile


@dataclass(frozen=True)
class ChunkTiming:
    """The way of one chunk, in milliseconds; the first five add up to the last one.

    Attributes:
        image_age_ms: From the observation's anchor to the policy's call: transport, waiting, assembly.
        preprocess_ms: Images and text to tensors.
        prefill_ms: The prefix, once per chunk.
        denoise_ms: The denoising loop.
        publish_to_command_ms: From publication to the first command after it that is the chunk's own: of a row that was
            not frozen.
        total_ms: From the observation's anchor to that command.
    """

    image_age_ms: float
    preprocess_ms: float
    prefill_ms: float
    denoise_ms: float
    publish_to_command_ms: float
    total_ms: float


PARTS = tuple(field.name for field in fields(ChunkTiming))


def chunk_timing(
    preprocess_s: float, prefill_s: float, denoise_s: float, latency_s: float, observed: float, commanded: float
) -> ChunkTiming:
    """Split the way of a chunk.

    Args:
        preprocess_s: Seconds spent on images and text.
        prefill_s: Seconds spent on the prefix.
        denoise_s: Seconds spent in the denoising loop.
        latency_s: Seconds from the anchor to publication.
        observed: Anchor of the observation, in seconds.
        commanded: When the first command was sent, in seconds on the same clock.
    """
    total = commanded - observed
    parts = (preprocess_s, prefill_s, denoise_s)
    return ChunkTiming(*(1e3 * part for part in (latency_s - sum(parts), *parts, total - latency_s, total)))


def percentiles(timings: Sequence[ChunkTiming], percents: Sequence[int] = (50, 95)) -> dict[str, dict[str, float]]:
    """Percentiles of each part in milliseconds: `{"total": {"p50": …, "p95": …}, …}`; NaN without chunks."""
    return {
        part.removesuffix("_ms"): {f"p{q}": percentile([getattr(t, part) for t in timings], q) for q in percents}
        for part in PARTS
    }
