"""Networks whose right answer is known."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import LogitsFn


def action_canvas(steps: int = 8, dims: int = 7, vocabulary: int = 16) -> Canvas:
    return Canvas((Segment("action", steps, dims, vocabulary),))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def peaked_on(answer: Tensor, vocabulary: int, height: float = 40.0) -> LogitsFn:
    """A network that is sure of `answer` `[B, L]`, whatever it sees."""
    logits = height * torch.nn.functional.one_hot(answer, vocabulary).float()
    return lambda tokens: logits


def random_network(vocabulary: int, seed: int) -> LogitsFn:
    """A network whose logits at every position depend on the whole row of tokens it sees, and on no other row.

    It looks its answers up by a whole number, so they are the same to the last bit in a batch of any size.
    """
    draw = seeded(seed)
    answers = 2 * torch.randn(997, vocabulary, generator=draw)
    weights = torch.randint(1, 997, (256,), generator=draw)

    def logits(tokens: Tensor) -> Tensor:
        weight = weights[: tokens.shape[1]]
        seen = ((tokens + 1) * weight).sum(dim=-1, keepdim=True)
        return answers[(seen + weight**2) % 997]

    return logits


def inverted(weights: Sequence[float], uniform: float) -> int:
    """The id at which the sum of the weights up to it first exceeds this share of all."""
    level, total = uniform * sum(weights), 0.0
    for index, weight in enumerate(weights):
        total += weight
        if total > level:
            return index
    raise AssertionError("only reached by rounding")


def conditionals_of(joints: Tensor, weights: Tensor, vocabulary: int) -> LogitsFn:
    """The exact conditionals, position by position, of a distribution over rows `joints` `[N, L]`."""
    choices = torch.nn.functional.one_hot(joints, vocabulary).float()

    def logits(tokens: Tensor) -> Tensor:
        agrees = (tokens.unsqueeze(1) == joints) | (tokens.unsqueeze(1) == vocabulary)
        posterior = agrees.all(dim=-1) * weights
        return torch.log(torch.einsum("bn,nlv->blv", posterior, choices))

    return logits
