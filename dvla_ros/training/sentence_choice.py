"""Which sentence an example is shown with: one of all that ask for the same."""

import numpy as np
import torch
from torch import Tensor

from dvla_ros.models.text import SentenceEncoder
from dvla_ros.simulation.tasks import ALL_TASKS
from dvla_ros.training.shard import Manifest

_CANONICAL = 0.5
"""Share of the examples that get the first phrasing."""


class Phrasings:
    """The sentences of a set and the choice among them.

    Attributes:
        sentences: All of them; the first is empty.

    Args:
        manifest: With the sentences.
        dropped: Probability of the empty sentence, for classifier-free guidance.
    """

    def __init__(self, manifest: Manifest, dropped: float = 0.0) -> None:
        self._dropped = dropped
        groups = [phrasings(manifest, index) for index in range(len(manifest.instructions))]
        self._counts = [len(group) for group in groups]
        self._begins = np.cumsum([1, *self._counts[:-1]]).tolist()
        self.sentences = ("", *(sentence for group in groups for sentence in group))

    def place(self, instruction: int, rng: np.random.Generator) -> int:
        """Place of one sentence: the canonical one half of the time, else any phrasing; or the empty one.

        Args:
            instruction: Its number in the manifest.
            rng: Of this example.
        """
        drop, canonical, which = rng.random(3)
        if drop < self._dropped:
            return 0
        choice = 0 if canonical < _CANONICAL else int(which * self._counts[instruction])
        return int(self._begins[instruction]) + choice


class SentenceChoice:
    """Phrasings as the small networks read them.

    Args:
        manifest: With the sentences.
        encoder: Encodes each of their phrasings once.
        dropped: Probability of the empty sentence.
    """

    def __init__(self, manifest: Manifest, encoder: SentenceEncoder, dropped: float = 0.0) -> None:
        self._phrasings = Phrasings(manifest, dropped)
        self._embeddings = torch.stack([encoder.encode(sentence) for sentence in self._phrasings.sentences])

    def place(self, instruction: int, rng: np.random.Generator) -> int:
        """As in `Phrasings`."""
        return self._phrasings.place(instruction, rng)

    def embeddings(self, places: list[int]) -> Tensor:
        """Of some places, float32 `[B, T, 384]`."""
        return self._embeddings[places]


def phrasings(manifest: Manifest, index: int) -> tuple[str, ...]:
    """All sentences that ask for the same: those of a simulated task, or the one sentence of a recording."""
    task = ALL_TASKS.get(manifest.task_names[index])
    return (manifest.instructions[index],) if task is None else task.phrasings
