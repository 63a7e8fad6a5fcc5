"""Frames to batches: what a data loader of any family runs, in processes that know no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dvla_ros.errors import RecordingError
from dvla_ros.policies.published.layout import Setup
from dvla_ros.training.batch import Targets
from dvla_ros.training.published.frames import FrameSource, TaughtFrame


class Reader(Protocol):
    """Frames to what one family of networks takes."""

    def __call__(self, frame: TaughtFrame) -> Any:
        """One example on the CPU.

        Raises:
            ObservationError: Something in the frame is not usable.
            RecordingError: Something is missing.
        """
        ...

    def batch(self, examples: Sequence[Any], targets: Targets, frozen: Tensor | None = None) -> Any:
        """Several examples and what is to be answered, as `training.batch.ExampleBatch`."""
        ...


@dataclass(frozen=True)
class TaughtExample:
    """A frame, read.

    Attributes:
        inputs: What the reader made of it.
        actions: float32 `[H, D]`, normalised.
        tokens: int64 `[L]` of the action segment; None where actions are numbers.
        reasoning: int64 `[R]`; None where nothing is said.
        frozen: As in `TaughtFrame`.
    """

    inputs: Any
    actions: Tensor
    tokens: Tensor | None
    reasoning: Tensor | None
    frozen: int


class PublishedExamples:
    """A map-style data set of `TaughtExample`.

    Args:
        setup: The checkpoint.
        reader: Of its family.
        source: Of the frames.
        words: What is said of a frame as ids; None for a system that says nothing.
    """

    def __init__(
        self,
        setup: Setup,
        reader: Reader,
        source: FrameSource,
        words: "Words | None" = None,
    ) -> None:
        self._setup, self._reader, self._source = setup, reader, source
        self._words = words

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> TaughtExample:
        return self.taught(self._source.frame(row), row)

    def taught(self, frame: TaughtFrame, row: int) -> TaughtExample:
        """A frame as it is, augmented or not; `row` names it in errors."""
        chunk = self._chunk(frame, row)
        codec = self._setup.codec
        actions = torch.from_numpy(self._setup.normalizer.normalize(chunk).astype(np.float32))
        tokens = None if codec is None else torch.from_numpy(codec.encode(chunk))
        words = None if self._words is None else torch.tensor(self._words(frame), dtype=torch.int64)
        return TaughtExample(self._reader(frame), actions, tokens, words, min(frame.frozen, len(chunk)))

    def collate(self, examples: Sequence[TaughtExample]) -> Any:
        """A batch on the CPU, for `DataLoader(collate_fn=...)`."""
        tokens = [each.tokens for each in examples if each.tokens is not None]
        said = [each.reasoning for each in examples if each.reasoning is not None]
        targets = Targets(
            torch.stack([each.actions for each in examples]),
            torch.stack(tokens) if tokens else None,
            reasoning=torch.nn.utils.rnn.pad_sequence(said, batch_first=True, padding_value=-1) if said else None,
        )
        frozen = torch.tensor([each.frozen for each in examples])
        return self._reader.batch([each.inputs for each in examples], targets, frozen if frozen.any() else None)

    def _chunk(self, frame: TaughtFrame, row: int) -> np.ndarray:
        """`[H, D]` in physical units."""
        horizon, columns = self._setup.spec.horizon, len(self._setup.spec.action_names)
        actions = np.asarray(frame.actions, np.float64)
        if actions.ndim != 2 or len(actions) < horizon or actions.shape[1] != columns:
            raise RecordingError(
                f"Frame {row} has actions {list(actions.shape)}, the checkpoint's chunk is [{horizon}, {columns}]: "
                f"convert the recordings with chunks of {horizon} actions or more of {columns} numbers."
            )
        return actions[:horizon]


class Words(Protocol):
    """What is to be said of a frame before acting."""

    def __call__(self, frame: TaughtFrame) -> Sequence[int]:
        """Its ids, the end included."""
        ...
