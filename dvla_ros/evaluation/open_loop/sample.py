"""What a policy said about one instant of a recording, beside what was commanded there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import RecordingError


@dataclass(frozen=True)
class Sample:
    """One prediction of H rows of D numbers, and the same rows as they were recorded.

    Attributes:
        episode: Index of the episode.
        anchor: Time of the observation in seconds; row i is due at `anchor + i * dt`.
        predicted: `[H, D]` in physical units.
        recorded: `[H, D]` in the same convention, NaN where nothing was recorded.
        confidence: `[H, D]` in 0..1.
        nfe: Network function evaluations.
        decode_s: Seconds that the prediction took.
        malformed: What was wrong with the tokens, in words; empty: nothing.
    """

    episode: int
    anchor: float
    predicted: np.ndarray
    recorded: np.ndarray
    confidence: np.ndarray
    nfe: int
    decode_s: float
    malformed: str = ""


@dataclass(frozen=True)
class Samples:
    """Samples as arrays, by episode and then by time.

    Attributes:
        episode: int `[N]`.
        anchor: float64 `[N]` in seconds.
        predicted: float64 `[N, H, D]`.
        recorded: float64 `[N, H, D]`.
        confidence: float64 `[N, H, D]`.
        nfe: `[N]`.
        decode_s: `[N]` in seconds.
        malformed: bool `[N]`.
    """

    episode: np.ndarray
    anchor: np.ndarray
    predicted: np.ndarray
    recorded: np.ndarray
    confidence: np.ndarray
    nfe: np.ndarray
    decode_s: np.ndarray
    malformed: np.ndarray

    def __len__(self) -> int:
        return len(self.episode)


def stacked(samples: Sequence[Sample]) -> Samples:
    """The samples as arrays.

    Raises:
        RecordingError: There is none, or their shapes differ.
    """
    shapes = {array.shape for sample in samples for array in (sample.predicted, sample.recorded, sample.confidence)}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        found = ", ".join(str(list(shape)) for shape in sorted(shapes)) or "none"
        raise RecordingError(
            "Figures need at least one sample, and predicted, recorded and confidence of one shape [H, D] in all of "
            f"them; the shapes are: {found}."
        )
    ordered = sorted(samples, key=lambda sample: (sample.episode, sample.anchor))
    return Samples(
        episode=np.array([sample.episode for sample in ordered]),
        anchor=np.array([sample.anchor for sample in ordered], np.float64),
        predicted=np.array([sample.predicted for sample in ordered], np.float64),
        recorded=np.array([sample.recorded for sample in ordered], np.float64),
        confidence=np.array([sample.confidence for sample in ordered], np.float64),
        nfe=np.array([sample.nfe for sample in ordered]),
        decode_s=np.array([sample.decode_s for sample in ordered], np.float64),
        malformed=np.array([bool(sample.malformed) for sample in ordered]),
    )
