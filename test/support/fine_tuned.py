"""A small published checkpoint opened for training, as the tests of it need it."""

from dataclasses import dataclass
from typing import Any

import torch

from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.training.published.examples import PublishedExamples
from dvla_ros.training.published.families import learner_of, reader_of

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Opened:
    """Everything of a checkpoint that a test of its learner asks for."""

    setup: Any
    network: Any
    learner: Any
    examples: PublishedExamples

    def batch(self, *rows):
        """Frames by number, ready for the learner."""
        batch = self.examples.collate([self.examples[row] for row in rows])
        complete = getattr(self.learner, "completed", lambda given: given)
        with torch.no_grad():
            return complete(batch)

    def canvases(self, count):
        """Canvases int64 `[count, L]`, half of them masked, always the same."""
        canvas, generator = self.network.canvas, torch.Generator().manual_seed(1)
        tokens, _ = canvas.initial(count, None, CPU)
        free = tokens == canvas.mask_token
        for segment in canvas.segments:
            span = canvas.span(segment.name)
            ids = segment.vocabulary - segment.reserved
            drawn = torch.randint(0, ids, tokens[:, span].shape, generator=generator)
            shown = free[:, span] & (torch.rand(drawn.shape, generator=generator) < 0.5)
            tokens[:, span] = torch.where(shown, drawn, tokens[:, span])
        return tokens


def opened(folder, deployment, recorded):
    """The checkpoint in `folder`, in float32 on the CPU."""
    setup = read_setup(folder, deployment)
    network = setup.network(CPU, torch.float32)
    examples = PublishedExamples(setup, reader_of(setup), recorded(setup))
    return Opened(setup, network, learner_of(setup, network), examples)
