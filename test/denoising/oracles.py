"""Networks whose right answer is known."""

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
    """A network whose logits at every position depend on the whole row of tokens it sees."""
    draw = seeded(seed)
    table = torch.randn(vocabulary + 1, vocabulary, generator=draw)
    mix = torch.randn(64, 64, generator=draw)

    def logits(tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        return 2 * torch.einsum("kl,blv->bkv", mix[:length, :length], table[tokens]) / length**0.5

    return logits


def conditionals_of(joints: Tensor, weights: Tensor, vocabulary: int) -> LogitsFn:
    """The exact conditionals, position by position, of a distribution over rows `joints` `[N, L]`."""
    choices = torch.nn.functional.one_hot(joints, vocabulary).float()

    def logits(tokens: Tensor) -> Tensor:
        agrees = (tokens.unsqueeze(1) == joints) | (tokens.unsqueeze(1) == vocabulary)
        posterior = agrees.all(dim=-1) * weights
        return torch.log(torch.einsum("bn,nlv->blv", posterior, choices))

    return logits
