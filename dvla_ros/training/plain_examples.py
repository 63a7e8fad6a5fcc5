"""Examples before any network's own preprocessing: pictures, augmented as published, words and numbers in SI units.

The published networks each read pictures and sentences in their own way, with the same processor as in use. That takes
milliseconds a picture, so it is done here, where the examples are made, by whatever process makes them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from torch.utils.data import Dataset

from dvla_ros.training.augmentation import ImageAugmentation
from dvla_ros.training.demonstrations import Demonstrations
from dvla_ros.training.draws import Use, draws
from dvla_ros.training.example_order import ExampleOrder
from dvla_ros.training.sentence_choice import Phrasings

Content = TypeVar("Content")


@dataclass(frozen=True)
class PlainExample:
    """One example.

    Attributes:
        number: In the run.
        row: Its frame.
        images: By camera, uint8 `[h, w, 3]` RGB, augmented.
        instruction: One of the sentences that ask for it; empty where it is left out.
        state: float32 `[S]`, as stored.
        actions: float32 `[H, D]`, as stored.
        frozen: Leading actions that were being executed when the pictures were taken.
    """

    number: int
    row: int
    images: dict[str, np.ndarray]
    instruction: str
    state: np.ndarray
    actions: np.ndarray
    frozen: int


class PlainExamples(Dataset[Content], Generic[Content]):
    """Demonstrations as batches of what a processor makes of them; the n-th follows from the seed and n.

    Args:
        demonstrations: To learn from.
        augment: Changes the pictures of each example; see `published_augmentation`.
        prepare: Makes a batch of examples. It is called in any process, and must draw nothing.
        seed: Of the run.
        dropped: Probability of an empty sentence.
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        augment: ImageAugmentation,
        prepare: Callable[[Sequence[PlainExample]], Content],
        seed: int,
        dropped: float = 0.0,
    ) -> None:
        self._demonstrations, self._augment, self._prepare, self._seed = demonstrations, augment, prepare, seed
        self._phrasings = Phrasings(demonstrations.manifest, dropped)
        self._order = ExampleOrder(len(demonstrations), seed)

    def __len__(self) -> int:
        """Examples of an epoch; numbers go on beyond it."""
        return len(self._demonstrations)

    def __getitem__(self, number: int) -> Content:
        """A batch of one."""
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> Content:
        """The examples of these numbers, in their order.

        Raises:
            RecordingError: A picture cannot be read any more.
        """
        rows = self._order.rows(np.asarray(numbers, np.int64))
        stored = self._demonstrations.images[rows]
        return self._prepare([self._example(*one) for one in zip(numbers, rows.tolist(), stored, strict=True)])

    def _example(self, number: int, row: int, images: np.ndarray) -> PlainExample:
        data = self._demonstrations
        seen = self._augment(images, draws(self._seed, number, Use.AUGMENTATION))
        place = self._phrasings.place(int(data.instructions[row]), draws(self._seed, number, Use.SENTENCE))
        return PlainExample(
            number=number,
            row=row,
            images=dict(zip(data.manifest.cameras, seen, strict=True)),
            instruction=self._phrasings.sentences[place],
            state=data.states[row],
            actions=data.actions[row],
            frozen=int(data.frozen[row]),
        )
