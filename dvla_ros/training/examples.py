"""Examples of the small networks by number: frame, sentence, light and noise of the n-th follow from the seed and n."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dvla_ros.training.batch import Batch, Targets
from dvla_ros.training.demonstrations import Demonstrations
from dvla_ros.training.draws import Use, draws
from dvla_ros.training.example_order import ExampleOrder
from dvla_ros.training.frame_tensors import FrameTensors
from dvla_ros.training.light_and_noise import relit
from dvla_ros.training.sentence_choice import SentenceChoice


class Examples(Dataset[Batch]):
    """Demonstrations as batches; holds no state, so copies in any process give the same examples bit for bit.

    Args:
        demonstrations: Of which the pictures are read.
        frames: What else the network reads of them.
        targets: What it is to say of them.
        sentences: That ask for it.
        seed: Of the run.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        frames: FrameTensors,
        targets: Targets,
        sentences: SentenceChoice,
        seed: int,
    ) -> None:
        self._images, self._frames, self._targets = demonstrations.images, frames, targets
        self._instructions, self._sentences, self._seed = demonstrations.instructions, sentences, seed
        self._order = ExampleOrder(len(demonstrations), seed)

    def __len__(self) -> int:
        """Examples of an epoch; numbers go on beyond it."""
        return len(self._instructions)

    def __getitem__(self, number: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> Batch:
        """The examples of these numbers, in their order.

        Raises:
            RecordingError: A picture cannot be read any more.
        """
        rows = self._order.rows(np.asarray(numbers, np.int64))
        index, frames = torch.from_numpy(rows), self._frames
        return Batch(
            images=self._pictures(rows, numbers),
            text=self._sentences.embeddings([self._sentence(*pair) for pair in zip(rows, numbers, strict=True)]),
            state=frames.state[index],
            pixels=frames.pixels[index],
            points=frames.points[index],
            targets=self._targets.rows(index),
            frozen=frames.frozen[index],
            moved=frames.moved[index],
        )

    def _sentence(self, row: int, number: int) -> int:
        return self._sentences.place(int(self._instructions[row]), draws(self._seed, number, Use.SENTENCE))

    def _pictures(self, rows: np.ndarray, numbers: Sequence[int]) -> Tensor:
        """float32 `[B, C, 3, h, w]`, about 0..255."""
        stored = self._images[rows]
        batch, cameras, height, width, _ = stored.shape
        shown = np.empty((batch, cameras, 3, height, width), np.float32)
        for images, number, into in zip(stored, numbers, shown, strict=True):
            relit(images, draws(self._seed, number, Use.LIGHT), into)
        return torch.from_numpy(shown)
