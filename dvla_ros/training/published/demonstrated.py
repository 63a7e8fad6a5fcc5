"""Demonstrations as a published network is taught them: full frames, sentences, chunks, by number."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dvla_ros.training.augmentation import ImageAugmentation
from dvla_ros.training.demonstrations import Demonstrations
from dvla_ros.training.plain_examples import PlainExample, PlainExamples
from dvla_ros.training.published.examples import PublishedExamples
from dvla_ros.training.published.frames import TaughtFrame

RECORDING = "recording"
"""`Manifest.source` of a set whose frames follow each other, one for each action."""


class DemonstratedFrames:
    """A `FrameSource` of a training set.

    Args:
        demonstrations: The set.
        horizon: Rows of a chunk; the future is what comes after so many.
        reasoning: What to say before acting, for every frame; empty for a system that says nothing.
    """

    def __init__(self, demonstrations: Demonstrations, horizon: int, reasoning: Sequence[str] = ()) -> None:
        self._demonstrations, self._horizon, self._reasoning = demonstrations, horizon, reasoning

    def __len__(self) -> int:
        return len(self._demonstrations)

    def frame(self, row: int) -> TaughtFrame:
        """See `FrameSource`."""
        data = self._demonstrations
        return self.completed(
            PlainExample(
                number=row,
                row=row,
                images=self._by_camera(data.images[row : row + 1][0]),
                instruction=data.manifest.instructions[int(data.instructions[row])],
                state=data.states[row],
                actions=data.actions[row],
                frozen=int(data.frozen[row]),
            )
        )

    def completed(self, example: PlainExample) -> TaughtFrame:
        """An example with what comes after its chunk, and what is to be said."""
        return TaughtFrame(
            images=example.images,
            state=example.state,
            instruction=example.instruction,
            actions=example.actions,
            frozen=example.frozen,
            futures=self._by_camera(self._future(example.row)),
            reasoning=self._reasoning[example.row] if self._reasoning else "",
        )

    def _future(self, row: int) -> np.ndarray:
        """uint8 `[C, h, w, 3]`: in a recording the frame that came, as large as all; the episode's last at its end.

        A simulated set holds small pictures of what the expert would have brought about.
        """
        data = self._demonstrations
        if data.manifest.source != RECORDING:
            future: np.ndarray = data.futures[row : row + 1][0]
            return future
        ahead = data.episodes[row : row + self._horizon + 1] == data.episodes[row]
        there = row + int(np.flatnonzero(ahead)[-1])
        came: np.ndarray = data.images[there : there + 1][0]
        return came

    def _by_camera(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self._demonstrations.manifest.cameras, images, strict=True))


def numbered_examples(
    demonstrations: Demonstrations,
    frames: DemonstratedFrames,
    published: PublishedExamples,
    augment: ImageAugmentation,
    seed: int,
    dropped: float,
) -> PlainExamples[Any]:
    """Batches of a published network by the numbers of their examples.

    Args:
        demonstrations: The set.
        frames: Of the same set.
        published: Makes what the network reads.
        augment: Of the images.
        seed: Of the run.
        dropped: Probability of an empty sentence.
    """

    def prepare(examples: Sequence[PlainExample]) -> Any:
        return published.collate([published.taught(frames.completed(each), each.row) for each in examples])

    return PlainExamples(demonstrations, augment, prepare, seed, dropped)
