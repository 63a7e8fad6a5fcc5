"""What stands for an action in each system: bins, intervals, FAST tokens or the numbers themselves."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from dvla_ros.actions.bin_chunk_codec import BinChunkCodec
from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.intervals import UniformIntervals
from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics, Normalizer
from dvla_ros.errors import ConfigurationError

Kind = Literal["bins", "intervals", "fast", "continuous"]
Bounds = Literal["quantile", "min_max"]
FAST_FOLDER = "fast"


@dataclass(frozen=True)
class ActionCoding:
    """How a chunk becomes tokens.

    Attributes:
        kind: `bins`, OpenVLA's edges (Discrete Diffusion VLA); `intervals`, as many values as bins (LLaDA-VLA); `fast`,
            DCT coefficients by byte-pair encoding (UD-VLA, DFM-VLA); `continuous`, no tokens (DiffusionVLA).
        size: Number of bins or intervals.
        bounds: What becomes -1 and 1: the 1st and 99th percentile, or the extremes.
        whole_row: Normalise the gripper too, as all but Discrete Diffusion VLA do.
        binary_columns: `intervals`: columns that are either low or high and take the first or the last token.
        scale: `fast`: coefficients are rounded after multiplication by this.
        merges: `fast`: byte-pair merges beyond the alphabet; 0 gives one token per coefficient and a fixed length.
    """

    kind: Kind = "bins"
    size: int = 256
    bounds: Bounds = "quantile"
    whole_row: bool = False
    binary_columns: tuple[int, ...] = ()
    scale: float = 20.0
    merges: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("kind", Kind), ("bounds", Bounds)):
            if getattr(self, name) not in get_args(allowed):
                raise ConfigurationError(f"coding.{name} must be one of {get_args(allowed)}: {getattr(self, name)!r}.")
        if self.size < 2 or self.scale <= 0 or self.merges < 0:
            raise ConfigurationError(
                f"coding needs size of at least 2, a positive scale and merges of 0 or more, got {self}."
            )

    def normalizer(self, statistics: DatasetStatistics) -> Normalizer:
        """Of the actions; a continuous coding moves the extremes outward by 1e-4, so that a column may stand still."""
        action: FeatureStatistics = statistics.action
        if self.whole_row:
            action = replace(action, mask=np.ones_like(action.mask))
        widened = self.kind == "continuous" and self.bounds == "min_max"
        return Normalizer.from_statistics(action, "widened_min_max" if widened else self.bounds)


def fit_codec(coding: ActionCoding, statistics: DatasetStatistics, chunks: np.ndarray) -> ChunkCodec:
    """A codec for chunks like these.

    Args:
        coding: Which.
        statistics: Of the actions.
        chunks: Physical `[N, H, D]`; only FAST looks at more than their shape.
    """
    normalizer, horizon = coding.normalizer(statistics), chunks.shape[1]
    if coding.kind != "fast":
        return _bins(coding, normalizer, horizon)
    alphabet = FastTokenizer.fit(normalizer.normalize(chunks), vocabulary_size=None, scale=coding.scale)
    if coding.merges == 0:
        return FastChunkCodec(normalizer, alphabet, horizon * normalizer.dim)
    size = alphabet.vocabulary + coding.merges
    tokenizer = FastTokenizer.fit(normalizer.normalize(chunks), vocabulary_size=size, scale=coding.scale)
    probe = FastChunkCodec(normalizer, tokenizer, horizon * normalizer.dim)
    return replace(probe, length=int(probe.fast_lengths(chunks).max()) + 1)


def load_codec(
    coding: ActionCoding, statistics: DatasetStatistics, horizon: int, positions: int, folder: Path
) -> ChunkCodec:
    """The codec of a checkpoint.

    Args:
        coding: Which.
        statistics: Of the actions.
        horizon: H.
        positions: Canvas positions for action tokens, L.
        folder: Of the checkpoint; FAST lies in `fast/`.

    Raises:
        CheckpointError: The FAST tokenizer is missing or broken.
    """
    normalizer = coding.normalizer(statistics)
    if coding.kind != "fast":
        return _bins(coding, normalizer, horizon)
    tokenizer = FastTokenizer.load(folder / FAST_FOLDER, horizon=horizon, action_dim=normalizer.dim)
    return FastChunkCodec(normalizer, tokenizer, positions)


def save_codec(codec: ChunkCodec, folder: Path) -> None:
    """Write what a codec needs beside the weights."""
    if isinstance(codec, FastChunkCodec):
        codec.tokenizer.save(folder / FAST_FOLDER)


def is_time_local(codec: ChunkCodec) -> bool:
    """Whether every number of the chunk has a token of its own, so that single rows can be frozen."""
    return isinstance(codec, BinChunkCodec)


def token_values(codec: ChunkCodec) -> np.ndarray:
    """The normalised number that each token stands for, float64 `[V]`.

    Raises:
        ConfigurationError: Tokens of this codec are not tied to numbers.
    """
    if not isinstance(codec, BinChunkCodec):
        raise ConfigurationError("FAST tokens stand for no number of their own; use bins or intervals.")
    return codec.bins.centres


def _bins(coding: ActionCoding, normalizer: Normalizer, horizon: int) -> BinChunkCodec:
    if coding.kind == "bins":
        return BinChunkCodec(normalizer, UniformBins(coding.size), horizon)
    if coding.kind == "intervals":
        return BinChunkCodec(normalizer, UniformIntervals(coding.size), horizon, coding.binary_columns)
    raise ConfigurationError(f"The coding '{coding.kind}' has no tokens.")
