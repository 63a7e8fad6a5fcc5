"""A tiny network, batches for it, and a network whose answer is given, for the tests of the training objectives."""

import torch

from dvla_ros.denoising.noise import Noise
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.training.batch import Batch, Targets, losses
from dvla_ros.training.learner import SmallLearner

VOCABULARY = 16
ROWS, COLUMNS = 2, 7
ACTION = SegmentSizes("action", ROWS, COLUMNS, VOCABULARY)
PERCEPTION = PerceptionConfig(image_width=32, image_height=24, text_tokens=4, width=24, keypoints=2)


def tiny_config(*segments, **changes):
    """Sizes of the network; its canvas is 2 x 7 action tokens unless other segments are given."""
    return SmallVlaConfig(PERCEPTION, heads=3, layers=2, horizon=ROWS, segments=segments or (ACTION,), **changes)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(rows, seed=0):
    return Noise([1000 * seed + row for row in range(rows)])


def found_losses(objective, model, batch, seed=0):
    """All losses of one batch; the same seed draws the same corruption."""
    return losses(objective, SmallLearner(model), batch, noise(len(batch), seed))


def random_batch(tokens, seen=None):
    """Observations that mean nothing, with these canvases int64 `[B, L]` as targets."""
    rows, generator = len(tokens), seeded(1)
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    return Batch(
        images=255 * draw(rows, 2, 3, 24, 32),
        text=draw(rows, 4, 384),
        state=draw(rows, 7) * 2 - 1,
        pixels=0.1 + 0.8 * draw(rows, 2, 2, 2),
        points=draw(rows, 2, 3) * 0.3,
        targets=Targets(torch.zeros(rows, ROWS, COLUMNS), tokens=tokens, seen=seen),
    )


def random_tokens(rows, length, vocabulary):
    return torch.randint(0, vocabulary, (rows, length), generator=seeded(2))


class FixedLogits(SmallVla):
    """The real network up to its answer, which is given; it remembers the canvases it was asked about.

    Args:
        config: Sizes.
        answer: Broadcast to `[B, L, V]`.
    """

    def __init__(self, config, answer):
        torch.manual_seed(0)
        super().__init__(config)
        self.answer, self.canvases = answer, None

    def logits(self, prefix, tokens):
        self.canvases = tokens
        return self.answer.expand(*tokens.shape, self.config.vocabulary)


def learn(model, objective, batch, steps, learning_rate=5e-3):
    """Fit one batch; returns the parts of the loss in every step."""
    optimiser, history = torch.optim.AdamW(model.parameters(), lr=learning_rate), []
    for step in range(steps):
        found = found_losses(objective, model, batch, seed=step)
        optimiser.zero_grad()
        found.total.backward()
        optimiser.step()
        history.append({name: part.item() for name, part in found.parts.items()})
    return history


def mean_of_last(history, name, count=8):
    return sum(parts[name] for parts in history[-count:]) / count
